"""Records: exact round trips, the order of the flat row, refused values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfer.records import Box, ClassMaps, Face, FaceUnits, Prediction, as_points5

NUMBER = st.floats(-1e6, 1e6)
SIDE = st.floats(0, 1e6)
POINTS = st.lists(st.tuples(NUMBER, NUMBER), min_size=5, max_size=5).map(as_points5)
FACES = st.builds(
    Face,
    box=st.builds(Box, x=NUMBER, y=NUMBER, w=SIDE, h=SIDE),
    score=st.none() | st.floats(0, 1),
    points5=st.none() | POINTS,
)
GRIDS = st.lists(st.lists(NUMBER, min_size=2, max_size=2).map(tuple), min_size=1, max_size=3).map(tuple)
MAPS = st.builds(
    ClassMaps,
    values=st.dictionaries(st.text(min_size=1), GRIDS, max_size=3),
    corners=st.tuples(*[st.tuples(NUMBER, NUMBER)] * 3),
)
SHARES = st.dictionaries(st.integers(1, 45), st.floats(0, 1), max_size=3)
PLACES = st.dictionaries(st.integers(1, 45), st.tuples(*[st.tuples(NUMBER, NUMBER)] * 2), max_size=3)
UNITS = st.builds(FaceUnits, probabilities=SHARES, attention=SHARES, places=PLACES)
PREDICTIONS = st.builds(
    Prediction,
    path=st.text(),
    face=st.none() | st.integers(0, 99),
    found=st.none() | FACES,
    probabilities=st.dictionaries(st.text(min_size=1), st.floats(0, 1), max_size=4),
    status=st.text(),
    maps=st.none() | MAPS,
    aus=st.none() | UNITS,
)


@given(PREDICTIONS)
def test_a_prediction_survives_json_exactly(prediction: Prediction) -> None:
    assert Prediction.from_dict(json.loads(json.dumps(prediction.to_dict()))) == prediction


def test_the_row_has_the_columns_of_the_documentation_in_their_order() -> None:
    face = Face(box=Box(x=1, y=2, w=3, h=4), score=0.5, points5=((5, 6), (7, 8), (9, 10), (11, 12), (13, 14)))
    row = Prediction(path="a.jpg", face=0, found=face, probabilities={"anger": 0.25, "fear": 0.75}).to_row(
        ("fear", "anger")
    )
    assert list(row.items()) == [
        ("path", "a.jpg"),
        ("face", 0),
        *zip("xywh", (1, 2, 3, 4), strict=True),
        ("score", 0.5),
        ("left_eye_x", 5),
        ("left_eye_y", 6),
        ("right_eye_x", 7),
        ("right_eye_y", 8),
        ("nose_x", 9),
        ("nose_y", 10),
        ("left_mouth_x", 11),
        ("left_mouth_y", 12),
        ("right_mouth_x", 13),
        ("right_mouth_y", 14),
        ("label", "fear"),
        ("confidence", 0.75),
        ("p_fear", 0.75),
        ("p_anger", 0.25),
        ("status", "ok"),
        ("note", None),
    ]


def test_a_row_without_a_face_has_the_same_columns_and_only_path_and_status() -> None:
    row = Prediction(path="a.jpg", status="no_face").to_row(("fear",))
    assert list(row) == list(Prediction(path="b").to_row(("fear",)))
    assert {name: value for name, value in row.items() if value is not None} == {"path": "a.jpg", "status": "no_face"}


def test_without_probabilities_there_is_no_label() -> None:
    assert Prediction(path="a").label is None
    assert Prediction(path="a").confidence is None


@pytest.mark.parametrize("side", [-1.0, float("nan")])
def test_a_box_of_no_size_is_refused(side: float) -> None:
    with pytest.raises(ValueError, match="width and height"):
        Box(x=0, y=0, w=side, h=1)


def test_five_points_come_from_arrays_and_only_from_five() -> None:
    assert as_points5(np.arange(10).reshape(5, 2))[4] == (8.0, 9.0)
    with pytest.raises(ValueError, match="expected 5 points, got 4"):
        as_points5(np.zeros((4, 2)))
