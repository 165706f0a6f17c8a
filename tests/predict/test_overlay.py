"""Overlays stay inside the picture, keep off the faces where they can, and never touch their input."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openfer.errors import DataError
from openfer.predict import overlay
from openfer.predict.colours import COLOURS, colour_of, ink_on
from openfer.predict.overlay import draw
from openfer.predict.sinks.overlays import OverlayFolder
from openfer.records import Box, Face, Prediction
from openfer.vision.image import read_image

GREY = (128, 128, 128)
PROBABILITIES = {"happiness": 0.7, "neutral": 0.2, "anger": 0.07, "fear": 0.02, "sadness": 0.01}


def face(x: float, y: float, w: float, h: float, **changes: object) -> Prediction:
    values = {"path": "a", "face": 0, "found": Face(box=Box(x=x, y=y, w=w, h=h)), "probabilities": PROBABILITIES}
    return Prediction(**{**values, **changes})  # type: ignore[arg-type]


def plain(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != GREY).any(axis=-1)


def test_the_input_stays_and_no_face_changes_nothing() -> None:
    picture = plain(400, 500)
    result = draw(picture, [face(100, 100, 80, 100)])
    assert not changed(picture).any()
    assert result.shape == picture.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(draw(picture, [Prediction(path="a", status="no_face")]), picture)


def test_the_box_has_its_labels_colour_where_the_face_is() -> None:
    result = draw(plain(400, 500), [face(100, 100, 80, 100)])
    edges = result[130:180, 100:103].reshape(-1, 3).tolist()
    assert list(COLOURS["happiness"]) in edges
    inside = changed(result)[110:190, 110:170]
    assert not inside.any()


def test_a_chart_stands_beside_the_face_and_grows_with_its_probability() -> None:
    def bar(share: float) -> int:
        row = face(100, 100, 80, 100, probabilities={"sadness": share, "anger": 1 - share})
        colours = draw(plain(400, 500), [row])[:, 182:]
        middle = colours[np.array(colours.shape[0] * [False]) | (colours == COLOURS["sadness"]).all(-1).any(1)]
        return int((middle == COLOURS["sadness"]).all(axis=-1).sum(axis=1).min())

    assert changed(draw(plain(400, 500), [face(100, 100, 80, 100)]))[:, 185:].sum() > 3000
    assert bar(0.45) > bar(0.2) > 0


def test_tags_keep_off_other_faces_where_there_is_room() -> None:
    rows = [face(40 + 130 * column, 60 + 190 * line, 60, 80, face=0) for column in range(4) for line in range(2)]
    result = changed(draw(plain(420, 560), rows))
    for row in rows:
        assert row.found is not None
        box = row.found.box
        assert not result[int(box.y) + 12 : int(box.y + box.h) - 12, int(box.x) + 12 : int(box.x + box.w) - 12].any()


def test_a_face_that_fills_the_picture_keeps_most_of_it_free() -> None:
    result = changed(draw(plain(400, 400), [face(0, 0, 400, 400)]))
    assert 0.01 < result[20:-20, 20:-20].mean() < 0.2


def test_a_chart_that_would_cover_its_face_is_left_out() -> None:
    result = changed(draw(plain(330, 140), [face(0, 0, 140, 330)]))
    assert result.any()
    assert result[15:-15, 15:-15].mean() < 0.1


def test_small_pictures_are_enlarged_by_a_whole_factor() -> None:
    assert draw(plain(48, 40), [face(0, 0, 40, 48)]).shape == (336, 280, 3)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=4),
    st.dictionaries(st.text(max_size=30), st.floats(0, 1), max_size=6),
)
def test_anything_can_be_drawn(
    height: int, width: int, boxes: list[tuple[float, ...]], probabilities: dict[str, float]
) -> None:
    rows = [
        face(x * width, y * height, w * (1 - x) * width, h * (1 - y) * height, probabilities=probabilities)
        for x, y, w, h in boxes
    ]
    result = draw(plain(height, width), rows)
    assert result.shape[0] % height == 0
    assert result.shape[0] // height == result.shape[1] // width


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.floats(-50, 500), st.floats(-50, 500), st.floats(1, 300), st.floats(1, 300)),
    st.integers(1, 400),
    st.integers(1, 400),
    st.booleans(),
)
def test_every_place_for_a_card_is_inside(rect: tuple[float, ...], width: int, height: int, chart: bool) -> None:
    box = (rect[0], rect[1], rect[0] + rect[2], rect[1] + rect[3])
    for x, y in overlay._places(box, (width, height), 12, (400, 400), chart):
        assert 0 <= x <= 400 - width
        assert 0 <= y <= 400 - height


def test_every_tag_can_be_read() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        return float(np.dot((np.array(colour) / 255) ** 2.2, (0.2126, 0.7152, 0.0722)))

    for colour in (*COLOURS.values(), colour_of(None)):
        one, other = sorted((luminance(colour), luminance(ink_on(colour))))
        assert (other + 0.05) / (one + 0.05) >= 4.5  # WCAG 2, level AA


def test_labels_outside_the_basic_set_keep_one_colour() -> None:
    assert colour_of("tired") == colour_of("tired")
    assert colour_of("tired") == tuple(COLOURS.values())[1:][zlib.crc32(b"tired") % 7]


def test_overlays_of_equal_names_do_not_replace_each_other_or_the_photo(tmp_path: Path) -> None:
    picture, paths = plain(60, 60), []
    for name in ("a/x.png", "b/x.png", "b/x.jpg", "c/b/x.png", "X.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        paths.append(path)
    folder = OverlayFolder(tmp_path)
    written = [folder.write(path, [face(10, 10, 30, 30)]) for path in paths]
    assert [path.name for path in written if path] == [
        "x-faces.png",
        "b-x-faces.png",
        "x-faces.jpg",
        "x-2-faces.png",
        f"{tmp_path.name[:40]}-X-faces.png",
    ]
    for path, original in zip(written, paths, strict=True):
        assert path is not None
        assert changed(read_image(path)).any()
        np.testing.assert_allclose(read_image(original), picture, atol=2)


def test_photos_that_cannot_be_read_give_no_overlay(tmp_path: Path) -> None:
    folder = OverlayFolder(tmp_path / "out")
    assert folder.write(tmp_path / "gone.png", [Prediction(path="gone.png", status="unreadable: no such file")]) is None
    assert folder.write(tmp_path / "gone.png", [Prediction(path="gone.png", status="no_face")]) is None
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made into a folder"):
        OverlayFolder(tmp_path / "file" / "out")
