"""Files made to fill the memory, to take for ever or to run something: refused before they do."""

from __future__ import annotations

import io
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import numpy as np
import pytest
from PIL import Image

from openfer.errors import DataError
from openfer.vision.image import MAX_PIXELS, decode, decode_image
from openfer.vision.opening import Opened, open_picture
from tests.vision.odd import chunk, encoded, files, png, scene, tiff

GREY = {256: (10,), 257: (10,), 258: (8,), 262: (1,)}
"""Tags of a grey TIFF of 10 x 10 pixels."""


def claiming(data: bytes, at: int, size: bytes) -> bytes:
    return data[:at] + size + data[at + len(size) :]


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG whose header states another size."""
    data = encoded(scene(), "JPEG")
    return claiming(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def icon_of(picture: bytes) -> bytes:
    return b"\0\0\1\0\1\0" + struct.pack("<4B2H2I", 16, 16, 0, 0, 1, 32, len(picture), 22) + picture


def bitmap_in_runs(width: int, height: int, runs: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + bytes(range(256)) * 4 + runs


GIF_FRAME = files()["palette.gif"].index(b",\0\0\0\0")
JPEG_2000 = files()["rgb.jp2"].index(b"\xff\x4f\xff\x51")

BOMBS = {
    "png": png(30_000, 30_000, depth=8, colour=2, rows=bytes(9000)),
    "jpeg": jpeg_of(65_000, 65_000),
    "gif, canvas": claiming(files()["palette.gif"], 6, b"\xff" * 4),
    "gif, frame": claiming(files()["palette.gif"], GIF_FRAME + 5, b"\xff" * 4),
    "webp": b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0/" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(13),
    "tiff": tiff({**GREY, 256: (90_000,), 257: (90_000,), 273: (8,)}),
    "tiff, tile": tiff({**GREY, 259: (5,), 322: (60_000,), 323: (60_000,), 324: (8,), 325: (9,)}),
    "bmp": claiming(files()["rgb.bmp"], 18, struct.pack("<ii", 50_000, 50_000)),
    "ppm": b"P6 60000 60000 255\n" + bytes(99),
    "tga": claiming(files()["rgb.tga"], 12, b"\xff" * 4),
    "jpeg 2000": claiming(files()["rgb.jp2"], JPEG_2000 + 8, struct.pack(">II", 50_000, 50_000)),
    "ico, png": icon_of(png(30_000, 30_000, depth=8, colour=2, rows=bytes(99))),
    "ico, bitmap": icon_of(struct.pack("<IiiHHIIiiII", 40, 9000, 18_000, 1, 32, 0, 0, 0, 0, 0, 0)),
}


@pytest.mark.parametrize("kind", sorted(BOMBS))
def test_a_picture_that_claims_too_many_pixels_is_refused_unread(kind: str) -> None:
    with pytest.raises(DataError, match=r"^\d+ x \d+ pixels are over the limit of \d+.*--max-pixels"):
        decode(BOMBS[kind])


def test_the_limit_is_the_callers_and_holds_to_the_pixel() -> None:
    for name in sorted(files().keys() - {"text.ppm"}):
        height, width = decode(files()[name]).pixels.shape[:2]
        decode(files()[name], max_pixels=width * height)
        with pytest.raises(DataError, match=rf"are over the limit of {width * height - 1} \(--max-pixels\)"):
            decode(files()[name], max_pixels=width * height - 1)
    with pytest.raises(DataError, match=r"48 x 36 pixels are over the limit of 99 \(--max-pixels\)"):
        decode_image(scene(), max_pixels=99)


def test_formats_that_cost_more_have_a_lower_limit() -> None:
    for name, data in {
        "runs": bitmap_in_runs(3000, 3000, b""),
        "text": b"P3 3000 3000 255\n1 2 3",
        "depth": b"P6 3000 3000 1023\n" + bytes(99),
    }.items():
        assert MAX_PIXELS > 9_000_000, name
        with pytest.raises(DataError, match=r"over the limit of 4400000 for this kind of file, 1/25 of --max-pixels"):
            decode(data)


@pytest.mark.parametrize("name", ["rgb.tif", "rgb.webp", "palette.gif", "rgb.png", "rgb.jpg", "rgba.ico"])
def test_a_limit_above_pillows_own_holds_and_leaves_pillows_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode(files()[name]).pixels.size
    assert Image.MAX_IMAGE_PIXELS == 10


def test_very_long_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="a side is over the limit of 65535"):
        decode(b"P5 70000 1 255\n" + bytes(70_000))


def test_a_file_far_larger_than_its_pixels_can_be_is_refused_unread() -> None:
    with pytest.raises(DataError, match=r"68 MB are over the limit of 67 MB for a file"):
        decode(files()["rgb.png"] + bytes(68_000_000), max_pixels=48 * 36)


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt"])
def test_metadata_that_unpack_to_megabytes_are_refused(name: bytes) -> None:
    bomb = chunk(name, b"name\0\0" + zlib.compress(bytes(20_000_000)))
    with pytest.raises(DataError, match="unpacks to too many bytes"):
        decode(png(1, 1, depth=8, colour=0, rows=b"\0\0", before=bomb))


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(scene(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    decode(data[:-2] + data[last:-2] * 50 + data[-2:])
    with pytest.raises(DataError, match="more than 100 scans"):
        decode(data[:-2] + data[last:-2] * 200 + data[-2:])


def test_a_tiff_whose_strips_repeat_is_refused() -> None:
    strips = {273: (300,) * 50_000, 278: (9,), 279: (90,) * 50_000}
    with pytest.raises(DataError, match="on top of each other"):
        decode(tiff({**GREY, **strips}, bytes(5000)))
    with pytest.raises(DataError, match="a tag of 1,200,000 values"):
        decode(tiff({**GREY, 273: (8,) * 1_200_000}))


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (tiff({**GREY, 273: (8,)}, bytes(200), following=8), ""),
        (tiff({**GREY, 273: (8,)}, bytes(200), following=1 << 31), ""),
        (
            tiff({**GREY, 273: (8,)}, following=74)
            + b"".join(struct.pack("<HI", 0, 80 + 6 * page) for page in range(200_000)),
            "first of 10000 or more pages",
        ),
        (
            files()["palette.gif"][:-1] + files()["palette.gif"][GIF_FRAME:-1] * 20_000,
            "first of 10000 or more frames",
        ),
        (files()["palette.gif"][:-1] + b"!\xfe" + b"\1 " * 2_000_000 + b"\0;", ""),
    ],
    ids=["circle", "out of the file", "pages", "frames", "blocks"],
)
def test_endless_directories_end(data: bytes, note: str) -> None:
    assert decode(data).note == note


def test_a_text_of_comments_is_no_picture() -> None:
    with pytest.raises(DataError, match="too many comments"):
        decode(b"P3 4 4 255\n" + b"#\n" * 500_000 + b"1 " * 48)
    with pytest.raises(DataError, match="not a picture"):
        decode(b"P6 #" + b" " * 5_000_000 + b"\n4 4 255\n" + bytes(48))


def test_nothing_is_run_for_a_postscript_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("something was run"))
    with pytest.raises(DataError, match="EPS files are not supported"):
        decode(encoded(scene(), "EPS"))


# Threads

WARNS = png(1, 1, depth=8, colour=0, rows=b"\0\x07", before=chunk(b"acTL", bytes(8)))
"""An animation of no frames: Pillow warns of it."""


def test_the_odd_file_does_warn() -> None:
    with pytest.warns(UserWarning, match="APNG"):
        Image.open(io.BytesIO(WARNS))


def test_many_threads_decode_without_a_warning_and_leave_the_filters_as_they_were() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(decode, [WARNS, files()["rgb.jpg"]] * 200))
    assert {picture.full_size for picture in pictures} == {(1, 1), (48, 36)}
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="APNG"):
        Image.open(io.BytesIO(WARNS))


def test_filters_that_others_set_or_put_back_meanwhile_are_kept() -> None:
    before = list(warnings.filters)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            decode(WARNS)

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(work) for _ in range(2)]
        try:
            for number in range(30):
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    time.sleep(0.001)
                    if number % 3 == 0:
                        with pytest.raises(UserWarning, match="still an error"):
                            warnings.warn("still an error", UserWarning, stacklevel=1)
        finally:
            stop.set()
        for worker in workers:
            worker.result()
    assert warnings.filters == before


def test_a_warning_that_another_thread_made_an_error_does_not_cost_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [UserWarning("odd"), UserWarning("odd")]

    def unlucky(stream: IO[bytes], max_pixels: int) -> Opened:
        if failures:
            raise failures.pop()
        return open_picture(stream, max_pixels)

    monkeypatch.setattr("openfer.vision.image.open_picture", unlucky)
    assert decode(files()["rgb.jpg"]).full_size == (48, 36)


def test_threads_get_the_same_pixels_as_one_alone() -> None:
    names = sorted(files())
    alone = [decode(files()[name]).pixels for name in names]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda name: decode(files()[name]).pixels, names * 5))
    for number, pixels in enumerate(together):
        np.testing.assert_array_equal(pixels, alone[number % len(names)])
