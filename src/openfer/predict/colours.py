"""A colour a label, the same in overlays and tables, told apart also without full colour vision."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from openfer.labels import canonical
from openfer.records import NONE, UNCERTAIN

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "neutral": (186, 172, 171),
    "happiness": (246, 221, 60),
    "sadness": (110, 177, 248),
    "surprise": (61, 241, 244),
    "fear": (118, 113, 252),
    "disgust": (187, 225, 169),
    "anger": (219, 87, 66),
    "contempt": (200, 122, 176),
}
"""Found by a search within each label's usual hue for the largest smallest difference (CIEDE2000) of two of them under
normal, protanopic, deuteranopic and tritanopic vision; light enough for dark text."""
NO_LABEL: Colour = (110, 115, 124)
DARK: Colour = (16, 18, 22)
LIGHT: Colour = (255, 255, 255)


def colour_of(label: str | None, names: Sequence[str] = ()) -> Colour:
    """RGB, 0 to 255; grey for no label, `uncertain` and `none`.

    Args:
        label: a label's name; other words for the basic labels get the basic label's colour.
        names: all of the model's names: up to eight of them get different colours. A name outside the basic set has the
            same colour wherever it stands among the same names.
    """
    if label in (None, UNCERTAIN) or (label == NONE and NONE not in names):
        return NO_LABEL
    return _assigned((*names, label) if label not in names else tuple(names))[label]


@lru_cache(maxsize=64)
def _assigned(names: tuple[str, ...]) -> dict[str, Colour]:
    basic = {name: word for name in names if (word := canonical(name)) in COLOURS}
    given = {name: COLOURS[word] for name, word in basic.items()}
    palette, used = tuple(COLOURS.values()), Counter(given.values())
    for name in names:
        if name not in given:
            # The name's own place in the palette, or the next one after it that fewest others have.
            start = zlib.crc32(name.encode("utf-8", "surrogatepass")) % len(palette)
            given[name] = min(palette[start:] + palette[:start], key=used.__getitem__)
            used[given[name]] += 1
    return given


def ink_on(colour: Colour) -> Colour:
    """Dark or light text, whichever stands out more from a colour."""
    return max((DARK, LIGHT), key=lambda ink: contrast(ink, colour))


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio, 1 to 21; small text wants 4.5 or more. Source: WCAG 2.2, definition of contrast ratio."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour, 0 to 1."""
    red, green, blue = (
        (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in (p / 255 for p in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
