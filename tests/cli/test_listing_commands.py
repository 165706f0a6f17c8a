"""What there is to train: `openfer methods` and `openfer recipes`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openfer.cli.listing import known_recipes, recipe_path
from openfer.cli.main import app
from openfer.errors import ConfigError
from openfer.learn.recipe import load_recipe


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_recipes_as_json_can_be_trained_by_their_name() -> None:
    listed = json.loads(invoke("recipes", "--json"))
    names = [row["name"] for row in listed]
    assert names == sorted(known_recipes())
    assert {"baseline/cpu", "baseline/ferplus", "baseline/smoke"} <= set(names)
    for row in listed:
        assert row["about"].endswith((".", ":"))
        assert not row["about"].startswith("#")
        assert load_recipe(recipe_path(row["name"])).method.name == row["name"].split("/")[0]


def test_recipes_for_people() -> None:
    text = invoke("recipes")
    assert all(name in text for name in known_recipes())


def test_a_recipe_is_a_path_or_a_name(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.touch()
    assert recipe_path(str(own)) == own
    smoke = known_recipes()["baseline/smoke"]
    for name in ("baseline/smoke", "recipes/baseline/smoke.yaml", "baseline/smoke.yaml"):
        assert recipe_path(name).read_text() == smoke.read_text()
    with pytest.raises(ConfigError, match="did you mean 'baseline/smoke'"):
        recipe_path("baseline/smok")


def test_methods_as_json_say_what_they_take() -> None:
    listed = {row["name"]: row for row in json.loads(invoke("methods", "--json"))}
    baseline = listed["baseline"]
    assert baseline["inputs"] == ["image"]
    assert baseline["batch_coupled"] is False
    assert baseline["source"]
    assert baseline["options"] == {"smoothing": 0.0, "balance": 0.0, "soft_targets": True, "dropout": 0.2}


def test_methods_for_people() -> None:
    text = invoke("methods")
    assert "baseline" in text
    assert "smoothing=0.0" in text
