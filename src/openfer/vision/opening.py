"""Picture files opened as far as their header, so that decoding them stays within a stated amount of memory and time.

Pillow's own door, `Image.open`, lets every plug-in guess and knows one limit, a global. Here the first bytes choose the
plug-in, and what a header claims is checked before anything of that size exists.
"""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass, replace
from typing import IO

from PIL import ImageFile, features

from openfer.errors import DataError, UnsupportedError
from openfer.vision import containers
from openfer.vision.formats import HEAD, raw_file, recognise

_PLUGINS = {
    "JPEG": "PIL.JpegImagePlugin:JpegImageFile",
    "PNG": "PIL.PngImagePlugin:PngImageFile",
    "WebP": "PIL.WebPImagePlugin:WebPImageFile",
    "GIF": "PIL.GifImagePlugin:GifImageFile",
    "TIFF": "PIL.TiffImagePlugin:TiffImageFile",
    "BMP": "PIL.BmpImagePlugin:BmpImageFile",
    "PPM": "PIL.PpmImagePlugin:PpmImageFile",
    "JPEG 2000": "PIL.Jpeg2KImagePlugin:Jpeg2KImageFile",
    "ICO": "PIL.IcoImagePlugin:IcoImageFile",
    "TGA": "PIL.TgaImagePlugin:TgaImageFile",
    "AVIF": "PIL.AvifImagePlugin:AvifImageFile",
    "HEIC": "pillow_heif:HeifImageFile",
}
_FEATURES = {"WebP": "webp", "AVIF": "avif", "JPEG 2000": "jpg_2000"}
"""What a build of Pillow may lack."""

_PROGRESSIVE = "progressive JPEG"
_WEIGHTS = {
    _PROGRESSIVE: 1.5,
    "WebP": 2.5,
    "AVIF": 2.0,
    "HEIC": 2.0,
    "JPEG 2000": 25.0,
    "ICO": 25.0,
    "ppm": 25.0,
    "ppm_plain": 25.0,
    "bmp_rle": 25.0,
}
"""What a pixel of a format or decoder may cost, in pixels of the others: the limit is so many times lower.

Measured: 7 bytes a pixel for most (4 in Pillow, 3 in the result), 10 for progressive JPEG, 16 for WebP, some 12 for
AVIF and HEIC. JPEG 2000 can be written so that it takes 100 and more. Run-length BMP and PPM of unusual depth are
decoded in Python, 2 µs a pixel.
"""
_RAW_TAGS = {50706}  # the version of DNG
_RAW_COLOURS = (32803, 34892)  # a colour filter array, linear raw
_PHOTOMETRIC, _SUB_PAGES = 262, 330
"""A camera's raw file is told from other TIFFs by its tags, its colours, or a first page that is a preview."""
_FLOOR = 4_000_000
"""No limit is lowered under this."""
_MAX_SIDE = 65_535
_BYTES_A_PIXEL, _SPARE_BYTES = 4, 1 << 26
"""A file of more bytes than its pixels can need is not read: decoders hold some files whole."""
_MAX_SCANS = 100
"""Of one JPEG. Encoders write some ten; each takes as long as a picture."""
_MAX_VALUES = 1_000_000
"""Of one tag of a TIFF, such as the places of its strips."""
_MAX_COMMENTS = 10_000
"""Of a PPM that is text: Pillow's time for them grows with their square."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A picture whose header is within the limits and whose pixels are not decoded yet.

    Args:
        image: knows size, mode and metadata.
        format: see `openfer.vision.formats.recognise`.
        note: that it has more frames or pages; mostly empty.
        jpeg: the file of a JPEG of one scan up to its end mark; None for any other.
    """

    image: ImageFile.ImageFile
    format: str
    note: str = ""
    jpeg: bytes | None = None


def open_picture(stream: IO[bytes], max_pixels: int) -> Opened:
    """Read the header of a picture file.

    Args:
        stream: the file; stays open for as long as pixels are to be decoded.
        max_pixels: refuse larger pictures; formats that cost more memory or time a pixel have a lower limit.

    Raises:
        DataError: not a picture, or over a limit.
        Exception: whatever Pillow raises on damaged files.
    """
    stream.seek(0)
    head = stream.read(HEAD)
    name = recognise(head)
    size, most = stream.seek(0, io.SEEK_END), _BYTES_A_PIXEL * max_pixels + _SPARE_BYTES
    if size > most:
        raise DataError(f"{size / 1e6:,.0f} MB are over the limit of {most / 1e6:,.0f} MB for a file (--max-pixels)")
    return _OPENERS.get(name, _open)(name, stream, head, max_pixels)


def is_cut_short(opened: Opened) -> bool:
    """Whether a JPEG, decoded by now, ends before its picture does although an end mark stands there.

    libjpeg fills what is missing with grey and says nothing that Pillow would pass on. So a picture that ends in that
    grey is decoded again without its end mark: then what is missing is an error.
    """
    if opened.jpeg is None:
        return False
    image = opened.image
    last = image.getpixel((image.width - 1, image.height - 1))
    if not {127, 128}.issuperset(last if isinstance(last, tuple) else (last,)):
        return False
    again = _header("JPEG", io.BytesIO(opened.jpeg + bytes(256)))  # libjpeg reads somewhat ahead
    again.draft(None, image.size)
    try:
        again.load()
    except OSError:
        return True
    return False


def _open(name: str, stream: IO[bytes], head: bytes, max_pixels: int) -> Opened:
    image = _header(name, stream)
    decoder = image.tile[0][0] if image.tile else name
    check_size(image.size, max_pixels, decoder if decoder in _WEIGHTS else name)
    if decoder == "ppm_plain" and _all(stream).count(b"#") > _MAX_COMMENTS:
        raise DataError(f"a {name} file with too many comments")
    parts = [tile[1] for tile in image.tile or () if tile[1]]
    if sum((right - left) * (bottom - top) for left, top, right, bottom in parts) > 8 * image.width * image.height:
        raise DataError(f"a damaged {name} file (its parts lie on top of each other)")
    return Opened(image, name)


def _open_animation(name: str, stream: IO[bytes], head: bytes, max_pixels: int) -> Opened:
    # Pillow sets memory aside for the canvas as soon as it opens these.
    if name == "WebP":
        check_size(containers.webp_size(head), max_pixels, name)
    if name == "GIF":
        check_size(containers.gif_size(head), max_pixels, name)
    if name == "PNG" and not containers.png_is_sound(_all(stream)):
        raise DataError("damaged (a checksum of its pixels is wrong)")
    opened = _open(name, stream, head, max_pixels)
    frames = containers.gif_frames(_all(stream)) if name == "GIF" else getattr(opened.image, "n_frames", 1)
    return replace(opened, note=_first_of(frames, "frames"))


def _open_icon(name: str, stream: IO[bytes], head: bytes, max_pixels: int) -> Opened:
    for size in containers.icon_sizes(_all(stream)):
        check_size(size, max_pixels, name)
    return _open(name, stream, head, max_pixels)


def _open_jpeg(name: str, stream: IO[bytes], head: bytes, max_pixels: int) -> Opened:
    # Phones put more behind a photo (a brighter copy, a depth map, a film): not frames of it. The photo comes first.
    data = _all(stream)
    image = _header(name, io.BytesIO(data))
    check_size(image.size, max_pixels, _PROGRESSIVE if "progressive" in image.info else name)
    scans, end = containers.jpeg_scans(data, image.fp.tell() if image.fp else 0)
    if scans > _MAX_SCANS:
        raise DataError(f"a JPEG file of more than {_MAX_SCANS} scans, which would take very long")
    return Opened(image, name, jpeg=data[:end] if end and scans == 1 else None)


def _open_jpeg2000(name: str, stream: IO[bytes], head: bytes, max_pixels: int) -> Opened:
    size, components = containers.jpeg2000_size(_all(stream))
    check_size(size, max_pixels, name)
    if components > 4:
        raise DataError(f"a JPEG 2000 file of {components} colour channels")
    return _open(name, stream, head, max_pixels)


def _open_tiff(name: str, stream: IO[bytes], head: bytes, max_pixels: int) -> Opened:
    data = _all(stream)
    directory = containers.tiff_directory(data)
    tags = directory.tags
    if (
        tags.keys() & _RAW_TAGS
        or tags.get(_PHOTOMETRIC) in _RAW_COLOURS
        or (tags.get(containers.PAGE_KIND) == 1 and _SUB_PAGES in tags)
    ):
        raise raw_file()
    if directory.most > _MAX_VALUES:
        raise DataError(f"a damaged TIFF file (a tag of {directory.most:,} values)")
    if (tile := (tags.get(containers.TILE_WIDTH, 0), tags.get(containers.TILE_HEIGHT, 0))) != (0, 0):
        check_size(tile, max_pixels, name)
    # In memory: of a file libtiff maps the pages, and the process dies where the file shrinks meanwhile.
    opened = _open(name, io.BytesIO(data), head, max_pixels)
    # Or the end of its loading reads all EXIF tags, and a damaged one costs the picture.
    opened.image.is_animated = True  # type: ignore[attr-defined]
    return replace(opened, note=_first_of(directory.pages, "pages"))


_OPENERS = {
    "JPEG": _open_jpeg,
    "PNG": _open_animation,
    "WebP": _open_animation,
    "GIF": _open_animation,
    "AVIF": _open_animation,
    "TIFF": _open_tiff,
    "ICO": _open_icon,
    "JPEG 2000": _open_jpeg2000,
}


def _header(name: str, stream: IO[bytes]) -> ImageFile.ImageFile:
    plugin = _plugin(name)
    stream.seek(0)
    try:
        return plugin(stream, "")
    except Exception:
        # Damaged EXIF must not cost the picture: a reader that does not find it leaves it out.
        data = _all(stream)
        if name not in ("JPEG", "AVIF") or b"Exif" not in data:
            raise
        return plugin(io.BytesIO(data.replace(b"Exif", b"none")), "")


def _plugin(name: str) -> type[ImageFile.ImageFile]:
    module, _, attribute = _PLUGINS[name].partition(":")
    try:
        plugin: type[ImageFile.ImageFile] = getattr(importlib.import_module(module), attribute)
    except ImportError:
        way = "pip install pillow-heif" if name == "HEIC" else "pip install --upgrade pillow"
        raise UnsupportedError(f"{name} files need a plug-in that is not installed: {way}") from None
    if name in _FEATURES and not features.check(_FEATURES[name]):
        raise UnsupportedError(f"{name} files are not supported by this build of Pillow: pip install --upgrade pillow")
    return plugin


def check_size(size: containers.Size, max_pixels: int, kind: str = "") -> None:
    """Raise `DataError` where a picture is over the limit of its kind (see `_WEIGHTS`), or very long."""
    width, height = size
    weight = _WEIGHTS.get(kind, 1.0)
    limit = min(max_pixels, max(_FLOOR, int(max_pixels / weight)))
    if width * height > limit:
        lower = f" for this kind of file, 1/{weight:g} of --max-pixels" if limit < max_pixels else " (--max-pixels)"
        raise DataError(f"{width} x {height} pixels are over the limit of {limit}{lower}")
    if max(width, height) > _MAX_SIDE:
        raise DataError(f"{width} x {height} pixels: a side is over the limit of {_MAX_SIDE}")


def _first_of(count: int, what: str) -> str:
    if count <= 1:
        return ""
    return f"first of {count} {what}" if count < containers.MANY else f"first of {containers.MANY} or more {what}"


def _all(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read()
