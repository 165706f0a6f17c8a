"""`openfer compare` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openfer.evaluate.predictions import write_predictions
from tests.compared import drawn, judged

OPENFER = [sys.executable, "-c", "from openfer.cli.main import run; run()"]


def openfer(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*OPENFER, "compare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three models' files as `evaluate` writes them: of the same name, in folders of their own."""
    paths = [tmp_path / name / "predictions.parquet" for name in ("good", "poor", "fair")]
    for path, right in zip(paths, (0.9, 0.5, 0.8), strict=True):
        write_predictions(drawn(150, right, int(100 * right), split="test"), path)
    return paths


def test_models_are_compared(files: list[Path], tmp_path: Path) -> None:
    done = openfer(*files, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.html", "compare.json", "compare.png"]
    values = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert "3 models on the same 150 rows" in done.stdout
    for model in values["models"]:
        score = model["scores"]["accuracy"]
        assert f"{100 * score['value']:.1f} %" in done.stdout
        assert f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}]" in done.stdout
    for pair in values["pairs"]:
        assert pair["conclusion"] in done.stdout
    assert f"report: {tmp_path / 'out' / 'compare.html'}" in done.stdout
    assert [model["file"] for model in values["models"]] == [str(path) for path in files]


def test_without_a_folder_nothing_is_written(files: list[Path], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = openfer(files[0], files[1])
    assert done.returncode == 0, done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert "report:" not in done.stdout


def test_json_is_all_that_is_printed(files: list[Path]) -> None:
    done = openfer(*files, "--baseline", "fair", "--seed", "3", "--draws", "1500", "--json")
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert (values["baseline"], values["seed"], values["draws"]) == ("fair", 3, 1500)
    assert [(pair["first"], pair["second"]) for pair in values["pairs"]] == [("good", "fair"), ("poor", "fair")]


def test_a_folder_stands_for_its_predictions(files: list[Path]) -> None:
    by_file, by_folder = openfer(*files), openfer(*(path.parent for path in files))
    assert by_file.returncode == 0, by_file.stderr
    assert by_folder.stdout == by_file.stdout


def test_files_of_other_programs_are_compared(tmp_path: Path) -> None:
    for name, share in (("mine", 0.9), ("theirs", 0.4)):
        columns = {"row": range(30), "truth": ["b"] * 30, "p_a": [1 - share] * 30, "p_b": [share] * 30}
        pq.write_table(pa.table({key: list(values) for key, values in columns.items()}), tmp_path / f"{name}.parquet")
    done = openfer(tmp_path / "mine.parquet", tmp_path / "theirs.parquet")
    assert done.returncode == 0, done.stderr
    assert "mine is more accurate than theirs by 100.0 points" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good"], "expected two or more predictions files, got 1"),
        (["good", "none"], "none: no such predictions file"),
        (["good", "text"], "text: not a Parquet file"),
        (["good", "twice"], "twice: column 'row': expected a number of its own"),
        (["good", "empty"], "good, empty: no row is judged by all"),
        (["good", "gaps"], "gaps: row 1: no probabilities, and no status"),
        (["good", "classes"], "--labels intersection"),
        (["good", "apart"], "good, apart: no row is judged by all"),
        (["good", "other"], "row 0: its truth is 'glad' in good and 'calm' in other"),
        (["good", "good", "--baseline", "god"], "--baseline 'god': not one of the models; did you mean 'good #"),
        (["good", "good", "--labels", "intersect"], "did you mean 'intersection'"),
        (["good", "good", "--draws", "10"], "--draws 10: expected 1000 to 100000"),
        (["good", "good", "--out", "text"], "--out text: a file of this name is there; expected a folder"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_predictions(judged("gcx", "gcx"), Path("good"))
    write_predictions(judged("ccx", "gcx"), Path("other"))
    write_predictions(judged("gcx", "gcx", rows=[7, 8, 9]), Path("apart"))
    write_predictions(judged("", ""), Path("empty"))
    Path("text").write_text("no table")
    plain = {"row": [0, 1, 2], "truth": ["a", "b", "b"], "p_a": [0.9, 0.1, 0.1], "p_b": [0.1, 0.9, 0.9]}
    pq.write_table(pa.table(plain), "classes")
    pq.write_table(pa.table(plain | {"row": [1, 1, 2]}), "twice")
    pq.write_table(pa.table(plain | {"p_a": [0.9, float("nan"), 0.1]}), "gaps")
    done = openfer(*arguments)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
