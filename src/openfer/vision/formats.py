"""What a file is, told by its first bytes alone: names and endings lie, and no decoder gets to guess."""

from __future__ import annotations

import codecs
import re

from openfer.errors import DataError, UnsupportedError

HEAD = 4096
"""Bytes from the start of a file by which it is told."""

# fmt: off
SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".hif", ".bmp",
    ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".tga", ".jxl",
})
"""File endings, lower case, that a folder is searched for. Some need a plug-in, whose absence is then said."""

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mpe", ".m2v", ".m2ts", ".mts", ".vob",
    ".flv", ".f4v", ".wmv", ".asf", ".3gp", ".3g2", ".ogv", ".rm", ".rmvb", ".mxf", ".divx", ".y4m",
})
"""File endings of videos, lower case: a folder's videos can be named as not supported instead of being passed over."""
# fmt: on

_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NUMBER = rb"[-+.\dEe]{1,16}"

READABLE = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WebP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "TIFF": rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    # The whole header, which Pillow would read byte by byte however long its comments are.
    "PPM": b"P(?:[14]|[2356f]%b%b)%b%b%b%b\\s" % (_SPACE, _NUMBER, _SPACE, _NUMBER, _SPACE, _NUMBER),
    "JPEG 2000": rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
    "ICO": rb"\0\0\x01\0",
}
"""How the files begin that are decoded; AVIF, HEIC and TGA cannot be told by a pattern alone."""

_RAW = rb"II\x2a\0.{4}CR|II\x1a\0\0\0HEAPCCDR|II(?:RO|RS|U\0)|MMOR|FUJIFILMCCD-RAW|\0MRM|FOVb"
"""Raw files of cameras that the first bytes tell; those that begin as any TIFF are told when their tags are read."""

_VIDEO = (
    rb"\x1a\x45\xdf\xa3"  # Matroska, WebM
    rb"|RIFF....AVI |FLV\x01|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\.RMF|YUV4MPEG2|DKIF|\x06\x0e\x2b\x34"
    rb"|\0\0\x01[\xba\xb3]|\0\0\0\x01[\x09\x27\x40\x42\x47\x67]"  # MPEG-1 and 2, H.264 and H.265 without a container
    rb"|G.{187}G.{187}G|.{4}G.{191}G.{191}G"  # MPEG transport streams
    rb"|OggS.{23,32}(?:theora|BBCD|OVP80)"
    rb"|\0.{3}(?:moov|mdat|moof|styp|wide|pnot|skip|free)"  # MP4 and QuickTime that begin otherwise than with `ftyp`
)

_OTHER_PICTURES = {
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG XR": rb"II\xbc",
    "Photoshop": rb"8BPS",
    "GIMP": rb"gimp xcf",
    "EPS": rb"%!PS|\xc5\xd0\xd3\xc6",
    "WMF": rb"\xd7\xcd\xc6\x9a|\x01\0\x09\0\0\x03",
    "EMF": rb"\x01\0\0\0.{36} EMF",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "Radiance HDR": rb"#\?R(?:ADIANC|GB)E",
    "DDS": rb"DDS ",
    "ICNS": rb"icns",
    "SGI": rb"\x01\xda[\0\x01][\x01\x02]\0[\x01-\x03]",
    "PCX": rb"\x0a[\0\x02\x03\x05]\x01[\x01\x02\x04\x08]",
    "QOI": rb"qoif",
    "PAM": rb"P7\n",
    "colour PFM": rb"PF\s",
    "FITS": rb"SIMPLE  =",
    "DICOM": rb".{128}DICM",
    "DjVu": rb"AT&TFORM",
}

_NO_PICTURES = {
    "a PDF document": rb"%PDF",
    "a ZIP archive or an office document": rb"PK[\x03\x05\x07]",
    "an archive": rb"\x1f\x8b|7z\xbc\xaf\x27\x1c|Rar!|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar",
    "a program": rb"\x7fELF|MZ.\0|\xca\xfe\xba\xbe|\xcf\xfa\xed\xfe",
    "a sound file": rb"ID3|RIFF....WAVE|fLaC|OggS|FORM....AIF|\xff[\xfb\xf3\xf2\xf1\xf9]|.{4}ftypM4[AB] ",
    "a database": rb"SQLite format 3",
    "a table or an array": rb"PAR1|\x93NUMPY|\x89HDF|ARROW1",
    "the notes that macOS keeps beside a file": rb"\0\x05\x16\x07",
    "a pointer of Git LFS, whose file was not fetched": rb"version https://git-lfs",
}

_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def _compiled(patterns: dict[str, bytes]) -> tuple[tuple[str, re.Pattern[bytes]], ...]:
    return tuple((name, re.compile(pattern, re.DOTALL)) for name, pattern in patterns.items())


_READABLE, _PICTURES, _NOT_PICTURES = (_compiled(each) for each in (READABLE, _OTHER_PICTURES, _NO_PICTURES))
_RAWS, _VIDEOS = (re.compile(pattern, re.DOTALL) for pattern in (_RAW, _VIDEO))


def recognise(head: bytes) -> str:
    """The format of a picture that can be read.

    Args:
        head: the file's first `HEAD` bytes, or all where it has fewer.

    Returns:
        A key of `READABLE`, `AVIF`, `HEIC` or `TGA`. Whether the rest of the file keeps the promise is another matter.

    Raises:
        UnsupportedError: a video, a camera's raw file, or a kind of picture that is not decoded.
        DataError: no picture; the message says what it looks like.
    """
    if _RAWS.match(head):
        raise raw_file()
    name = _first(_READABLE, head) or _boxed(head)
    if name is not None:
        return name
    if _VIDEOS.match(head):
        raise video()
    if (other := _first(_PICTURES, head)) is not None:
        raise UnsupportedError(f"{other} files are not supported; save them as PNG or JPEG")
    if (other := _first(_NOT_PICTURES, head)) is not None:
        raise DataError(f"not a picture: it looks like {other}")
    if (text := _text(head)) is not None:
        if text == "SVG":
            raise UnsupportedError("SVG files are not supported; save them as PNG")
        raise DataError(f"not a picture: it looks like {text}")
    if _is_tga(head):
        return "TGA"
    raise DataError(f"not a picture: {_void(head)}")


def video() -> UnsupportedError:
    return UnsupportedError("video is not supported yet; export its frames as pictures first")


def raw_file() -> UnsupportedError:
    return UnsupportedError("camera raw files are not supported; export them as JPEG, PNG or TIFF")


def _first(patterns: tuple[tuple[str, re.Pattern[bytes]], ...], head: bytes) -> str | None:
    return next((name for name, pattern in patterns if pattern.match(head)), None)


def _boxed(head: bytes) -> str | None:
    """The format of a file of the MPEG-4 family (`ftyp`), which pictures and videos share: its brands tell."""
    if head[4:8] != b"ftyp":
        return None
    major = head[8:12]
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[at : at + 4] for at in range(16, length, 4)}
    if major in _AVIF or (major in (b"mif1", b"msf1") and brands & _AVIF):
        return "AVIF"
    if major in _HEIC:
        return "HEIC"
    if major == b"crx ":
        raise raw_file()
    if major in (b"M4A ", b"M4B "):
        return None
    raise video()


def _text(head: bytes) -> str | None:
    """What kind of text it is; None where it is none."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return None
    if not head.strip() or head.translate(None, _CONTROL) != head:
        return None
    if _HTML.match(head):
        return "a web page, perhaps of a download that failed"
    return "SVG" if b"<svg" in head.lower() else "text"


def _is_tga(head: bytes) -> bool:
    """Truevision's files begin without a mark: only a header that makes sense in each field is taken for one."""
    if len(head) < 18:
        return False
    mapped, kind, depth = head[1], head[2], head[16]
    return (
        (mapped, kind) in {(1, 1), (1, 9), (0, 2), (0, 3), (0, 10), (0, 11)}
        and depth in ((8, 16) if kind in (1, 3, 9, 11) else (15, 16, 24, 32))
        and head[12:14] != b"\0\0"
        and head[14:16] != b"\0\0"
        and head[17] & 0xC0 == 0
    )


def _void(head: bytes) -> str:
    if not head:
        return "the file is empty"
    return "it begins with nothing but zero bytes" if not head.strip(b"\0") else "no known kind of file"
