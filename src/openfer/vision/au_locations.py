"""Where on a face its action units show: two places for each of 17 units, from the 68 landmarks.

Source: Pu et al., "AU-Expression Knowledge Constrained Representation Learning", ICRA 2021, arXiv 2012.14587.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26)
"""The action units, in the order of their places; `labels.AU_NAMES` has their names."""

MAP_SIDE = 56
"""Side of the feature map that the paper cuts its windows from, cells."""

_BROWS, _LIDS, _CORNERS, _CHIN = [(21, 22), (19, 24)], [(37, 38), (43, 44)], [(48, 48), (54, 54)], [(51, 51), (57, 57)]
PLACES: NDArray[np.int64] = np.array(
    [
        *[(21, 21), (22, 22)],  # AU1
        *[(18, 18), (25, 25)],  # AU2
        *_BROWS,  # AU4
        *_LIDS,  # AU5
        *[(41, 41), (46, 46)],  # AU6
        *[(38, 38), (43, 43)],  # AU7
        *[(31, 31), (35, 35)],  # AU9
        *[(50, 50), (52, 52)],  # AU10
        *_CORNERS,  # AU12
        *_CORNERS,  # AU15
        *[(58, 58), (56, 56)],  # AU16
        *_CHIN,  # AU17
        *_CORNERS,  # AU20
        *[(60, 60), (62, 62)],  # AU23
        *[(61, 61), (64, 64)],  # AU24
        *[(62, 62), (66, 66)],  # AU25
        *_CHIN,  # AU26
    ]
)
"""[34, 2]: each place is the mean of two landmarks (iBUG order, from 0), or one landmark named twice. Places 2i and
2i + 1 are those of `AUS[i]`. AU23 and AU24 are not the same left and right; they are so in the paper's code."""


def au_locations(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """The 34 places of 17 action units.

    Args:
        landmarks: [..., 68, 2] (x, y), iBUG order, in any unit.

    Returns:
        [..., 34, 2] in the same unit; places 2i and 2i + 1 are those of `AUS[i]`.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    return np.asarray(points[..., PLACES, :].mean(axis=-2))


def window_side(map_side: int = MAP_SIDE) -> int:
    """Side of the window around each place, cells of a square feature map: 24 of 56, in proportion."""
    return map_side * 24 // 56


def window_centres(locations: NDArray[np.floating], map_side: int = MAP_SIDE) -> NDArray[np.int64]:
    """Whole cells as centres of windows that lie inside a feature map.

    Args:
        locations: [..., 34, 2], cells of the map: shares of the face's side times `map_side`.
        map_side: side of the map, cells.

    Returns:
        [..., 34, 2]; halves are rounded to even cells, and centres nearer to the border than half a window are moved
        inwards. A window spans centre - side // 2 to centre + side // 2, the end not included.
    """
    half = window_side(map_side) // 2
    return np.clip(np.round(locations), half, map_side - half).astype(np.int64)
