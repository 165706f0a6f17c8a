"""Small smooth functions that every part of the face is built from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def bump(x: Array, y: Array, centre_x: float, centre_y: float, width: float, height: float) -> Array:
    """A Gaussian hill of height 1; `width` and `height` are its standard deviations."""
    result: Array = np.exp(-0.5 * (((x - centre_x) / width) ** 2 + ((y - centre_y) / height) ** 2))
    return result


def ridge(distance: Array, width: float) -> Array:
    """A Gaussian over a signed distance; 1 at distance 0."""
    result: Array = np.exp(-0.5 * (distance / width) ** 2)
    return result


def rise(low: float, high: float, x: Array) -> Array:
    """From 0 at `low` to 1 at `high`, with level ends; falls where `high` is below `low`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    result: Array = t * t * (3 - 2 * t)
    return result


def inside(distance: Array, softness: float) -> Array:
    """From 0 to 1 where a signed distance (positive inside) crosses 0, over the width `softness`."""
    result: Array = np.clip(distance / softness + 0.5, 0, 1)
    return result


def mix(colours: Array, amount: Array, colour: Array) -> Array:
    """Colours [n, 3] moved towards `colour` ([3] or [n, 3]) by `amount` [n]."""
    result: Array = colours + amount[:, None] * (colour - colours)
    return result
