"""Cross-entropy with soft targets and class weights, against PyTorch's own and against a slow loop."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from openfer.learn.losses.cross_entropy import balanced_weights, soft_cross_entropy


def case(batch: int = 6, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits and soft targets, float64."""
    rng = np.random.default_rng(seed)
    logits, target = rng.normal(0, 3, (batch, classes)), rng.dirichlet(np.ones(classes), batch)
    return torch.from_numpy(logits), torch.from_numpy(target)


def slow(logits: Tensor, target: Tensor, smoothing: float, weights: list[float]) -> float:
    """The docstring's formula, a number at a time."""
    batch, classes = logits.shape
    total = 0.0
    for row in range(batch):
        scale = log(sum(exp(float(value)) for value in logits[row]))
        for column in range(classes):
            q = (1 - smoothing) * float(target[row, column]) + smoothing / classes
            total -= weights[column] * q * (float(logits[row, column]) - scale)
    return total / batch


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 0.0, 1.0, 3.0]])
def test_is_its_formula(smoothing: float, weights: list[float] | None) -> None:
    logits, target = case()
    w = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    got = soft_cross_entropy(logits, target, smoothing=smoothing, class_weights=w)
    assert float(got) == pytest.approx(slow(logits, target, smoothing, weights or [1.0] * 5), rel=1e-12)
    single = soft_cross_entropy(
        logits.float(), target.float(), smoothing=smoothing, class_weights=None if w is None else w.float()
    )
    assert float(single) == pytest.approx(float(got), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_is_pytorchs_cross_entropy(smoothing: float) -> None:
    logits, target = case()
    got = soft_cross_entropy(logits, target, smoothing=smoothing)
    torch.testing.assert_close(got, F.cross_entropy(logits, target, label_smoothing=smoothing))
    label = target.argmax(1)
    hard = soft_cross_entropy(logits, F.one_hot(label, 5).double(), smoothing=smoothing)
    torch.testing.assert_close(hard, F.cross_entropy(logits, label, label_smoothing=smoothing))


def test_weights_divide_by_the_batch() -> None:
    logits, target = case()
    weights = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    label = target.argmax(1)
    got = soft_cross_entropy(logits, F.one_hot(label, 5).double(), class_weights=weights)
    torch.testing.assert_close(got, F.cross_entropy(logits, label, weights, reduction="sum") / len(label))


def test_gradient_is_answer_minus_target() -> None:
    logits, target = case()
    logits.requires_grad_()
    soft_cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(logits.grad, (torch.softmax(logits, 1) - target).detach() / len(target))


def test_stays_finite_for_extreme_logits() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = soft_cross_entropy(logits, torch.tensor([[0.0, 1.0, 0.0]]), smoothing=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_balanced_weights_are_proportional_to_a_power_of_the_count() -> None:
    counts = torch.tensor([100.0, 25.0, 4.0, 0.0])
    for power in (0.0, 0.5, 1.0):
        weights = balanced_weights(counts, power)
        assert float((weights * counts).sum() / counts.sum()) == pytest.approx(1.0)
        assert float(weights[1] / weights[0]) == pytest.approx(4.0**power)
        assert float(weights[2] / weights[0]) == pytest.approx(25.0**power)
        assert weights[3] == 0
    torch.testing.assert_close(balanced_weights(counts, 1.0)[:3] * counts[:3], torch.full((3,), 43.0))
    torch.testing.assert_close(balanced_weights(counts, 0.0), torch.tensor([1.0, 1.0, 1.0, 0.0]))


def test_a_class_with_a_single_row_has_its_weight() -> None:
    weights = balanced_weights(torch.tensor([8.0, 1.0, 0.0]), 1.0)
    torch.testing.assert_close(weights, torch.tensor([9 / 16, 9 / 2, 0.0]))
