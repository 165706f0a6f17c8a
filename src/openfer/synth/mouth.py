"""The edges of the lips as curves, from the resting measures and the action units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openfer.synth.action_units import JAW_DROP, LIPS, LIPS_PART, UNITS, ActionUnits, channels
from openfer.synth.anatomy import Anatomy
from openfer.synth.fields import bump, inside, mix, ridge, rise
from openfer.synth.noise import sample
from openfer.synth.paint import Paint, linear

if TYPE_CHECKING:
    from openfer.synth.identity import Identity

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class HalfMouth:
    """One half of the mouth: heights are y in mm, in the middle of the mouth and at its corner."""

    width: float  # middle to corner
    corner: float
    upper: float  # lower edge of the upper lip
    lower: float  # upper edge of the lower lip
    upper_red: float  # thickness of the red parts
    lower_red: float
    round_upper: float  # exponents: the smaller, the squarer
    round_lower: float
    pinch: float
    bead: float  # mm


@dataclass(frozen=True, slots=True)
class Mouth:
    """Both halves as seen in the picture, and where the teeth are."""

    left: HalfMouth
    right: HalfMouth
    openness: float  # 0 closed, 1 parted as far as AU 25 and the jaw say
    teeth: float  # y of the upper teeth's edge
    drop: float  # of the lower jaw, mm

    def edges(self, x: Array) -> tuple[Array, Array, Array, Array, Array]:
        """The mouth at places x, mm from the middle.

        Returns:
            y of the upper lip's upper and lower edge and of the lower lip's upper and lower edge, and the share of the
            way from the middle (0) to the corner (1, beyond it more).
        """
        right = 0.5 + 0.5 * np.tanh(x / 4.0)
        sides = [self._half(half, np.abs(x)) for half in (self.left, self.right)]
        one, two, three, four, five = (a * (1 - right) + b * right for a, b in zip(*sides, strict=True))
        return one, two, three, four, five

    def corners(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(x, y) of the left and right corner in the picture."""
        return (-self.left.width, self.left.corner), (self.right.width, self.right.corner)

    @staticmethod
    def _half(half: HalfMouth, across: Array) -> tuple[Array, Array, Array, Array, Array]:
        q = across / half.width
        arch = 1 - np.minimum(q, 1) ** 2
        # At rest the line between the lips has a bead in its middle.
        bead = half.bead * (np.exp(-((q / 0.16) ** 2)) - 0.55 * np.exp(-(((q - 0.42) / 0.22) ** 2)))
        upper = half.corner + (half.upper - half.corner) * arch**half.round_upper + bead
        lower = half.corner + (half.lower - half.corner) * arch**half.round_lower + bead
        taper = arch ** (1.0 + 0.9 * half.pinch)
        bow = 1 - 0.24 * np.exp(-((q / 0.13) ** 2))  # Cupid's bow
        return upper - half.upper_red * taper * bow, upper, lower, lower + half.lower_red * taper**1.15, q


def shape_mouth(body: Anatomy, aus: ActionUnits) -> Mouth:
    """The mouth of a face that does something."""
    mean = aus.mean
    units = dict(zip(UNITS, mean.tolist(), strict=True))
    part, drop = units[25], JAW_DROP * units[26]
    openness = 1 - (1 - part) ** 4  # lips that part a little show it
    halves = [_shape_half(body, aus.half(side), openness, drop, part) for side in (-1, 1)]
    return Mouth(halves[0], halves[1], openness, body.mouth + 1.5, drop)


def _shape_half(body: Anatomy, half: dict[int, float], openness: float, drop: float, part: float) -> HalfMouth:
    moves = channels(LIPS, half)
    closed = body.mouth - 0.55 * moves["upper_up"] + 0.55 * moves["lower_down"] + 0.5 * drop
    upper = body.mouth - moves["upper_up"] - 0.35 * LIPS_PART * part - 0.02 * drop
    lower = body.mouth + moves["lower_down"] + 0.65 * LIPS_PART * part + 0.95 * drop
    upper, lower = (closed + openness * (edge - closed) for edge in (upper, max(lower, upper)))
    square = min(moves["square"], 1.0)
    wide_open = min(openness * drop / 15, 1.0)
    return HalfMouth(
        width=0.5 * body.mouth_width + moves["corner_out"] - 0.12 * drop * (0.4 + 0.6 * openness),
        corner=body.mouth - 1.9 + moves["corner_down"] + 0.38 * drop,
        upper=upper,
        lower=lower,
        upper_red=body.upper_lip * max(1 - moves["upper_thin"], 0.12),
        lower_red=body.lower_lip * max(1 - moves["lower_thin"], 0.12),
        round_upper=0.95 - 0.35 * square - 0.2 * wide_open,
        round_lower=0.9 - 0.4 * square - 0.3 * wide_open,
        pinch=moves["pinch"],
        bead=0.7 * (1 - openness) * max(1 - moves["upper_thin"], 0.0),
    )


TOOTH_GAPS = (0.0, 8.5, 15.2, 22.6, 29.2)
"""Where upper teeth meet, mm along the arch from the middle: incisors of 8.5 and 6.7, a canine of 7.4 and a premolar
(Wheeler's Dental Anatomy)."""
TOOTH_HEIGHT = 10.0


def paint_mouth(paint: Paint, place: Array, view: Array, person: Identity, mouth: Mouth, detail: float) -> None:
    """Lips and what is between them.

    Args:
        paint: changed in place.
        place: where the pixels are in the head's frame, [n, 3] mm.
        view: direction to the viewer in the head's frame, [3].
        person, mouth: whose, and what it does.
        detail: size of a pixel, mm: edges are that soft.
    """
    x, y = place[:, 0], place[:, 1]
    low, high = -mouth.left.width - 10, mouth.right.width + 10
    near = np.flatnonzero(
        (x > low)
        & (x < high)
        & (np.abs(y - person.body.mouth - 0.4 * mouth.drop) < 34 + 0.5 * mouth.drop)
        & (place[:, 2] > 20)
    )
    x, y = x[near], y[near]
    top, upper, lower, bottom, q = mouth.edges(x)
    soft = max(detail, 0.9)
    within = inside(1.02 - q, 0.06)
    middle = 0.5 * (upper + lower)
    gap = np.clip((lower - upper) / (0.7 * soft), 0, 1)
    hole = inside(y - upper, soft) * inside(lower - y, soft) * within * gap
    upper_lip = inside(y - top, 1.3 * soft) * inside(middle - y, soft) * within
    lower_lip = inside(y - middle, soft) * inside(bottom - y, 1.6 * soft) * within

    lines = sample("strands", y * 0.9 + person.texture, x * 1.6)
    red = person.lip_colour * (1 + 0.02 * lines)[:, None]
    paint.cover(near, 0.84 * upper_lip, 0.95 * red)
    paint.cover(near, 0.88 * lower_lip, red)
    lips = np.clip(upper_lip + lower_lip, 0, 1)
    paint.gloss[near] = (1 - lips) * paint.gloss[near] + lips * (0.05 + 0.22 * lower_lip) * (1 + 1.2 * person.lipstick)
    # Each lip is a roll; the border of the upper one stands up a little.
    upper_roll = np.sqrt(np.clip(1 - (2 * (y - top) / np.maximum(upper - top, 0.5) - 1.2) ** 2 / 1.6, 0, 1))
    lower_roll = np.sqrt(np.clip(1 - (2 * (y - lower) / np.maximum(bottom - lower, 0.5) - 0.9) ** 2 / 1.4, 0, 1))
    paint.height[near] += 2.4 * upper_lip * upper_roll + 3.2 * lower_lip * lower_roll - 0.06 * lips * lines
    paint.height[near] += 0.5 * ridge(y - top + 0.6, 0.8) * within
    # Where the closed lips meet, the corners, and the shade under the lower lip.
    meet = ridge(y - middle, max(0.75, 0.55 * detail)) * within * (1 - gap)
    paint.dim(near, 0.62 * meet)
    paint.height[near] -= 0.9 * meet
    for half, side in ((mouth.left, -1), (mouth.right, 1)):
        paint.dim(
            near, (0.32 + 0.25 * half.pinch) * bump(x, y, side * (half.width + 0.5), half.corner, 1.9, 1.6 + half.pinch)
        )
    paint.dim(near, 0.22 * ridge(y - bottom - 2.8, 2.2) * inside(0.75 - q, 0.5))

    seen = np.flatnonzero(hole > 0.01)
    if len(seen):
        within_mouth = _mouth_inside(x[seen], y[seen], upper[seen], lower[seen], view, person, mouth, soft)
        hole = hole[seen]
        paint.cover(near[seen], hole, within_mouth)
        paint.gloss[near[seen]] *= 1 - 0.75 * hole
        paint.height[near[seen]] *= 1 - hole


def _mouth_inside(
    x: Array, y: Array, upper: Array, lower: Array, view: Array, person: Identity, mouth: Mouth, soft: float
) -> Array:
    """Colours [n, 3] of teeth, gums, tongue and dark behind the opening; each lies at its own depth."""
    slide_x, slide_y = view[0] / view[2], view[1] / view[2]
    colour = np.tile(linear((74, 26, 24)), (len(x), 1))
    open_by = lower - upper
    depth = np.clip(open_by / 30, 0, 1)
    colour *= (1 - 0.55 * depth)[:, None]
    tongue_x, tongue_y = x - 22 * slide_x, y - 22 * slide_y
    tongue = rise(
        1.15, 0.75, np.hypot(tongue_x / 21, (tongue_y - person.body.mouth - mouth.drop - 4) / (5 + 0.28 * mouth.drop))
    )
    colour = mix(colour, tongue * rise(4.0, 12.0, np.asarray(open_by)), linear((158, 78, 76)))
    white = linear(person.tooth_colour)
    gum = linear((176, 104, 100)) * (1 - 0.35 * person.melanin)
    lower_edge = person.body.mouth + 0.5 + mouth.drop
    rows = ((12.0, lower_edge, lower_edge + 8.0, 0.78, 6.0), (8.0, mouth.teeth - TOOTH_HEIGHT, mouth.teeth, 1.0, 8.5))
    for behind, top, bottom, light, first in rows:
        tx, ty = x - behind * slide_x, y - behind * slide_y
        across = np.abs(tx)
        curve = 0.0045 * tx**2
        top_edge, bottom_edge = (
            (top - curve, bottom - curve) if light == 1 else (top + 0.5 * curve, bottom + 0.5 * curve)
        )
        arch = inside(27 - across, 5.0)
        gums = inside(ty - top_edge + 7, soft) * inside(bottom_edge + (6 if light < 1 else 0) - ty, soft) * arch
        colour = mix(colour, gums, gum * light * (1 - 0.5 * rise(8.0, 28.0, across))[:, None])
        gaps = np.array(TOOTH_GAPS) * first / 8.5
        nearest = np.abs(across[:, None] - gaps).min(1)
        scallop = 1.3 * ridge(nearest, 1.6)
        enamel = (
            inside(ty - top_edge - scallop, soft)
            * inside(bottom_edge - (0.5 * scallop if light == 1 else 0) - ty, soft)
            * arch
        )
        shade = light * (1 - 0.5 * rise(12.0, 27.0, across)) * (1 - 0.30 * ridge(nearest, 0.45) * min(1.0, 1.3 / soft))
        colour = mix(colour, enamel, white * shade[:, None])
    # The lips throw their shadow on what is behind them.
    shadow = 0.5 * np.exp(-np.maximum(y - upper, 0) / 1.8) + 0.20 * np.exp(-np.maximum(lower - y, 0) / 2.0)
    return colour * (1 - shadow)[:, None]
