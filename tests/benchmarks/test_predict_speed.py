"""Predictor against one photo and one face at a time: both sides see the same faces."""

from __future__ import annotations

import shutil
from pathlib import Path

import predict_speed
import pytest
from predict_speed import loop_side, make_photos, measure, portrait_faces, predictor_side


def test_both_sides_find_the_pasted_portraits(bundle_folder: Path) -> None:
    photos = make_photos(2, (640, 480))
    speed = measure(photos, bundle_folder, threads=1, pairs=2)
    assert speed.photos == 2
    assert speed.faces >= 6
    assert len(speed.predictor) == len(speed.loop) == 2
    assert min(speed.predictor + speed.loop) > 0


def test_the_portraits_are_two_square_faces() -> None:
    assert [face.shape for face in portrait_faces()] == [(96, 96, 3), (96, 96, 3)]


def test_an_unreadable_photo_counts_no_face_on_either_side(bundle_folder: Path, astronaut: Path) -> None:
    photos = [astronaut, b"not a picture"]
    assert predictor_side(bundle_folder, 1)(photos) == loop_side(bundle_folder, 1)(photos) == 1


def test_the_script_measures_a_folder(
    bundle_folder: Path,
    astronaut: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(astronaut, tmp_path)
    arguments = [str(tmp_path), "--model", str(bundle_folder), "--threads", "1", "--pairs", "1"]
    monkeypatch.setattr("sys.argv", ["predict_speed.py", *arguments])
    predict_speed.main()
    assert "loop: photos/s" in capsys.readouterr().out
