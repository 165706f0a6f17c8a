"""Files of every kind that can be decoded, drawn small, and the means to write damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = image.copy()  # saving leaves its options in the image
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def scene(width: int = 48, height: int = 36) -> Image.Image:
    """A picture whose corners all differ, with some detail."""
    y, x = np.mgrid[0:height, 0:width]
    bands = [x * 255 // (width - 1), y * 255 // (height - 1), (x * y * 7) % 256]
    return Image.fromarray(np.stack(bands, axis=-1).astype(np.uint8))


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@cache
def files() -> dict[str, bytes]:
    """One file of each format and mode, by a name that ends as such files do."""
    rgb = scene()
    grey, rgba, palette = rgb.convert("L"), rgb.copy(), rgb.quantize(32)
    rgba.putalpha(Image.linear_gradient("L").resize(rgb.size))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)

    def several() -> dict[str, Any]:
        return {"save_all": True, "append_images": [rgb.rotate(angle) for angle in (90, 180)]}

    made = {
        "rgb.jpg": encoded(rgb, "JPEG"),
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True),
        "restarts.jpg": encoded(rgb, "JPEG", restart_marker_blocks=2),
        "grey.jpg": encoded(grey, "JPEG"),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "turned.jpg": encoded(rgb, "JPEG", exif=with_orientation(6)),
        "phone.jpg": encoded(rgb, "MPO", **several()),
        "rgb.png": encoded(rgb),
        "rgba.png": encoded(rgba),
        "palette.png": encoded(palette, transparency=3),
        "deep.png": encoded(deep),
        "bits.png": encoded(rgb.convert("1")),
        "frames.png": encoded(rgb, "PNG", **several()),
        "rgb.webp": encoded(rgb, "WEBP"),
        "lossless.webp": encoded(rgba, "WEBP", lossless=True),
        "frames.webp": encoded(rgb, "WEBP", **several()),
        "palette.gif": encoded(palette, "GIF"),
        "frames.gif": encoded(rgb, "GIF", **several()),
        "rgb.tif": encoded(rgb, "TIFF"),
        "lzw.tif": encoded(rgba, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": encoded(rgb, "TIFF", compression="jpeg"),
        "float.tif": encoded(grey.convert("F"), "TIFF"),
        "cmyk.tif": encoded(rgb.convert("CMYK"), "TIFF"),
        "pages.tif": encoded(rgb, "TIFF", **several()),
        "rgb.bmp": encoded(rgb, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "rgb.ppm": encoded(rgb, "PPM"),
        "grey.pgm": encoded(grey, "PPM"),
        "text.ppm": b"P3 # made by hand\n2 1\n255\n1 2 3 40 50 60\n",
        "rgb.jp2": encoded(rgb, "JPEG2000"),
        "rgba.ico": encoded(rgba, "ICO"),
        "palette.ico": encoded(palette, "ICO", bitmap_format="bmp"),
        "rgb.tga": encoded(rgb, "TGA"),
        "runs.tga": encoded(rgba, "TGA", compression="tga_rle"),
    }
    if "AVIF" in Image.SAVE:  # from Pillow 11.3
        made |= {"rgb.avif": encoded(rgb, "AVIF"), "frames.avif": encoded(rgb, "AVIF", **several())}
    return made


def png(width: int, height: int, *, depth: int, colour: int, rows: bytes, before: bytes = b"") -> bytes:
    """A PNG from its parts: IHDR's fields, the uncompressed rows, and chunks that come before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            before,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        )
    )


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(tags: dict[int, tuple[int, ...]], data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one page: tag -> values, all of four bytes, with `data` behind its directory."""
    values_at = 8 + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        place = packed if len(packed) == 4 else struct.pack("<I", values_at + len(values))
        values += b"" if len(packed) == 4 else packed
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + place
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + values + data
