"""Is a model right as often as it says it is? Confidence and accuracy side by side, in bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The rows whose confidence lies in (low, high].

    Args:
        low: lower edge, 0 to 1.
        high: upper edge, 0 to 1.
        count: number of rows.
        confidence: their mean confidence; 0 without rows.
        accuracy: share of them that is right; 0 without rows.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(probabilities: NDArray[np.float64], truth: NDArray[np.int64], *, bins: int = BINS) -> tuple[Bin, ...]:
    """Equal-width bins of the confidence, the largest probability of a row.

    Args:
        probabilities: [N, K].
        truth: [N].
        bins: how many.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    divisor = np.maximum(count, 1)
    mean_confidence = np.bincount(place, weights=confidence, minlength=bins) / divisor
    accuracy = np.bincount(place, weights=right, minlength=bins) / divisor
    return tuple(
        Bin(
            low=index / bins,
            high=(index + 1) / bins,
            count=int(count[index]),
            confidence=float(mean_confidence[index]),
            accuracy=float(accuracy[index]),
        )
        for index in range(bins)
    )
