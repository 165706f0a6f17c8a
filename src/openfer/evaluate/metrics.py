"""Count first, score later: a confusion matrix, then every score that can be read off it; and two scores of certainty.

Scores of a confusion matrix take [..., K, K] (rows truth, columns predicted), so that thousands of resampled matrices
are scored at once. A share of nothing is NaN; means over classes leave out the classes that have no row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openfer.errors import DataError
from openfer.evaluate.calibration import BINS, reliability

Indices = NDArray[np.int64]
Scores = NDArray[np.float64]
Counts = NDArray[Any]
"""Whole numbers, of an integer or a floating type."""


def confusion(truth: Indices, predicted: Indices, k: int) -> NDArray[np.int64]:
    """How often each class was taken for each class.

    Args:
        truth: [N], 0 to k - 1.
        predicted: [N], 0 to k - 1.
        k: number of classes.

    Returns:
        int64 [K, K], rows truth, columns predicted.

    Raises:
        DataError: lengths differ, or a class number is out of range.
    """
    if len(truth) != len(predicted):
        raise DataError(f"confusion: {len(truth)} truths and {len(predicted)} predictions; expected as many of both")
    for name, values in (("truth", truth), ("predicted", predicted)):
        if len(values) and not (values.min() >= 0 and values.max() < k):
            raise DataError(
                f"confusion: {name}: expected class numbers 0 to {k - 1}, got {values.min()}..{values.max()}"
            )
    return np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k).astype(np.int64)


def support(matrix: Counts) -> Counts:
    """Rows of each class, [..., K]."""
    return np.asarray(matrix.sum(axis=-1))


def classes_used(matrix: Counts) -> Indices:
    """How many classes have a row: what the means over classes are taken over, [...]."""
    return np.asarray((support(matrix) > 0).sum(axis=-1), dtype=np.int64)


def accuracy(matrix: Counts) -> Scores:
    """Share of rows whose class was found, [...]."""
    return _share(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def recall(matrix: Counts) -> Scores:
    """Share of each class's rows that were found, [..., K]; NaN for a class without rows."""
    return _share(_hits(matrix), support(matrix))


def precision(matrix: Counts) -> Scores:
    """Share of the answers for each class that were right, [..., K]; NaN for a class that was never the answer."""
    return _share(_hits(matrix), matrix.sum(axis=-2))


def f1(matrix: Counts) -> Scores:
    """Harmonic mean of precision and recall, 2 hits / (rows + answers), [..., K]; NaN where there are neither."""
    return _share(2 * _hits(matrix), support(matrix) + matrix.sum(axis=-2))


def mean_class_accuracy(matrix: Counts) -> Scores:
    """Mean recall over the classes that have rows, [...]; also known as unweighted average recall."""
    return _mean_of_present(recall(matrix), matrix)


def macro_f1(matrix: Counts) -> Scores:
    """Mean F1 over the classes that have rows, [...]."""
    return _mean_of_present(f1(matrix), matrix)


def negative_log_likelihood(probabilities: Scores, truth: Indices) -> float:
    """Mean of -ln p(truth), in nats.

    Args:
        probabilities: [N, K]; floored at the float64 epsilon, so that one certain mistake does not make it infinite.
        truth: [N].
    """
    chosen = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0)).mean())


def expected_calibration_error(probabilities: Scores, truth: Indices, *, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy: sum over bins of (rows in bin / N) |accuracy - confidence|.

    Args:
        probabilities: [N, K].
        truth: [N].
        bins: number of equal-width bins of the confidence.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    filled = [part for part in reliability(probabilities, truth, bins=bins) if part.count]
    rows = sum(part.count for part in filled)
    return sum(part.count * abs(part.accuracy - part.confidence) for part in filled) / rows


def _hits(matrix: Counts) -> Counts:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _share(part: Counts, whole: Counts) -> Scores:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0))


def _mean_of_present(scores: Scores, matrix: Counts) -> Scores:
    present = support(matrix) > 0
    return _share(np.where(present, scores, 0.0).sum(axis=-1), present.sum(axis=-1))
