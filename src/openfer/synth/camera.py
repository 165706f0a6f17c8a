"""From the head's frame to pixels: rotation, perspective, place in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

PIVOT = np.array([0.0, 30.0, 0.0])
"""The head turns about a point between the ears, mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the head is turned, degrees.

    Args:
        yaw: positive turns the nose to the right of the picture.
        pitch: positive turns the nose down.
        roll: positive turns the head clockwise as seen in the picture.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def matrix(self, share: float = 1.0) -> Floats:
        """The rotation [3, 3] by a share of the angles; a column vector is turned from the left."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll]) * share
        (sy, cy), (sp, cp), (sr, cr) = ((np.sin(angle), np.cos(angle)) for angle in (yaw, pitch, roll))
        around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        around_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray(around_z @ around_x @ around_y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Where the head is in a square picture whose side is 1.

    Args:
        face: length of 100 mm at the face's depth, share of the side.
        x, y: where the middle between the pupils of an unturned head is, shares of the side.
        distance: from the pivot to the lens, mm; near lenses enlarge the nose.
    """

    face: float
    x: float = 0.5
    y: float = 0.5
    distance: float = 1200.0

    def project(self, turned: Floats, size: float) -> Floats:
        """Points already turned about the pivot [n, 3] as x, y in pixels and z in mm."""
        near = self.distance - 70.0  # the depth at which `face` holds
        scale = self.face * size / 100 * near / (self.distance - turned[:, 2])
        x = self.x * size + scale * turned[:, 0]
        y = self.y * size + scale * (turned[:, 1] + PIVOT[1])
        return np.stack([x, y, turned[:, 2]], 1)


def turn(points: Floats, pose: Pose, share: float | Floats = 1.0) -> Floats:
    """Points [n, 3] of the head's frame turned about the pivot, which becomes the origin.

    `share` (a number or [n]) says how far a point follows the head: the shoulders follow a little.
    """
    centred = points - PIVOT
    full: Floats = centred @ pose.matrix().T
    if np.ndim(share) == 0 and share == 1.0:
        return full
    follow = np.asarray(share)[..., None]
    # Blending the two turned positions keeps the neck closed (linear blend skinning).
    blended: Floats = follow * full + (1 - follow) * (centred @ pose.matrix(0.25).T)
    return blended
