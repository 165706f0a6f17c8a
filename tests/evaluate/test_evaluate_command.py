"""`openfer evaluate` from the outside."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.bundle.load import load_bundle
from openfer.cli.models import resolve_model
from openfer.data.manifest import Origin, build_manifest, load_manifest, write_manifest
from openfer.errors import ModelError
from openfer.evaluate.predictions import read_predictions
from openfer.evaluate.report.write import read_report
from openfer.evaluate.score import cut_pictures
from openfer.labels import LABEL_SETS, LabelSet
from tests.bundles import make_bundle

OPENFER = [sys.executable, "-c", "from openfer.cli.main import run; run()"]


def write_drawn(path: Path, labels: LabelSet, *, n: int = 24, broken: int = 0) -> Path:
    """A manifest of n noise pictures, the first of them broken, in the test split."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(n):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(stream, "PNG")
        content = stream.getvalue() if index >= broken else b"no picture"
        label = labels.names[index % len(labels)]
        rows.append({"image": {"bytes": content, "path": None}, "label": label, "split": "test"})
    write_manifest(build_manifest(rows, labels, Origin(layout="drawn"), path.parent), path)
    return path


def openfer(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*OPENFER, *map(str, arguments), "--threads", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_model_is_judged(bundle_folder: Path, tmp_path: Path) -> None:
    manifest = write_drawn(tmp_path / "m.parquet", LABEL_SETS["ferplus"])
    done = openfer("evaluate", bundle_folder, manifest, "--out", tmp_path / "out", "--detector", "none")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    names = ["confusion.png", "predictions.parquet", "report.html", "report.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    report = read_report(tmp_path / "out" / "report.json")
    accuracy = report.accuracy
    assert f"{accuracy.value:.1%}" in done.stdout
    assert f"[{accuracy.low:.1%}, {accuracy.high:.1%}]" in done.stdout
    for text in ("mean-class accuracy", "24 of 24", "24 frame", str(tmp_path / "out" / "report.html")):
        assert text in done.stdout
    predictions = read_predictions(tmp_path / "out" / "predictions.parquet")
    right = predictions.probabilities.argmax(axis=1) == predictions.truth
    assert accuracy.value == pytest.approx(right.mean())
    assert report.context.command.startswith("openfer ") or "evaluate" in report.context.command


def test_the_page_shows_the_card_and_the_faces_that_the_network_saw(bundle_folder: Path, tmp_path: Path) -> None:
    manifest = write_drawn(tmp_path / "m.parquet", LABEL_SETS["ferplus"], n=16)
    done = openfer("evaluate", bundle_folder, manifest, "--out", tmp_path / "out", "--detector", "none")
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "out" / "report.json")
    bundle = load_bundle(bundle_folder, threads=1)
    assert report.card == bundle.card
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert bundle.card.limits in page
    shown = report.errors + report.hardest
    assert len(shown) > 8
    assert page.count("data:image/jpeg;base64,") == len(shown)
    encoded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)[0]
    face = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"), dtype=int)
    pictures = cut_pictures(bundle, load_manifest(manifest), [example.row for example in shown], detector=None)
    distances = {row: np.abs(face - picture).mean() for row, picture in pictures.items()}
    assert min(distances, key=distances.__getitem__) == shown[0].row
    assert distances[shown[0].row] < 12, "lossy, but the same picture"


def test_json_and_the_status_of_unreadable_rows(bundle_folder: Path, tmp_path: Path) -> None:
    manifest = write_drawn(tmp_path / "m.parquet", LABEL_SETS["ferplus"], broken=2)
    done = openfer("evaluate", bundle_folder, manifest, "--split", "test", "--out", tmp_path / "out", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["counts"]["unreadable"], report["counts"]["counted"]) == (2, 22)


def test_where_no_row_can_be_read_the_predictions_say_why(bundle_folder: Path, tmp_path: Path) -> None:
    manifest = write_drawn(tmp_path / "m.parquet", LABEL_SETS["ferplus"], n=8, broken=8)
    done = openfer("evaluate", bundle_folder, manifest, "--out", tmp_path / "out", "--detector", "none")
    assert done.returncode == 2
    assert "no row has both a truth and an answer; the first one's reason: unreadable: " in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.parquet"]
    assert len(read_predictions(tmp_path / "out" / "predictions.parquet")) == 8


def test_other_classes_need_the_users_word(bundle_folder: Path, tmp_path: Path) -> None:
    manifest = write_drawn(tmp_path / "m.parquet", LABEL_SETS["basic7"])
    arguments = ["evaluate", bundle_folder, manifest, "--out", tmp_path / "out", "--detector", "none"]
    refused = openfer(*arguments)
    assert refused.returncode == 2
    assert "only the model has contempt" in refused.stderr
    assert not (tmp_path / "out").exists()
    done = openfer(*arguments, "--labels", "intersection")
    assert done.returncode == 0, done.stderr
    assert "7 classes that model and data share; left out: contempt (only the model has it)" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "left out: contempt (only the model has it)" in page
    left_out = json.loads((tmp_path / "out" / "report.json").read_text())["left_out"]
    assert left_out == [{"name": "contempt", "only": "model", "rows": 0}]


def test_rows_of_a_class_that_the_model_lacks_are_left_out_and_counted(tmp_path: Path) -> None:
    seven = make_bundle(tmp_path / "seven", label_set="basic7")
    manifest = write_drawn(tmp_path / "m.parquet", LABEL_SETS["ferplus"], n=24)
    arguments = ["evaluate", seven, manifest, "--out", tmp_path / "out", "--detector", "none"]
    refused = openfer(*arguments)
    assert refused.returncode == 2
    assert "only the manifest has contempt; judge what both have with --labels intersection" in refused.stderr
    assert refused.stderr.count("\n") == 1
    done = openfer(*arguments, "--labels", "intersection")
    assert done.returncode == 0, done.stderr
    assert "left out: contempt (only the data has it, 3 rows)" in done.stdout
    assert "21 of 24" in done.stdout
    report = read_report(tmp_path / "out" / "report.json")
    assert (report.counts.left_out, report.counts.counted) == (3, 21)
    assert report.not_counted == {"left_out: contempt": 3}
    assert "contempt" not in report.labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--split", "validation"], "split 'validation': no rows; this manifest has test"),
        (["--labels", "intersect"], "did you mean 'intersection'"),
        (["--detector", "centreface"], "did you mean 'centerface'"),
        (["--out", "m.parquet"], "expected a folder"),
    ],
)
def test_wrong_use_is_one_line(bundle_folder: Path, tmp_path: Path, change: list[str], message: str) -> None:
    manifest = write_drawn(tmp_path / "m.parquet", LABEL_SETS["ferplus"], n=8)
    change = [str(manifest) if word == "m.parquet" else word for word in change]
    done = openfer("evaluate", bundle_folder, manifest, "--out", tmp_path / "out", *change)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_is_a_bundle_or_a_run(bundle_folder: Path, tmp_path: Path) -> None:
    assert resolve_model(str(bundle_folder)) == bundle_folder
    with pytest.raises(ModelError, match="model 'defualt'"):
        resolve_model("defualt")
    (tmp_path / "recipe.yaml").write_text("method: {name: baseline}\n")
    with pytest.raises(ModelError, match=r"a run without best.safetensors"):
        resolve_model(str(tmp_path))


def test_a_run_without_pytorch_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recipe.yaml", "best.safetensors"):
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it now fails
    with pytest.raises(ModelError, match=r"pip install openfer\[train\]"):
        resolve_model(str(tmp_path))
