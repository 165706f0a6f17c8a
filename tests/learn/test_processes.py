"""Several processes share out the work of one: the same weights and the same log."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from openfer.learn.engine import train
from openfer.learn.judge import Held
from openfer.learn.recipe import load_recipe
from tests.learn.tiny import distance, tiny_recipe, weights

PROGRAM = """
import sys
from pathlib import Path
from openfer.learn.engine import train
from openfer.learn.recipe import load_recipe
train(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch cannot use several processes")
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        backbone={"name": "test_vit"},  # BatchNorm would see other batches
        augment={"mixup": 0.3},
        optim={"name": "sgd", "momentum": 0.0, "lr": 0.1, "epochs": 2},
        run={"ema": 0.8, "device": "cpu"},
    )
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    (tmp_path / "program.py").write_text(PROGRAM)
    train(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "one")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, tmp_path / "program.py", tmp_path / "recipe.yaml", tmp_path / "two"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENFER_CACHE": str(tmp_path / "cache")},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
    for which in ("best", "last"):
        assert distance(weights(tmp_path / "one", which), weights(tmp_path / "two", which)) < 1e-5
    held = [Held.read(tmp_path / name / "holdout.npz") for name in ("one", "two")]
    assert held[0].samples.tolist() == held[1].samples.tolist()
    one, two = (list(csv.DictReader((tmp_path / name / "log.csv").read_text().splitlines())) for name in ("one", "two"))
    for ours, theirs in zip(one, two, strict=True):
        assert {name: pytest.approx(value, abs=1e-4) for name, value in numbers(ours).items()} == numbers(theirs)


def numbers(row: dict[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items() if name != "stage"}


COUNTING = """
import sys
import torch
from openfer.learn.losses.confusion import ConfusionHistory
rank, store = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
history = ConfusionHistory(3, 2)
for step in range(3):
    history.update(torch.tensor([[0, 1, 2], [2, 2]][rank]), torch.tensor([[0, 1, 1], [2, 0]][rank]))
assert history.counts.sum(2).tolist() == [[2, 0, 0], [0, 2, 0], [2, 2, 2]], history.counts.sum(2)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch cannot use several processes")
def test_answers_are_counted_together(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COUNTING]
    both = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "store")], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
