"""`openfer benchmark`: a grid is trained, kept, gone on with, and told as one table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from openfer.cli.main import app
from openfer.errors import ConfigError
from openfer.learn import grid
from openfer.learn.grid import Asked, data_name, finish_cells, is_finished, make_cells
from openfer.learn.recipe import load_recipe
from tests.learn.tiny import tiny_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes that take a second, and a grid in which one run of the first is finished."""
    folder = tmp_path_factory.mktemp("benchmark")
    for name, rate in (("one", 1e-3), ("two", 2e-3)):
        (folder / f"{name}.yaml").write_text(tiny_recipe(data={"manifest": "mini:60"}, optim={"lr": rate}).to_yaml())
    result = benchmark(folder, str(folder / "one.yaml"), "--seeds", "1")
    assert result.exit_code == 0, result.output
    assert "seed 0: done" in result.output
    return folder


def benchmark(folder: Path, *arguments: str):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, ["benchmark", *arguments, "--out", str(folder / "grid"), "--split", "train"])


def copy_run(folder: Path, name: str, seed: int) -> None:
    """Another finished run, as if it had been trained, too."""
    recipe = load_recipe(folder / f"{name}.yaml", [f"run.seed={seed}"])
    [cell] = make_cells({name: recipe}, [], 1, folder / "grid")
    first = next((folder / "grid").glob("*/*/seed0"))
    shutil.copytree(first, cell.folder, dirs_exist_ok=True)
    (cell.folder / "recipe.yaml").write_text(cell.recipe.to_yaml())


def test_finished_runs_are_kept_and_others_join_the_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_run(folder, "one", 1)
    copy_run(folder, "two", 0)
    copy_run(folder, "two", 1)
    monkeypatch.setattr(grid, "finish", None)  # nothing is left to train
    page = folder / "page.md"
    page.write_text("before\n<!-- benchmark grid -->\nold\n<!-- end grid -->\nafter\n")
    result = benchmark(folder, str(folder / "one.yaml"), str(folder / "two.yaml"), "--seeds", "2", "--into", str(page))
    assert result.exit_code == 0, result.output
    assert result.output.count(": kept") == 4
    [one, two] = pq.read_table(folder / "grid" / "benchmark.parquet").to_pylist()
    assert one["seeds"] == two["seeds"] == [0, 1]
    assert one["more"] is None
    assert (two["more"], two["p"]) == (0.0, 1.0)  # the same answers
    assert one["accuracy_low"] <= one["accuracy"] <= one["accuracy_high"]
    assert one["cpu_seconds"] > 0
    assert one["parameters"] > 0
    text = page.read_text()
    assert text.startswith("before\n<!-- benchmark grid -->\n| recipe")
    assert text.endswith("<!-- end grid -->\nafter\n")
    assert "old" not in text
    assert text.count("\n| ") == 4  # head, rule, two recipes
    assert "<table>" in (folder / "grid" / "benchmark.html").read_text()


def test_a_folder_of_another_recipe_is_refused(folder: Path) -> None:
    recipe = load_recipe(folder / "one.yaml", ["optim.lr=0.5"])
    [cell] = make_cells({"one": recipe}, [], 1, folder / "grid")
    with pytest.raises(ConfigError, match="holds a run of another recipe"):
        list(finish_cells([cell], Asked(split="train"), jobs=1))


def test_a_cell_that_somebody_trains_is_left_to_them(folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe(folder / "one.yaml")
    [cell] = make_cells({"one": recipe}, [], 1, tmp_path)
    cell.folder.mkdir(parents=True)
    with grid.open_locked(cell.folder / grid.LOCK, cell.folder):
        assert grid.finish(cell, Asked(split="train")) is False
    assert not is_finished(cell)


def test_runs_may_be_judged_on_episodes_of_another_manifest(folder: Path, tmp_path: Path) -> None:
    run, few = next((folder / "grid").glob("one/*/seed0")), tmp_path / "few"
    evaluate = [
        "evaluate",
        str(run),
        "mini:90",
        "--split",
        "all",
        "--episodes",
        "40",
        "--k-shot",
        "1",
        "--out",
        str(few),
    ]
    assert CliRunner().invoke(app, evaluate).exit_code == 0
    again = tmp_path / "grid" / run.relative_to(folder / "grid")
    shutil.copytree(run, again)
    (again / "predictions.parquet").unlink()  # trained, not judged
    arguments = ["--on", "mini:90", "--episodes", str(few / "episodes.parquet"), "--seeds", "1"]
    result = benchmark(tmp_path, str(folder / "one.yaml"), *arguments)
    assert result.exit_code == 0, result.output
    assert "judged on 120 queries of 40 episodes, 3-way 1-shot, 1 query a class (" in result.output
    [row] = pq.read_table(tmp_path / "grid" / "benchmark.parquet").to_pylist()
    assert row["accuracy"] == pytest.approx(json.loads((few / "report.json").read_text())["accuracy"]["value"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--episodes", "none.parquet"], "none.parquet: no such file"), (["--on", "none.parquet"], "none.parquet")],
)
def test_what_is_to_be_judged_is_opened_before_anything_trains(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.setattr(grid, "ProcessPoolExecutor", None)
    result = benchmark(tmp_path, str(folder / "one.yaml"), *arguments, "--seeds", "1")
    assert result.exit_code != 0
    assert says in str(result.exception)


def test_cells_go_seed_by_seed_over_recipes_and_data_sets(folder: Path) -> None:
    recipe = load_recipe(folder / "one.yaml", ["run.seed=5"])
    cells = make_cells({"a": recipe, "b": recipe}, ["x/raf.parquet", "mini:60"], 2, Path("out"))
    assert [cell.title for cell in cells[:4]] == [
        "a, raf, seed 5",
        "a, mini-60, seed 5",
        "b, raf, seed 5",
        "b, mini-60, seed 5",
    ]
    assert cells[-1].folder == Path("out/b/mini-60/seed6")
    assert cells[0].recipe.data.manifest == "x/raf.parquet"
    assert data_name("a.parquet, b/c.parquet") == "a+c"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["one", "one"], "is given twice"),
        (["one", "--baseline", "three"], "--baseline 'three': not one of the recipes"),
        (["two", "--only-table", "--seeds", "9", "--set", "run.seed=20"], "no finished runs"),
        (["one", "--into", "missing.md"], "missing.md: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused(folder: Path, arguments: list[str], wanted: str) -> None:
    named = [str(folder / f"{word}.yaml") if word in ("one", "two") else word for word in arguments]
    result = benchmark(folder, *named, *([] if "--seeds" in named else ["--seeds", "1"]))
    assert result.exit_code != 0
    assert wanted in str(result.exception)
