"""The aligner against known geometry."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from openfer.errors import ConfigError, DataError
from openfer.records import Box, as_points5
from openfer.vision.align import TEMPLATES, Alignment, align, fit_similarity, frame
from openfer.vision.image import read_image

SIZE = 96


def dots(points: np.ndarray, height: int, width: int, sigma: float) -> np.ndarray:
    """A black picture with a soft white dot around each point [n, 2]."""
    y, x = np.mgrid[:height, :width] + 0.5
    distance = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    light = np.exp(-distance / (2 * sigma**2)).max(axis=-1)
    return np.repeat(np.round(255 * light).astype(np.uint8)[..., None], 3, axis=2)


def centre_near(picture: np.ndarray, point: np.ndarray, radius: float) -> np.ndarray:
    """Centre of mass of the light within `radius` of a point, (x, y)."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    light = picture[..., 0] * (np.hypot(x - point[0], y - point[1]) < radius)
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


def placed(template: str, side: float, angle: float, x: float, y: float) -> np.ndarray:
    """The template's five points in a frame of `side` px, turned by `angle` radians about its middle at (x, y)."""
    z = (TEMPLATES[template] - 0.5) @ (1, 1j) * side * cmath.exp(1j * angle)
    return np.stack([z.real + x, z.imag + y], axis=1)


@settings(max_examples=40, deadline=None)
@given(
    template=st.sampled_from(sorted(TEMPLATES)),
    side=st.floats(40, 420),
    angle=st.floats(-math.pi, math.pi),
    x=st.floats(160, 240),
    y=st.floats(130, 170),
)
def test_points_land_on_the_template_within_a_quarter_of_a_pixel(
    template: str, side: float, angle: float, x: float, y: float
) -> None:
    points = placed(template, side, angle, x, y)
    reach = 9.0 * side / SIZE  # a dot that the picture's border cuts has its centre of mass elsewhere
    inside = ((points > reach) & (points < np.array((400, 300)) - reach)).all(axis=1)
    assume(inside.any())
    picture = dots(points, 300, 400, sigma=2.5 * side / SIZE)
    result = align(picture, as_points5(points), template, SIZE)
    assert result.shape == (SIZE, SIZE, 3)
    assert result.dtype == np.uint8
    for wanted in (TEMPLATES[template] * SIZE)[inside]:
        assert np.abs(centre_near(result, wanted, 8.0) - wanted).max() < 0.25


@given(
    st.complex_numbers(min_magnitude=0.1, max_magnitude=100),
    st.complex_numbers(max_magnitude=1000),
    st.sampled_from(sorted(TEMPLATES)),
)
def test_fit_finds_the_similarity_that_was_used(a: complex, b: complex, template: str) -> None:
    source = TEMPLATES[template]
    z = a * (source @ (1, 1j)) + b
    found = fit_similarity(source, np.stack([z.real, z.imag], axis=1))
    np.testing.assert_allclose(found, (a, b), atol=1e-8)


def test_fit_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(0)
    source, target = TEMPLATES["fer2013"], rng.normal(size=(5, 2)) * 30 + 100
    a, b = fit_similarity(source, target)
    x, y = source.T
    ones, zeros = np.ones(5), np.zeros(5)
    system = np.block([[np.stack([x, -y, ones, zeros], 1)], [np.stack([y, x, zeros, ones], 1)]])
    wanted = np.linalg.lstsq(system, target.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose([a.real, a.imag, b.real, b.imag], wanted)


def test_flipping_picture_and_points_flips_the_result(astronaut) -> None:
    picture = read_image(astronaut)
    points = np.array([(203.2, 101.7), (247.0, 104.5), (223.3, 125.1), (203.4, 142.3), (241.3, 144.4)])
    mirrored = np.stack([picture.shape[1] - points[:, 0], points[:, 1]], axis=1)[[1, 0, 2, 4, 3]]
    one = align(picture, as_points5(points), "fer2013", SIZE)
    other = align(np.ascontiguousarray(picture[:, ::-1]), as_points5(mirrored), "fer2013", SIZE)
    # The template is symmetric about x = 47.5 of 96, so column i becomes column 94 - i.
    difference = np.abs(one[:, :95].astype(int) - other[:, 94::-1].astype(int))
    assert difference.mean() < 0.2
    assert np.abs(one[:, :95].astype(int) - other[:, :95].astype(int)).mean() > 5


@pytest.mark.parametrize("side", [170, 180, 192, 250, 400, 960])
def test_a_fine_checkerboard_shrinks_to_flat_grey(side: int) -> None:
    y, x = np.mgrid[:1000, :1000]
    picture = np.repeat((255 * ((x + y) % 2)).astype(np.uint8)[..., None], 3, axis=2)
    result = frame(picture, Box(x=10, y=10, w=side, h=side), 0.0, SIZE).astype(int)
    assert np.abs(result - 127.5).max() < 8


def test_shrinking_keeps_brightness(astronaut) -> None:
    picture = read_image(astronaut)
    result = frame(picture, Box(x=0, y=0, w=512, h=512), 0.0, 64)
    np.testing.assert_allclose(result.mean(axis=(0, 1)), picture.mean(axis=(0, 1)), atol=1.0)


def test_a_face_at_the_border_repeats_the_border() -> None:
    picture = np.zeros((60, 80, 3), dtype=np.uint8)
    picture[:, 0] = (200, 30, 60)
    result = frame(picture, Box(x=-40, y=10, w=48, h=40), 0.0, 48)
    assert (result[:, :41] == (200, 30, 60)).all()
    assert (result[:, 41:] == 0).all()
    points = placed("fer2013", 60, 0.0, -5, 30)
    assert (align(picture, as_points5(points), "fer2013", 48)[:, :20] == (200, 30, 60)).all()


def test_a_frame_of_its_own_size_is_the_pixels_themselves() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    np.testing.assert_array_equal(frame(picture, Box(x=10, y=20, w=48, h=48), 0.0, 48), picture[20:68, 10:58])
    # Margin and the longer side both widen the square around the same centre.
    np.testing.assert_array_equal(frame(picture, Box(x=22, y=30, w=24, h=16), 0.5, 48), picture[14:62, 10:58])


def test_detail_limits_sharpness_of_large_faces_only() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    large, small = Box(x=4, y=4, w=192, h=192), Box(x=50, y=50, w=58, h=58)
    limited = frame(picture, large, 0.0, SIZE, detail=48)
    coarse = Image.fromarray(frame(picture, large, 0.0, 48)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(limited, np.asarray(coarse))
    assert (limited != frame(picture, large, 0.0, SIZE)).any()
    # 58 px are under 1.25 x 48: enlarging them adds no sharpness that would have to go.
    np.testing.assert_array_equal(frame(picture, small, 0.0, SIZE, detail=48), frame(picture, small, 0.0, SIZE))


@pytest.mark.parametrize(
    "points", [np.ones((5, 2)), np.full((5, 2), np.nan), placed("fer2013", 50, 0, 10, 10) * (np.inf, 1)]
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_points_that_coincide_or_are_not_finite_are_refused(points: np.ndarray) -> None:
    with pytest.raises(DataError, match="coincide or are not finite"):
        align(np.zeros((20, 20, 3), np.uint8), as_points5(points), "fer2013", 48)


def test_points_far_larger_than_the_picture_are_refused_before_memory_is_asked_for() -> None:
    with pytest.raises(DataError, match="far larger than its picture"):
        align(np.zeros((20, 20, 3), np.uint8), as_points5(placed("fer2013", 1e7, 0, 10, 10)), "fer2013", 48)


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(DataError, match="above 0"):
        frame(np.zeros((20, 20, 3), np.uint8), Box(x=0, y=0, w=0, h=0), 0.1, 48)


@pytest.mark.parametrize("wrong", [{"template": "fer213"}, {"size": 4}, {"colour": "gray"}])
def test_settings_that_do_not_exist_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        Alignment(**wrong)  # type: ignore[arg-type]
