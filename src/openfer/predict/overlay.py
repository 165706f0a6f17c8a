"""Predictions drawn into their picture: a box, a tag and a small chart for each face."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, sqrt

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from openfer.predict.colours import Colour, colour_of, ink_on
from openfer.predict.sinks.table import percent, printable
from openfer.records import Box, Prediction
from openfer.vision.image import Picture

MIN_SIDE = 320
"""Pictures whose longer side is smaller are enlarged by a whole factor, so that the text can be read."""
BARS = 4
"""Most probable labels that a chart shows."""
COVERED = 0.15
"""A chart may cover at most this share of its own face where there is no free place for it; else only the tag stays."""
PANEL = (18, 20, 26, 215)
TRACK = (66, 71, 82, 255)
PALE = (236, 238, 242, 255)

Rect = tuple[float, float, float, float]
"""Left, top, right, bottom; pixels."""


def draw(picture: Picture, predictions: Sequence[Prediction]) -> Picture:
    """A copy of the picture with its faces marked: box, label, confidence and the most probable labels.

    Tags keep off the faces where there is room; a chart that would cover a face is left out.

    Args:
        picture: uint8 [H, W, 3].
        predictions: of this picture; those without a face are left out.

    Returns:
        uint8 [s H, s W, 3], s = 1 unless the picture is small (see `MIN_SIDE`).
    """
    factor = max(1, ceil(MIN_SIDE / max(picture.shape[:2])))
    canvas = Image.fromarray(picture).convert("RGBA")
    canvas = canvas.resize((canvas.width * factor, canvas.height * factor), Image.Resampling.BICUBIC)
    shown = [(prediction, _rect(prediction.found.box, factor)) for prediction in predictions if prediction.found]
    faces = [face for _, face in shown]
    fonts = [_font_size(face, canvas.size) for face in faces]
    for (prediction, face), font in zip(shown, fonts, strict=True):
        _draw_box(canvas, face, colour_of(prediction.label), max(1, round(font / 6)))
    taken: list[Rect] = []
    for (prediction, face), font in zip(shown, fonts, strict=True):
        others = [other for other in faces if other is not face]
        card, place = _fit(prediction, face, others, taken, font, canvas.size)
        canvas.alpha_composite(card, place)
        taken.append((*place, place[0] + card.width, place[1] + card.height))
    return np.asarray(canvas.convert("RGB"))


def _rect(box: Box, factor: int) -> Rect:
    return box.x * factor, box.y * factor, (box.x + box.w) * factor, (box.y + box.h) * factor


def _font_size(face: Rect, size: tuple[int, int]) -> int:
    """Pixels: grows with the face, within limits that grow with the picture."""
    side = sqrt(size[0] * size[1])
    return round(min(max(0.13 * (face[2] - face[0]), 0.016 * side, 11.0), max(0.03 * side, 11.0)))


def _draw_box(canvas: Image.Image, face: Rect, colour: Colour, line: int) -> None:
    """A rounded frame just inside the face's box, with a soft dark rim that keeps it visible on any ground."""
    left, top = int(face[0]), int(face[1])
    width, height = min(ceil(face[2]), canvas.width) - left, min(ceil(face[3]), canvas.height) - top
    if min(width, height) < 1:
        return
    rim = max(1, line // 2)
    scale = _oversampling(width * height)
    layer = Image.new("RGBA", (width * scale, height * scale))
    pen = ImageDraw.Draw(layer)
    for inset, thick, ink in ((0, line + 2 * rim, (0, 0, 0, 70)), (rim, line, (*colour, 255))):
        corners = (inset * scale, inset * scale, (width - inset) * scale - 1, (height - inset) * scale - 1)
        if corners[0] < corners[2] and corners[1] < corners[3]:
            pen.rounded_rectangle(corners, 5 * line * scale, outline=ink, width=thick * scale)
    canvas.alpha_composite(layer.reduce(scale), (left, top))


def _oversampling(area: int) -> int:
    """Pillow draws shapes with hard edges; small ones are drawn larger and averaged down."""
    return 4 if area < 500_000 else 2 if area < 4_000_000 else 1


def _fit(
    prediction: Prediction, face: Rect, others: list[Rect], taken: list[Rect], font: int, size: tuple[int, int]
) -> tuple[Image.Image, tuple[int, int]]:
    """The card to lay in and its left top corner: with a chart where that covers nothing, else the bare tag."""
    for chart in (True, False):
        card = _card(prediction, font, chart)
        card.thumbnail(size)
        places = _places(face, card.size, font, size, chart)
        costs = []
        for x, y in places:
            rect = (x, y, x + card.width, y + card.height)
            own = _overlap(rect, face) / max(1.0, _area(face))
            costs.append((sum(_overlap(rect, other) for other in [*others, *taken]), own))
        best = min(range(len(places)), key=costs.__getitem__)
        if not chart or (costs[best][0] == 0 and costs[best][1] <= COVERED):
            return card, places[best]
    raise AssertionError("the tag always finds a place")


def _places(face: Rect, card: tuple[int, int], font: int, size: tuple[int, int], chart: bool) -> list[tuple[int, int]]:
    """Where a card may go, the nicest first; all inside the picture."""
    left, top, right, bottom = face
    (width, height), gap = card, font / 3
    beside = [(right + gap, top), (left - gap - width, top), (right + gap, bottom - height)]
    above, below = (left, top - gap - height), (left, bottom + gap)
    inside = [(left + gap, bottom - gap - height), (right - gap - width, bottom - gap - height)]
    wanted = [*beside, below, above, *inside] if chart else [above, below, *beside, *inside]
    return [(round(min(max(x, 0), size[0] - width)), round(min(max(y, 0), size[1] - height))) for x, y in wanted]


def _area(rect: Rect) -> float:
    return max(0.0, rect[2] - rect[0]) * max(0.0, rect[3] - rect[1])


def _overlap(one: Rect, other: Rect) -> float:
    """Shared area of two rectangles, square pixels."""
    return _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))


def _card(prediction: Prediction, font: int, chart: bool) -> Image.Image:
    """A tag with label and confidence, and under it, with `chart`, a bar for each of the most probable labels."""
    colour = colour_of(prediction.label)
    title = _words(prediction.label) if prediction.label else "not read"
    share = percent(prediction.confidence) if prediction.confidence is not None else ""
    rows = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:BARS] if chart else []
    head, body = _font(font), _font(max(10, round(0.85 * font)))
    pad, line = round(0.5 * font), round(1.25 * font)
    names = max((ceil(body.getlength(_words(name))) for name, _ in rows), default=0)
    bars = 5 * font if rows else 0
    width = 2 * pad + max(ceil(head.getlength(title) + font + head.getlength(share)), names + pad + bars)
    tag = round(1.6 * font)
    height = tag + (len(rows) * line + pad if rows else 0)

    scale = 4
    layer = Image.new("RGBA", (width * scale, height * scale))
    pen, radius = ImageDraw.Draw(layer), 0.4 * font * scale
    pen.rounded_rectangle((0, 0, width * scale - 1, height * scale - 1), radius, fill=PANEL)
    square = not rows
    pen.rounded_rectangle(
        (0, 0, width * scale - 1, tag * scale - 1), radius, fill=(*colour, 255), corners=(True, True, square, square)
    )
    bar_left, bar_right = (width - pad - bars) * scale, (width - pad) * scale
    for row, (name, probability) in enumerate(rows):
        middle = (tag + pad / 2 + (row + 0.5) * line) * scale
        for end, ink in ((1.0, TRACK), (probability, (*colour_of(name), 255))):
            thick = 0.22 * font * scale
            stop = bar_left + max(2 * thick, end * (bar_right - bar_left))
            pen.rounded_rectangle((bar_left, middle - thick, stop, middle + thick), thick, fill=ink)
    card = layer.reduce(scale)

    pen = ImageDraw.Draw(card)
    ink = (*ink_on(colour), 255)
    pen.text((pad, tag / 2), title, ink, head, anchor="lm")
    pen.text((width - pad, tag / 2), share, ink, head, anchor="rm")
    for row, (name, _) in enumerate(rows):
        pen.text((pad, tag + pad / 2 + (row + 0.5) * line), _words(name), PALE, body, anchor="lm")
    return card


def _words(label: str) -> str:
    return printable(label).replace("_", " ")


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
