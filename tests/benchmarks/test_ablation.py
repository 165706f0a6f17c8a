"""The ablation of `combined`: eight combinations, each kept once it is finished, one table."""

from __future__ import annotations

import shutil
from pathlib import Path

import ablation
import numpy as np
import pytest
from ablation import CELLS, Cell, finished, mean_score

from openfer.cli.listing import known_recipes
from openfer.evaluate.paired import Resampled
from openfer.learn.method import build_method
from openfer.learn.recipe import load_recipe
from tests.learn.tiny import tiny_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of `combined` that takes a second a run."""
    path = tmp_path / "tiny.yaml"
    tiny = tiny_recipe(
        method={"name": "combined", "embeddings": 2, "width": 4},
        backbone={"output_stride": 8},
        data={"manifest": "mini:120"},
    )
    path.write_text(tiny.to_yaml())
    return path


def run(monkeypatch: pytest.MonkeyPatch, recipe: Path, out: Path, *more: str) -> None:
    monkeypatch.setattr(
        "sys.argv", ["ablation.py", str(recipe), "--out", str(out), "--manifest", "mini:120", "--split", "train", *more]
    )
    ablation.main()


def test_all_eight_combinations_are_there_and_only_their_parts_are_on() -> None:
    assert len({cell.name for cell in CELLS}) == 8
    given = load_recipe(known_recipes()["combined/ablation"])
    for cell in CELLS:
        made = cell.of(given, 3)
        options = build_method(made.method).options
        parts = {"ARM": options.amend, "MEK": options.mine, "Ad-Corre": options.correlations}
        assert tuple(part for part, on in parts.items() if on) == cell.parts
        assert options.smoothing + options.consistency in (0, pytest.approx(0.12))
        assert made.run.seed == 3
        assert made.optim == given.optim


def test_runs_are_kept_and_more_can_follow(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / "out", CELLS[-1]
    run(monkeypatch, recipe, out, "--only", "none")
    assert "needs two" in capsys.readouterr().out
    # Another combination, as if it had been trained, too.
    (out / whole.name).mkdir()
    shutil.copytree(out / "none" / "seed0", out / whole.name / "seed0")
    trained = load_recipe(recipe, ["data.manifest=mini:120"])
    (out / whole.name / "seed0" / "recipe.yaml").write_text(whole.of(trained, 0).to_yaml())
    monkeypatch.setattr(ablation, "train", None)  # nothing is left to train
    run(monkeypatch, recipe, out, "--only", "none", whole.name)
    assert set(finished(out, 2)) == {("none", 0), (whole.name, 0)}
    rows = [line for line in (out / "ablation.md").read_text().splitlines() if line.startswith("| ")]
    assert [row.split("|")[1:5] for row in rows[2:]] == [["  ", "  ", "  ", " 1 "], [*[" yes "] * 3, " 1 "]]
    assert "+0.00 [+0.00, +0.00]" in rows[-1]
    with pytest.raises(SystemExit):
        run(monkeypatch, recipe, out, "--only", "none", "--", "optim.lr=1e-4")
    assert "another recipe" in capsys.readouterr().err


def test_another_method_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, Path("baseline/smoke"), Path("nowhere"))
    assert "its method is 'baseline'; expected 'combined'" in capsys.readouterr().err


def test_scores_are_means_over_the_seeds() -> None:
    values = {"accuracy": np.array([0.5, 0.7, 0.9])}
    draws = {"accuracy": np.array([[0.4, 0.6], [0.6, 0.8], [0.9, 0.9]])}
    resampled = Resampled(values, draws, np.zeros((3, 2)))
    mean = mean_score(resampled, "accuracy", [0, 1])
    assert mean.value == pytest.approx(0.6)
    assert 0.5 <= mean.low < mean.high <= 0.7
    less = mean_score(resampled, "accuracy", [2], [0, 1])
    assert less.value == pytest.approx(0.3)
    assert less.low < 0.3 < less.high


def test_names_of_folders() -> None:
    assert Cell(parts=()).name == "none"
    assert Cell(parts=("MEK", "Ad-Corre")).name == "mek+ad-corre"
