"""The steps of the stages of `aue` beside the backbone's own, on a network small enough for a test."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aue_steps import bare, measure, show

from openfer.cli.listing import recipe_path
from openfer.learn.recipe import Recipe, load_recipe


@pytest.fixture
def recipe() -> Recipe:
    given = load_recipe(recipe_path("aue/smoke"))
    return bare(replace(given, backbone=replace(given.backbone, name="test_resnet")), 4)


def test_every_stage_is_timed_beside_the_backbone(recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    sides = measure(recipe, rounds=1, steps=1)
    assert [side.name for side in sides] == ["baseline", "expression", "action_units", "fusion"]
    assert all(len(side.times) == 1 for side in sides)
    assert len({side.learning for side in sides}) == 4
    show(sides, "title", 1)
    assert "action_units" in capsys.readouterr().out
