"""Furrows and the bulges beside them: which action units and how much age deepen them.

A furrow is a line on the resting skin of one half of the face; it moves with the skin. Courses and causes follow the
appearance changes in the FACS manual (2002); those of age follow Lemperle et al., Plast Reconstr Surg 108 (2001),
1735-1750.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from openfer.synth.action_units import UNITS, ActionUnits, places
from openfer.synth.anatomy import Anatomy

Array = NDArray[np.floating]


class Furrow(NamedTuple):
    """A line through points (place, mm out, mm down), its width in mm, and how deep each cause makes it (1 = deep).

    `bulge` mm of skin stand up beside it, on the outer or lower side where positive, else on the other.
    """

    points: tuple[tuple[str, float, float], ...]
    width: float
    units: Mapping[int, float]
    age: float = 0.0
    bulge: float = 0.0


FURROWS = (
    # The nasolabial fold, and its upper part alone, which AU 9 and AU 10 deepen.
    Furrow(
        (("wing", 5, -6), ("wing", 9, 3), ("corner", 7, -9), ("corner", 9, 1)),
        1.9,
        {12: 1.0, 9: 0.45, 10: 0.55, 6: 0.15, 20: 0.35, 14: 0.2},
        0.7,
        3.0,
    ),
    Furrow((("wing", 4, -10), ("wing", 7, -2), ("wing", 13, 8)), 1.8, {9: 1.0, 10: 1.2}, 0.2, 3.0),
    # From the mouth's corner down.
    Furrow((("corner", 4, 2), ("corner", 5, 9), ("corner", 4, 17)), 2.0, {15: 1.4, 20: 0.25, 17: 0.2}, 0.6, 1.9),
    # The dimple.
    Furrow((("corner", 4, -7), ("corner", 7.5, -1), ("corner", 5, 7)), 1.9, {14: 1.8, 12: 0.2}, 0.0, 2.5),
    # Stretched skin beside the mouth.
    Furrow((("corner", 8, -7), ("corner", 12, 3), ("corner", 10, 14)), 1.6, {20: 0.8}, 0.0, 1.5),
    # Between the brows: upright for AU 4, across the nose's root for AU 9.
    Furrow((("brow_inner", -6, 9), ("brow_inner", -6.5, 0), ("brow_inner", -5, -11)), 1.6, {4: 1.4, 9: 0.3}, 0.3, 1.8),
    Furrow((("nose_side", -9, -16), ("nose_side", -4, -16), ("nose_side", 2, -19)), 1.3, {9: 1.0, 4: 0.35}, 0.1, 1.0),
    Furrow((("nose_side", -6, -6), ("nose_side", 0, -7), ("nose_side", 5, -3)), 1.2, {9: 1.2}, 0.0, 1.2),
    Furrow((("nose_side", -6, 1), ("nose_side", 0, 0), ("nose_side", 4, 5)), 1.2, {9: 1.0}, 0.0, 1.2),
    # The overhang of a lowered brow.
    Furrow((("brow_inner", -3, 9), ("brow_middle", -8, 10), ("brow_middle", 9, 9)), 3.2, {4: 0.9, 9: 0.5}),
    # Under the eye: along the lid's edge, and below the bag.
    Furrow(
        (("lower_lid", -11, -3), ("lower_lid", 0, 0), ("lower_lid", 11, -4)), 1.2, {7: 1.5, 6: 0.4, 45: 0.8}, 0.25, -1.6
    ),
    Furrow(
        (("lower_lid", -13, 1), ("lower_lid", -2, 7), ("lower_lid", 11, 5)), 1.7, {6: 1.2, 9: 0.5, 12: 0.2}, 0.65, -1.8
    ),
    # The infraorbital furrow of AU 10.
    Furrow((("infraorbital", -8, -8), ("infraorbital", 2, -2), ("cheek", 2, 2)), 2.2, {10: 0.6, 9: 0.4}, 0.1, 2.0),
    # Crow's feet.
    Furrow((("eye_corner", 0, -5), ("eye_corner", 7, -8), ("eye_corner", 13, -13)), 1.6, {6: 0.75, 45: 0.5}, 0.35),
    Furrow((("eye_corner", 1, -1), ("eye_corner", 8, -1), ("eye_corner", 15, -3)), 1.6, {6: 0.85, 45: 0.5}, 0.4),
    Furrow((("eye_corner", 0, 3), ("eye_corner", 7, 6), ("eye_corner", 13, 11)), 1.6, {6: 0.8}, 0.35),
    # Across the forehead: the middle for AU 1, the sides for AU 2.
    *(
        furrow
        for rise in (14, 23, 32)
        for furrow in (
            Furrow(
                (("brow_inner", -14, -rise + 1), ("brow_inner", 0, -rise), ("brow_inner", 12, -rise + 5)),
                1.5,
                {1: 0.85},
                0.4,
            ),
            Furrow(
                (("brow_outer", -18, -rise + 1), ("brow_outer", -4, -rise - 3), ("brow_outer", 8, -rise + 3)),
                1.5,
                {2: 0.75},
                0.35,
            ),
        )
    ),
    # Above the chin.
    Furrow(
        (("below_lip", 0, 0), ("below_lip", 9, 0), ("below_lip", 19, 5)),
        2.2,
        {17: 1.2, 24: 0.5, 23: 0.25, 15: 0.2},
        0.15,
        1.0,
    ),
    Furrow((("chin", 0, 6), ("chin", 8, 5), ("chin", 15, 0)), 1.8, {16: 1.1}, 0.0, 1.0),
    # Around tightened lips.
    *(
        Furrow((("lip_top", out - 9, -4), ("lip_top", (out - 9) * 1.02, 3)), 1.1, {23: 0.65}, 0.25)
        for out in (3.5, 8.5, 14.0, 19.0)
    ),
    *(
        Furrow((("below_lip", out, -7), ("below_lip", out * 1.05, -1)), 1.1, {23: 0.6}, 0.1)
        for out in (4.0, 10.0, 16.0)
    ),
    Furrow((("corner", 0, -6), ("corner", 3.5, 0), ("corner", 0, 6)), 1.6, {24: 0.9, 23: 0.5}, 0.0, 1.5),
)


def furrow_depths(aus: ActionUnits, age_lines: float) -> list[tuple[float, float]]:
    """How deep each furrow is on the left and on the right half of the face, 0 to about 1.5."""
    left, right = (dict(zip(UNITS, side.tolist(), strict=True)) for side in (aus.left, aus.right))

    def depth(furrow: Furrow, half: Mapping[int, float]) -> float:
        return age_lines * furrow.age + sum(amount * half[unit] for unit, amount in furrow.units.items())

    return [(depth(furrow, left), depth(furrow, right)) for furrow in FURROWS]


@lru_cache(maxsize=16)
def courses(body: Anatomy) -> list[NDArray[np.float64]]:
    """Each furrow's points, [n, 2] mm, on the half of the face where x is positive.

    Furrows that reach the middle of the face go on a little across it.
    """
    where = places(body)
    lines = []
    for furrow in FURROWS:
        line = np.array([(where[name][0] + out, where[name][1] + down) for name, out, down in furrow.points])
        if line[0, 0] <= 0.5:
            line = np.concatenate([line[:1] * np.array([-1.0, 1.0]) - np.array([[6.0, 0.0]]), line])
        lines.append(line)
    return lines


def distance_to(line: NDArray[np.float64], x: Array, y: Array) -> tuple[Array, Array]:
    """Signed distance to a polyline (positive to the left of its course, which is out or below), and the share of the
    way along it, 0 to 1; places [n]."""
    start, step = line[:-1, None, :], np.diff(line, axis=0)[:, None, :]
    squared = (step**2).sum(-1)
    dx, dy = x - start[..., 0], y - start[..., 1]  # [segments, n]
    t = np.clip((dx * step[..., 0] + dy * step[..., 1]) / squared, 0, 1)
    off_x, off_y = dx - t * step[..., 0], dy - t * step[..., 1]
    distance = off_x**2 + off_y**2
    nearest = distance.argmin(0)
    pick = (nearest, np.arange(len(x)))
    sign = np.where((step[..., 0] * off_y - step[..., 1] * off_x)[pick] >= 0, 1.0, -1.0)
    return sign * np.sqrt(distance[pick]), (nearest + t[pick]) / len(step)
