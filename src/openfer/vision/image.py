"""Pictures as arrays: uint8 [H, W, 3], RGB, decoded by Pillow."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from openfer.errors import DataError

Picture = NDArray[np.uint8]
Colour = Literal["grey", "rgb"]

MAX_PIXELS = 200_000_000
"""Pictures with more pixels are refused: a small file can claim a size that fills the memory."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif"})
"""File endings, lower case, that a folder is searched for."""


def read_image(source: str | Path | bytes, *, orient: bool = True, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a picture file.

    Args:
        source: a path, or the file's bytes.
        orient: turn the picture as its EXIF orientation asks. Data sets whose boxes or points were made on the
            stored pixels want False.
        max_pixels: refuse pictures larger than this.

    Returns:
        uint8 [H, W, 3], RGB. Grey becomes three equal channels, 16 bit is scaled to 8, transparency is laid on white;
        of an animation the first frame is read.

    Raises:
        DataError: not a picture, truncated, missing or too large; the message is the reason alone, without the path.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd but readable files
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                if image.width * image.height > max_pixels:
                    raise DataError(f"{image.width} x {image.height} pixels are over the limit of {max_pixels}")
                return to_rgb(ImageOps.exif_transpose(image) if orient else image)
    except UnidentifiedImageError:
        raise DataError("not a picture that Pillow can read") from None
    except FileNotFoundError:
        raise DataError("no such file") from None
    except Image.DecompressionBombError:
        raise DataError(f"its size is over the limit of {max_pixels} pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError, MemoryError) as error:
        # What Pillow's decoders raise on damaged files.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(reason.splitlines()[0]) from error


def to_rgb(image: Image.Image) -> Picture:
    """A Pillow image of any mode as uint8 [H, W, 3], RGB."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        # 16-bit files use the whole range; others hold 8-bit values in a wide type.
        scale = 255.0 / 65535.0 if image.mode != "F" and values.max(initial=0.0) > 255 else 1.0
        grey = np.clip(np.round(values * scale), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(image.convert("RGB"))


def as_picture(array: NDArray[np.generic], order: Literal["rgb", "bgr"]) -> Picture:
    """An array in memory as a picture.

    Args:
        array: uint8 [H, W] grey, [H, W, 1] grey, [H, W, 3] or [H, W, 4] (the fourth channel is left out).
        order: the order of the colour channels; OpenCV's arrays are `bgr`.

    Raises:
        DataError: another type or shape.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise DataError(f"picture array: expected uint8 [H, W] or [H, W, 3], got {array.dtype} {list(array.shape)}")
    pixels = np.asarray(array, dtype=np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.shape[2] not in (3, 4):
        raise DataError(f"picture array: expected 1, 3 or 4 channels, got {pixels.shape[2]}")
    colours = pixels[:, :, :3]
    return np.ascontiguousarray(colours if order == "rgb" else colours[:, :, ::-1])


def grey(pictures: Picture) -> Picture:
    """Luma (ITU-R BT.601, as Pillow's mode L) repeated three times: uint8 [..., 3] -> uint8 [..., 3]."""
    weights = np.array([19595, 38470, 7471], dtype=np.uint32)  # of 65536
    luma = (pictures.astype(np.uint32) @ weights + 0x8000) >> 16
    return np.repeat(luma.astype(np.uint8)[..., None], 3, axis=-1)
