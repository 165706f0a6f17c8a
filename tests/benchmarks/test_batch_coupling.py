"""A batch-coupled evaluation against ours: the one moves with order and batch size, the other does not."""

from __future__ import annotations

from pathlib import Path

import batch_coupling
import numpy as np
import pytest
import torch
from batch_coupling import compare, load, orders

from openfer.data.manifest import load_manifest, write_manifest
from openfer.learn.engine import train
from tests.learn.tiny import tiny_recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run of `arm`, and beside it the manifest that it was trained on."""
    folder = tmp_path_factory.mktemp("coupling")
    write_manifest(load_manifest("mini:120"), folder / "faces.parquet")
    recipe = tiny_recipe(
        method={"name": "arm", "dropout": 0.0}, backbone={"output_stride": 8}, data={"manifest": "mini:120"}
    )
    train(recipe, folder / "run")
    return folder / "run"


def test_orders_are_of_the_same_faces() -> None:
    truth = np.array([2, 0, 1, 0, 2, 2])
    found = orders(truth, 0)
    assert truth[found["sorted by class"]].tolist() == [0, 0, 1, 2, 2, 2]
    assert sorted(found["shuffled"].tolist()) == list(range(6))


def test_only_the_published_form_moves(run: Path) -> None:
    method, network, maker = load(run, run.parent / "faces.parquet", "train")
    with torch.no_grad():
        network.get_parameter("head.alpha").fill_(30)  # so little training leaves little to share
    rows = compare(method, network, maker, [2, 7], seed=0)
    assert len(rows) == 8
    ours, published = rows[:4], rows[4:]
    assert all(row.changed == 0 and row.scores == rows[0].scores for row in ours)
    assert any(row.changed > 0 for row in published)
    assert all("published" in row.name for row in published)


def test_the_script_prints_its_table(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(run), str(run.parent / "faces.parquet"), "--split", "train", "--batches", "8"]
    monkeypatch.setattr("sys.argv", ["batch_coupling.py", *arguments])
    batch_coupling.main()
    assert "sorted by class" in capsys.readouterr().out
