"""The rasteriser against a loop over triangles and pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.synth.raster import grid_triangles, rasterize

SIZE = 12


def slow(points: np.ndarray, triangles: np.ndarray, both_sides: bool) -> dict[int, float]:
    """Depth of the nearest triangle at each covered pixel."""
    nearest: dict[int, float] = {}
    for triangle in triangles:
        a, b, c = points[triangle]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area <= 1e-9 and not (both_sides and area < -1e-9):
            continue
        for row in range(SIZE):
            for column in range(SIZE):
                weights = np.linalg.solve(np.array([[*p[:2], 1] for p in (a, b, c)]).T, [column + 0.5, row + 0.5, 1])
                if (weights >= -1e-12).all():
                    depth = float(weights @ [a[2], b[2], c[2]])
                    pixel = row * SIZE + column
                    nearest[pixel] = max(depth, nearest.get(pixel, -np.inf))
    return nearest


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_it_finds_what_a_loop_finds(seed: int, both_sides: bool) -> None:
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(-4, SIZE + 4, (9, 2)), rng.uniform(-5, 5, 9)])
    triangles = rng.permuted(np.tile(np.arange(9), (4, 1)), axis=1)[:, :3]
    hits = rasterize(points, triangles, SIZE, both_sides=both_sides)
    expected = slow(points, triangles, both_sides)
    assert dict(zip(hits.pixel.tolist(), hits.depth.tolist(), strict=True)) == pytest.approx(expected)
    assert np.allclose(hits.weights.sum(1), 1)


def test_a_grid_covers_each_pixel_once_and_interpolates_its_vertices() -> None:
    x, y = np.meshgrid(np.linspace(-1, 13, 5), np.linspace(-1, 13, 4))
    points = np.column_stack([x.ravel(), y.ravel(), np.zeros(20)])
    hits = rasterize(points, grid_triangles(4, 5), SIZE)
    assert hits.pixel.tolist() == list(range(SIZE * SIZE))
    places = hits.interpolate(points[:, :2])
    assert np.allclose(places, np.column_stack([hits.pixel % SIZE + 0.5, hits.pixel // SIZE + 0.5]))


def test_a_grid_seen_from_behind_shows_only_from_inside() -> None:
    x, y = np.meshgrid([13.0, -1.0], [-1.0, 13.0])
    points = np.column_stack([x.ravel(), y.ravel(), np.zeros(4)])
    assert len(rasterize(points, grid_triangles(2, 2), SIZE).pixel) == 0
    assert len(rasterize(points, grid_triangles(2, 2), SIZE, from_inside=True).pixel) == SIZE * SIZE
