"""A run that is killed with SIGKILL at any moment, and resumed, ends with the same bits as one that is not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openfer.files import sha256_of
from openfer.learn.engine import train
from openfer.learn.export import bundle_of_run
from openfer.learn.method import known_methods
from openfer.learn.recipe import parse_recipe
from tests.contract.test_methods import PYRAMIDAL, SMALL
from tests.learn.tiny import StopAfter, StoppedError, rows_of, tiny_recipe

ROOT = Path(__file__).parents[2]


def start(out: Path, cache: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OPENFER_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.contract.train_toy", str(out)]
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)


def stamp(out: Path) -> int:
    try:
        return (out / "checkpoint.pt").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, killed, cache = tmp_path / "whole", tmp_path / "killed", tmp_path / "cache"
    process = start(whole, cache)
    assert process.wait(300) == 0, whole.with_suffix(".log").read_text()
    chance = random.Random(os.getpid())
    kills = 0
    for attempt in range(20):
        process = start(killed, cache)
        begun, seen, moves = stamp(killed), stamp(killed), 0
        wanted = chance.randint(1, 9) if attempt < 3 else 1_000_000
        while process.poll() is None and moves < wanted:
            time.sleep(0.001)
            if stamp(killed) != seen:
                seen, moves = stamp(killed), moves + 1
        if process.poll() is None:
            time.sleep(chance.random() * 0.02)  # within a step, or within the writing of a file
            process.kill()
            assert process.wait() == -signal.SIGKILL
            kills += seen != begun
        else:
            assert process.returncode == 0, killed.with_suffix(".log").read_text()
            break
    assert kills >= 1
    for name in ("best.safetensors", "last.safetensors", "holdout.npz"):
        assert sha256_of(killed / name) == sha256_of(whole / name), name
    assert not list(killed.glob(".*.part"))


EPISODES = {name: {"n_way": 2, "k_shot": 2, "n_query": 1} for name in ("csrn", "fewshot")}
"""Of methods whose step is whole episodes: such that one fits into a step."""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that teaches every method."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    train(tiny_recipe(data={"manifest": "mini:42"}), run)
    return bundle_of_run(run)


@pytest.mark.parametrize(
    "name", sorted(name for name, kind in known_methods().items() if kind.__module__.startswith("openfer."))
)
def test_every_method_ends_with_the_same_bits_when_it_was_stopped(name: str, teacher: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(
        {
            "method": {"name": name, **SMALL.get(name, {}), **EPISODES.get(name, {})},
            "backbone": {"name": "test_efficientnet", "size": 64}
            if name in PYRAMIDAL
            else {"name": "test_efficientnet", "size": 32, "output_stride": 8},
            "data": {"manifest": "mini:42", "holdout": 0.3, "colour": "grey"},
            "augment": {"flip": 0.25, "noise": [0.25, 5, 0], "erase": 0.3, "erase_fill": "mean"},
            "distillation": {"teachers": [str(teacher)]},
            "optim": {"lr": 1e-3, "batch": 8, "epochs": 2, "schedule": "exponential", "decay": 0.5},
            "run": {"ema": 0.5, "tensorboard": False, "select": "last"},
        },
        name,
    )
    train(recipe, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(recipe, tmp_path / "stopped", watch=StopAfter(1))
    train(recipe, tmp_path / "stopped", resume=True)
    assert all(float(row["train_loss_distillation"]) > 0 for row in rows_of(tmp_path / "stopped"))
    for file in ("best.safetensors", "last.safetensors", "holdout.npz"):
        assert sha256_of(tmp_path / "stopped" / file) == sha256_of(tmp_path / "whole" / file), file
