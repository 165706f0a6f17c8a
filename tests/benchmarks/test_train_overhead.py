"""The engine against a bare loop: the same work on both sides, timed in turns."""

from __future__ import annotations

import copy
from itertools import islice
from pathlib import Path

import pytest
import torch
import train_overhead
from train_overhead import bare_side, batches_of, engine_side, make_data, make_recipe, make_run, measure

BACKBONE, SIZE, BATCH = "resnet10t", 32, 8


def test_both_sides_learn_the_same(tmp_path: Path) -> None:
    recipe = make_recipe(BACKBONE, SIZE, BATCH, "fp32")
    run = make_run(recipe, make_data(64, SIZE), tmp_path)
    run.network.dropout.p = 0.0  # the two sides draw other numbers
    network = copy.deepcopy(run.network)
    batches = next(batches_of(64, BATCH, 2))
    before = copy.deepcopy(network.state_dict())
    # One step from the same weights, from the same pictures.
    engine_side(run, 2)(batches[:1])
    bare_side(run, network)(batches[:1])
    engine, bare = run.network.state_dict(), network.state_dict()
    for name in ("backbone.conv1.0.weight", "head.weight", "backbone.bn1.running_mean"):
        assert not torch.equal(engine[name], before[name])
        # Adam's first step is the gradient's sign times the learning rate; some signs hang on rounding.
        assert (engine[name] - bare[name]).abs().mean() < 0.02 * (engine[name] - before[name]).abs().mean()


def test_every_pair_has_a_time_of_both_sides() -> None:
    pair = measure(make_recipe(BACKBONE, SIZE, BATCH, "fp32"), pairs=2, steps=1, warmup=1)
    assert len(pair.engine) == len(pair.bare) == len(pair.ratios) == 2
    assert pair.ratios[0] == pair.engine[0] / pair.bare[0]


def test_batches_hold_every_sample_at_most_once() -> None:
    for batches in islice(batches_of(20, 16, 3), 2):
        assert len(batches) == 3
        assert all(len(set(batch.tolist())) == 16 and batch.max() < 20 for batch in batches)


def test_the_script_prints_its_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--backbone", BACKBONE, "--size", str(SIZE), "--batch", "4", "--pairs", "1", "--steps", "1"]
    monkeypatch.setattr("sys.argv", ["train_overhead.py", *arguments])
    train_overhead.main()
    assert "ratio: median" in capsys.readouterr().out
