"""Adam as Keras has it, against its formula and against PyTorch's."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import nn

from openfer.learn.optimizers import KerasAdam


def steps(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, gradients: list[float]) -> list[float]:
    values = []
    for gradient in gradients:
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        values.append(parameter.item())
    return values


def parameter_at(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value], dtype=torch.float64))


@pytest.mark.parametrize("size", [1.0, 1e-7])
def test_is_its_formula(size: float) -> None:
    gradients = [size * value for value in (1.0, -2.0, 0.5, 3.0)]
    m = v = 0.0
    theta, wanted = 1.0, []
    for t, g in enumerate(gradients, 1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        theta -= 0.01 * sqrt(1 - 0.9**t) / (1 - 0.8**t) * m / (sqrt(v) + 1e-6)
        wanted.append(theta)
    parameter = parameter_at(1.0)
    got = steps(KerasAdam([parameter], lr=0.01, betas=(0.8, 0.9), epsilon=1e-6), parameter, gradients)
    assert got == pytest.approx(wanted, rel=1e-9)


def test_differs_from_pytorchs_for_tiny_gradients_only() -> None:
    for size, near in ((1.0, True), (1e-7, False)):
        ours, theirs = parameter_at(1.0), parameter_at(1.0)
        gradients = [size, -2 * size, 3 * size]
        one = steps(KerasAdam([ours], lr=0.01), ours, gradients)
        other = steps(torch.optim.Adam([theirs], lr=0.01, eps=1e-7), theirs, gradients)
        assert (one == pytest.approx(other, abs=1e-6)) == near


def test_goes_on_from_a_saved_state() -> None:
    whole = parameter_at(1.0)
    wanted = steps(KerasAdam([whole]), whole, [1e-7, 2e-7, 3e-7])
    first = parameter_at(1.0)
    before = KerasAdam([first])
    steps(before, first, [1e-7])
    second = parameter_at(first.item())
    after = KerasAdam([second])
    after.load_state_dict(before.state_dict())
    assert steps(after, second, [2e-7, 3e-7]) == wanted[1:]


def test_groups_and_parameters_without_a_gradient() -> None:
    moved, still, other = parameter_at(1.0), parameter_at(1.0), parameter_at(1.0)
    optimizer = KerasAdam([{"params": [still, moved]}, {"params": [other], "lr": 0.1}], lr=0.01)
    other.grad = torch.ones(1, dtype=torch.float64)
    steps(optimizer, moved, [1.0])
    assert still.item() == 1.0
    assert 1 - moved.item() == pytest.approx(0.01, rel=1e-5)
    assert 1 - other.item() == pytest.approx(0.1, rel=1e-5)
