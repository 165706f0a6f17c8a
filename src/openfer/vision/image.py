"""Pictures as arrays: uint8 [H, W, 3], RGB, decoded by Pillow."""

from __future__ import annotations

import io
import os
import stat
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.errors import DataError
from openfer.vision.formats import SUFFIXES as SUFFIXES
from openfer.vision.formats import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from openfer.vision.opening import Opened, check_size, is_cut_short, open_picture
from openfer.vision.quiet import quiet, without_pillows_limit

Picture = NDArray[np.uint8]
Colour = Literal["grey", "rgb"]

MAX_PIXELS = 110_000_000
"""Larger pictures are refused: a small file can claim a size that fills the memory. The largest phones' photos pass."""

_LARGE = 30_000_000
"""Pictures of more pixels are decoded one at a time, by however many threads: each takes 7 bytes a pixel."""
_STRIP = 20_000
"""Pixels that go from Pillow to NumPy at once: 60 kB, for which the system need not be asked for memory each time."""

_one_at_a_time = Lock()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture.

    Args:
        pixels: uint8 [H, W, 3], RGB.
        full_size: width and height of the picture as a viewer shows it, in pixels, before any reduced decoding.
        note: what must be said of how it was read, such as `first of 12 frames`; mostly empty.
    """

    pixels: Picture
    full_size: tuple[int, int]
    note: str = ""


def decode(
    source: str | Path | bytes, *, orient: bool = True, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> Decoded:
    """Decode a picture file. Safe to call from several threads.

    Grey becomes three equal channels, 16 bit is scaled to 8, transparency is laid on white; of an animation or a file
    of several pages the first is read, and a note says so. A truncated file is refused. What a file is, its bytes tell,
    not its ending.

    Args:
        source: a path, or the file's bytes.
        orient: turn the picture as its EXIF orientation asks. Data sets whose boxes or points were made on the
            stored pixels want False.
        max_pixels: refuse pictures larger than this, before they are decoded.
        at_least: a JPEG, and any picture of over 30 million pixels, may be decoded 2, 4 or 8 times smaller, as long as
            its long side keeps this many pixels. None for full size.

    Raises:
        UnsupportedError: a video, a camera's raw file, or a format that is not decoded or whose plug-in is missing.
        DataError: not a picture, damaged, truncated, missing or too large; the message is the reason alone, in one
            line, without the path.
    """
    try:
        for _ in range(3):
            with quiet, _open(source) as stream, suppress(Warning):
                # A warning comes through only where another thread changed the filters at this moment.
                return _decode(stream, orient, max_pixels, at_least)
        raise DataError("its warnings were made errors while it was read")
    except DataError:
        raise
    except Exception as error:  # on damaged files Pillow's decoders raise whatever they stumble over
        raise DataError(_reason(error)) from error


def read_image(source: str | Path | bytes, *, orient: bool = True, max_pixels: int = MAX_PIXELS) -> Picture:
    """The pixels of a picture file, uint8 [H, W, 3]; see `decode`, whose arguments and errors these are."""
    return decode(source, orient=orient, max_pixels=max_pixels).pixels


def decode_image(image: Image.Image, *, orient: bool = True, max_pixels: int = MAX_PIXELS) -> Decoded:
    """An image of Pillow's, of any mode, as `decode` would give it; of an animation the frame that it stands at.

    Raises:
        DataError: damaged, or larger than `max_pixels`.
    """
    try:
        with quiet:
            check_size(image.size, max_pixels)
            pixels = _pixels(image, _turn(image, orient))
            return Decoded(pixels, (pixels.shape[1], pixels.shape[0]))
    except DataError:
        raise
    except Exception as error:  # as in `decode`: Pillow decodes when pixels are first asked for
        raise DataError(_reason(error)) from error


def _open(source: str | Path | bytes) -> IO[bytes]:
    """The bytes of a regular file. Of a pipe or a device they might never come, or never end."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        _check_regular(Path(source).stat())
        return open(source, "rb", opener=_open_regular)
    except FileNotFoundError:
        raise DataError("no such file") from None
    except PermissionError:
        raise DataError("no permission to read it") from None
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error
    except ValueError:
        raise DataError("not a name that a file can have") from None


def _open_regular(path: str, flags: int) -> int:
    """Open without waiting for a writer, and look again: a pipe may have taken the file's place meanwhile."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _check_regular(os.fstat(descriptor))
    except DataError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise DataError("a folder, not a picture file")
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file but a pipe, a socket or a device")


def _decode(stream: IO[bytes], orient: bool, max_pixels: int, at_least: int | None) -> Decoded:
    try:
        return _decode_opened(open_picture(stream, max_pixels), orient, at_least)
    except Image.DecompressionBombError:
        # Within the limit that the caller set, but over Pillow's own.
        with without_pillows_limit():
            return _decode_opened(open_picture(stream, max_pixels), orient, at_least)


def _decode_opened(opened: Opened, orient: bool, at_least: int | None) -> Decoded:
    image, (width, height) = opened.image, opened.image.size
    factor, shrink = 1, 1
    if at_least is not None:
        wanted = next((f for f in (8, 4, 2) if -(-max(width, height) // f) >= at_least), 1)
        if opened.format == "JPEG":
            factor = wanted
            image.draft(None, (max(width // factor, 1), max(height // factor, 1)))
        elif width * height > _LARGE:
            shrink = wanted  # decoded whole, but no second array of this size is made
    with _one_at_a_time if image.width * image.height > _LARGE else nullcontext():
        turn = _turn(image, orient)
        if is_cut_short(opened):
            raise DataError(_TRUNCATED)
        full_size = image.size if factor == 1 else (width, height)
        return Decoded(_pixels(image, turn, shrink), full_size[::-1] if turn in _SIDEWAYS else full_size, opened.note)


_TRUNCATED = "truncated: the file ends before the picture does"


def _reason(error: Exception) -> str:
    """A decoder's error as one line in plain words."""
    if error.args and isinstance(error.args[0], Exception):  # wrapped by Pillow
        return _reason(error.args[0])
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return _TRUNCATED
    if "MAX_TEXT" in text or "decompressed data" in text.lower():
        return "a text or a colour profile in it unpacks to too many bytes"
    # What other kinds of error say is for programmers.
    return f"damaged ({text[:150]})" if text and isinstance(error, OSError | SyntaxError | ValueError) else "damaged"


_SIDEWAYS, _FROM_THE_END = (5, 6, 7, 8), (3, 4, 7, 8)
"""EXIF orientations whose rows are the stored picture's columns, and whose first row is its last row or column."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _turn(image: Image.Image, orient: bool) -> int:
    """Load the image, and say by which EXIF orientation it must be turned; 1 for not at all."""
    before = 1 if orient else _orientation(image)
    image.load()
    after = _orientation(image)
    if orient:
        return after
    # Pillow turns TIFFs while it loads them: then it is turned back. Only the two quarter turns undo each other.
    return {6: 8, 8: 6}.get(before, before) if after == 1 else 1


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF must not cost the picture
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _pixels(image: Image.Image, turn: int, shrink: int = 1) -> Picture:
    """The pixels of an image, turned by an EXIF orientation and shrunk by a whole factor (averages of squares).

    Strip by strip: no second copy of the whole is made.
    """
    width, height = image.size[::-1] if turn in _SIDEWAYS else image.size
    if image.mode == "LAB":
        image = image.convert("RGB")  # at once: what converts it is built anew each time
    white = _white(image)
    pixels = np.empty((-(-height // shrink), -(-width // shrink), 3), dtype=np.uint8)
    rows = max(1, _STRIP // width // shrink) * shrink
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = (height - bottom, height - top) if turn in _FROM_THE_END else (top, bottom)
        box = (first, 0, last, width) if turn in _SIDEWAYS else (0, first, width, last)
        strip = image.crop(box)
        strip = strip.transpose(_TURNS[turn]) if turn in _TURNS else strip
        part = _rgb(strip) if white is None else np.repeat(_grey(strip, white), 3, axis=2)
        if shrink > 1:
            part = np.asarray(Image.fromarray(part).reduce(shrink))
        pixels[top // shrink : -(-bottom // shrink)] = part
    return pixels


def _rgb(strip: Image.Image) -> Picture:
    if strip.mode == "La":
        strip = strip.convert("LA")
    if strip.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in strip.info:
        strip = strip.convert("RGBA")
        if strip.getchannel("A").getextrema() != (255, 255):
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
    if strip.mode != "RGB":
        strip = strip.convert("RGB")
    return np.frombuffer(strip.tobytes(), dtype=np.uint8).reshape(strip.height, strip.width, 3)


def _grey(strip: Image.Image, white: float) -> Picture:
    values = np.clip(np.nan_to_num(_floats(strip), posinf=white), 0, white)
    return np.round(values * (255.0 / white)).astype(np.uint8)[:, :, None]


def _floats(strip: Image.Image) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # files may hold signalling NaNs
        return np.asarray(strip, dtype=np.float64)


def _white(image: Image.Image) -> float | None:
    """The value that becomes 255 in an image of more than 8 bits a pixel; None for any other.

    Such files use 16 bits, hold 8-bit values in a wide type, or, as floating point, values from 0 to 1.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    top = 0.0
    rows = max(1, _STRIP // image.width)
    for first in range(0, image.height, rows):
        strip = _floats(image.crop((0, first, image.width, min(first + rows, image.height))))
        top = max(top, strip.max(where=np.isfinite(strip), initial=0.0))
    if image.mode == "F" and 0.0 < top <= 1.0:
        return 1.0
    return next((white for white in (255.0, 65535.0) if top <= white), top)


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
