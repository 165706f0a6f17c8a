"""Upright rectangles in whole pixels, one by one and many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom; pixels, right and bottom are the first outside."""
Rects = NDArray[np.int64]
"""[N, 4], as `Rect`."""


def touching(one: Rects, other: Rects) -> NDArray[np.bool_]:
    """Which rectangles share a pixel: [N, 4], [M, 4] -> [N, M]; one without area shares none."""
    other = other[(other[:, :2] < other[:, 2:]).all(axis=1)].T[:, None, :]
    left, top, right, bottom = one.T[:, :, None]
    both: NDArray[np.bool_] = (left < other[2]) & (right > other[0]) & (top < other[3]) & (bottom > other[1])
    both &= left < right
    return both


def shared_area(one: Rects, other: Rects) -> NDArray[np.int64]:
    """Square pixels that rectangles share: [N, 4], [M, 4] -> [N, M]."""
    width = np.minimum(one[:, None, 2], other[None, :, 2]) - np.maximum(one[:, None, 0], other[None, :, 0])
    height = np.minimum(one[:, None, 3], other[None, :, 3]) - np.maximum(one[:, None, 1], other[None, :, 1])
    area: NDArray[np.int64] = np.maximum(width, 0) * np.maximum(height, 0)
    return area


def grown(rects: Rects, margin: int) -> Rects:
    """Rectangles that have an area, wider by `margin` pixels on all sides; others as they are."""
    has_area = (rects[:, :2] < rects[:, 2:]).all(axis=1, keepdims=True)
    larger: Rects = rects + has_area * np.array([-1, -1, 1, 1]) * margin
    return larger


def distance(one: Rects, other: Rects) -> NDArray[np.float64]:
    """Pixels from rectangle to rectangle, 0 where they touch: [N, 4], [M, 4] -> [N, M]."""
    x = np.maximum(one[:, None, 0] - other[None, :, 2], other[None, :, 0] - one[:, None, 2])
    y = np.maximum(one[:, None, 1] - other[None, :, 3], other[None, :, 1] - one[:, None, 3])
    apart: NDArray[np.float64] = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return apart


def halo(frames: Rects) -> Rects:
    """Frames grown by what belongs to a face and its box leaves out: hair above, ears and chin."""
    width, height = frames[:, 2] - frames[:, 0], frames[:, 3] - frames[:, 1]
    return np.stack(
        [
            frames[:, 0] - width // 5,
            frames[:, 1] - 2 * height // 5,
            frames[:, 2] + width // 5,
            frames[:, 3] + height // 8,
        ],
        axis=1,
    )
