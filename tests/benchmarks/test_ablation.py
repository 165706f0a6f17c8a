"""The ablation of `combined`: eight combinations, trained and compared as a grid."""

from __future__ import annotations

import pytest
from ablation import combinations, main

from openfer.cli.listing import known_recipes
from openfer.learn.method import build_method
from openfer.learn.recipe import load_recipe


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["ablation.py", "--out", "nowhere", *arguments])
    main()


def test_all_eight_combinations_are_there_and_only_their_parts_are_on() -> None:
    given = load_recipe(known_recipes()["combined/ablation"])
    made = combinations(given)
    assert len(made) == 8
    for name, recipe in made.items():
        options = build_method(recipe.method).options
        parts = {"arm": options.amend, "mek": options.mine, "ad-corre": options.correlations}
        assert ("+".join(part for part, on in parts.items() if on) or "none") == name
        assert options.smoothing + options.consistency in (0, pytest.approx(0.12))
        assert recipe.optim == given.optim


def test_what_cannot_be_done_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "baseline/smoke")
    assert "its method is 'baseline'; expected 'combined'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, "combined/ablation", "--only", "arm+csrn")
    assert "--only arm+csrn: not one of none, ad-corre, mek," in capsys.readouterr().err
