"""Where the 68 points of a face are: on the same surfaces and curves that the picture is drawn from.

The order is that of the iBUG 300-W annotation (Sagonas et al., ICCV Workshops 2013): jaw 0 to 16, brows 17 to 26,
nose 27 to 35, eyes 36 to 47, lips 48 to 67, each from left to right in the picture or clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openfer.records import Points5, as_points5
from openfer.synth.action_units import ActionUnits, displacement
from openfer.synth.eyes import Eye
from openfer.synth.head import Head
from openfer.synth.identity import Identity
from openfer.synth.mouth import Mouth
from openfer.synth.skin import brow_line

Floats = NDArray[np.floating]

LIP_SURFACE = 2.0
"""The red of the lips stands this far above the skin's mesh, mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is known of one picture.

    Args:
        landmarks: [68, 2] pixels, iBUG order; hidden points are given where they would be.
        yaw, pitch, roll: degrees, see `Pose`.
        box: x, y, width, height in pixels of the forehead's hairline to the chin, ear to ear; not clipped.
    """

    landmarks: Floats
    yaw: float
    pitch: float
    roll: float
    box: tuple[float, float, float, float]

    @property
    def points5(self) -> Points5:
        """Left eye, right eye, nose tip, left and right mouth corner as seen in the picture, pixels."""
        points = self.landmarks
        return as_points5([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def landmarks_3d(person: Identity, aus: ActionUnits, eyes: tuple[Eye, Eye], mouth: Mouth) -> Floats:
    """The 68 points in the head's frame, [68, 3] mm."""
    skin = resting_points(person)
    moved = skin + displacement(skin[:, 0], skin[:, 1], aus, person.body)
    edges = np.concatenate([_lids(eyes), _lips(mouth)])
    depth = _depth_at(person.head, aus, edges)
    depth[12:] += LIP_SURFACE
    return np.concatenate([moved, np.column_stack([edges, depth])])


@lru_cache(maxsize=4)
def resting_points(person: Identity) -> Floats:
    """Jaw, brows and nose at rest, [36, 3] mm."""
    return np.concatenate([_jaw(person.head), _brows(person), _nose(person)])


def outline_3d(person: Identity, aus: ActionUnits) -> Floats:
    """Points around the face (hairline, temples, chin) that its box encloses, [n, 3] mm."""
    body = person.body
    angle = np.radians(np.array([-80.0, -40, 0, 40, 80]))
    x, z = person.head.surface(angle, np.full(5, body.hairline + 6))
    top = np.stack([x, np.full(5, body.hairline + 6), z], 1)
    jaw = resting_points(person)[:17]
    return np.concatenate([top, jaw + displacement(jaw[:, 0], jaw[:, 1], aus, body)])


def _jaw(head: Head) -> Floats:
    """From the ear down the jaw's edge to the chin and up the other side."""
    share = np.linspace(0, 1, 9)
    heights = head.body.chin * (1 - (1 - share) ** 1.35) * 0.985
    angle = np.radians(84 * (1 - share) ** 0.75)
    x, z = head.surface(angle, heights)
    z = z + head.relief(x, heights) * np.clip(np.cos(angle), 0, 1)
    half = np.stack([x, heights, z], 1)
    return np.concatenate([half * np.array([-1, 1, 1]), half[-2::-1]])


def _brows(person: Identity) -> Floats:
    share = np.linspace(0.04, 0.96, 5)
    x, y = brow_line(person, share)
    y = y - 0.35 * person.brow_thickness
    half = np.stack([x, y, person.head.depth(x, y)], 1)
    return np.concatenate([half[::-1] * np.array([-1, 1, 1]), half])


def _nose(person: Identity) -> Floats:
    body = person.body
    bridge = np.linspace(-1.0, body.nose_tip, 4)
    y = np.concatenate([bridge, np.full(5, body.nose_base)]) - np.array([0, 0, 0, 0, 2.0, 0.8, 0, 0.8, 2.0])
    half = 0.5 * body.nose_width
    x = np.concatenate([np.zeros(4), half * np.array([-0.8, -0.42, 0, 0.42, 0.8])])
    return np.stack([x, y, person.head.depth(x, y)], 1)


def _lids(eyes: tuple[Eye, Eye]) -> Floats:
    points = []
    for eye in eyes:
        along = np.array([-1.0, -0.36, 0.36, 1.0])
        upper, lower = eye.points(along)
        # Clockwise from the corner that is left in the picture.
        row = [upper[0], upper[1], upper[2], upper[3], lower[2], lower[1]]
        if eye.side < 0:
            row = [upper[3], upper[2], upper[1], upper[0], lower[1], lower[2]]
        points += row
    return np.array(points)


def _lips(mouth: Mouth) -> Floats:
    (left, left_y), (right, right_y) = mouth.corners()

    def at(shares: tuple[float, ...], edge: int) -> list[tuple[float, float]]:
        x = np.array([share * (right if share > 0 else -left) for share in shares])
        return list(zip(x.tolist(), mouth.edges(x)[edge].tolist(), strict=True))

    outer, inner = (-0.62, -0.22, 0.0, 0.22, 0.62), (-0.36, 0.0, 0.36)
    return np.array(
        [
            (left, left_y),
            *at(outer, 0),
            (right, right_y),
            *at(outer[::-1], 3),
            *at((-0.9,), 1),
            *at(inner, 1),
            *at((0.9,), 1),
            *at(inner[::-1], 2),
        ]
    )


def _depth_at(head: Head, aus: ActionUnits, places: Floats) -> Floats:
    """z of the moved skin at places [n, 2]: the resting place that has moved there is found by iteration."""
    rest = places.copy()
    for _ in range(4):
        moved = displacement(rest[:, 0], rest[:, 1], aus, head.body)
        rest = places - moved[:, :2]
    return head.depth(rest[:, 0], rest[:, 1]) + moved[:, 2]
