"""The formulas of MEK against slow ones, and what must hold of them."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openfer.errors import ConfigError
from openfer.heads import class_maps
from openfer.learn.losses.rebalanced import class_weights, flip_consistency, flip_error, smoothing_matrix
from openfer.losses import FlipConsistencyLoss, RebalancedSmoothLoss

COUNTS = torch.tensor([40, 3, 17, 120, 9])


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_weights_are_inverse_frequencies() -> None:
    counts = torch.tensor([10, 40, 0, 50])
    torch.testing.assert_close(class_weights(counts), torch.tensor([1.0, 0.25, 0.0, 0.2]))
    torch.testing.assert_close(class_weights(torch.tensor([1, 3])), torch.tensor([0.4, 0.4 / 3]))
    assert class_weights(counts).dtype == torch.float32
    assert class_weights(counts.double()).dtype == torch.float64


@pytest.mark.parametrize("counts", [[5, 0, 0], [0, 0], [3]])
def test_a_single_class_cannot_be_balanced(counts: list[int]) -> None:
    with pytest.raises(ConfigError, match="class counts: expected rows of two classes or more"):
        class_weights(torch.tensor(counts))


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=12), st.floats(0, 0.99))
@settings(max_examples=25, deadline=None)
def test_smooth_labels_are_distributions_that_keep_their_label(counts: list[int], smoothing: float) -> None:
    if sum(count > 0 for count in counts) < 3:  # with two, a label's only other class may be absent
        counts = [*counts, 1, 2, 3]
    matrix = smoothing_matrix(class_weights(torch.tensor(counts, dtype=torch.float64)), smoothing)
    torch.testing.assert_close(matrix.sum(1), torch.ones(len(counts), dtype=torch.float64))
    torch.testing.assert_close(matrix.diagonal(), torch.full((len(counts),), 1 - smoothing, dtype=torch.float64))
    assert (matrix >= 0).all()
    absent = torch.tensor(counts) == 0
    assert (matrix[:, absent] - torch.diag(matrix.diagonal())[:, absent] == 0).all()


def test_only_ratios_of_the_weights_matter_to_labels_and_consistency_grows_with_them() -> None:
    weights = class_weights(COUNTS.double())
    torch.testing.assert_close(smoothing_matrix(7 * weights, 0.3), smoothing_matrix(weights, 0.3))
    one, two = draw(4, 5, 3, 6), draw(4, 5, 3, 6, seed=1)
    torch.testing.assert_close(flip_consistency(one, two, 7 * weights), 7 * flip_consistency(one, two, weights))


def test_consistency_is_its_formula() -> None:
    batch, classes, height, width = 2, 3, 2, 4
    one, two = draw(batch, classes, height, width), draw(batch, classes, height, width, seed=1)
    weights = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64)
    total = 0.0
    for b in range(batch):
        for c in range(classes):
            cells = [
                (float(one[b, c, i, j]) - float(two[b, c, i, width - 1 - j])) ** 2
                for i in range(height)
                for j in range(width)
            ]
            error = sum(cells) / len(cells)
            assert float(flip_error(one, two)[b, c]) == pytest.approx(error, rel=1e-12)
            total += float(weights[c]) * error / batch
    assert float(flip_consistency(one, two, weights)) == pytest.approx(total, rel=1e-12)


def test_consistency_of_mirror_images_is_nothing_and_views_are_equal() -> None:
    weights = class_weights(COUNTS.double())
    one, two = draw(3, 5, 4, 4), draw(3, 5, 4, 4, seed=1)
    assert float(flip_consistency(one, one.flip(-1), weights)) == 0
    torch.testing.assert_close(flip_consistency(one, two, weights), flip_consistency(two, one, weights))
    narrow = draw(3, 5, 4, 1)
    assert float(flip_consistency(narrow, narrow, weights)) == 0


def test_maps_are_the_logits_taken_apart_and_leave_the_classifier_alone() -> None:
    features, head = draw(2, 6, 3, 4).requires_grad_(), torch.nn.Linear(6, 5).double()
    maps = class_maps(features, head.weight)
    torch.testing.assert_close(maps.mean((2, 3)) + head.bias, head(features.mean((2, 3))))
    assert maps[1, 4, 2, 0].item() == pytest.approx((features[1, :, 2, 0] @ head.weight[4]).item())
    maps.square().sum().backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert head.weight.grad is None


def test_smooth_loss_is_its_formula_for_labels_and_votes() -> None:
    loss = RebalancedSmoothLoss(COUNTS, smoothing=0.2).double()
    logits, labels = draw(4, 5), torch.tensor([1, 4, 0, 1])
    weights = [0.1 * 189 / count for count in COUNTS.tolist()]
    total = 0.0
    for row, label in enumerate(labels.tolist()):
        scale = log(sum(exp(value) for value in logits[row].tolist()))
        others = sum(weights) - weights[label]
        for column, value in enumerate(logits[row].tolist()):
            target = 0.8 if column == label else 0.2 * weights[column] / others
            total -= target * (value - scale) / 4
    assert float(loss(logits, labels)) == pytest.approx(total, rel=1e-6)
    votes = torch.nn.functional.one_hot(labels, 5)
    torch.testing.assert_close(loss(logits, votes), loss(logits, labels))
    mixed = 0.25 * votes + 0.75 * votes.roll(1, 0)
    expected = 0.25 * loss(logits, labels) + 0.75 * loss(logits, labels.roll(1))
    torch.testing.assert_close(loss(logits, mixed), expected)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 1.5])
def test_smoothing_out_of_range_is_refused(smoothing: float) -> None:
    with pytest.raises(ConfigError, match="smoothing: expected 0 to below 1"):
        RebalancedSmoothLoss(COUNTS, smoothing)


def test_smoothing_is_the_authors_unless_another_is_given() -> None:
    torch.testing.assert_close(RebalancedSmoothLoss(COUNTS).matrix.diagonal(), torch.full((5,), 0.7))
    assert torch.equal(RebalancedSmoothLoss(COUNTS, smoothing=0).matrix, torch.eye(5))


def test_losses_say_which_shape_is_wrong() -> None:
    smooth, flip = RebalancedSmoothLoss(COUNTS), FlipConsistencyLoss(COUNTS)
    with pytest.raises(ConfigError, match=r"logits: expected \[B, 5\], got \[2, 4\]"):
        smooth(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ConfigError, match=r"labels: expected \[2\] or \[2, 5\], got \[3\]"):
        smooth(torch.zeros(2, 5), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(
        ConfigError, match=r"maps: expected two of \[B, 5, h, w\], got \[2, 5, 3, 3\] and \[2, 5, 3, 4\]"
    ):
        flip(torch.zeros(2, 5, 3, 3), torch.zeros(2, 5, 3, 4))
    for wrong in (torch.zeros(2, 4, 3, 3), torch.zeros(2, 5, 3)):
        with pytest.raises(ConfigError, match="maps: expected two of"):
            flip(wrong, wrong)
    with pytest.raises(ConfigError, match="logits: expected"):
        smooth(torch.zeros(2, 5, 1), torch.zeros(2, dtype=torch.int64))


def test_the_losses_have_no_state_to_save_and_move_with_their_module() -> None:
    smooth, flip = RebalancedSmoothLoss(COUNTS), FlipConsistencyLoss(COUNTS)
    assert not smooth.state_dict()
    assert not flip.state_dict()
    assert smooth.double().matrix.dtype == flip.double().weights.dtype == torch.float64
    one, two = draw(2, 5, 3, 3), draw(2, 5, 3, 3, seed=1)
    torch.testing.assert_close(flip(one, two), flip_consistency(one, two, flip.weights))
