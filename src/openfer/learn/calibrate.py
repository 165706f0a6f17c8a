"""Temperature scaling (Guo et al., ICML 2017): one number that makes confidences mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LIMITS = (0.05, 20.0)


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """The temperature T with the smallest negative log likelihood of the truth under softmax(logits / T).

    Args:
        logits: [N, K].
        truth: [N] columns.

    Returns:
        T within `LIMITS`; 1 for no rows.
    """
    if not len(truth):
        return 1.0
    rows, values = np.arange(len(truth)), logits.astype(np.float64)

    def loss(log_t: float) -> float:
        return float(-log_softmax(values / np.exp(log_t), axis=1)[rows, truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(LIMITS), method="bounded").x))
