"""`predict --landmarks`: the 68 points in records, rows, files and overlays, and nothing of them where nobody asks."""

from __future__ import annotations

import csv
import json
from math import inf, nan
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from openfer.cli.main import app
from openfer.predict.drawing.outline import outline
from openfer.predict.overlay import draw
from openfer.predict.predictor import Predictor
from openfer.records import Box, Face, Points68, Prediction
from openfer.vision.image import read_image
from openfer.vision.landmarks import outer_eye_distance

COLUMNS = ["landmarks_quality", *(f"landmark_{k}_{what}" for k in range(68) for what in ("x", "y", "confidence"))]
GREY = 128


@pytest.fixture(scope="module")
def predictor(bundle_folder: Path) -> Predictor:
    return Predictor.load(bundle_folder, threads=1, landmarks=True)


def points_of(prediction: Prediction) -> np.ndarray:
    assert prediction.found is not None
    assert prediction.found.landmarks is not None
    return np.array(prediction.found.landmarks.points)


def invoke(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def a_face(side: float, x: float = 0.0, y: float = 0.0) -> Points68:
    places = np.random.default_rng(0).uniform(0, side, (68, 2)) + np.array([x, y])
    return Points68.of(places, np.linspace(0, 1, 68), 0.9)


def test_points_come_with_the_face_and_only_where_asked_for(
    predictor: Predictor, bundle_folder: Path, astronaut: Path, coffee: Path
) -> None:
    (face,), (nothing,) = predictor.predict([astronaut, coffee])
    assert face.found is not None
    assert face.found.landmarks is not None
    assert face.found.points5 is not None
    assert face.found.landmarks.quality > 0.8
    points = points_of(face)
    assert np.abs(points[36:42].mean(0) - face.found.points5[0]).max() < 0.1 * outer_eye_distance(points)
    assert Prediction.from_dict(json.loads(json.dumps(face.to_dict()))) == face
    assert nothing.found is None
    ((plain,),) = Predictor.load(bundle_folder, threads=1).predict([astronaut])
    assert plain.found is not None
    assert plain.found.landmarks is None
    assert plain.probabilities == face.probabilities


def test_points_are_pixels_of_the_full_picture_even_where_it_was_decoded_smaller(
    predictor: Predictor, astronaut: Path, tmp_path: Path
) -> None:
    with Image.open(astronaut) as image:
        image.convert("RGB").resize((4096, 4096), Image.Resampling.BICUBIC).save(tmp_path / "large.jpg", quality=90)
    (small,), (large,) = predictor.predict([astronaut, tmp_path / "large.jpg"])
    apart = np.linalg.norm(points_of(large) / 8 - points_of(small), axis=1).mean()
    assert apart < 0.04 * outer_eye_distance(points_of(small))


def test_a_picture_that_is_a_face_needs_no_detector(bundle_folder: Path, astronaut: Path) -> None:
    face = read_image(astronaut)[70:185, 165:280]
    ((row,),) = Predictor.load(bundle_folder, detector="none", threads=1, landmarks=True).predict([face])
    assert row.found is not None
    assert row.found.landmarks is not None
    assert row.found.landmarks.quality > 0.5


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_files_have_a_column_for_every_number(
    bundle_folder: Path, astronaut: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"faces.{ending}"
    invoke("predict", astronaut, "--landmarks", "--model", bundle_folder, "--out", out)
    if ending == "csv":
        with out.open(newline="") as stream:
            (row,) = csv.DictReader(stream)
    elif ending == "parquet":
        (row,) = pq.read_table(out).to_pylist()
    else:
        row = json.loads(out.read_text())
    assert list(row)[-len(COLUMNS) :] == COLUMNS
    assert 0 < float(row["landmark_30_x"]) < 512
    assert 0 <= float(row["landmark_30_confidence"]) <= 1


def test_json_on_standard_output_has_them_and_without_the_option_there_are_none(
    bundle_folder: Path, astronaut: Path, coffee: Path
) -> None:
    face, nothing = json.loads(invoke("predict", astronaut, coffee, "--landmarks", "--json", "--model", bundle_folder))
    assert list(nothing) == list(face)
    assert nothing["landmark_0_x"] is None
    (plain,) = json.loads(invoke("predict", astronaut, "--json", "--model", bundle_folder))
    assert list(plain) == list(face)[: -len(COLUMNS)]


def test_a_run_with_points_is_not_continued_without_them(bundle_folder: Path, astronaut: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces.csv"
    invoke("predict", astronaut, "--landmarks", "--model", bundle_folder, "--out", out)
    result = CliRunner().invoke(
        app, ["predict", str(astronaut), "--model", str(bundle_folder), "--out", str(out), "--append"]
    )
    assert "not the columns that this run writes" in str(result.exception)


@pytest.mark.parametrize("side", [48, 250, 1000])
def test_an_outline_is_seen_and_stays_near_its_points(side: int) -> None:
    picture = np.full((1400, 1400, 3), GREY, dtype=np.uint8)
    landmarks = a_face(side, 200, 200)
    prediction = Prediction(
        path="a", face=0, found=Face(box=Box(x=200, y=200, w=side, h=side), landmarks=landmarks), probabilities={"a": 1}
    )
    outline(picture, landmarks, 1)
    changed = (picture != GREY).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert 200 - 0.05 * side - 4 < rows.min() <= rows.max() < 200 + 1.05 * side + 4
    assert 200 - 0.05 * side - 4 < columns.min() <= columns.max() < 200 + 1.05 * side + 4
    assert picture.max() > 230
    overlay = draw(np.full((1400, 1400, 3), GREY, dtype=np.uint8), [prediction])
    assert (overlay[changed] != GREY).any(axis=-1).mean() > 0.9


def test_an_outline_without_quality_is_paler() -> None:
    strong, weak = (np.full((300, 300, 3), GREY, dtype=np.uint8) for _ in range(2))
    landmarks = a_face(200, 50, 50)
    outline(strong, landmarks, 1)
    outline(weak, Points68(points=landmarks.points, confidence=landmarks.confidence, quality=0.0), 1)
    assert np.abs(weak.astype(int) - GREY).sum() < 0.5 * np.abs(strong.astype(int) - GREY).sum()


@pytest.mark.parametrize("place", [(-500.0, 20.0), (-60.0, -60.0), (90.0, 90.0), (1e9, 0.0), (nan, 0.0), (inf, 0.0)])
def test_an_outline_outside_the_picture_harms_nothing(place: tuple[float, float]) -> None:
    picture = np.full((100, 100, 3), GREY, dtype=np.uint8)
    outline(picture, a_face(80, *place), 1)
    assert picture.shape == (100, 100, 3)


def test_points_scale_with_their_face_and_there_are_68() -> None:
    face = Face(box=Box(x=1, y=2, w=3, h=4), landmarks=a_face(10)).scaled(2, 3)
    assert face.landmarks is not None
    np.testing.assert_allclose(face.landmarks.points, np.array(a_face(10).points) * (2, 3))
    with pytest.raises(ValueError, match="expected 68 points, got 5 and 68"):
        Points68.of(np.zeros((5, 2)), np.zeros(68), 1.0)
