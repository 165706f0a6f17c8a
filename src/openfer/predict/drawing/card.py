"""What is said of one face: a chart under a tag, a tag, a name or a number; measured first, painted where it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from math import ceil

import numpy as np
from PIL import Image, ImageDraw

from openfer.predict.colours import Colour, colour_of, ink_on
from openfer.predict.drawing.paint import fill
from openfer.predict.drawing.words import font_for, shortened
from openfer.predict.sinks.table import percent
from openfer.records import NONE, Prediction
from openfer.vision.image import Picture

BARS = 4
"""Most probable labels that a chart shows."""
FEW = 0.005
"""Labels less probable are left out of a chart, but for the second, which says what was not chosen."""
SMALLEST_NUMBER = 10
"""Font size, pixels."""
FEWEST_LETTERS = 6
"""A name shortened to fewer says nothing."""
NO_ANSWER = "not read"
PANEL: Colour = (20, 22, 28)
PANEL_OPACITY = 0.88
TRACK: Colour = (74, 79, 91)
PALE: Colour = (240, 242, 245)


class Level(IntEnum):
    """How much is said, most first."""

    CHART = 0
    TAG = 1
    NAME = 2
    NUMBER = 3
    NOTHING = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A bar of a chart."""

    words: str
    share: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Card:
    """One face's card, ready to paint.

    Args:
        em: font size of the title, pixels; everything else follows from it.
        title, share: left and right of the tag; either may be empty.
        colour: of the tag.
        rows: of the chart; none without one.
        width: pixels.
    """

    em: int
    title: str
    share: str
    colour: Colour
    rows: tuple[Row, ...]
    width: int

    @property
    def tag(self) -> int:
        """Height of the tag, pixels."""
        return round(1.55 * self.em)

    @property
    def height(self) -> int:
        """Pixels."""
        return self.tag + (len(self.rows) * _row_height(self.em) + _pad(self.em) if self.rows else 0)

    def paint(self, canvas: Picture, left: int, top: int) -> None:
        """Lay the card on uint8 [H, W, 3], in place; it must fit."""
        part = canvas[top : top + self.height, left : left + self.width]
        image = Image.fromarray(part)
        radius = 0.3 * self.em
        if self.rows:
            fill(image, (0, 0, self.width, self.height), PANEL, radius=radius, opacity=PANEL_OPACITY)
            fill(image, (0, 0, self.width, self.tag), self.colour, radius=radius, round_below=False)
        else:
            fill(image, (0, 0, self.width, self.tag), self.colour, radius=radius)
        self._write_tag(image)
        self._draw_rows(image)
        part[:] = np.asarray(image)

    def _write_tag(self, image: Image.Image) -> None:
        pen, ink, middle = ImageDraw.Draw(image), ink_on(self.colour), self.tag / 2
        bold, plain = font_for(self.title, self.em, bold=True), font_for(self.share, self.em)
        if self.share:
            pen.text((_pad(self.em), middle), self.title, ink, bold, anchor="lm")
            pen.text((self.width - _pad(self.em), middle), self.share, ink, plain, anchor="rm")
        else:
            pen.text((self.width / 2, middle), self.title, ink, bold, anchor="mm")

    def _draw_rows(self, image: Image.Image) -> None:
        pen, pad, thick = ImageDraw.Draw(image), _pad(self.em), max(2, round(0.38 * self.em))
        size = _row_size(self.em)
        names = max((ceil(font_for(row.words, size).getlength(row.words)) for row in self.rows), default=0)
        left, right = pad + names + pad, self.width - pad
        for index, row in enumerate(self.rows):
            middle = self.tag + pad / 2 + (index + 0.5) * _row_height(self.em)
            top = round(middle - thick / 2)
            pen.text((pad, middle), row.words, PALE, font_for(row.words, size), anchor="lm")
            fill(image, (left, top, right, top + thick), TRACK, radius=thick / 2)
            stop = left + max(2, round(row.share * (right - left)))
            fill(image, (left, top, stop, top + thick), row.colour, radius=thick / 2)


def card(prediction: Prediction, words: Mapping[str, str], em: int, level: Level, room: int) -> Card | None:
    """The card of one face; None where this much cannot be said in the room there is.

    Args:
        words: see `words.spoken`, of the prediction's label names.
        em: font size, pixels.
        room: widest that it may be, pixels.
    """
    names = tuple(prediction.probabilities)
    colour = colour_of(prediction.label, names)
    if level is Level.NUMBER:
        number = "" if prediction.face is None else str(prediction.face)
        em = max(SMALLEST_NUMBER, round(0.85 * em))
        width = max(round(1.55 * em), ceil(font_for(number, em, bold=True).getlength(number)) + _pad(em))
        return Card(em, number, "", colour, (), width) if number and width <= room else None
    if level is Level.CHART and len(names) < 2:
        return None
    label = prediction.label
    title = NO_ANSWER if label is None else words.get(label, label)
    belongs = label != NONE or not prediction.undecided
    says_how_sure = prediction.confidence is not None and belongs and level <= Level.TAG
    share = percent(prediction.confidence or 0.0) if says_how_sure else ""
    beside = ceil(font_for(share, em).getlength(share)) + _pad(em) if share else 0
    bold = font_for(title, em, bold=True)
    shown = shortened(title, bold, min(10 * em, room - 2 * _pad(em) - beside))
    if shown != title and len(shown) < FEWEST_LETTERS:
        return None
    title = shown
    width = 2 * _pad(em) + ceil(bold.getlength(title)) + beside
    rows = _rows(prediction, names, words, em) if level is Level.CHART else ()
    if rows:
        size = _row_size(em)
        longest = max(ceil(font_for(row.words, size).getlength(row.words)) for row in rows)
        width = max(width, 3 * _pad(em) + longest + 4 * em)
    return Card(em, title, share, colour, rows, width) if width <= room else None


def _rows(prediction: Prediction, names: tuple[str, ...], words: Mapping[str, str], em: int) -> tuple[Row, ...]:
    first = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:BARS]
    size = _row_size(em)
    return tuple(
        Row(shortened(words[name], font_for(words[name], size), 7 * em), share, colour_of(name, names))
        for rank, (name, share) in enumerate(first)
        if rank < 2 or share >= FEW
    )


def _pad(em: int) -> int:
    return round(0.5 * em)


def _row_size(em: int) -> int:
    """Font size of the chart's names, pixels."""
    return max(9, round(0.75 * em))


def _row_height(em: int) -> int:
    return round(1.2 * _row_size(em))
