"""Temperature scaling finds the temperature that answers were made with."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from openfer.learn.calibrate import LIMITS, fit_temperature


def simulated(temperature: float, count: int = 20_000, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits, and truths drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2 * temperature, (count, 6)).astype(np.float32)
    cumulated = softmax(logits / temperature, axis=1).cumsum(1)
    return logits, (cumulated < rng.random((count, 1))).sum(1).clip(max=5)


def loss(logits: NDArray[np.float32], truth: NDArray[np.int64], temperature: float) -> float:
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 4.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    logits, truth = simulated(temperature)
    fitted = fit_temperature(logits, truth)
    assert fitted == pytest.approx(temperature, rel=0.04)
    assert loss(logits, truth, fitted) <= loss(logits, truth, temperature) + 1e-9
    for other in (0.9, 1.1):
        assert loss(logits, truth, fitted) < loss(logits, truth, fitted * other)


def test_scaled_logits_scale_the_temperature() -> None:
    logits, truth = simulated(1.3, count=500)
    assert fit_temperature(3 * logits, truth) == pytest.approx(3 * fit_temperature(logits, truth), rel=1e-3)


def test_the_confident_and_right_and_the_clueless_stay_within_the_limits() -> None:
    truth = np.arange(30) % 3
    right = np.eye(3, dtype=np.float32)[truth]
    assert LIMITS[0] <= fit_temperature(right, truth) < 0.1
    assert 10 < fit_temperature(-right, truth) <= LIMITS[1]


def test_no_rows_no_change() -> None:
    assert fit_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == 1.0
