"""What a surface looks like before light falls on it, at each of the pixels where it is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Paint:
    """Arrays that painters change in place.

    Args:
        colour: linear RGB reflectance, [n, 3].
        height: mm above the mesh, [n]; its slope tilts the surface.
        gloss: strength of highlights, [n].
        shine: sharpness of highlights (the exponent), [n].
    """

    colour: Array
    height: Array
    gloss: Array
    shine: Array

    @classmethod
    def blank(cls, count: int) -> Paint:
        """Black, level, dull."""
        zeros = np.zeros(count, np.float32)
        return cls(np.zeros((count, 3), np.float32), zeros, zeros.copy(), np.full(count, 18, np.float32))

    def put(self, where: Indices, piece: Paint) -> None:
        """Replace what is at pixels `where` by another paint [k]."""
        self.colour[where], self.height[where] = piece.colour, piece.height
        self.gloss[where], self.shine[where] = piece.gloss, piece.shine

    def cover(self, where: Indices, amount: NDArray[np.floating], colour: NDArray[np.floating]) -> None:
        """Move the colour at pixels `where` towards `colour` ([3] or [k, 3]) by `amount` [k], 0 to 1."""
        old = self.colour[where]
        self.colour[where] = old + amount[:, None].astype(np.float32) * (np.asarray(colour, np.float32) - old)

    def dim(self, where: Indices, amount: NDArray[np.floating]) -> None:
        """Darken by a share [k], 0 to 1."""
        self.colour[where] *= (1 - np.clip(amount, 0, 1))[:, None].astype(np.float32)


def linear(srgb: NDArray[np.floating] | tuple[float, float, float]) -> Array:
    """sRGB, 0 to 255, as linear reflectance, 0 to 1 (gamma 2.2)."""
    return ((np.asarray(srgb, np.float64) / 255) ** 2.2).astype(np.float32)
