"""A colour a label, the same in overlays and tables: muted, told apart also without full colour vision by lightness."""

from __future__ import annotations

import zlib

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "neutral": (160, 174, 192),
    "happiness": (246, 196, 83),
    "sadness": (104, 151, 219),
    "surprise": (103, 200, 190),
    "fear": (157, 128, 214),
    "disgust": (139, 178, 96),
    "anger": (226, 104, 96),
    "contempt": (205, 140, 170),
}
NO_LABEL: Colour = (120, 126, 138)
OTHERS = tuple(COLOURS.values())[1:]


def colour_of(label: str | None) -> Colour:
    """RGB, 0 to 255; a label outside the basic set always gets the same one of these colours."""
    if label is None:
        return NO_LABEL
    return COLOURS.get(label) or OTHERS[zlib.crc32(label.encode()) % len(OTHERS)]


def ink_on(colour: Colour) -> Colour:
    """Dark or light text, whichever is easier to read on a colour (relative luminance of ITU-R BT.709)."""
    linear = [(part / 255) ** 2.2 for part in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (24, 26, 32) if luminance > 0.18 else (255, 255, 255)
