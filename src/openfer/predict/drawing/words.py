"""Words of label names that can be drawn: fonts that are here without a network, missing letters, lengths."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from PIL import ImageFont

from openfer.files import package_file

Font = ImageFont.FreeTypeFont

OWN_FONTS = {bold: f"mpl-data/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf" for bold in (False, True)}
"""Files in matplotlib's package: Latin, Greek, Cyrillic, Arabic, Hebrew and many signs."""
SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "malgun.ttf",
    "Nirmala.ttf",
    "FreeSans.ttf",
)
"""Asked, in this order, for names that need letters which the own font lacks; whichever the system has."""
ELLIPSIS = "…"
JOINERS = "\u200c\u200d"
LONGEST = 200
"""Letters of a name that are looked at; no card has room for more."""


def spoken(names: Sequence[str]) -> dict[str, str]:
    """Label names as they are drawn: no underscores, no letters that no font has, no two alike.

    A name of which nothing, or nothing of its own, can be drawn becomes its number in the model's order, from 1.
    """
    plain = {name: _drawable(name) for name in names}
    often = Counter(plain.values())
    return {
        name: words if words and often[words] == 1 else f"{words} #{number}".strip()
        for number, (name, words) in enumerate(plain.items(), 1)
    }


def shortened(words: str, font: Font, width: float) -> str:
    """The words, their middle replaced by an ellipsis where they are wider than `width` pixels.

    Names of one set often begin alike, and often end alike: a bit of both ends stays.
    """
    if font.getlength(words) <= width:
        return words
    clusters = _clusters(words)
    for kept in range(len(clusters) - 1, 0, -1):
        head = "".join(clusters[: kept - kept // 3]).rstrip()
        tail = "".join(clusters[len(clusters) - kept // 3 :]).lstrip()
        if font.getlength(head + ELLIPSIS + tail) <= width:
            return head + ELLIPSIS + tail
    return ""


def font_for(words: str, size: int, *, bold: bool = False) -> Font:
    """The first font that has all letters of the words, else the own font; `size` in pixels."""
    return _font(_source_for(words, bold) or OWN_FONTS[bold], size)


def _clean(name: str) -> str:
    """One line without underscores and without signs that have no shape."""
    spaced = "".join(" " if letter == "_" or letter.isspace() else letter for letter in name[:LONGEST])
    return " ".join("".join(c for c in spaced if c.isprintable() or c in JOINERS).split())


def _drawable(name: str) -> str:
    words = _clean(name)
    if _source_for(words, True) is None:
        words = " ".join("".join(letter for letter in words if _has(OWN_FONTS[True], letter)).split())
    # What is left must say something: a bare accent or bracket does not.
    return words if any(unicodedata.category(letter)[0] in "LNS" for letter in words) else ""


def _clusters(words: str) -> list[str]:
    """Letters with the marks that belong to them."""
    clusters: list[str] = []
    for letter in words:
        if clusters and (unicodedata.category(letter)[0] == "M" or letter in JOINERS or clusters[-1][-1] in JOINERS):
            clusters[-1] += letter
        else:
            clusters.append(letter)
    return clusters


@lru_cache(maxsize=1024)
def _source_for(words: str, bold: bool) -> str | None:
    sources = (OWN_FONTS[bold], *SYSTEM_FONTS)
    return next((source for source in sources if all(_has(source, letter) for letter in words)), None)


@lru_cache(maxsize=4096)
def _has(source: str, letter: str) -> bool:
    if source in SYSTEM_FONTS and not _installed(source):
        return False
    return letter.isspace() or letter in JOINERS or _shape(source, letter) != _shape(source, "\U0010ffff")


@lru_cache(maxsize=len(SYSTEM_FONTS))
def _installed(source: str) -> bool:
    try:
        ImageFont.truetype(source, 16)
    except OSError:
        return False
    return True


def _shape(source: str, letter: str) -> tuple[tuple[int, int], bytes]:
    """What a letter looks like; letters that a font lacks all look like the one that no font has."""
    mask = _font(source, 16).getmask(letter)
    return mask.size, bytes(mask)


@lru_cache(maxsize=128)
def _font(source: str, size: int) -> Font:
    if source in SYSTEM_FONTS:
        return ImageFont.truetype(source, size)
    path = package_file("matplotlib", source)
    font = ImageFont.load_default(size=size) if path is None else ImageFont.truetype(path, size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
