"""Where the faces of a picture are and what of them must stay visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np

from openfer.predict.drawing.rects import Rect, distance
from openfer.records import Box, Face, Points5, Prediction, as_points5

POINTS: Points5 = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.58), (0.34, 0.76), (0.66, 0.76))
"""Where eyes, nose and mouth are in a usual box, as shares of it; for faces whose points are not known."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A face to mark; pixels of the overlay.

    Args:
        prediction: what was read from it.
        frame: outer edge of its frame, inside the picture.
        line: thickness of the frame.
        features: eyes with brows; nose and mouth: nothing may cover them.
    """

    prediction: Prediction
    frame: Rect
    line: int
    features: tuple[Rect, Rect]

    @property
    def side(self) -> float:
        """Mean of width and height, pixels."""
        return (self.frame[2] - self.frame[0] + self.frame[3] - self.frame[1]) / 2


def marked(predictions: Sequence[Prediction], size: tuple[int, int], factor: int) -> list[Marked]:
    """The faces that are in the picture at least in part, largest first.

    Args:
        size: the overlay's width and height, pixels.
        factor: of the overlay's size to the picture's.
    """
    found = [(one, one.found.scaled(factor, factor)) for one in predictions if one.found is not None]
    found = [(prediction, face) for prediction, face in found if _visible(face.box, size)]
    if not found:
        return []
    boxes = np.array([_clipped(face.box, size) for _, face in found])
    apart = distance(boxes, boxes)
    np.fill_diagonal(apart, np.inf)
    faces = [
        _mark(prediction, face, tuple(box), room, size)
        for (prediction, face), box, room in zip(found, boxes.tolist(), apart.min(axis=1).tolist(), strict=True)
    ]
    return sorted(faces, key=lambda face: -face.side)


def unit(size: tuple[int, int]) -> float:
    """What lines and letters are measured against: the longer side, of a strip twice the shorter one; pixels."""
    return float(min(max(size), 2 * min(size)))


def _visible(box: Box, size: tuple[int, int]) -> bool:
    left, top, right, bottom = corners = (box.x, box.y, box.x + box.w, box.y + box.h)
    return all(map(isfinite, corners)) and left < size[0] and top < size[1] and right > 0 and bottom > 0


def _mark(prediction: Prediction, found: Face, box: Rect, room: float, size: tuple[int, int]) -> Marked:
    """Args: box: inside the picture; room: from the box to the next face's, pixels."""
    side = (box[2] - box[0] + box[3] - box[1]) / 2
    usual = 0.004 * unit(size)
    # A small face must stay visible inside its frame, and alone in a large picture it must be found.
    line = ceil(min(usual, max(0.045 * side, min(0.5 * usual, 0.4 * room), 1.0)))
    # Of a large face the frame covers the border; a small one would be hidden by it and is framed from outside.
    out = line - min(line, round(0.04 * side))
    frame = (max(box[0] - out, 0), max(box[1] - out, 0), min(box[2] + out, size[0]), min(box[3] + out, size[1]))
    return Marked(prediction, frame, line, _features(found, size))


def _clipped(box: Box, size: tuple[int, int]) -> Rect:
    """The box in whole pixels inside the picture, at least one wide and high."""
    left, top = min(max(round(box.x), 0), size[0] - 1), min(max(round(box.y), 0), size[1] - 1)
    right, bottom = min(round(box.x + box.w), size[0]), min(round(box.y + box.h), size[1])
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _features(found: Face, size: tuple[int, int]) -> tuple[Rect, Rect]:
    box = found.box
    points = found.points5 or as_points5([(box.x + x * box.w, box.y + y * box.h) for x, y in POINTS])
    if not all(isfinite(part) for point in points for part in point):
        return _features(Face(box=box), size)
    # Of a profile the eyes are close together; the box says how large the face is.
    reach = max(abs(points[1][0] - points[0][0]), 0.3 * box.w)
    return _around(points[:2], 0.35 * reach, size), _around(points[2:], 0.2 * reach, size)


def _around(points: Sequence[tuple[float, float]], margin: float, size: tuple[int, int]) -> Rect:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    corners = (min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin)
    left, top, right, bottom = (round(min(max(part, 0), size[axis % 2])) for axis, part in enumerate(corners))
    return left, top, right, bottom
