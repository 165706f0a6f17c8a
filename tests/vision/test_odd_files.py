"""Whatever a folder of photos holds: each file becomes a picture, or a reason that a person understands."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from openfer.errors import DataError, UnsupportedError
from openfer.vision.image import decode, decode_image, read_image
from tests.vision.odd import encoded, files, png, scene, tiff, with_orientation


def refused(source: Any, **options: Any) -> str:
    """The reason; that it is a single plain line is checked for all."""
    with pytest.raises(DataError) as caught:
        decode(source, **options)
    reason = str(caught.value)
    assert reason.isprintable()
    assert reason
    return reason


# Pixels


@pytest.mark.parametrize("name", sorted(files()))
def test_a_file_of_each_format_becomes_the_picture_that_was_saved(name: str) -> None:
    decoded = decode(files()[name])
    assert decoded.full_size == decoded.pixels.shape[1::-1]
    if Path(name).stem in ("rgb", "phone", "cmyk", "frames", "pages", "progressive", "restarts"):
        rgb = np.asarray(scene()).astype(float)
        blurred = name.endswith((".jpg", ".webp", ".avif", ".gif"))
        assert np.abs(decoded.pixels - rgb).mean() < (40 if blurred else 1)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_images_of_each_mode_become_rgb(mode: str) -> None:
    red = {"1": 255, "L": 54, "HSV": (0, 255, 255), "CMYK": (0, 255, 255, 0), "YCbCr": (76, 85, 255)}
    image = Image.new("RGB", (3, 2), (255, 0, 0))
    if mode in ("La", "RGBa", "PA"):
        image = image.convert({"La": "LA", "RGBa": "RGBA", "PA": "P"}[mode]).convert(mode)
    elif mode in red:
        image = Image.new(mode, (3, 2), red[mode])
    else:
        image = image.convert(mode)
    pixel = decode_image(image).pixels[1, 2].astype(int)
    if mode in ("1", "L", "LA", "La"):
        assert pixel[0] == pixel[1] == pixel[2]
    else:
        assert np.abs(pixel - (255, 0, 0)).max() <= 2


def test_lab_becomes_rgb() -> None:
    white = Image.frombytes("LAB", (1, 1), bytes((255, 0, 0)))
    assert decode(encoded(white, "TIFF")).pixels.min() > 250


def test_sixteen_bit_colour_keeps_its_upper_half() -> None:
    row = struct.pack(">B6H", 0, 0, 0x8000, 0xFFFF, 0x1234, 0xFE00, 0x00FF)
    assert decode(png(2, 1, depth=16, colour=2, rows=row)).pixels.tolist() == [[[0, 0x80, 0xFF], [0x12, 0xFE, 0]]]


def test_wide_types_are_scaled_by_what_they_hold() -> None:
    def grey(values: list[float], kind: Any) -> list[int]:
        return decode_image(Image.fromarray(np.array([values], dtype=kind))).pixels[0, :, 1].tolist()

    assert grey([0, 100, 255], np.int32) == [0, 100, 255]
    assert grey([0, 32896, 65535], np.int32) == [0, 128, 255]
    assert grey([0, 32896, 65535], ">u2") == [0, 128, 255]
    assert grey([0, 0.5, 1], np.float32) == [0, 128, 255]
    assert grey([0, 100.4, 255], np.float32) == [0, 100, 255]
    assert grey([0, 500_000, 1_000_000], np.int32) == [0, 128, 255]
    assert grey([-5, np.nan, np.inf, -np.inf, 1], np.float32) == [0, 0, 255, 0, 255]
    assert grey([0, 0], np.float32) == [0, 0]


@pytest.mark.parametrize("size", [(1, 1), (20_000, 3), (2, 20_000), (257, 129)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_of_any_shape_are_turned_as_pillow_turns_them(size: tuple[int, int], orientation: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), compress_level=0, exif=with_orientation(orientation))
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert decoded.full_size == decoded.pixels.shape[1::-1]
    np.testing.assert_array_equal(decode(data, orient=False).pixels, noise)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_or_left_as_stored(kind: str, orientation: int) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    plain = decode(encoded(scene(), kind, **options)).pixels
    turned = encoded(scene(), kind, exif=with_orientation(orientation), **options)
    np.testing.assert_array_equal(decode(turned, orient=False).pixels, plain)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(plain)
    upright.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(decode(turned).pixels, ImageOps.exif_transpose(upright))


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II*\0\xff\xff\xff\x7f", b"junk" * 20, b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0" * 9]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_does_not_cost_the_picture(kind: str, exif: bytes) -> None:
    assert decode(encoded(scene(), kind, exif=b"Exif\0\0" + exif)).full_size == (48, 36)


@pytest.mark.skipif("rgb.avif" not in files(), reason="needs a Pillow that writes AVIF")
def test_damaged_exif_does_not_cost_an_avif_picture() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker's name"
    whole = encoded(scene(), "AVIF", exif=exif)
    assert decode(whole.replace(b"MM\0*", b"????")).full_size == (48, 36)


def test_damaged_exif_does_not_cost_a_tiff_picture() -> None:
    data = tiff({256: (4,), 257: (2,), 258: (8,), 262: (1,), 273: (8,), 34665: (0xFFFFFFF0,)})
    pointer = struct.Struct("<HHI")
    assert decode(data.replace(pointer.pack(34665, 4, 1), pointer.pack(34665, 9, 1))).full_size == (4, 2)
    many = data.replace(pointer.pack(34665, 4, 1), pointer.pack(34665, 4, 1 << 30))
    assert decode(many).full_size == (4, 2)


# Reduced decoding


@given(st.integers(8, 300), st.integers(8, 300), st.integers(1, 400), st.sampled_from([1, 6]))
def test_a_jpeg_is_reduced_as_far_as_its_long_side_allows(width: int, height: int, at_least: int, turn: int) -> None:
    decoded = decode(encoded(Image.new("RGB", (width, height)), "JPEG", exif=with_orientation(turn)), at_least=at_least)
    assert decoded.full_size == ((width, height) if turn == 1 else (height, width))
    sides = [-(-max(width, height) // factor) for factor in (8, 4, 2)]
    assert max(decoded.pixels.shape[:2]) == next((side for side in sides if side >= at_least), max(width, height))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_reduced_jpeg_keeps_its_colours(mode: str) -> None:
    image = Image.new("RGB", (640, 480), (200, 100, 50)).convert(mode)
    small, full = decode(encoded(image, "JPEG"), at_least=80), decode(encoded(image, "JPEG"))
    assert small.pixels.shape == (60, 80, 3)
    assert np.abs(small.pixels[30, 40].astype(int) - full.pixels[240, 320]).max() <= 2


def test_other_formats_are_decoded_in_full() -> None:
    assert decode(encoded(scene(640, 480)), at_least=10).pixels.shape == (480, 640, 3)


# Notes


@pytest.mark.parametrize("ending", ["png", "webp", "gif", "avif"])
def test_of_an_animation_the_first_frame_is_read_and_a_note_says_so(ending: str) -> None:
    if f"frames.{ending}" not in files():
        pytest.skip("this Pillow does not write AVIF")
    decoded = decode(files()[f"frames.{ending}"])
    assert decoded.note == "first of 3 frames"
    assert np.abs(decoded.pixels - np.asarray(scene()).astype(float)).mean() < 40


def test_of_several_pages_the_first_is_read_and_a_note_says_so() -> None:
    assert decode(files()["pages.tif"]).note == "first of 3 pages"
    assert decode(files()["rgb.tif"]).note == ""


def test_a_smaller_copy_in_a_tiff_is_no_page() -> None:
    tags = {256: (4,), 257: (1,), 258: (8,), 262: (1,)}
    first = tiff({**tags, 273: (200,)})
    second = struct.pack("<HHHIIHHIII", 2, 254, 4, 1, 1, 256, 4, 1, 1, 0)
    data = tiff({**tags, 273: (200,)}, following=len(first)) + second
    assert decode(data.ljust(300, b"\x07")).note == ""
    third = data.ljust(300, b"\x07")[: len(first)] + second.replace(
        struct.pack("<I", 1) * 2, struct.pack("<II", 1, 0), 1
    )
    assert decode(third.ljust(300, b"\x07")).note == "first of 2 pages"


def test_what_a_phone_puts_behind_a_photo_is_no_frame_of_it() -> None:
    assert decode(files()["phone.jpg"]).note == ""
    assert decode(files()["rgb.jpg"] + b"\0\0\0\x18ftypmp42 a film" + files()["rgb.jpg"]).note == ""


@pytest.mark.parametrize("ending", ["gif", "tif", "png"])
def test_files_that_end_after_the_first_frame_are_read(ending: str) -> None:
    whole = files()[{"gif": "frames.gif", "tif": "pages.tif", "png": "frames.png"}[ending]]
    cut = next(decode(whole[:size]) for size in range(len(whole) // 3, len(whole), 7) if not _fails(whole[:size]))
    np.testing.assert_array_equal(cut.pixels, decode(whole).pixels)


def _fails(data: bytes) -> bool:
    try:
        decode(data)
    except DataError:
        return True
    return False


# Names, places, endings


@pytest.mark.parametrize("name", ["photo.png", "photo.JPG.txt", "no ending", "ünï 写真 😀.gif", "two\nlines.jpg", "-"])
def test_a_file_is_what_its_bytes_say_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(files()["rgb.jpg"])
    assert decode(tmp_path / name).full_size == (48, 36)
    assert decode(str(tmp_path / name)).full_size == (48, 36)


def test_folders_missing_files_and_impossible_names(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    assert refused(tmp_path / "none.jpg") == refused(tmp_path / "broken") == "no such file"
    assert refused(tmp_path) == refused("") == "a folder, not a picture file"
    assert "symbolic links" in refused(tmp_path / "loop")
    assert refused("a\0b.jpg") == "not a name that a file can have"
    assert "too long" in refused("x" * 5000).lower()
    assert "Not a directory" in refused(__file__ + "/a.jpg")


@pytest.mark.skipif(os.name != "posix", reason="pipes and sockets in folders are Unix's")
def test_pipes_devices_and_sockets_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.jpg"))
        for place in (tmp_path / "pipe.jpg", tmp_path / "s.jpg", "/dev/zero", "/dev/null"):
            assert refused(place).startswith("not a regular file")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch(mode=0)
    assert refused(tmp_path / "a.jpg") == "no permission to read it"


def test_a_file_replaced_by_a_pipe_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(files()["rgb.jpg"])
    seen = (tmp_path / "b.jpg").stat()
    monkeypatch.setattr(Path, "stat", lambda self: seen)
    assert refused(tmp_path / "a.jpg").startswith("not a regular file")


# Damage


@pytest.mark.parametrize("name", sorted(files().keys() - {"text.ppm"}))  # a number cut to its first digit is a number
@given(st.data())
def test_a_cut_file_is_refused_or_whole(name: str, data: st.DataObject) -> None:
    whole = files()[name]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        pixels = decode(cut).pixels
    except DataError:
        return
    # What was cut was behind the picture: later frames, notes, an end mark.
    np.testing.assert_array_equal(pixels, decode(whole).pixels)


@pytest.mark.parametrize("name", ["rgb.jpg", "grey.jpg", "cmyk.jpg", "restarts.jpg"])
@pytest.mark.parametrize("kept", [0.6, 0.8, 0.95])
def test_a_jpeg_that_ends_early_with_an_end_mark_is_not_half_grey(name: str, kept: float) -> None:
    large = Image.open(io.BytesIO(files()[name])).resize((320, 240))
    options = {"restart_marker_blocks": 40} if name == "restarts.jpg" else {}
    whole = encoded(large, "JPEG", quality=90, **options)
    early = whole[: int(len(whole) * kept)].rstrip(b"\xff") + b"\xff\xd9"
    assert refused(early).startswith("truncated")
    assert refused(early, at_least=40).startswith("truncated")


def test_a_png_whose_pixels_are_zeros_from_some_point_is_not_half_black() -> None:
    whole = encoded(scene(300, 200))
    for kept in (0.1, 0.5, 0.9):
        cut = int(len(whole) * kept)
        assert refused(whole[:cut] + bytes(len(whole) - cut)).startswith("damaged")


def test_a_jpeg_2000_without_its_last_tiles_is_not_partly_black() -> None:
    whole = encoded(scene(300, 200), "JPEG2000", tile_size=(64, 64))
    for cut in range(150, len(whole), 97):
        assert refused(whole[:cut])


def test_a_jpeg_that_is_grey_is_no_damaged_one() -> None:
    for mode, colour in (("RGB", (128, 128, 128)), ("L", 128), ("CMYK", (127, 127, 127, 127))):
        for progressive in (False, True):
            decode(encoded(Image.new(mode, (90, 70), colour), "JPEG", progressive=progressive))


def test_damage_is_told_in_plain_words() -> None:
    assert refused(files()["rgb.jpg"][:400]).startswith("truncated")
    assert refused(files()["rgb.png"][:60]).startswith("truncated")
    assert refused(files()["lzw.tif"][:60]).startswith("truncated")
    broken = bytearray(files()["rgb.png"])
    broken[60] ^= 0xFF
    assert refused(bytes(broken)).startswith("damaged")


def test_what_pillow_logs_of_a_damaged_file_is_not_printed(tmp_path: Path) -> None:
    damaged = tmp_path / "a.tif"
    damaged.write_bytes(tiff({256: (4,), 257: (2,), 258: (8,), 262: (1,), 273: (8,), 277: (9000,)}))
    program = f"from openfer.vision.image import decode; decode({str(damaged)!r})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr.strip().endswith("DataError: damaged (Invalid value for samples per pixel)")
    assert "More samples" not in ended.stderr


# What is no picture, or none that is read


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "not a picture: the file is empty"),
        (bytes(5000), "not a picture: it begins with nothing but zero bytes"),
        (b"\x80\x81" * 40, "not a picture: no known kind of file"),
        (b"name,label\na.jpg,anger\n", "text"),
        ("čeština ".encode() * 900, "text"),
        (b"<!DOCTYPE html>\n<html><body>Not found</body></html>", "web page"),
        (b"PK\3\4" + bytes(40), "ZIP archive"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x7fELF" + bytes(40), "program"),
        (b"ID3\3" + bytes(40), "sound"),
        (b"RIFF\0\0\0\0WAVEfmt ", "sound"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS"),
        (b"BM and other words", "text"),
        (b"P3 is a letter and a number", "text"),
        (b"II*\0\x08\0\0\0", "truncated"),
    ],
)
def test_what_is_no_picture_says_what_it_looks_like(head: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        decode(head)
    assert not isinstance(caught.value, UnsupportedError)


VIDEOS = {
    "mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "mov": b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
    "old mov": b"\0\0\x10\0moov\0\0\0\x6cmvhd",
    "3gp": b"\0\0\0\x18ftyp3gp4\0\0\0\x003gp4isom",
    "mkv": b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01",
    "avi": b"RIFF\0\0\0\0AVI LIST",
    "mpg": b"\0\0\1\xba\x44\0\4",
    "ts": (b"G" + bytes(187)) * 4,
    "m2ts": (bytes(4) + b"G" + bytes(187)) * 4,
    "flv": b"FLV\1\5\0\0\0\t",
    "wmv": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "ogv": b"OggS\0\2" + bytes(20) + b"\1\x2a\x80theora\3\2\1",
    "h264": b"\0\0\0\1\x67\x42\0\x1e",
}


@pytest.mark.parametrize("kind", sorted(VIDEOS))
def test_a_video_is_named_as_not_supported_whatever_its_ending(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.jpg").write_bytes(VIDEOS[kind].ljust(3000, b"\x01"))
    with pytest.raises(UnsupportedError, match="video is not supported yet"):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\xff\x0a\x00\x10", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xd7\xcd\xc6\x9a\0\0", "WMF"),
        (b"qoif\0\0\0\1\0\0\0\1\3\0", "QOI"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "camera raw"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera raw"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"),
        (tiff({256: (8,), 257: (8,), 50706: (1,)}), "camera raw"),
        (tiff({254: (1,), 256: (8,), 257: (8,), 330: (8,)}), "camera raw"),
        (tiff({256: (8,), 257: (8,), 262: (32803,)}), "camera raw"),
    ],
)
def test_pictures_that_are_not_decoded_are_named(head: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{reason} files are not supported"):
        decode(head)


HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(100)


def test_a_missing_plug_in_is_named_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedError, match=r"HEIC.*pip install pillow-heif"):
        decode(HEIC)
    monkeypatch.setitem(sys.modules, "PIL.AvifImagePlugin", None)
    with pytest.raises(UnsupportedError, match=r"AVIF.*pip install --upgrade pillow"):
        decode(HEIC.replace(b"heic", b"avif"))


def test_a_plug_in_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = ModuleType("pillow_heif")
    plugin.HeifImageFile = lambda stream, name: Image.open(io.BytesIO(files()["rgb.png"]))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    np.testing.assert_array_equal(read_image(HEIC), scene())
