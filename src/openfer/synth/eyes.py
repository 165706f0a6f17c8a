"""The edges of the eyelids as curves, from the resting measures and the action units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openfer.synth.action_units import LIDS, ActionUnits, channels
from openfer.synth.anatomy import EYEBALL_RADIUS, IRIS_RADIUS, Anatomy
from openfer.synth.fields import bump, inside, mix, ridge, rise
from openfer.synth.noise import sample
from openfer.synth.paint import Paint, linear

if TYPE_CHECKING:
    from openfer.synth.identity import Identity

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Eye:
    """One eye opening. `side` is -1 for the left one in the picture; `out` runs from the inner to the outer corner."""

    side: int
    x: float  # of its middle, mm from the middle of the face
    width: float
    tilt: float  # slope of the line through the corners: positive where the outer corner is higher
    upper: float  # height of the open eye above that line, mm
    lower: float  # below it
    upper_slant: float
    lower_slant: float
    fold: float  # mm by which the eye cover fold has come down
    closed: float  # 0 to 1

    def local(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Places in the eye's own frame: -1 at the inner corner to 1 at the outer one, and mm below their line."""
        along = (self.side * x - self.x) / (0.5 * self.width)
        return along, y + self.tilt * along - 0.8

    def lids(self, along: Array) -> tuple[Array, Array]:
        """The upper and the lower lid's edge at places `along`, in mm below the line through the corners."""
        t = np.clip(along, -1, 1)
        arch = 1 - t * t
        upper = -(self.upper - self.upper_slant * t) * arch**0.72 * (1 - 0.06 * t)
        lower = (self.lower - self.lower_slant * t) * arch**0.85 * (1 + 0.18 * t)
        upper = np.minimum(upper, lower)
        return upper + self.closed * (lower - upper), lower

    def points(self, along: Array) -> tuple[Array, Array]:
        """The upper and lower lid's edge as points (x, y) in the head's frame, [n, 2] each."""
        x = self.side * (self.x + 0.5 * self.width * along)
        upper, lower = (edge - self.tilt * along + 0.8 for edge in self.lids(along))
        return np.stack([x, upper], -1), np.stack([x, lower], -1)


def shape_eye(body: Anatomy, aus: ActionUnits, side: int, tilt: float) -> Eye:
    """The left (-1) or right (1) eye of a face that does something.

    At rest the upper lid covers the iris's upper 1 to 2 mm and the lower lid touches its lower edge.
    """
    moves = channels(LIDS, aus.half(side))
    upper = max(0.60 * body.eye_height + moves["upper_up"], 0.5)
    lower = max(0.44 * body.eye_height - moves["lower_up"], 0.2)
    return Eye(
        side=side,
        x=body.pupil_x,
        width=body.eye_width,
        tilt=tilt,
        upper=upper,
        lower=lower,
        upper_slant=moves["upper_slant"],
        lower_slant=moves["lower_slant"],
        fold=moves["fold"],
        closed=min(moves["close"], 1.0),
    )


def paint_eye(
    paint: Paint, place: Array, view: Array, person: Identity, eye: Eye, gaze: tuple[float, float], detail: float
) -> None:
    """One eye with its lids, lashes and crease.

    Args:
        paint: changed in place.
        place: where the pixels are in the head's frame, [n, 3] mm.
        view: direction to the viewer in the head's frame, [3].
        person, eye: whose, and what it does.
        gaze: where the eye looks, degrees to the right and down from straight ahead.
        detail: size of a pixel, mm: edges are that soft.
    """
    x, y = place[:, 0], place[:, 1]
    near = np.flatnonzero((np.abs(eye.side * x - eye.x) < 0.5 * eye.width + 9) & (np.abs(y) < 21) & (place[:, 2] > 20))
    x, y = x[near], y[near]
    along, down = eye.local(x, y)
    upper, lower = eye.lids(along)
    soft = max(0.8, detail)
    ends = inside((1 - np.abs(along)) * 0.5 * eye.width, 1.4 * soft)
    opening = np.clip((lower - upper) / (0.8 * soft), 0, 1)
    hole = inside(down - upper, soft) * inside(lower - down, soft) * ends * opening

    _paint_lids(paint, near, along, down, upper, lower, ends, person, eye, detail)
    seen = np.flatnonzero(hole > 0.01)
    if len(seen):
        ball = _eyeball(x[seen], y[seen], down[seen] - upper[seen], along[seen], view, person, eye, gaze, soft)
        paint.cover(near[seen], hole[seen], ball)
        paint.gloss[near[seen]] = (1 - hole[seen]) * paint.gloss[near[seen]] + 0.12 * hole[seen]
        paint.shine[near[seen]] = 40
        paint.height[near[seen]] -= 1.2 * hole[seen]
    # Lashes over lid and eye alike; thicker outward.
    rim = ridge(down - upper + 0.3, max(0.8, 0.5 * detail)) * inside((1.08 - np.abs(along)) * 0.5 * eye.width, 2.5)
    paint.cover(near, np.clip(person.lashes * (0.62 + 0.25 * along) * rim, 0, 0.95), linear((28, 20, 17)))
    if eye.closed > 0.5:
        hang = ridge(down - upper - 1.3, 1.0) * ends * eye.closed
        paint.dim(near, 0.4 * person.lashes * hang)


def _paint_lids(
    paint: Paint,
    near: NDArray[np.int64],
    along: Array,
    down: Array,
    upper: Array,
    lower: Array,
    ends: Array,
    person: Identity,
    eye: Eye,
    detail: float,
) -> None:
    # The crease stays near the orbit's edge; what lies between it and the lid's edge is the lid.
    rest = -0.56 * person.body.eye_height * (1 - np.clip(along, -1, 1) ** 2) ** 0.8
    crease = np.minimum(0.35 * upper + 0.65 * rest - person.lid_show * (1 - 0.35 * along**2) + eye.fold, upper - 0.7)
    line = ridge(down - crease, max(1.0, 0.5 * detail)) * inside((1.1 - np.abs(along)) * 0.5 * eye.width, 5.0)
    paint.dim(near, 0.38 * line * (1 - 0.6 * person.fold))
    paint.height[near] -= 0.8 * line * (1 - 0.6 * person.fold)
    lid = inside(down - crease, 1.5) * inside(upper - down, 1.0) * ends
    paint.dim(near, 0.10 * lid + 0.35 * person.eye_shadow * lid)
    paint.height[near] += 1.3 * lid
    paint.gloss[near] += 0.05 * lid
    # The lower lid has a pale wet edge and a faint shade below it.
    edge = ridge(down - lower - 0.5, max(0.7, 0.5 * detail)) * ends
    paint.dim(near, 0.20 * edge + 0.10 * ridge(down - lower - 2.0, 1.6) * ends)
    paint.height[near] += 0.7 * ridge(down - lower - 1.8, 1.5) * ends
    paint.dim(near, 0.30 * bump(along * 0.5 * eye.width, down, -0.5 * eye.width - 0.5, 0.4, 1.6, 1.3))


def _eyeball(
    x: Array,
    y: Array,
    below_lid: Array,
    along: Array,
    view: Array,
    person: Identity,
    eye: Eye,
    gaze: tuple[float, float],
    soft: float,
) -> Array:
    """Colours [n, 3] of the eye between the lids: the ray to the viewer is followed back onto the ball."""
    radius = EYEBALL_RADIUS
    # The skin's surface is about 1 mm in front of the ball's foremost point.
    ox, oy = x - eye.side * eye.x, y
    front = radius + 1.0 - 0.012 * (ox**2 + oy**2)
    towards = ox * view[0] + oy * view[1] + front * view[2]
    reach = towards - np.sqrt(np.maximum(towards**2 - (ox**2 + oy**2 + front**2 - radius**2), 0))
    bx, by, bz = ox - reach * view[0], oy - reach * view[1], front - reach * view[2]
    yaw, pitch = np.radians(gaze)
    look = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    cosine = np.clip((bx * look[0] + by * look[1] + bz * look[2]) / radius, -1, 1)
    away = radius * np.sqrt(np.maximum(2 - 2 * cosine, 0))
    white = linear((226, 216, 210)) * np.array([1.0, 1 - 0.05 * person.tired, 1 - 0.07 * person.tired])
    colour: Array = np.tile(white, (len(x), 1)) * (1 - 0.30 * np.abs(along) ** 2.5)[:, None]
    colour = mix(colour, 0.55 * inside(-0.80 - along, 0.2), linear((196, 130, 122)))  # the caruncle
    angle = np.arctan2(by - radius * look[1], bx - radius * look[0])
    fibres = sample("strands", away * 1.5 + person.texture, angle * 9)
    iris = person.iris_colour * (0.80 + 0.45 * rise(2.0, 5.0, away) + 0.10 * fibres)[:, None]
    colour = mix(colour, inside(IRIS_RADIUS - away, soft), 0.35 * person.iris_colour)
    colour = mix(colour, inside(IRIS_RADIUS - 0.7 - away, 1.2 * soft), iris)
    colour = mix(colour, inside(person.pupil - away, soft), np.full(3, 0.006))
    colour = colour * (1 - 0.55 * np.exp(-np.maximum(below_lid, 0) / 1.7))[:, None]
    # Catch light, above the pupil on the side of the light.
    spark = bump(bx - radius * look[0], by - radius * look[1], 1.9, -2.0, 0.75 + 0.2 * soft, 0.75 + 0.2 * soft)
    return mix(colour, np.clip(1.1 * spark, 0, 0.95), np.full(3, 0.95))
