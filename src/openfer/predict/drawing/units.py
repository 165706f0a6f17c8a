"""Action units on a face: at each place a disc, larger the likelier the unit is; numbers of the likely ones."""

from __future__ import annotations

from math import ceil

import numpy as np
from PIL import Image, ImageDraw

from openfer.predict.colours import LIGHT, Colour
from openfer.predict.drawing.paint import RIM, RIM_STRENGTH, lay
from openfer.predict.drawing.words import font_for
from openfer.records import FaceUnits, Point
from openfer.vision.image import Picture

COLOUR: Colour = (255, 150, 40)
SHOWN = 0.5
"""Units at least as likely are numbered."""
FAINT = 0.05
"""Units less likely are not drawn."""
RADIUS, NUMBER = 0.032, 0.05
"""Of the disc of a certain unit, and height of its number, as shares of the face's size."""
OPACITY = 0.75
"""Of the disc of a certain unit: the face stays visible under it."""
SMALLEST_NUMBER = 9
"""Font size, pixels; on smaller faces there are no numbers."""


def lay_units(canvas: Picture, units: FaceUnits, factor: int) -> None:
    """Draw a face's action units on a picture, in place.

    Units that show at one place lie over each other, the likeliest on top. The numbers of likely ones stand beside
    their second places, which mostly are in the right half of the picture.

    Args:
        canvas: uint8 [H, W, 3], `factor` times as large as the picture that the places belong to.
        units: of the face.
    """
    points = np.array([point for pair in units.places.values() for point in pair], dtype=np.float64) * factor
    if not len(points) or not np.isfinite(points).all():
        return
    size = 1.6 * float(np.ptp(points, axis=0).max())  # brows to lips are about six tenths of a face
    size = min(size, 2.0 * max(canvas.shape[:2]))  # a face far larger than its picture
    by_place: dict[Point, dict[int, float]] = {}
    for unit, pair in units.places.items():
        for x, y in pair:
            by_place.setdefault((factor * x, factor * y), {})[unit] = units.probabilities[unit]
    for place, here in sorted(by_place.items(), key=lambda item: max(item[1].values())):
        _disc(canvas, place, max(here.values()), RADIUS * size)
    for place, words in _numbers(units, factor, NUMBER * size):
        _number(canvas, (place[0] + 1.3 * RADIUS * size, place[1]), words, round(NUMBER * size))


def _numbers(units: FaceUnits, factor: int, apart: float) -> list[tuple[Point, str]]:
    """The likely units' numbers and where they stand; those of places that are too near to each other together."""
    likely = [unit for unit, share in units.probabilities.items() if share >= SHOWN]
    groups: list[tuple[list[Point], list[int]]] = []
    for unit in sorted(likely, key=lambda unit: units.places[unit][1][1]):
        x, y = (factor * part for part in units.places[unit][1])
        near = [group for group in groups if any(abs(x - u) < 4 * apart and abs(y - v) < apart for u, v in group[0])]
        places, numbers = near[0] if near else ([], [])
        if not near:
            groups.append((places, numbers))
        places.append((x, y))
        numbers.append(unit)
    return [
        ((max(x for x, _ in places), sum(y for _, y in places) / len(places)), " ".join(map(str, sorted(numbers))))
        for places, numbers in groups
    ]


def _disc(canvas: Picture, place: Point, share: float, radius: float) -> None:
    """A disc whose area grows with the probability, with a dark rim."""
    if share < FAINT:
        return
    radius = max(1.0, radius * share**0.5)
    rim = max(1.0, 0.15 * radius)
    left, top = (round(part - radius - rim) - 1 for part in place)
    steps = np.arange(2 * ceil(radius + rim) + 3) + 0.5
    away = np.hypot(steps[None, :] + left - place[0], steps[:, None] + top - place[1])
    for colour, edge, opacity in ((RIM, radius + rim, RIM_STRENGTH), (COLOUR, radius, OPACITY)):
        covered = np.clip(edge + 0.5 - away, 0, 1) * (opacity * (0.25 + 0.75 * share))
        lay(canvas, (left, top), colour, covered.astype(np.float32))


def _number(canvas: Picture, place: Point, words: str, size: int) -> None:
    """Numbers, with a rim, that begin beside a place."""
    if size < SMALLEST_NUMBER:
        return
    font, rim = font_for(words, size, bold=True), max(1, size // 8)
    box = font.getbbox(words, anchor="lm", stroke_width=rim)
    left, top, right, bottom = (round(part) for part in box)
    masks = []
    for stroke in (rim, 0):
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).text((-left, -top), words, 255, font, anchor="lm", stroke_width=stroke)
        masks.append(np.asarray(mask, dtype=np.float32) / np.float32(255))
    for colour, mask_values in zip((RIM, LIGHT), masks, strict=True):
        lay(canvas, (round(place[0]) + left, round(place[1]) + top), colour, mask_values)
