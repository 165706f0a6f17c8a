"""What the containers of picture files say of themselves: sizes, frames, pages, scans.

Pillow tells most of it only after it has set aside memory, or by walking through a file for as long as the file wants.
Each function here reads bytes, in time that grows with their number at most, and raises `EOFError`, `IndexError` or
`struct.error` where they end too early.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

PAGE_KIND, TILE_WIDTH, TILE_HEIGHT = 254, 322, 323
"""Tags of a TIFF. A page is of the kind 1 where it is a smaller copy of another."""

_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 13: 4}
"""Bytes of one value, by its kind; 8 for any other."""
_BYTES = (1, 2, 6, 7)

Size = tuple[int, int]
"""Width and height, pixels."""

MANY = 10_000
"""Frames, pages and scans are counted so far."""

_JPEG_MARK = re.compile(rb"\xff[\xd9\xda]")
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_2000 = b"\xff\x4f\xff\x51"


def webp_size(head: bytes) -> Size:
    """The canvas of a WebP file, from its first 30 bytes."""
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


def gif_size(head: bytes) -> Size:
    """The canvas of a GIF; its first frame may be larger."""
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def gif_frames(data: bytes) -> int:
    """Frames of a GIF, `MANY` at most; those of a file that ends early as far as they go."""
    frames, at = 0, 13 + _palette(data[10])
    try:
        while frames < MANY:
            match data[at]:
                case 0x2C:  # a frame: its place, its palette, the width of its codes
                    frames += 1
                    at += 11 + _palette(data[at + 9])
                case 0x21:  # an extension
                    at += 2
                case _:
                    break
            while data[at]:
                at += data[at] + 1
            at += 1
    except IndexError:
        pass
    return frames


def _palette(flags: int) -> int:
    """Bytes of the palette that a GIF's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def jpeg_scans(data: bytes, start: int) -> tuple[int, int | None]:
    """Scans of a JPEG, counted to `MANY`, and where its pixels end: the place of the end mark, None without one.

    Args:
        data: the file.
        start: where the first scan's compressed pixels begin; in those no mark can stand by chance.
    """
    scans = 1
    for mark in _JPEG_MARK.finditer(data, start):
        if mark[0] == b"\xff\xd9":
            return scans, mark.start()
        scans += 1
        if scans > MANY:
            break
    return scans, None


def png_is_sound(data: bytes) -> bool:
    """Whether the checksums of a PNG's pixels hold, as far as it has any: Pillow reads past them."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 <= len(data) and data.startswith(b"IDAT", at + 4):
            (checksum,) = struct.unpack_from(">I", data, end)
            if zlib.crc32(memoryview(data)[at + 4 : end]) != checksum:
                return False
        at = end + 4
    return True


def icon_sizes(data: bytes) -> Iterator[Size]:
    """Sizes of the pictures inside an ICO file, as they state them; its directory knows up to 256 pixels only."""
    (count,) = struct.unpack_from("<H", data, 4)
    for entry in range(6, 6 + 16 * count, 16):
        (at,) = struct.unpack_from("<I", data, entry + 12)
        if data.startswith(_PNG, at):
            yield struct.unpack_from(">II", data, at + 16)
        else:
            kind = "<HH" if struct.unpack_from("<I", data, at) == (12,) else "<ii"
            width, height = struct.unpack_from(kind, data, at + 4)
            yield abs(width), abs(height) // 2  # half of the rows are its mask


def jpeg2000_size(data: bytes) -> tuple[Size, int]:
    """Size and number of components that the codestream of a JPEG 2000 file states; its header may state others."""
    at = data.find(_JPEG_2000)
    # Of a codestream without its end mark Pillow leaves the tiles that are missing black, and says nothing.
    if at < 0 or b"\xff\xd9" not in data[at:]:
        raise EOFError
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    (components,) = struct.unpack_from(">H", data, at + 40)
    return (right - left, bottom - top), components


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """What a TIFF says of its first page, and how many pages it has.

    Args:
        tags: number -> value; of several values the first, or where they stand.
        most: the largest number of values that one tag has, texts and other bytes left out.
        pages: smaller copies of other pages left out; `MANY` at most.
    """

    tags: dict[int, int]
    most: int
    pages: int


def tiff_directory(data: bytes | memoryview) -> TiffDirectory:
    """Read a TIFF's or BigTIFF's directory of pages; it may be a circle, or end early after the first page."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = 43 in (data[2], data[3])
    number, word = (8, 8) if big else (2, 4)

    def integer(at: int, size: int) -> int:
        if at + size > len(data):
            raise EOFError
        return int.from_bytes(data[at : at + size], order)

    def entry(at: int) -> tuple[int, int, int]:
        """Tag, value and number of values; texts, other bytes and what the file is too short for count as none."""
        kind, count = integer(at + 2, 2), integer(at + 4, word)
        width = _WIDTHS.get(kind, 8)
        value = integer(at + 4 + word, min(width, word))
        return integer(at, 2), value, 0 if kind in _BYTES or count * width > len(data) else count

    tags: dict[int, int] = {}
    most, pages, seen = 0, 0, set[int]()
    offset = integer(8 if big else 4, word)
    while offset and offset not in seen and pages < MANY:
        try:
            start, entries = offset + number, integer(offset, number)
            end = start + entries * (4 + 2 * word)
            if not seen:
                for at in range(start, end, 4 + 2 * word):
                    tag, value, count = entry(at)
                    tags[tag], most = value, max(most, count)
            # What kind of page it is, if it is told at all, is told first.
            first = entry(start) if entries else (0, 0, 0)
            pages += not (first[0] == PAGE_KIND and first[1] & 1 and seen)
            seen.add(offset)
            offset = integer(end, word)
        except EOFError:
            if not seen:
                raise
            break
    return TiffDirectory(tags, most, pages)
