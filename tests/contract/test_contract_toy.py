"""The method contract is complete: a method that uses all of it trains, stage by stage, as it says."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tests.contract.toy_method
from openfer.errors import ConfigError
from openfer.learn.engine import train
from openfer.learn.method import Method, register
from tests.contract.train_toy import toy_recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toy") / "run"
    train(toy_recipe(ema="none", select="last"), out)
    return out


def test_log_has_both_stages_and_both_terms(run: Path) -> None:
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert [row["stage"] for row in rows] == ["all", "all", "head", "head"]
    assert [int(row["steps"]) for row in rows] == [6, 12, 6, 12]
    assert all(float(row["train_loss_main"]) > 0 and float(row["train_loss_views"]) > 0 for row in rows)


def test_state_of_after_step_is_kept_in_the_weights(run: Path) -> None:
    weights = load_file(run / "last.safetensors")
    assert weights["steps"] == 24
    assert weights["seen"].sum() == pytest.approx(12 * (1 - 0.9**24) / 0.1, rel=1e-5)


def test_frozen_stage_stands_still_with_its_statistics_and_the_rest_moves(tmp_path: Path) -> None:
    class OneStage(tests.contract.toy_method.Toy):
        def stages(self):  # type: ignore[no-untyped-def]
            return super().stages()[:1]

    register("toy_one_stage")(OneStage)
    recipe = toy_recipe(ema="none", select="last").to_dict()
    from openfer.learn.recipe import parse_recipe

    train(parse_recipe(recipe, "r"), tmp_path / "both")
    train(parse_recipe({**recipe, "method": {"name": "toy_one_stage"}}, "r"), tmp_path / "one")
    one, both = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "both"))
    for name in one:
        same = torch.equal(one[name], both[name])
        assert same == name.startswith("body."), name


def test_a_frozen_module_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    from openfer.learn.engine import freeze
    from openfer.learn.method import Stage

    with pytest.raises(ConfigError, match="'bdy' does not exist"):
        freeze(torch.nn.Sequential(), Stage(frozen=("bdy",)))


def test_a_name_that_is_taken_names_both_places() -> None:
    class Other(Method):
        pass

    with pytest.raises(ConfigError, match=r"'toy' is registered twice: by tests\.contract\.toy_method"):
        register("toy")(Other)
