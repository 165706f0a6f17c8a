"""Random numbers are functions of what they are for: seed, step, view and sample, never of order or company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openfer.learn.chance import _mix, _mix_tensor, normals, number, uniforms

KEY = (7, 0, 2, 31, 0)


@given(
    samples=st.lists(st.integers(0, 2**62), min_size=1, max_size=20, unique=True),
    key=st.tuples(*[st.integers(0, 2**62)] * 3),
    data=st.data(),
)
def test_a_sample_has_its_numbers_in_any_order_and_company(
    samples: list[int], key: tuple[int, ...], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(samples))))
    some = np.array(order[: len(order) // 2 + 1])
    numbers = np.array(samples)
    whole = uniforms(key, numbers, 5)
    assert whole.dtype == np.float32
    assert whole.shape == (len(samples), 5)
    np.testing.assert_array_equal(uniforms(key, numbers[some], 5), whole[some])
    np.testing.assert_array_equal(uniforms(key, numbers, 3), whole[:, :3])


def test_every_part_of_the_key_and_its_place_matter() -> None:
    samples = np.arange(100)
    keys = [KEY, (8, *KEY[1:]), (*KEY[:-1], 1), (0, 7, 2, 31, 0), KEY[:-1], (*KEY, 0)]
    drawn = [uniforms(key, samples, 16) for key in keys]
    for index, one in enumerate(drawn):
        for other in drawn[index + 1 :]:
            assert np.mean(one == other) < 0.01
    assert len({number(key) for key in keys}) == len(keys)


def test_numbers_are_uniform_below_one() -> None:
    drawn = np.sort(uniforms(KEY, np.arange(20_000), 5).ravel().astype(np.float64))
    assert drawn[0] >= 0
    assert drawn[-1] < 1
    # Kolmogorov-Smirnov: larger than 1.95 / sqrt(n) once in a thousand.
    steps = np.arange(1, len(drawn) + 1) / len(drawn)
    assert np.abs(steps - drawn).max() < 1.95 / np.sqrt(len(drawn))


@pytest.mark.parametrize("stride", [1, 2, 64, 2**32])
def test_columns_and_neighbours_know_nothing_of_each_other(stride: int) -> None:
    count = 20_000
    drawn = uniforms(KEY, np.arange(count) * stride, 8).astype(np.float64)
    bound = 5 / np.sqrt(count)
    columns = np.corrcoef(drawn, rowvar=False) - np.eye(8)
    assert np.abs(columns).max() < bound
    for column in drawn.T:
        assert abs(np.corrcoef(column[:-1], column[1:])[0, 1]) < bound
    next_step = uniforms((*KEY[:3], KEY[3] + 1, KEY[4]), np.arange(count) * stride, 8)
    assert abs(np.corrcoef(drawn[:, 0], next_step[:, 0])[0, 1]) < bound
    next_view = uniforms((*KEY[:4], 1), np.arange(count) * stride, 8)
    assert abs(np.corrcoef(drawn[:, 0], next_view[:, 0])[0, 1]) < bound


def test_number_is_a_seed_and_the_same_on_every_machine() -> None:
    seeds = [number((seed, step)) for seed in range(50) for step in range(50)]
    assert len(set(seeds)) == 2500
    assert all(0 <= seed < 2**63 for seed in seeds)
    # SplitMix64's first output for the seed 0, halved.
    assert number((0,)) == 0xE220A8397B1DCDAF >> 1


def test_normal_numbers_belong_to_their_seed_and_are_normal() -> None:
    seeds = torch.linspace(0, 0.9999, 200)
    values = normals(seeds, 2000)
    assert torch.equal(normals(seeds[50:51], 2000)[0], values[50])
    assert torch.equal(normals(seeds, 10), values[:, :10])
    assert abs(float(values.mean())) < 0.01
    assert abs(float(values.var()) - 1) < 0.01
    assert abs(float((values**4).mean()) - 3) < 0.06
    assert abs(float((values[:-1] * values[1:]).mean())) < 0.01
    assert abs(float((values[:, :-1] * values[:, 1:]).mean())) < 0.01
    assert torch.isfinite(values).all()


def test_tensors_mix_as_arrays_do() -> None:
    rows = np.array([0, 1, 2**40, 2**63 - 1], dtype=np.uint64)
    assert _mix_tensor(torch.from_numpy(rows.astype(np.int64))).tolist() == _mix(rows).astype(np.int64).tolist()
