"""The 68 points: where they are looked for, how they come back, and what the package's network sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.records import Box, Face
from openfer.synth.sets import draw_picture
from openfer.vision.align import TEMPLATES
from openfer.vision.detect import load_detector
from openfer.vision.image import Picture, read_image
from openfer.vision.landmarks import (
    DETAIL,
    ENLARGE,
    GROUPS,
    MIRROR,
    MODEL,
    OUTPUTS,
    SIZE,
    Landmarker,
    Landmarks,
    Square,
    cut_crop,
    outer_eye_distance,
    square_of_box,
    square_of_face,
    square_of_frame,
    square_of_points,
)

LIMIT = 2_000_000
"""Bytes of the graph that comes with the package."""


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker.load()


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> tuple[Picture, Face]:
    picture = read_image(astronaut)
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    return picture, detector.find(picture)[0]


def apart(found: Landmarks, truth: np.ndarray) -> float:
    """Mean distance in outer eye distances."""
    return float(np.linalg.norm(found.points - truth, axis=1).mean() / outer_eye_distance(truth))


def test_groups_cover_the_points_and_mirroring_twice_changes_nothing() -> None:
    assert [index for part in GROUPS.values() for index in range(68)[part]] == list(range(68))
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))
    for part in GROUPS.values():
        assert sorted(MIRROR[part]) == list(range(68)[part])


@settings(max_examples=50, deadline=None)
@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(20, 900), st.floats(-180, 180))
def test_the_square_of_five_points_is_the_frame_they_stand_in(x: float, y: float, side: float, roll: float) -> None:
    turn = side * np.exp(1j * np.radians(roll))
    places = complex(x, y) + turn * ((TEMPLATES["fer2013"] - 0.5) @ (1, 1j))
    square = square_of_points(tuple((z.real, z.imag) for z in places))  # type: ignore[arg-type]
    assert (square.x, square.y, square.side) == pytest.approx((x, y, ENLARGE * side), abs=1e-6 * side + 1e-6)
    assert abs((square.roll - roll + 180) % 360 - 180) < 1e-6


def test_boxes_keep_their_centre_and_faces_choose_the_most_exact_way() -> None:
    box = Box(x=10, y=20, w=30, h=40)
    assert square_of_frame(box) == Square(x=25, y=40, side=ENLARGE * 40)
    assert square_of_box(box).side > square_of_frame(box).side
    points5 = ((20.0, 30.0), (40.0, 30.0), (30.0, 40.0), (22.0, 50.0), (38.0, 50.0))
    assert square_of_face(Face(box=box, points5=points5)) == square_of_points(points5)
    assert square_of_face(Face(box=box, points5=(points5[0],) * 5)) == square_of_box(box)
    assert square_of_face(Face(box=box)) == square_of_frame(box)


def test_the_graph_keeps_its_contract_and_its_size() -> None:
    import onnx

    graph = onnx.load(MODEL).graph
    assert [value.name for value in graph.output] == list(OUTPUTS)
    assert [value.name for value in graph.input] == ["crops"]
    assert MODEL.stat().st_size <= LIMIT


def test_drawn_faces_have_their_points_where_they_were_drawn(landmarker: Landmarker) -> None:
    errors = []
    for number in range(6):
        rendering, row = draw_picture(31, number, size=96, labels="aus")
        found = landmarker.find(rendering.picture, [square_of_points(row["points5"])])[0]
        assert found.points.shape == (68, 2)
        assert found.confidence.shape == (68,)
        errors.append(apart(found, np.array(row["landmarks68"])))
        assert found.quality > 0.5
    assert np.mean(errors) < 0.06


def test_a_portraits_points_follow_it_through_mirroring_turning_and_resizing(
    landmarker: Landmarker, portrait: tuple[Picture, Face]
) -> None:
    picture, face = portrait
    assert face.points5 is not None
    square = square_of_points(face.points5)
    here = landmarker.find(picture, [square])[0]
    assert here.quality > 0.8
    for (x, y), (near_x, near_y) in zip(here.points5, face.points5, strict=True):
        assert np.hypot(x - near_x, y - near_y) < 0.15 * outer_eye_distance(here.points)
    mirrored = Square(x=picture.shape[1] - square.x, y=square.y, side=square.side, roll=-square.roll)
    there = landmarker.find(np.ascontiguousarray(picture[:, ::-1]), [mirrored])[0].points[MIRROR]
    assert apart(here, np.stack([picture.shape[1] - there[:, 0], there[:, 1]], axis=1)) < 0.05
    small = Square(x=square.x / 2, y=square.y / 2, side=square.side / 2, roll=square.roll)
    assert apart(here, 2 * landmarker.find(np.ascontiguousarray(picture[::2, ::2]), [small])[0].points) < 0.05
    turned = landmarker.find(picture, [Square(x=square.x, y=square.y, side=square.side, roll=square.roll + 12)])[0]
    assert apart(here, turned.points) < 0.05


def test_a_face_does_not_depend_on_the_faces_beside_it(landmarker: Landmarker, portrait: tuple[Picture, Face]) -> None:
    picture, face = portrait
    assert face.points5 is not None
    square = square_of_points(face.points5)
    alone = landmarker.find(picture, [square])[0]
    many = landmarker.find(picture, [Square(x=90, y=400, side=70)] * 40 + [square])[40]
    np.testing.assert_allclose(many.points, alone.points, atol=1e-2)
    crop = landmarker.find_crops(cut_crop(picture, square)[None])[0]
    assert crop.quality == pytest.approx(alone.quality, abs=1e-4)


def test_what_is_no_face_has_no_quality(landmarker: Landmarker, coffee: Path) -> None:
    picture = read_image(coffee)
    squares = [Square(x=x, y=y, side=90) for x in range(60, 580, 130) for y in range(60, 380, 100)]
    assert np.mean([found.quality < 0.5 for found in landmarker.find(picture, squares)]) > 0.9
    blank = np.zeros((1, SIZE, SIZE), dtype=np.uint8)
    assert landmarker.find_crops(blank)[0].quality < 0.5


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(*[st.floats(-1e7, 1e7) | st.just(float("nan"))] * 2),
    st.floats(-1, 1e9) | st.just(float("inf")),
    st.floats(-720, 720),
)
def test_a_square_that_cannot_be_cut_is_answered_all_the_same(
    landmarker: Landmarker, centre: tuple[float, float], side: float, roll: float
) -> None:
    picture = np.full((20, 30, 3), 128, dtype=np.uint8)
    found = landmarker.find(picture, [Square(x=centre[0], y=centre[1], side=side, roll=roll)])[0]
    assert found.points.shape == (68, 2)
    assert found.quality < 0.5


def test_no_squares_no_answers(landmarker: Landmarker) -> None:
    assert landmarker.find(np.zeros((8, 8, 3), dtype=np.uint8), []) == []


def test_a_crop_is_no_finer_than_what_the_network_has_seen() -> None:
    stripes = np.zeros((640, 640, 3), dtype=np.uint8)
    stripes[:, ::10] = 255  # finer than a pixel of the crop
    crop = cut_crop(stripes, Square(x=320, y=320, side=10 * SIZE))
    assert crop.shape == (SIZE, SIZE)
    assert np.ptp(crop.astype(int)[8:-8, 8:-8]) < 255
    assert DETAIL < SIZE
