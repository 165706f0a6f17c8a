"""Overlays stay inside the picture, keep off the faces where they can, and never touch their input."""

from __future__ import annotations

from itertools import combinations
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from openfer.errors import DataError
from openfer.predict.colours import COLOURS, NO_LABEL, colour_of
from openfer.predict.drawing.card import Level
from openfer.predict.drawing.faces import marked
from openfer.predict.drawing.paint import CORNER
from openfer.predict.drawing.placing import Placed, place
from openfer.predict.drawing.rects import Rect
from openfer.predict.overlay import draw
from openfer.predict.sinks.overlays import OverlayFolder
from openfer.records import Box, Face, Prediction
from openfer.vision.image import Picture, read_image

GREY = (128, 128, 128)
PROBABILITIES = {"happiness": 0.7, "neutral": 0.2, "anger": 0.07, "fear": 0.02, "sadness": 0.01}


def face(x: float, y: float, w: float, h: float, **changes: object) -> Prediction:
    values = {"path": "a", "face": 0, "found": Face(box=Box(x=x, y=y, w=w, h=h)), "probabilities": PROBABILITIES}
    return Prediction(**{**values, **changes})  # type: ignore[arg-type]


def plain(height: int, width: int) -> Picture:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def changed(picture: Picture) -> np.ndarray:
    return (picture != GREY).any(axis=-1)


def placed(predictions: list[Prediction], picture: Picture) -> list[Placed]:
    size = (picture.shape[1], picture.shape[0])
    return place(marked(predictions, size, 1), size)


def cards(found: list[Placed]) -> list[Rect]:
    return [one.rect for one in found if one.card]


def overlap(one: Rect, other: Rect) -> bool:
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return all(rect[0] < rect[2] and rect[1] < rect[3] for rect in (one, other)) and width > 0 and height > 0


@st.composite
def scenes(draw_: st.DrawFn, smallest: int = 1) -> tuple[Picture, list[Prediction]]:
    """A picture and up to eight faces, some of them partly or wholly outside it."""
    width, height = draw_(st.integers(smallest, 900)), draw_(st.integers(smallest, 900))
    noise = np.random.default_rng(draw_(st.integers(0, 9))).integers(0, 256, (height, width, 3), dtype=np.uint8)
    share = st.floats(-0.3, 1.1)
    boxes = draw_(st.lists(st.tuples(share, share, st.floats(0, 0.8), st.floats(0, 0.8)), max_size=8))
    names = draw_(st.lists(st.text(max_size=20), min_size=1, max_size=6, unique=True))
    shares = [1 / len(names)] * len(names)
    return noise, [
        face(
            x * width,
            y * height,
            w * width,
            h * height,
            face=number,
            probabilities=dict(zip(names, shares, strict=True)),
        )
        for number, (x, y, w, h) in enumerate(boxes)
    ]


def test_the_input_stays_and_no_face_changes_nothing() -> None:
    picture = plain(400, 500)
    result = draw(picture, [face(100, 100, 80, 100)])
    assert not changed(picture).any()
    assert result.shape == picture.shape
    assert result.dtype == np.uint8
    for rows in ([], [Prediction(path="a", status="no_face")], [Prediction(path="a", status="unreadable: x")]):
        np.testing.assert_array_equal(draw(picture, rows), picture)
    frozen = plain(500, 600)
    frozen.setflags(write=False)
    assert changed(draw(frozen, [face(100, 100, 80, 100)])).any()


def test_the_frame_has_its_labels_colour_where_the_face_is() -> None:
    result = draw(plain(400, 500), [face(100, 100, 80, 100)])
    edges = result[130:180, 98:104].reshape(-1, 3).tolist()
    assert list(COLOURS["happiness"]) in edges
    assert not changed(result)[110:190, 110:170].any()


@settings(max_examples=30, deadline=None)
@given(scenes(smallest=480))
def test_only_pixels_under_frames_cards_and_their_ties_change(scene: tuple[Picture, list[Prediction]]) -> None:
    picture, rows = scene
    allowed = np.zeros(picture.shape[:2], dtype=bool)
    found = placed(rows, picture)
    for one in found:
        (left, top, right, bottom), line = one.face.frame, one.face.line
        inside = allowed[top:bottom, left:right].copy()
        allowed[top:bottom, left:right] = True
        for x, y in ((2 * line, CORNER * line), (CORNER * line, 2 * line)):
            kept = np.s_[y : max(bottom - top - y, y), x : max(right - left - x, x)]
            allowed[top:bottom, left:right][kept] = inside[kept]
    for one in found:
        for left, top, right, bottom in (one.rect, one.tie):
            if one.card and left < right:
                rim = one.face.line
                allowed[max(top - rim, 0) : bottom + rim, max(left - rim, 0) : right + rim] = True
    different = (draw(picture, rows) != picture).any(axis=-1)
    assert not (different & ~allowed).any()
    assert different.any() == bool(found)


@settings(max_examples=80, deadline=None)
@given(scenes(smallest=100))
@example((plain(126, 400), [face(300, 125.5, 60, 0)]))
def test_cards_are_inside_and_off_each_other_and_off_all_eyes_and_mouths(
    scene: tuple[Picture, list[Prediction]],
) -> None:
    picture, rows = scene
    found = placed(rows, picture)
    for one in found:
        for left, top, right, bottom in (one.face.frame, one.rect, one.tie):
            assert 0 <= left <= right <= picture.shape[1]
            assert 0 <= top <= bottom <= picture.shape[0]
        assert (one.level is Level.NOTHING) == (one.card is None)
        if one.card:
            assert (one.rect[2] - one.rect[0], one.rect[3] - one.rect[1]) == (one.card.width, one.card.height)
            assert not any(overlap(one.rect, part) for other in found for part in other.face.features)
    assert not any(overlap(one, other) for one, other in combinations(cards(found), 2))
    for one in found:
        others = [other for other in found if other is not one]
        assert not any(overlap(one.tie, other.rect) or overlap(one.tie, other.tie) for other in others)
        if one.level < Level.NUMBER:
            assert not any(overlap(one.rect, other.face.frame) for other in others)
            assert not any(overlap(one.tie, other.face.frame) for other in others)


@settings(max_examples=60, deadline=None)
@given(scenes())
@example((plain(1, 1), [face(0, 0, 1, 1)]))
@example((plain(16, 16), [face(0, 0, 16, 16)]))
@example((plain(400, 8000), [face(0, 0, 300, 400), face(7900, 10, 100, 100)]))
@example((plain(2000, 60), [face(0, 300, 60, 70)]))
@example((plain(3, 9000), [face(5, 0, 2, 3)]))
def test_the_result_is_a_whole_multiple_of_the_picture(scene: tuple[Picture, list[Prediction]]) -> None:
    picture, rows = scene
    result = draw(picture, rows)
    factor = result.shape[0] // picture.shape[0]
    assert result.shape == (factor * picture.shape[0], factor * picture.shape[1], 3)
    assert factor == 1 or max(result.shape) <= 5000
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(draw(picture, rows), result)


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_the_faces_does_not_matter(order: list[int]) -> None:
    rows = [face(20 + 90 * i, 60 + 7 * i, 50 + 3 * i, 70 + 2 * i, face=i) for i in range(6)]
    np.testing.assert_array_equal(draw(plain(300, 620), [rows[i] for i in order]), draw(plain(300, 620), rows))


@pytest.mark.parametrize("box", [(nan, 0, 5, 5), (0, inf, 5, 5), (0, 0, inf, 5), (700, 0, 50, 50), (-80, 10, 50, 50)])
def test_a_face_that_is_nowhere_in_the_picture_is_left_out(box: tuple[float, ...]) -> None:
    assert not changed(draw(plain(500, 600), [face(*box)])).any()


@pytest.mark.parametrize(
    "box", [(200, 200, 0, 0), (-1e300, -1e300, 1e301, 1e301), (599, 499, 1, 1), (-40, -40, 90, 90)]
)
def test_odd_boxes_are_marked_where_they_are_in_the_picture(box: tuple[float, ...]) -> None:
    assert changed(draw(plain(500, 600), [face(*box)])).sum() > 1000


@pytest.mark.parametrize("size", [(200, 200), (150, 200), (512, 512), (640, 480), (1920, 1080), (5472, 3648)])
def test_one_faces_label_can_be_read_in_a_thumbnail_of_200_pixels(size: tuple[int, int]) -> None:
    width, height = size
    row = face(0.3 * width, 0.3 * height, 0.2 * width, 0.3 * height)
    shape = draw(plain(height, width), [row]).shape
    factor = shape[1] // width
    (one,) = place(marked([row], (shape[1], shape[0]), factor), (shape[1], shape[0]))
    assert one.card is not None
    assert one.card.rows
    assert one.card.em * 200 / max(shape) >= 8


@pytest.mark.parametrize("size", [(48, 48), (112, 112), (300, 400), (1000, 1000)])
def test_a_face_that_fills_the_picture_has_a_readable_chart_off_its_features(size: tuple[int, int]) -> None:
    width, height = size
    shape = draw(plain(height, width), [face(0, 0, width, height)]).shape
    factor = shape[1] // width
    (one,) = place(marked([face(0, 0, width, height)], (shape[1], shape[0]), factor), (shape[1], shape[0]))
    assert one.card is not None
    assert one.card.rows
    assert one.card.em * 200 / max(shape) >= 6


@pytest.mark.parametrize(("count", "side"), [(1, 200), (2, 150), (6, 110), (20, 60)])
def test_every_face_with_room_gets_its_chart_and_no_face_is_covered(count: int, side: int) -> None:
    across = {1: 1, 2: 2, 6: 3, 20: 5}[count]
    step = (1600 // across, 1200 // -(-count // across))
    rows = [
        face(step[0] * (i % across) + step[0] / 3, step[1] * (i // across) + step[1] / 3, side, side, face=i)
        for i in range(count)
    ]
    found = placed(rows, plain(1200, 1600))
    assert all(one.card and one.card.rows for one in found)
    assert not any(overlap(card, one.face.frame) for card in cards(found) for one in found)


def test_faces_that_touch_are_not_covered() -> None:
    rows = [face(100 + 110 * i, 140, 110, 150, face=i) for i in range(4)]
    found = placed(rows, plain(430, 640))
    assert all(one.card and one.card.rows for one in found)
    assert not any(overlap(card, one.face.frame) for card in cards(found) for one in found)


def test_with_less_room_less_is_said_but_each_face_keeps_its_frame() -> None:
    rows = [face(80 * (i % 10), 100 * (i // 10), 80, 100, face=i) for i in range(60)]
    found = placed(rows, plain(600, 800))
    assert not any(one.card and one.card.rows for one in found)
    assert all(one.card for one in found)
    result = draw(plain(600, 800), rows)
    for one in found:
        left, top, right, bottom = one.face.frame
        assert (one.rect[0] >= left, one.rect[1] >= top, one.rect[2] <= right, one.rect[3] <= bottom) == (True,) * 4
        assert (result[(top + bottom) // 2, left : left + 4] == COLOURS["happiness"]).all(axis=-1).any()


def test_where_no_label_fits_the_number_of_the_faces_row_stands() -> None:
    rows = [face(44 * (i % 18), 56 * (i // 18), 44, 56, face=i) for i in range(18 * 6)]
    numbered = [one for one in placed(rows, plain(336, 792)) if one.card]
    assert len(numbered) > 54
    assert all(one.card and one.card.title == str(one.face.prediction.face) for one in numbered)


def test_where_not_even_a_number_fits_the_frame_is_left() -> None:
    rows = [face(20 * (i % 8), 20 * (i // 8), 20, 20, face=i) for i in range(64)]
    assert not any(one.card for one in placed(rows, plain(160, 160)))
    unnumbered = [face(44 * i, 0, 44, 56, face=None) for i in range(12)]
    result = draw(plain(56, 528), unnumbered)
    assert all(changed(result)[:, 2 * 44 * i : 2 * 44 * i + 8].any() for i in range(12))


def test_large_faces_lose_their_chart_last() -> None:
    rows = [face(120, 20, 140, 170, face=1), face(340, 20, 160, 190, face=0)]
    levels = [bool(one.card and one.card.rows) for one in placed(rows, plain(300, 620))]
    assert levels[0] >= levels[1]


def test_a_chart_is_tied_to_its_own_face() -> None:
    rows = [face(70 + 210 * (i % 4), 100 + 240 * (i // 4), 60, 75, face=i) for i in range(8)]
    for one in placed(rows, plain(560, 900)):
        left, top, right, bottom = one.tie
        assert one.card
        assert left in (one.face.frame[2], one.rect[2]) or top in (one.face.frame[3], one.rect[3])
        assert right in (one.face.frame[0], one.rect[0]) or bottom in (one.face.frame[1], one.rect[1])


def test_a_face_that_fills_the_picture_keeps_most_of_it_free() -> None:
    result = changed(draw(plain(500, 500), [face(0, 0, 500, 500)]))
    assert 0.01 < result[20:-20, 20:-20].mean() < 0.2


def test_an_uncertain_face_is_grey_and_dashed_and_its_chart_says_why() -> None:
    shares = {"happiness": 0.4, "neutral": 0.35, "anger": 0.25}
    row = face(150, 150, 100, 120, probabilities=shares, min_confidence=0.5)
    (one,) = placed([row], plain(500, 600))
    assert one.card
    assert (one.card.title, one.card.share, one.card.colour) == ("uncertain", "40 %", NO_LABEL)
    assert [(bar.words, bar.share) for bar in one.card.rows] == list(shares.items())
    column = (draw(plain(500, 600), [row])[170:250, 151] == NO_LABEL).all(axis=-1)
    assert 0 < column.sum() < 80


def test_a_chart_shows_the_few_most_probable_of_many_labels_in_their_colours() -> None:
    shares = np.random.default_rng(3).dirichlet(np.full(50, 0.5))
    names = [f"class_{i}" for i in range(50)]
    row = face(150, 150, 100, 120, probabilities=dict(zip(names, shares.tolist(), strict=True)))
    (one,) = placed([row], plain(500, 600))
    assert one.card
    best = [names[i] for i in np.argsort(-shares)[:4]]
    assert [bar.words for bar in one.card.rows] == [name.replace("_", " ") for name in best]
    assert [bar.colour for bar in one.card.rows] == [colour_of(name, names) for name in best]


def test_a_bar_is_as_long_as_its_probability() -> None:
    def length(share: float) -> int:
        row = face(100, 100, 80, 100, probabilities={"sadness": 1 - share, "anger": share})
        result = draw(plain(500, 600), [row])[:, 190:]
        return int((result == COLOURS["anger"]).all(axis=-1).sum(axis=1).max())

    lengths = [length(share) for share in (0.02, 0.1, 0.2, 0.4)]
    assert lengths == sorted(lengths)
    assert lengths[3] == pytest.approx(2 * lengths[2], abs=6)
    assert lengths[0] < 0.1 * lengths[3]


def test_labels_of_any_script_and_length_can_be_drawn() -> None:
    names = [
        "slightly_annoyed_but_still_polite_and_cooperative_person_xx",
        "\u0646\u0639\u0633\u0627\u0646",
        "\U0001f600",
        "\u5f00\u5fc3",
        "\ud800",
        "a\n\x1b[31mb",
        " ",
    ]
    for name in names:
        shares = {name: 0.5, **{other: 0.5 / 6 for other in names if other != name}}
        for height, width in ((500, 600), (120, 90), (1200, 70)):
            row = face(0.2 * width, 0.2 * height, 0.4 * width, 50, probabilities=shares)
            assert changed(draw(plain(height, width), [row])).any()


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
