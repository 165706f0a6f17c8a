"""Methods against `baseline`: as many views on both sides, timed in turns."""

from __future__ import annotations

import method_overhead
import pytest
from method_overhead import Side, make_recipe, measure, ratios

from openfer.learn.recipe import Recipe


def recipe_of(method: str, batch: int) -> Recipe:
    return make_recipe(method, "test_efficientnet", 32, 8, batch, "fp32")


def test_every_side_has_its_turns_and_its_views() -> None:
    sides = measure(["arm"], recipe_of, 4, rounds=2, steps=1)
    assert [(side.name, side.views, len(side.times)) for side in sides] == [("baseline", 1, 2), ("arm", 1, 2)]
    assert all(ratio > 0 for ratio in ratios(sides[1], sides))


def test_a_method_is_compared_with_as_many_views() -> None:
    def side(name: str, views: int, times: list[float]) -> Side:
        return Side(name=name, views=views, steps=lambda batches: None, times=times)

    sides = [side("baseline", 1, [1, 2]), side("baseline", 2, [2, 5]), side("mek", 2, [3, 6])]
    assert ratios(sides[2], sides) == [1.5, 1.2]


def test_the_script_prints_its_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["arm", "--backbone", "test_efficientnet", "--size", "32", "--batch", "4", "--rounds", "1"]
    monkeypatch.setattr("sys.argv", ["method_overhead.py", *arguments])
    method_overhead.main()
    assert "at most 1.25" in capsys.readouterr().out
