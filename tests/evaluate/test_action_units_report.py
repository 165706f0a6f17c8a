"""Action units in an evaluation: from the row's landmarks to the predictions file, the scores and the page."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from openfer.bundle.card import read_card, write_card
from openfer.bundle.load import CARD, Bundle, load_bundle, sigmoid
from openfer.cli.main import app
from openfer.data.manifest import Manifest, Origin, build_manifest, load_manifest, write_manifest
from openfer.data.placed import placed_landmarks
from openfer.evaluate.action_units.columns import judged_units, unit_columns
from openfer.evaluate.predictions import Predictions, build_predictions, read_predictions
from openfer.evaluate.report.build import evaluate_predictions
from openfer.evaluate.report.record import EvaluationReport
from openfer.evaluate.score import cut_row, score_manifest
from openfer.labels import LABEL_SETS
from openfer.predict.predictor import Predictor
from openfer.vision.au_locations import AUS
from tests.bundles import make_bundle

LABELS = LABEL_SETS["basic7"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("units") / "toy", units=True, label_set="basic7")


@pytest.fixture(scope="module")
def faces() -> Manifest:
    return load_manifest("mini:98")


def of(predictions: Predictions, name: str) -> np.ndarray:
    return np.array(predictions.column(name), dtype=float)


def one_row(picture: Path, **values: Any) -> Manifest:
    stream = io.BytesIO()
    Image.open(picture).convert("RGB").save(stream, "PNG")
    row = {"image": {"bytes": stream.getvalue(), "path": None}, "label": "fear", "split": "test", **values}
    return build_manifest([row], LABELS, Origin(layout="own", reader="0", rule="r"), Path())


def test_a_rows_own_landmarks_are_what_the_network_reads(model: Path, faces: Manifest) -> None:
    bundle = load_bundle(model, threads=1)
    predictions = score_manifest(bundle, faces, "test", detector=None)
    row = predictions.column("row")[3]
    cut = cut_row(faces, row, bundle.card.input.alignment(), None)
    assert not isinstance(cut, str)
    landmarks = placed_landmarks(faces, row, cut.square)
    aus = bundle.run(cut.pixels[None], landmarks=landmarks[None], outputs=("aus",))[0][0]
    np.testing.assert_allclose([predictions.column(f"au_{unit}")[3] for unit in AUS], sigmoid(aus), atol=1e-6)
    truth = dict(faces.value(row, "aus"))
    for unit in AUS:
        assert predictions.column(f"au_{unit}_truth")[3] == pytest.approx(truth[f"AU{unit}"])


def test_a_photo_and_a_row_with_the_same_points_get_the_same_answer(model: Path, astronaut: Path) -> None:
    predictor = Predictor.load(model, aus=True, threads=1)
    (face,) = predictor.predict([astronaut])[0]
    assert face.aus is not None
    assert face.found is not None
    manifest = one_row(astronaut, points5=face.found.points5, points5_status="given")
    predictions = score_manifest(load_bundle(model, threads=1), manifest, "test", detector=None)
    assert predictions.probabilities[0] == pytest.approx(list(face.probabilities.values()), abs=1e-4)
    for unit in AUS:
        assert predictions.column(f"au_{unit}")[0] == pytest.approx(face.aus[unit], abs=1e-4)


@pytest.mark.parametrize("status", ["uncertain", "no_face"])
def test_a_row_that_was_searched_in_vain_has_no_units(model: Path, astronaut: Path, status: str) -> None:
    points = [[0.0, 0.0]] * 68 if status == "uncertain" else None
    manifest = one_row(astronaut, landmarks68=points, landmarks_status=status, aus=[("AU12", 1.0)])
    predictions = score_manifest(load_bundle(model, threads=1), manifest, "test", detector=None)
    assert predictions.counted.all()
    assert np.isnan(of(predictions, "au_12")).all()
    assert judged_units(predictions) is None
    assert evaluate_predictions(predictions).action_units is None


def test_the_command_reports_units_and_what_was_learned(model: Path, tmp_path: Path) -> None:
    own = tmp_path / "model"
    own.mkdir()
    for file in model.iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    card = read_card(own / CARD)
    table = np.full((7, 17), 0.1)
    learned = {"units": list(AUS), "start": table.tolist(), "table": (table + np.eye(7, 17) / 3).tolist()}
    write_card(card.model_copy(update={"method": card.method.model_copy(update={"learned": learned})}), own / CARD)
    call = ["evaluate", str(own), "mini:98", "--out", str(tmp_path / "report"), "--threads", "1", "--detector", "none"]
    result = CliRunner().invoke(app, [*call, "--split", "test"])
    assert result.exit_code == 0, result.output
    assert "action units" in result.output
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    report = EvaluationReport.from_dict(values)
    assert report.action_units is not None
    assert json.loads(json.dumps(report.to_dict())) == values
    assert (report.action_units.faces, report.action_units.resampled) == (14, "subject")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "lip corner puller" in page
    assert "AUC within expressions" in page
    with Image.open(tmp_path / "report" / "unit_table.png") as picture:
        assert picture.width > 300
    kept = read_predictions(tmp_path / "report" / "predictions.parquet")
    assert evaluate_predictions(kept).action_units == report.action_units


def test_a_model_without_units_has_no_such_columns(bundle_folder: Path, faces: Manifest) -> None:
    bundle: Bundle = load_bundle(bundle_folder, threads=1)
    predictions = score_manifest(bundle, faces, "test", detector=None, labels="intersection")
    assert not [name for name in predictions.table.column_names if name.startswith("au_")]
    assert evaluate_predictions(predictions).action_units is None


def test_levels_of_facs_count_from_the_second_on() -> None:
    chances = np.full((4, len(AUS)), 0.5, dtype=np.float32)
    chances[:, 0] = [0.1, 0.2, 0.7, 0.9]
    truth = [[("AU1", level)] for level in (0.0, 1.0, 2.0, 5.0)]
    columns = unit_columns(chances, truth)
    assert [name for name in columns if name.endswith("_truth")] == ["au_1_truth"]
    shares = np.eye(7, dtype=np.float32)[[0, 1, 2, 3]]
    predictions = build_predictions(LABELS, shares, list(LABELS.names[:4]), units=columns)
    judged = judged_units(predictions)
    assert judged is not None
    assert judged.present_from == 2.0
    report = evaluate_predictions(predictions).action_units
    assert report is not None
    assert report.units[0].present == 2
    assert report.units[0].scores["auc"].value == 1.0


def without_expressions(faces: Manifest, path: Path) -> Path:
    """The faces as a data set in the manner of DISFA: levels of twelve units and no expression."""
    names = LABEL_SETS["disfa"]
    rows = [
        row
        | {
            "label": None,
            "split": "test",
            "aus": [(unit, round(5 * share)) for unit, share in row["aus"] if unit in names],
        }
        for row in faces.rows(np.arange(28))
        .table.select(["image", "points5", "landmarks68", "subject", "aus"])
        .to_pylist()
    ]
    write_manifest(build_manifest(rows, names, Origin(layout="own", reader="0", rule="levels"), Path()), path)
    return path


def test_a_data_set_without_expressions_is_judged_by_its_units(
    model: Path, bundle_folder: Path, faces: Manifest, tmp_path: Path
) -> None:
    manifest = without_expressions(faces, tmp_path / "units.parquet")
    call = [str(manifest), "--split", "test", "--out", str(tmp_path / "report"), "--threads", "1", "--detector", "none"]
    result = CliRunner().invoke(app, ["evaluate", str(model), *call])
    assert result.exit_code == 0, result.output
    assert "28" in result.output
    values = json.loads((tmp_path / "report" / "action_units.json").read_text())
    assert [unit["unit"] for unit in values["units"]] == [1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26]
    assert (values["present_from"], values["expressions"]) == (2.0, [])
    assert "outer brow raiser" in (tmp_path / "report" / "action_units.html").read_text()
    result = CliRunner().invoke(app, ["evaluate", str(bundle_folder), *call])
    assert "the model 'toy' has no action units" in str(result.exception)
