"""Triangles become pixels: a z-buffer in NumPy.

Everything that decides which triangle a pixel shows is computed in float64, so that rounding, which differs between
machines, does not change the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hits:
    """The pixels that a mesh covers, [n] each.

    Args:
        pixel: number of the pixel, row * width + column; unique.
        corners: the triangle's three vertices, [n, 3].
        weights: the three vertices' shares, [n, 3], sum 1.
        depth: z of the nearest surface; larger is nearer.
    """

    pixel: Indices
    corners: Indices
    weights: Floats
    depth: Floats

    def at(self, chosen: Indices) -> Hits:
        """Some of the pixels."""
        return Hits(self.pixel[chosen], self.corners[chosen], self.weights[chosen], self.depth[chosen])

    def interpolate(self, attributes: NDArray[np.floating]) -> NDArray[np.floating]:
        """Attributes of the vertices [v, k] at the pixels, [n, k]."""
        a, b, c = self.corners.T
        wa, wb, wc = self.weights.T.astype(attributes.dtype)[:, :, None]
        result: NDArray[np.floating] = wa * attributes.take(a, 0)
        result += wb * attributes.take(b, 0)
        result += wc * attributes.take(c, 0)
        return result


@lru_cache(maxsize=32)
def grid_triangles(rows: int, columns: int) -> Indices:
    """The triangles of a grid of vertices in row-major order, [2 (rows - 1) (columns - 1), 3].

    Their corners run clockwise on the screen where rows go down and columns to the right.
    """
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    right, below, across = corner + 1, corner + columns, corner + columns + 1
    return np.concatenate([np.stack([corner, right, across], 1), np.stack([corner, across, below], 1)])


def rasterize(
    points: Floats, triangles: Indices, size: int, *, both_sides: bool = False, from_inside: bool = False
) -> Hits:
    """What a mesh shows at the pixels of a square picture.

    Args:
        points: [v, 3], x and y in pixels (the first pixel's centre at 0.5), z larger = nearer.
        triangles: [t, 3] vertex numbers, clockwise on the screen when seen from outside.
        size: side of the picture, pixels.
        both_sides: draw triangles that turn their back to the viewer too.
        from_inside: draw those alone.
    """
    if from_inside:
        triangles = triangles[:, ::-1]
    corners = np.ascontiguousarray(triangles.T)
    x, y = points[:, 0][corners], points[:, 1][corners]  # [3, t]
    area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    seen = np.flatnonzero(np.abs(area) > 1e-9 if both_sides else area > 1e-9)
    # Whole pixels whose centres lie in the triangle's upright box.
    left, right = _span(x.take(seen, 1), size)
    top, bottom = _span(y.take(seen, 1), size)
    some = np.flatnonzero((right >= left) & (bottom >= top))
    keep, left, top = seen[some], left[some], top[some]
    columns, rows = right[some] - left + 1, bottom[some] - top + 1
    counts = columns * rows
    owner = np.repeat(np.arange(len(keep)), counts)
    within = np.arange(len(owner), dtype=np.int32) - (np.cumsum(counts) - counts).astype(np.int32)[owner]
    wide = columns[owner]
    down = within // wide
    column, row = left[owner] + within - down * wide, top[owner] + down

    x, y, area = x.take(keep, 1), y.take(keep, 1), area[keep]
    # Barycentric weights are linear in the pixel's position: w = a px + b py, from the third corner.
    px, py = column + 0.5 - x[2][owner], row + 0.5 - y[2][owner]
    first = ((y[1] - y[2]) / area)[owner] * px + ((x[2] - x[1]) / area)[owner] * py
    second = ((y[2] - y[0]) / area)[owner] * px + ((x[0] - x[2]) / area)[owner] * py
    third = 1 - first - second
    inside = np.flatnonzero((first >= 0) & (second >= 0) & (third >= 0))
    owner = owner[inside]
    shares = np.stack([first[inside], second[inside], third[inside]])
    pixel = row[inside] * size + column[inside]
    z = points[:, 2][corners.take(keep, 1)]
    depth = shares[0] * z[0][owner] + shares[1] * z[1][owner] + shares[2] * z[2][owner]

    nearest = np.full(size * size, -np.inf)
    np.maximum.at(nearest, pixel, depth)
    front = np.flatnonzero(depth >= nearest[pixel])
    # Where two triangles share an edge through a pixel's centre, the later one is taken.
    winner = np.full(size * size, -1)
    winner[pixel[front]] = front
    front = winner[winner >= 0]
    return Hits(pixel[front], triangles[keep][owner[front]], shares.T[front], depth[front])


def _span(values: Floats, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last pixel whose centre lies between the smallest and largest of three values, inside the picture."""
    low = np.minimum(np.minimum(values[0], values[1]), values[2])
    high = np.maximum(np.maximum(values[0], values[1]), values[2])
    first = np.maximum(np.ceil(low - 0.5), 0).astype(np.int32)
    last = np.minimum(np.floor(high - 0.5), size - 1).astype(np.int32)
    return first, last
