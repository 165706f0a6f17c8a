"""Scores against worked examples and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from openfer.errors import DataError
from openfer.evaluate import metrics
from openfer.evaluate.calibration import reliability


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Truth and answers of 400 rows, 5 classes of different sizes."""
    rng = np.random.default_rng(4)
    truth = rng.choice(5, size=400, p=[0.5, 0.25, 0.15, 0.08, 0.02])
    predicted = np.where(rng.random(400) < 0.6, truth, rng.integers(0, 5, 400))
    return truth, predicted


def test_a_worked_example() -> None:
    matrix = metrics.confusion(np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 2, 3]), 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert matrix.dtype == np.int64
    assert metrics.support(matrix).tolist() == [3, 2, 0, 1]
    assert metrics.accuracy(matrix) == pytest.approx(4 / 6)
    np.testing.assert_allclose(metrics.recall(matrix), [2 / 3, 1 / 2, np.nan, 1])
    np.testing.assert_allclose(metrics.precision(matrix), [1, 1 / 2, 0, 1])
    np.testing.assert_allclose(metrics.f1(matrix), [4 / 5, 1 / 2, 0, 1])


def test_means_leave_out_classes_without_rows_and_say_how_many_are_used() -> None:
    matrix = metrics.confusion(np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 2, 3]), 4)
    assert metrics.classes_used(matrix) == 3
    assert metrics.mean_class_accuracy(matrix) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert metrics.macro_f1(matrix) == pytest.approx((4 / 5 + 1 / 2 + 1) / 3)


def test_scores_are_those_of_scikit_learn(answers: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = answers
    matrix = metrics.confusion(truth, predicted, 5)
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(truth, predicted))
    precision, recall, f1, support = reference.precision_recall_fscore_support(truth, predicted)
    np.testing.assert_allclose(metrics.recall(matrix), recall)
    np.testing.assert_allclose(metrics.precision(matrix), precision)
    np.testing.assert_allclose(metrics.f1(matrix), f1)
    np.testing.assert_array_equal(metrics.support(matrix), support)
    assert metrics.accuracy(matrix) == pytest.approx(reference.accuracy_score(truth, predicted))
    assert metrics.mean_class_accuracy(matrix) == pytest.approx(reference.balanced_accuracy_score(truth, predicted))
    assert metrics.macro_f1(matrix) == pytest.approx(reference.f1_score(truth, predicted, average="macro"))


def test_likelihood_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(4), 100)
    truth = rng.integers(0, 4, 100)
    expected = reference.log_loss(truth, probabilities, labels=range(4))
    assert metrics.negative_log_likelihood(probabilities, truth) == pytest.approx(expected)


def test_one_certain_mistake_leaves_the_likelihood_finite() -> None:
    assert metrics.negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(52 * np.log(2))


def test_many_matrices_are_scored_like_each_alone() -> None:
    matrices = np.random.default_rng(0).integers(0, 4, (20, 3, 3))
    for score in (metrics.accuracy, metrics.mean_class_accuracy, metrics.macro_f1, metrics.recall, metrics.f1):
        np.testing.assert_array_equal(score(matrices), np.array([score(matrix) for matrix in matrices]))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, 6))
def test_renaming_the_classes_permutes_their_scores(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted, order = rng.integers(0, k, 30), rng.integers(0, k, 30), rng.permutation(k)
    matrix, renamed = metrics.confusion(truth, predicted, k), metrics.confusion(order[truth], order[predicted], k)
    np.testing.assert_array_equal(metrics.f1(renamed)[order], metrics.f1(matrix))
    assert metrics.mean_class_accuracy(renamed) == pytest.approx(metrics.mean_class_accuracy(matrix))
    assert metrics.macro_f1(renamed) == pytest.approx(metrics.macro_f1(matrix))


@pytest.mark.parametrize(("truth", "predicted"), [([0, 3], [0, 0]), ([0, 0], [-1, 0]), ([0], [0, 1])])
def test_a_class_out_of_range_or_another_length_is_refused(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(DataError, match="confusion:"):
        metrics.confusion(np.array(truth), np.array(predicted), 3)


def test_no_rows_give_no_score() -> None:
    matrix = metrics.confusion(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 3)
    assert np.isnan(metrics.accuracy(matrix))
    assert np.isnan(metrics.mean_class_accuracy(matrix))


def test_calibration_error_of_a_worked_example() -> None:
    # Confidences 0.9 (twice, one right) and 0.6 (right): 2/3 |0.5 - 0.9| + 1/3 |1 - 0.6|.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    error = metrics.expected_calibration_error(probabilities, np.array([0, 1, 1]), bins=10)
    assert error == pytest.approx(2 / 3 * 0.4 + 1 / 3 * 0.4)


def test_calibration_error_equals_a_slow_loop() -> None:
    rng = np.random.default_rng(7)
    probabilities, truth = rng.dirichlet(np.full(5, 0.4), 500), rng.integers(0, 5, 500)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    expected = 0.0
    for index in range(15):
        inside = (confidence > index / 15) & (confidence <= (index + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.expected_calibration_error(probabilities, truth) == pytest.approx(expected)


def test_a_calibrated_model_has_almost_no_calibration_error_and_a_boastful_one_has() -> None:
    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet(np.ones(4), 20_000)
    truth = (probabilities.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert metrics.expected_calibration_error(probabilities, truth) < 0.015
    boastful = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert metrics.expected_calibration_error(boastful, truth) > 0.15


def test_reliability_bins_are_half_open_and_hold_every_row() -> None:
    # 0.5 belongs to (0, 0.5]; a sum that rounds above 1 belongs to the last bin.
    low, high = reliability(np.array([[0.5, 0.5], [0.51, 0.49], [1.0000001, 0.0]]), np.array([0, 1, 0]), bins=2)
    assert (low.low, low.high, low.count, low.confidence, low.accuracy) == (0.0, 0.5, 1, 0.5, 1.0)
    assert (high.low, high.high, high.count, high.accuracy) == (0.5, 1.0, 2, 0.5)
    assert high.confidence == pytest.approx(0.755, abs=1e-6)
