"""Places around a face that a card may take, with what each costs; all inside the picture, all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openfer.predict.drawing.card import Card
from openfer.predict.drawing.faces import Marked
from openfer.predict.drawing.paint import CORNER
from openfer.predict.drawing.rects import Rect, Rects

Costs = NDArray[np.float64]
"""[N], in font sizes: a spot that costs 1 more is as bad as one that is so much farther from the face."""

GAPS = (0.3, 1.0, 2.0, 3.5, 5.5)
"""Distances from the face, in font sizes."""
STEPS = 9
"""Spots along a side of the face, besides those in line with its edges and its middle."""
OFF_LINE = (0.0, 0.15, 0.1) + STEPS * (0.3,)
"""Costs of a card in line with the first edge of a side, with its second edge, with its middle, and anywhere else."""
HANGING = 1.0
"""Cost of a card that stands beside its face with a corner only."""
SIDES = {True: ((0.0, 0.1), (0.6, 0.7)), False: ((0.7, 0.8), (0.4, 0.0))}
"""Costs of the right and the left, of below and above: charts stand beside a face, tags on top of it."""
ON_FACE = 6.0
"""Cost of a card on its own face, and once more of one as large as the face."""


@dataclass(frozen=True, slots=True)
class Spots:
    """N places for one card.

    Args:
        rects: of the card.
        ties: of the line from frame to card, thick as the frame; without area where the card lies on the face.
        costs: lower is nicer.
    """

    rects: Rects
    ties: Rects
    costs: Costs

    @property
    def on_face(self) -> NDArray[np.bool_]:
        """[N], whether the card lies on its own face."""
        lying: NDArray[np.bool_] = (self.ties[:, :2] == self.ties[:, 2:]).all(axis=1)
        return lying

    def reached(self, rects: Rects, margin: int) -> NDArray[np.bool_]:
        """Which of N rectangles, or of N lists of them, a spot could touch: [N, 4] or [N, M, 4] -> [N] or [N, M]."""
        if not len(self.rects):
            return np.zeros(rects.shape[:-1], dtype=np.bool_)
        both = np.concatenate([self.rects, self.ties[~self.on_face]])
        low, high = both[:, :2].min(axis=0) - margin, both[:, 2:].max(axis=0) + margin
        reached: NDArray[np.bool_] = (rects[..., :2] < high).all(axis=-1) & (rects[..., 2:] > low).all(axis=-1)
        return reached


def spots_around(face: Marked, card: Card, size: tuple[int, int], *, chart: bool) -> Spots:
    """Where a card may stand in a picture of `size` (width, height; pixels)."""
    across, down = SIDES[chart]
    lying = _beside(face, face.frame, (card.width, card.height), size, card, across, hook=card.tag // 2)
    turned = (face.frame[1], face.frame[0], face.frame[3], face.frame[2])
    standing = _beside(face, turned, (card.height, card.width), size[::-1], card, down, hook=None)
    inside = _inside(face, card)
    rects = np.concatenate([lying.rects, standing.rects[:, [1, 0, 3, 2]], inside.rects])
    ties = np.concatenate([lying.ties, standing.ties[:, [1, 0, 3, 2]], inside.ties])
    costs = np.concatenate([lying.costs, standing.costs, inside.costs])
    kept = (rects[:, :2] >= 0).all(axis=1) & (rects[:, 2:] <= size).all(axis=1)
    return Spots(rects[kept], ties[kept], costs[kept])


def _beside(
    face: Marked,
    frame: Rect,
    extent: tuple[int, int],
    size: tuple[int, int],
    card: Card,
    sides: tuple[float, float],
    hook: int | None,
) -> Spots:
    """Spots after and before a frame along x; for those along y everything comes with its axes swapped.

    Args:
        extent: the card's width and height.
        sides: costs of the side after and of the side before the frame.
        hook: where on the card's edge its tie is wanted, pixels from its top; else in the middle of what is shared.
    """
    (left, top, right, bottom), (width, height) = frame, extent
    gaps = np.maximum(np.round(np.array(GAPS) * card.em).astype(np.int64), 1)
    reach = min(bottom - top, height, card.em)
    edges = np.array([top, bottom - height, (top + bottom - height) // 2])
    steps = np.linspace(top - height + reach, bottom - reach, STEPS).astype(np.int64)
    tops = np.clip(np.concatenate([edges, steps]), 0, max(size[1] - height, 0))
    lefts = np.concatenate([right + gaps, left - gaps - width])

    x, y = (part.ravel() for part in np.meshgrid(lefts, tops))
    costs = np.concatenate([gaps / card.em + sides[0], gaps / card.em + sides[1]]) + np.array(OFF_LINE)[:, None]
    rects = np.stack([x, y, x + width, y + height], axis=1)
    # The tie is straight: it leaves the frame where the card stands beside it, if it can clear of rounded corners.
    start, stop = np.maximum(y, top), np.minimum(y + height, bottom)
    costs = costs.ravel() + HANGING * (1 - (stop - start) / max(1, min(height, bottom - top)))
    room = np.clip((stop - start - face.line) // 2, 0, CORNER * face.line)
    wanted = (start + stop) // 2 if hook is None else y + hook
    middle = np.clip(wanted - face.line // 2, start + room, np.maximum(stop - room - face.line, start + room))
    middle = np.clip(middle, 0, max(size[1] - face.line, 0))  # a face may be lower than its line is thick
    after = x >= right
    ties = np.stack([np.where(after, right, x + width), middle, np.where(after, x, left), middle + face.line], axis=1)
    beside = stop - start >= min(reach, face.line)
    return Spots(rects[beside], ties[beside], costs[beside])


def _inside(face: Marked, card: Card) -> Spots:
    """Spots on the face along its frame."""
    left, top, right, bottom = face.frame
    gap = face.line + 1
    lefts = np.array([left + gap, right - gap - card.width, (left + right - card.width) // 2])
    tops = np.array([bottom - gap - card.height, top + gap])
    x, y = (part.ravel() for part in np.meshgrid(lefts, tops))
    rects = np.stack([x, y, x + card.width, y + card.height], axis=1)
    cover = card.width * card.height / max(1, (right - left) * (bottom - top))
    return Spots(rects, np.zeros_like(rects), np.full(len(rects), ON_FACE * (1 + cover)))
