"""`openfer demo --train`: from the faces that come along to a report, in one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openfer.bundle.card import read_card
from openfer.bundle.load import CARD, bundle_path
from openfer.cli import listing
from openfer.cli.listing import recipe_path
from openfer.cli.main import app
from openfer.learn.pictures import alignment_of
from openfer.learn.recipe import load_recipe

SMALL = """
method: {name: baseline}
backbone: {name: test_efficientnet, size: 32}
data: {manifest: "mini:84", holdout: 0.25, colour: grey}
optim: {lr: 3e-3, batch: 14, epochs: 2}
run: {tensorboard: false}
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and a recipe of two seconds in place of the one that comes along."""
    folder = tmp_path / "recipes"
    (folder / "baseline").mkdir(parents=True)
    (folder / "baseline" / "demo.yaml").write_text(SMALL)
    monkeypatch.setattr(listing, "recipes_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_trains_judges_on_other_people_and_leads_to_the_report(small: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--train", "--out", "demo"])
    assert result.exit_code == 0, result.output
    report = json.loads((small / "demo" / "report" / "report.json").read_text())
    assert report["counts"]["rows"] == 14  # the two people of the first twelve who stand in the test split
    assert (small / "demo" / "report" / "report.html").is_file()
    accuracy = report["accuracy"]
    assert f"{accuracy['value']:.1%}" in result.stdout
    assert f"[{accuracy['low']:.1%}, {accuracy['high']:.1%}]" in result.stdout
    assert f"report: {Path('demo', 'report', 'report.html')}" in result.stdout
    assert "Next:" in result.stdout
    # What is finished is not trained again.
    weights = small / "demo" / "run" / "best.safetensors"
    before = weights.stat().st_mtime_ns
    again = CliRunner().invoke(app, ["demo", "--train", "--out", "demo"])
    assert again.exit_code == 0, again.output
    assert weights.stat().st_mtime_ns == before


def test_the_recipe_that_comes_along_is_sound() -> None:
    recipe = load_recipe(recipe_path("baseline/demo"))
    assert recipe.data.manifest == "mini"
    # It begins with the model that comes along, and cuts faces as that one does.
    card = read_card(bundle_path(recipe.backbone.init) / CARD)
    assert recipe.backbone.name == card.method.backbone["name"]
    assert alignment_of(recipe.data, recipe.backbone.size) == card.input.alignment()


def test_without_pytorch_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from openfer.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo", "--train"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "openfer: training needs 'torch'; install it with `pip install openfer[train]`\n"
    assert list(tmp_path.iterdir()) == []
