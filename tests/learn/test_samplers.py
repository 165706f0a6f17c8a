"""Which samples make which step."""

from __future__ import annotations

import numpy as np
import pytest

from openfer.learn.samplers import ShuffledBatches


@pytest.mark.parametrize(("count", "batch", "steps"), [(20, 5, 4), (23, 5, 4), (5, 5, 1), (24, 1, 24)])
def test_every_sample_once_an_epoch_in_whole_batches(count: int, batch: int, steps: int) -> None:
    epoch = ShuffledBatches(count, batch, 0).epoch(3)
    assert [len(step) for step in epoch] == [batch] * steps
    used = np.concatenate(epoch)
    assert len(set(used)) == len(used)
    assert set(used) <= set(range(count))


def test_few_samples_make_one_smaller_step() -> None:
    (step,) = ShuffledBatches(7, 64, 0).epoch(0)
    assert sorted(step) == list(range(7))


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(ShuffledBatches(50, 10, seed).epoch(epoch)).tolist()

    assert order(0, 2) == order(0, 2)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_what_is_left_out_changes_with_the_epoch() -> None:
    sampler = ShuffledBatches(23, 10, 0)
    out = [frozenset(range(23)) - set(np.concatenate(sampler.epoch(epoch))) for epoch in range(20)]
    assert {len(left) for left in out} == {3}
    assert len(frozenset.union(*out)) > 15
