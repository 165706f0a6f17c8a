"""Reading pictures: every mode becomes uint8 RGB, every damage a reason."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from PIL import Image

from openfer.errors import DataError
from openfer.vision import image as image_module
from openfer.vision.image import as_picture, decode, grey, read_image
from tests.vision.odd import encoded


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_rgb_pixels_come_back_exactly(tmp_path: Path) -> None:
    pixels = noise(5, 7)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes()):
        picture = read_image(source)
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, pixels)


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (2, 1))
    image.putpixel((0, 0), (200, 0, 0, 255))
    image.putpixel((1, 0), (200, 0, 0, 0))
    assert read_image(encoded(image)).tolist() == [[[200, 0, 0], [255, 255, 255]]]


def test_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert read_image(encoded(image)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert read_image(encoded(image, transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_sixteen_bit_grey_uses_the_whole_range() -> None:
    image = Image.fromarray(np.array([[0, 32896, 51400, 65535]], dtype=np.uint16))
    assert read_image(encoded(image))[0, :, 0].tolist() == [0, 128, 200, 255]
    assert read_image(encoded(image, "TIFF"))[0, :, 2].tolist() == [0, 128, 200, 255]


def test_grey_becomes_three_equal_channels() -> None:
    assert read_image(encoded(Image.new("L", (1, 1), 77))).tolist() == [[[77, 77, 77]]]


def test_cmyk_becomes_rgb() -> None:
    # No ink is white, full black is black.
    image = Image.merge("CMYK", [Image.new("L", (16, 8), 0)] * 4)
    image.paste((0, 0, 0, 255), (8, 0, 16, 8))
    pixels = read_image(encoded(image, "JPEG"))
    assert pixels[:, 0].min() > 240
    assert pixels[:, 15].max() < 15


@pytest.mark.parametrize(
    ("orientation", "turn"), [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1))]
)
def test_exif_orientation_turns_the_picture_unless_told_not_to(orientation: int, turn: Any) -> None:
    pixels = noise(6, 4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(pixels), exif=exif)
    np.testing.assert_array_equal(read_image(data), turn(pixels))
    np.testing.assert_array_equal(read_image(data, orient=False), pixels)


def test_of_an_animation_the_first_frame_is_read() -> None:
    first, second = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    assert read_image(data)[0, 0].tolist() == [255, 0, 0]


def test_damaged_files_give_a_reason_in_one_line(tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(noise(64, 64)), "JPEG")
    damaged = {
        "truncated.jpg": (whole[: len(whole) // 2], "truncated"),
        "empty.jpg": (b"", "not a picture"),
        "text.jpg": (b"this is text", "not a picture"),
        "header.png": (encoded(Image.fromarray(noise(64, 64)))[:60], "truncated"),
    }
    for name, (data, reason) in damaged.items():
        (tmp_path / name).write_bytes(data)
        for source in (data, tmp_path / name):
            with pytest.raises(DataError, match=reason) as caught:
                read_image(source)
            assert "\n" not in str(caught.value)
            assert str(tmp_path) not in str(caught.value)


def test_a_picture_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(DataError, match=r"20 x 10 pixels are over the limit of 199"):
        read_image(encoded(Image.new("RGB", (20, 10))), max_pixels=199)


@given(arrays.arrays(np.uint8, (4, 5, 3)))
def test_grey_is_pillows_luma(pixels: np.ndarray) -> None:
    ours, theirs = grey(pixels), np.asarray(Image.fromarray(pixels).convert("L"))
    assert ours.shape == pixels.shape
    assert (ours == ours[..., :1]).all()
    assert np.abs(ours[..., 0].astype(int) - theirs.astype(int)).max() <= 1


def test_arrays_of_every_shape_become_pictures() -> None:
    pixels = noise(3, 4)
    np.testing.assert_array_equal(as_picture(pixels, "rgb"), pixels)
    np.testing.assert_array_equal(as_picture(pixels[:, :, ::-1], "bgr"), pixels)
    np.testing.assert_array_equal(as_picture(np.dstack([pixels, pixels[:, :, 0]]), "rgb"), pixels)
    assert as_picture(pixels[:, :, 0], "rgb").shape == (3, 4, 3)
    assert as_picture(pixels[:, :, :1], "bgr").shape == (3, 4, 3)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8), np.zeros(4, np.uint8), np.zeros((2, 2, 2), np.uint8)]
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(DataError, match="picture array"):
        as_picture(array, "rgb")


@pytest.mark.parametrize("turn", [1, 3, 6, 7])
def test_a_very_large_picture_is_shrunk_by_averages_when_less_is_asked_for(
    turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "_LARGE", 1000)
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(Image.fromarray(noise(101, 203)), exif=exif)
    full, small = decode(data), decode(data, at_least=100)
    assert small.full_size == full.full_size == (full.pixels.shape[1], full.pixels.shape[0])
    np.testing.assert_array_equal(small.pixels, np.asarray(Image.fromarray(full.pixels).reduce(2)))
    np.testing.assert_array_equal(decode(data, at_least=150).pixels, full.pixels)


def test_a_signalling_nan_is_black_and_warns_nobody() -> None:
    values = np.full((4, 4), 0.5, dtype=np.float32)
    values.view(np.uint32)[0, 0] = 0x7FA00000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(encoded(Image.fromarray(values), "TIFF"))[0, :2, 0].tolist() == [0, 128]
