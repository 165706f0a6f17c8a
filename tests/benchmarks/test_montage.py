"""Scenes with pasted faces, and the comparison of two models on them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import montage
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from montage import Answers, Pasted, Scene, difference, load_grounds, make_scenes, match, overlap, paste
from PIL import Image

from openfer.records import Box, Face, Prediction

FACES = [np.full((48, 48, 3), 10 * (number + 1), dtype=np.uint8) for number in range(9)]
BLACK = [np.zeros((480, 640, 3), dtype=np.uint8)]


def test_grounds_are_photos_of_the_asked_size() -> None:
    grounds = load_grounds((64, 48))
    assert {ground.shape for ground in grounds} == {(48, 64, 3)}
    assert all(ground.std() > 5 for ground in grounds)


def test_faces_stand_where_the_scene_says_and_keep_their_distance() -> None:
    for scene in islice(make_scenes(FACES, BLACK, seed=3, per_scene=20), 10):
        covered = np.zeros((480, 640), dtype=int)
        for face in scene.faces:
            x, y, side = int(face.square.x), int(face.square.y), int(face.square.w)
            assert side == 48 * face.factor
            assert (scene.picture[y : y + side, x : x + side] == FACES[face.sample][0, 0]).all()
            covered[max(0, y - 4) : y + side + 4, max(0, x - 4) : x + side + 4] += 1
        assert covered.max() == 1
        pasted = sum(face.square.area for face in scene.faces)
        assert np.count_nonzero(scene.picture.any(axis=2)) == pasted


def test_every_face_is_shown_once_before_any_is_shown_again() -> None:
    shown = [face.sample for scene in islice(make_scenes(FACES, BLACK, per_scene=3), 6) for face in scene.faces]
    assert sorted(shown[:9]) == sorted(shown[9:18]) == list(range(9))


def test_scenes_repeat_with_the_seed_and_leave_the_grounds_alone() -> None:
    one, same, other = (next(make_scenes(FACES, BLACK, seed=seed)) for seed in (1, 1, 2))
    assert one.faces == same.faces
    assert (one.picture == same.picture).all()
    assert one.faces != other.faces
    assert not BLACK[0].any()


def test_a_face_larger_than_the_scene_is_left_out() -> None:
    small = [np.zeros((40, 40, 3), dtype=np.uint8)]
    assert next(make_scenes(FACES, small)).faces == ()


def test_pasting_enlarges_by_cubic_interpolation() -> None:
    face = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = np.zeros((40, 40, 3), dtype=np.uint8)
    paste(picture, face, Box(x=3, y=5, w=24, h=24))
    assert (picture[5:29, 3:27] == np.asarray(Image.fromarray(face).resize((24, 24), Image.Resampling.BICUBIC))).all()
    assert not picture[29:].any()


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(Box(x=0, y=0, w=2, h=2), Box(x=1, y=1, w=2, h=2)) == pytest.approx(1 / 7)
    assert overlap(Box(x=0, y=0, w=2, h=2), Box(x=2, y=0, w=2, h=2)) == 0
    assert overlap(Box(x=0, y=0, w=2, h=2), Box(x=5, y=5, w=2, h=2)) == 0


def test_each_pasted_face_takes_its_best_prediction_or_none() -> None:
    squares = [Box(x=0, y=0, w=100, h=100), Box(x=200, y=0, w=100, h=100), Box(x=400, y=0, w=100, h=100)]
    scene = Scene(picture=BLACK[0], faces=tuple(Pasted(sample=0, square=square, factor=1) for square in squares))
    boxes = [Box(x=0, y=0, w=50, h=100), Box(x=5, y=0, w=90, h=100), Box(x=200, y=0, w=30, h=100)]
    rows = [Prediction(path="", face=i, found=Face(box=box)) for i, box in enumerate(boxes)]
    assert match(rows, scene) == [rows[1], None, None]  # the third box covers 0.30 of its square
    assert match([Prediction(path="", status="no_face")], scene) == [None, None, None]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_difference_lies_in_its_interval_and_turns_with_the_models(pairs: list[tuple[bool, bool]]) -> None:
    right = np.array(pairs).T
    value, low, high = difference(right, np.random.default_rng(0))
    assert value == pytest.approx(right[0].mean() - right[1].mean())
    assert low <= value <= high


def test_the_interval_has_the_width_that_theory_gives() -> None:
    right = np.array([[True] * 60 + [False] * 340, [False] * 60 + [False] * 340])  # gain 0.15, variance 0.15 x 0.85
    _, low, high = difference(right, np.random.default_rng(0), draws=20_000)
    assert high - low == pytest.approx(2 * 1.96 * (0.15 * 0.85 / 400) ** 0.5, rel=0.05)


def test_the_table_counts_only_what_was_found() -> None:
    answers = Answers(
        factor=np.array([1, 1, 2, 2]),
        found=np.array([True, False, True, True]),
        right=np.array([[True, False, True, False], [False, False, True, False]]),
        frame_right=np.array([[True, True, True, True], [False, True, False, True]]),
    )
    everything = np.ones(4, dtype=bool)
    row = montage.cells(answers.right, everything, answers.found)
    assert row[:5] == ["4", "3", "0.750", "66.7", "33.3"]
    assert row[5] == "+33.3"
    assert row[7:] == ["1", "0", "1"]
    assert montage.cells(answers.right, everything, ~everything)[:2] == ["4", "0"]
    assert montage.table_of(answers, ("a", "b"), "t").row_count == 5


def test_the_script_compares_two_models(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(bundle_folder)
    arguments = ["--manifest", "mini:35", "--scenes", "2", "--draw", str(tmp_path / "scene.png")]
    monkeypatch.setattr("sys.argv", ["montage.py", model, model, *arguments])
    montage.main()
    assert "in scenes, all" in capsys.readouterr().out
    with Image.open(tmp_path / "scene.png") as drawn:
        assert drawn.size == (640, 480)


def test_a_missing_manifest_ends_in_one_line(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(bundle_folder)
    monkeypatch.setattr("sys.argv", ["montage.py", model, model, "--manifest", str(tmp_path / "no.parquet")])
    with pytest.raises(SystemExit) as ended:
        montage.main()
    assert ended.value.code == 2
    assert "no such manifest" in capsys.readouterr().err
