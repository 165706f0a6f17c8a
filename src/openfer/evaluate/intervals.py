"""How far a score could move had other rows been drawn: bootstrap intervals over rows, clips or people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openfer.errors import DataError
from openfer.evaluate.metrics import confusion

DRAWS = 2000
LEVEL = 0.95
CHUNK = 2_000_000
"""Numbers held at once while resampling; bounds the memory, not the result's precision."""

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""A score of confusion matrices: [..., K, K] -> [...]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A score and the interval that its resampled values fill.

    Args:
        value: the score of the rows as they are.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


def bootstrap(
    truth: Indices,
    predicted: Indices,
    k: int,
    statistics: Mapping[str, Statistic],
    rng: np.random.Generator,
    *,
    clusters: Indices | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Percentile intervals of scores of the confusion matrix; all scores see the same resampled data sets.

    Args:
        truth: [N], 0 to k - 1.
        predicted: [N], 0 to k - 1.
        k: number of classes.
        statistics: name -> score, such as `metrics.accuracy`.
        rng: where the randomness comes from.
        clusters: [N], numbers from 0 on: rows with the same number are drawn together. Frames of one clip or photos of
            one person are alike; drawn one by one they would make the interval too narrow. None: row by row.
        draws: number of resampled data sets.
        level: share of the resampled scores inside the interval.

    Raises:
        DataError: no rows.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    if not len(truth):
        raise DataError("bootstrap: no rows; expected at least one")
    whole = confusion(truth, predicted, k).astype(np.float64)
    values: dict[str, list[Floats]] = {name: [] for name in statistics}
    for matrices in _resampled(truth, predicted, k, rng, clusters, draws):
        for name, statistic in statistics.items():
            values[name].append(statistic(matrices))
    tails = ((1 - level) / 2, (1 + level) / 2)
    result = {}
    for name, statistic in statistics.items():
        low, high = np.quantile(np.concatenate(values[name]), tails)
        result[name] = Interval(value=float(statistic(whole)), low=float(low), high=float(high))
    return result


def cluster_numbers(names: Sequence[str | None]) -> Indices:
    """Numbers [N] for the names of clips or people; every row without a name is a cluster of its own."""
    known = np.array([name is not None for name in names], dtype=bool)
    unique, inverse = np.unique(np.array([name for name in names if name is not None], dtype=str), return_inverse=True)
    result = np.empty(len(names), dtype=np.int64)
    result[known] = inverse
    result[~known] = len(unique) + np.arange(np.count_nonzero(~known))
    return result


def _resampled(
    truth: Indices, predicted: Indices, k: int, rng: np.random.Generator, clusters: Indices | None, draws: int
) -> Iterator[Floats]:
    """Confusion matrices [chunk, K, K] of data sets that are drawn with replacement, `draws` in all."""
    if clusters is None:
        # Drawing N rows with replacement is drawing N cells of the confusion matrix by their shares.
        copies = confusion(truth, predicted, k).ravel()
        patterns = None
    else:
        cells = (clusters * k + truth) * k + predicted
        counts = np.bincount(cells, minlength=(int(clusters.max()) + 1) * k * k).reshape(-1, k * k)
        # Clusters with the same counts are interchangeable: what matters is how often each kind is drawn.
        patterns, copies = np.unique(counts.astype(np.float64), axis=0, return_counts=True)
    chunk = max(1, CHUNK // max(len(copies), k * k))
    for start in range(0, draws, chunk):
        picks = rng.multinomial(copies.sum(), copies / copies.sum(), size=min(chunk, draws - start)).astype(np.float64)
        yield (picks if patterns is None else picks @ patterns).reshape(-1, k, k)
