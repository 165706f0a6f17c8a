"""Which samples make which step."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from openfer.learn.samplers import MinimalResampling, ShuffledBatches


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


LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 3], [40, 7, 18]))


def test_minimal_resampling_takes_as_many_of_each_class_as_the_rarest_has() -> None:
    sampler = MinimalResampling(LABELS, 7, 0)
    seen = set()
    for epoch in range(120):
        chosen = np.concatenate(sampler.epoch(epoch))
        assert len(set(chosen)) == len(chosen) == 21
        assert np.bincount(LABELS[chosen]).tolist() == [7, 7, 0, 7]
        seen |= set(chosen)
    assert seen == set(range(len(LABELS)))
    assert len({tuple(np.concatenate(MinimalResampling(LABELS, 7, s).epoch(e))) for s in (0, 1) for e in (0, 1)}) == 4
    assert np.concatenate(sampler.epoch(3)).tolist() == np.concatenate(sampler.epoch(3)).tolist()
    assert [len(step) for step in MinimalResampling(LABELS, 8, 0).epoch(0)] == [8, 8]
    assert [len(step) for step in MinimalResampling(LABELS, 50, 0).epoch(0)] == [21]


def test_with_a_cap_small_classes_are_taken_whole_and_then_again() -> None:
    chosen = np.concatenate(MinimalResampling(LABELS, 1, 0, cap=18).epoch(0))
    assert np.bincount(LABELS[chosen]).tolist() == [18, 18, 0, 18]
    rare = chosen[LABELS[chosen] == 1]
    assert set(rare) == set(np.flatnonzero(LABELS == 1))
    assert len(set(chosen[LABELS[chosen] == 3])) == 18
    assert len(set(chosen[LABELS[chosen] == 0])) == 18
    again = [tuple(sorted(part[LABELS[part] == 1])) for part in _epochs(cap=18)]
    assert len(set(again)) > 1


def _epochs(cap: int) -> list[NDArray[np.int64]]:
    return [np.concatenate(MinimalResampling(LABELS, 1, 0, cap=cap).epoch(epoch)) for epoch in range(5)]


def test_a_class_of_one_is_drawn_again_and_again() -> None:
    labels = np.array([0, 0, 0, 1])
    chosen = np.concatenate(MinimalResampling(labels, 1, 0, cap=3).epoch(0))
    assert sorted(chosen) == [0, 1, 2, 3, 3, 3]


def test_every_sample_has_the_same_chance() -> None:
    epochs = [np.concatenate(MinimalResampling(LABELS, 1, 0).epoch(epoch)) for epoch in range(600)]
    counts = np.bincount(np.concatenate(epochs), minlength=len(LABELS))
    assert np.allclose(counts[LABELS == 0], 600 * 7 / 40, atol=40)
    assert np.allclose(counts[LABELS == 3], 600 * 7 / 18, atol=60)
