"""Action units in prediction: by number and name, in every file, on overlays; and faces whose points are not found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from openfer.cli.main import app
from openfer.errors import ConfigError, ModelError
from openfer.predict.overlay import draw
from openfer.predict.predictor import Predictor
from openfer.predict.sinks.text import read_csv
from openfer.records import Prediction
from openfer.vision.au_locations import AUS, au_locations
from openfer.vision.landmarks import Landmarker, Landmarks, Square, mirrored_shares
from tests.bundles import make_bundle


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("units") / "toy", units=True)


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor.load(model, aus=True, landmarks=True, threads=1)


@pytest.fixture(scope="module")
def read(predictor: Predictor, astronaut: Path) -> Prediction:
    return predictor.predict([astronaut])[0][0]


class Blind(Landmarker):
    """Finds points that cannot be used."""

    def find(self, picture: np.ndarray, squares: list[Square]) -> list[Landmarks]:  # type: ignore[override]
        return [replace(found, quality=0.2) for found in super().find(picture, squares)]


def test_a_unit_has_a_number_and_a_name(read: Prediction) -> None:
    assert read.aus is not None
    assert tuple(read.aus.probabilities) == tuple(read.aus.attention) == AUS
    assert read.aus[12] == read.aus["AU12"] == read.aus["Lip corner puller"] == read.aus.named["lip corner puller"]
    assert all(0 <= share <= 1 for share in read.aus.probabilities.values())
    assert sum(read.aus.attention.values()) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ConfigError, match="did you mean 'lip corner puller'"):
        _ = read.aus["lip corner puler"]
    assert Prediction.from_dict(json.loads(json.dumps(read.to_dict()))) == read


def test_units_are_where_the_landmarks_say(read: Prediction) -> None:
    assert read.aus is not None
    assert read.found is not None
    assert read.found.landmarks is not None
    places = au_locations(np.array(read.found.landmarks.points))
    np.testing.assert_allclose(np.array(list(read.aus.places.values())).reshape(34, 2), places)


def test_nobody_gets_what_nobody_asked_for(model: Path, astronaut: Path, read: Prediction) -> None:
    plain = Predictor.load(model, threads=1).predict([astronaut])[0][0]
    assert plain.aus is None
    assert plain.found is not None
    assert plain.found.landmarks is None
    assert plain.probabilities == read.probabilities


def test_a_face_without_points_is_read_as_a_whole(predictor: Predictor, astronaut: Path) -> None:
    blind = replace(predictor, landmarker=Blind())
    face = blind.predict([astronaut])[0][0]
    assert face.status == "ok"
    assert face.note == "read without its 68 points, which were not found"
    assert face.aus is None
    assert sum(face.probabilities.values()) == pytest.approx(1)
    assert face.probabilities != predictor.predict([astronaut])[0][0].probabilities
    draw(np.asarray(Image.open(astronaut).convert("RGB")), [face])


def test_a_model_without_units_says_so(bundle_folder: Path, model: Path) -> None:
    with pytest.raises(ModelError, match="a model of the method 'baseline' has no action units"):
        Predictor.load(bundle_folder, aus=True)
    result = CliRunner().invoke(app, ["predict", "x.jpg", "--aus", "--model", str(bundle_folder)])
    assert isinstance(result.exception, ModelError)


def test_every_file_has_the_same_columns_and_only_on_demand(model: Path, astronaut: Path, tmp_path: Path) -> None:
    call = ["predict", str(astronaut), str(astronaut.with_name("coffee.png")), "--model", str(model), "--threads", "1"]
    for ending in ("csv", "json", "jsonl", "parquet"):
        result = CliRunner().invoke(app, [*call, "--aus", "--out", str(tmp_path / f"f.{ending}")])
        assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "f.json").read_text())
    wanted = [f"au_{unit}" for unit in AUS] + [f"attention_{unit}" for unit in AUS]
    names = list(rows[0])
    assert names[names.index("au_1") :] == [*wanted, "status", "note"]
    assert [row["au_12"] is None for row in rows] == [False, True]
    assert pq.read_table(tmp_path / "f.parquet").to_pylist() == rows
    assert [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()] == rows
    assert list(read_csv(tmp_path / "f.csv", names)) == rows
    result = CliRunner().invoke(app, [*call, "--out", str(tmp_path / "plain.csv")])
    assert result.exit_code == 0
    assert "au_1" not in (tmp_path / "plain.csv").read_text()


def test_the_overlay_marks_likely_units(read: Prediction, astronaut: Path) -> None:
    assert read.aus is not None
    assert read.found is not None
    picture = np.asarray(Image.open(astronaut).convert("RGB"))
    bare = replace(read, found=replace(read.found, landmarks=None), aus=None)
    plain, marked = (draw(picture, [one]).astype(int) for one in (bare, replace(bare, aus=read.aus)))
    changed = np.abs(marked - plain).sum(axis=2) > 0
    strongest = max(read.aus.probabilities, key=lambda unit: read.aus.probabilities[unit])  # type: ignore[union-attr]
    for x, y in read.aus.places[strongest]:
        assert changed[int(y), int(x)]
    never = replace(read.aus, probabilities=dict.fromkeys(AUS, 0.0))
    np.testing.assert_array_equal(draw(picture, [replace(bare, aus=never)]), plain)


def test_a_face_far_outside_is_drawn_without_harm(read: Prediction) -> None:
    assert read.aus is not None
    away = dict.fromkeys(AUS, ((-900.0, 5000.0), (1000000.0, -1000000.0)))
    draw(np.zeros((400, 400, 3), dtype=np.uint8), [replace(read, aus=replace(read.aus, places=away))])


def test_mirrored_twice_is_as_before() -> None:
    shares = np.random.default_rng(0).uniform(0, 1, (3, 68, 2)).astype(np.float32)
    np.testing.assert_allclose(mirrored_shares(mirrored_shares(shares)), shares, atol=1e-6)
