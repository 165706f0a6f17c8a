"""From a recipe to a model that reads photos, on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from openfer.bundle.card import read_card
from openfer.bundle.load import CARD
from openfer.cli.main import app
from openfer.errors import ConfigError, ModelError, OpenFERError
from openfer.labels import LABEL_SETS

CODE = "from openfer.cli.main import run; run()"
WITHOUT_TORCH = f"import sys; sys.modules['torch'] = None; {CODE}"
RECIPE = """
method: {name: baseline, dropout: 0.0}
backbone: {name: test_efficientnet, size: 32}
data: {manifest: "mini:84", holdout: 0.25, colour: grey}
optim: {lr: 3e-3, batch: 7, epochs: 9}
run: {seed: 1, tensorboard: false}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the commands below work in."""
    return tmp_path_factory.mktemp("command")


def openfer(
    place: Path, *arguments: str | Path, code: int = 0, program: str = CODE
) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    environment = {**os.environ, "OPENFER_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=place,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def invoke(*arguments: str | Path) -> str:
    """A command in this process: what it prints on standard output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def trained(place: Path) -> dict[str, Any]:
    """What `openfer train --json` says of a run in `run`."""
    (place / "mine.yaml").write_text(RECIPE)
    done = openfer(place, "train", "mine.yaml", "optim.epochs=2", "--out", "run", "--json")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def evaluated(place: Path, trained: dict[str, Any]) -> dict[str, Any]:
    """What `openfer evaluate RUN --json` says of it."""
    arguments = ("evaluate", "run", "mini:84", "--split", "test", "--out", "report", "--json")
    said: dict[str, Any] = json.loads(openfer(place, *arguments).stdout)
    return said


@pytest.fixture(scope="module")
def bundle(place: Path, evaluated: dict[str, Any]) -> Path:
    """The exported run, with the scores of its evaluation."""
    out = place / "model"
    said = json.loads(invoke("export", place / "run", out, "--report", place / "report" / "report.json", "--json"))
    assert said == read_card(out / CARD).model_dump(mode="json")
    return out


def test_train_leaves_a_run_and_says_where(place: Path, trained: dict[str, Any]) -> None:
    assert (trained["out"], trained["epoch"], trained["steps"]) == ("run", 2, 12)
    files = {path.name for path in (place / "run").iterdir()}
    assert {"best.safetensors", "last.safetensors", "recipe.yaml", "log.csv", "run.json", "checkpoint.pt"} <= files
    assert "epochs: 2" in (place / "run" / "recipe.yaml").read_text()
    command = json.loads((place / "run" / "run.json").read_text())["command"]
    assert command[1:] == ["train", "mine.yaml", "optim.epochs=2", "--out", "run", "--json"]


def test_a_finished_run_resumes_to_itself(
    place: Path, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENFER_CACHE", str(place / "cache"))
    run = place / "run"
    again = ("train", run / "recipe.yaml", "--out", run)
    with pytest.raises(ConfigError, match="holds a run already"):
        invoke(*again)
    said = invoke(*again, "--resume")
    assert f"is the best epoch of {trained['epoch']}" in said
    assert f"openfer export {run}" in said


def test_a_run_is_judged(place: Path, evaluated: dict[str, Any]) -> None:
    assert evaluated["counts"]["rows"] == 14
    assert 0 <= evaluated["accuracy"]["low"] <= evaluated["accuracy"]["value"] <= evaluated["accuracy"]["high"] <= 1
    for name in ("report.json", "report.html", "predictions.parquet", "confusion.png"):
        assert (place / "report" / name).is_file()
    assert (place / "run" / "bundle" / CARD).is_file()


def test_the_bundle_is_judged_as_the_run_was(
    place: Path, evaluated: dict[str, Any], bundle: Path, tmp_path: Path
) -> None:
    again = json.loads(invoke("evaluate", bundle, "mini:84", "--split", "test", "--out", tmp_path, "--json"))
    for name in ("accuracy", "mean_class_accuracy", "ways"):
        assert again[name] == evaluated[name]
    # Exported twice, a run gives the same graph: that is how its report was recognised.
    metrics = read_card(bundle / CARD).metrics
    assert metrics[-2].value == evaluated["accuracy"]["value"]


def test_photos_are_read_with_the_bundle_and_with_the_run(place: Path, bundle: Path, astronaut: Path) -> None:
    (row,) = json.loads(openfer(place, "predict", astronaut, "--model", bundle, "--json").stdout)
    assert row["status"] == "ok"
    assert row["label"] in LABEL_SETS["basic7"]
    assert sum(row[f"p_{name}"] for name in LABEL_SETS["basic7"]) == pytest.approx(1, abs=1e-5)
    (same,) = json.loads(invoke("predict", astronaut, "--model", place / "run", "--json"))
    assert same == row


def test_export_says_what_it_wrote(trained: dict[str, Any], place: Path, tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(ModelError, match="is there already and is not a bundle"):
        invoke("export", place / "run", tmp_path / "taken")
    with pytest.raises(ModelError, match=r"no recipe\.yaml; expected a folder of `openfer train`"):
        invoke("export", tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("mine.yaml", "optim.learning_rate=1"), "mine.yaml: optim.learning_rate: unknown key; known: accumulate"),
        (("mine.yaml", "optim.lrr=1"), "mine.yaml: optim.lrr: unknown key; did you mean 'lr'?"),
        (("mine.yaml", "optim"), "override 'optim': expected section.key=value, such as optim.lr=1e-3"),
        (("mine.yaml", "method.smothing=1"), "method.smothing: unknown key; did you mean 'smoothing'?"),
        (("mine.yaml", "backbone.name=resnet_18"), "timm has no 'resnet_18'; did you mean 'resnet18'?"),
        (("mine.yaml", "data.manifest=no.parquet"), "no.parquet: no such manifest"),
        (("baseline/smok",), "recipe 'baseline/smok': neither a file nor a recipe"),
    ],
)
def test_a_mistake_is_one_error_and_leaves_nothing(
    arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENFER_CACHE", str(tmp_path / "cache"))
    Path("mine.yaml").write_text(RECIPE)
    with pytest.raises(OpenFERError) as caught:
        invoke("train", *arguments, "--out", "run")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("run").exists()


def test_a_typo_is_one_line_and_status_2(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE)
    done = openfer(tmp_path, "train", "mine.yaml", "augment.flipp=1", "--out", "run", code=2)
    assert done.stdout == ""
    assert done.stderr == "openfer: mine.yaml: augment.flipp: unknown key; did you mean 'flip'?\n"
    assert {path.name for path in tmp_path.iterdir()} == {"mine.yaml"}


@pytest.mark.parametrize("arguments", [("train", "baseline/smoke"), ("export", "run", "out"), ("methods",)])
def test_without_pytorch_the_way_to_get_it_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = openfer(tmp_path, *arguments, code=2, program=WITHOUT_TORCH)
    assert done.stderr == "openfer: training needs 'torch'; install it with `pip install openfer[train]`\n"


def test_without_pytorch_a_run_cannot_be_used_but_its_bundle_can(place: Path, bundle: Path, astronaut: Path) -> None:
    (place / "bare").mkdir()
    for name in ("recipe.yaml", "best.safetensors"):
        (place / "bare" / name).write_bytes((place / "run" / name).read_bytes())
    done = openfer(place, "predict", astronaut, "--model", "bare", code=2, program=WITHOUT_TORCH)
    assert done.stderr.count("\n") == 1
    assert "a run folder needs PyTorch" in done.stderr
    openfer(place, "predict", astronaut, "--model", bundle, program=WITHOUT_TORCH)
