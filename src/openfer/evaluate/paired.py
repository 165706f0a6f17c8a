"""Several models on the same rows: how sure their differences are, and exact tests of who is right more often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from openfer.data.pictures import Progress
from openfer.errors import DataError
from openfer.evaluate.calibration import BINS
from openfer.evaluate.intervals import CHUNK, DRAWS, LEVEL, Floats, Indices, Interval
from openfer.evaluate.metrics import accuracy, macro_f1, mean_class_accuracy

CONFUSION_SCORES = {"accuracy": accuracy, "mean_class_accuracy": mean_class_accuracy, "macro_f1": macro_f1}
MIN_HEIGHT = 8
"""Resampled data sets that are scored together at least, however many rows there are."""
LOSS, CALIBRATION = "negative_log_likelihood", "calibration_error"


@dataclass(frozen=True)
class Resampled:
    """Scores of M models on the rows as they are and on D resampled data sets, the same ones for every model.

    Args:
        values: name -> [M].
        draws: name -> [M, D].
        noise: [M, D] what the calibration error of a resampled data set is made of if the model is calibrated.
        level: share of the resampled scores inside an interval.
    """

    values: Mapping[str, Floats]
    draws: Mapping[str, Floats]
    noise: Floats
    level: float = LEVEL

    def score(self, name: str, model: int) -> Interval:
        """A model's score and its interval: percentiles, but `_calibration_interval` for the calibration error."""
        value, draws = float(self.values[name][model]), self.draws[name][model]
        if name == CALIBRATION:
            return _calibration_interval(value, draws, self.noise[model], self.level)
        return percentiles(value, draws, self.level)

    def difference(self, name: str, first: int, second: int) -> Interval:
        """Score of the first minus score of the second model, with the percentiles of the resampled differences."""
        value = float(self.values[name][first] - self.values[name][second])
        return percentiles(value, self.draws[name][first] - self.draws[name][second], self.level)


def paired_bootstrap(
    truth: Indices,
    probabilities: Floats,
    rng: np.random.Generator,
    *,
    clusters: Indices | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    progress: Progress | None = None,
) -> Resampled:
    """Scores of several models on the same resampled rows.

    What makes a row hard makes it hard for every model, so a difference is known better than either score.

    Args:
        truth: [N], 0 to K - 1.
        probabilities: [M, N, K], a model after the other.
        rng: where the randomness comes from.
        clusters: [N], numbers from 0 on: rows with the same number are drawn together. None: row by row.
        draws: number of resampled data sets.
        level: share of the resampled scores inside an interval.
        progress: called with the data sets that are scored and all of them, now and then.

    Raises:
        DataError: no rows.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    if not len(truth):
        raise DataError("bootstrap: no rows; expected at least one")
    models = _Models(truth, probabilities)
    values, gaps = models.scores(np.ones((1, len(truth))))
    parts: dict[str, list[Floats]] = {name: [] for name in values}
    noise: list[Floats] = []
    done = 0
    for weights in resample(len(truth), rng, clusters=clusters, draws=draws):
        scores, resampled_gaps = models.scores(weights)
        for name, score in scores.items():
            parts[name].append(score)
        noise.append(np.abs(resampled_gaps - gaps).sum(axis=2))
        done += len(weights)
        if progress:
            progress(done, draws)
    return Resampled(
        {name: value[:, 0] for name, value in values.items()},
        {name: np.concatenate(part, axis=1) for name, part in parts.items()},
        np.concatenate(noise, axis=1),
        level,
    )


def resample(
    n: int, rng: np.random.Generator, *, clusters: Indices | None = None, draws: int = DRAWS
) -> Iterator[Floats]:
    """How often each of n rows is drawn, float64 [some, n], `draws` such lines in all; see `paired_bootstrap`."""
    count = n if clusters is None else int(clusters.max()) + 1
    height = max(MIN_HEIGHT, CHUNK // n)
    for start in range(0, draws, height):
        # Drawing and counting line by line stays in the processor's cache.
        lines = [
            np.bincount(rng.integers(0, count, count), minlength=count)
            for _ in range(start, min(start + height, draws))
        ]
        weights = np.array(lines, dtype=np.float64)
        yield weights if clusters is None else weights[:, clusters]


def only_one(right: NDArray[np.bool_]) -> tuple[int, int]:
    """Rows that only the first and that only the second of two models gets right; `right` is [2, N]."""
    return int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test: are the rows that only one of two models gets right shared evenly?

    2 P(X <= the smaller count) for X binomial with n = both counts and share 1/2, at most 1. Rows are independent.

    Args:
        only_first: rows that only the first model gets right.
        only_second: rows that only the second model gets right.

    Source: McNemar, Psychometrika 12(2), 1947; the binomial form.
    """
    n, smaller = only_first + only_second, min(only_first, only_second)
    largest = exp(lgamma(n + 1) - lgamma(smaller + 1) - lgamma(n - smaller + 1) - n * log(2))
    # Each term of the tail from the one above it: C(n, k - 1) = C(n, k) k / (n - k + 1).
    k = np.arange(smaller, 0, -1)
    return min(1.0, 2 * largest * (1 + float(np.cumprod(k / (n - k + 1)).sum())))


def sign_flip(differences: Indices) -> float:
    """Exact two-sided p of the sign-flip test over clusters: would swapping the models in some clusters do as much?

    If two models are equally good, each cluster's difference is as likely to have the other sign. p is the share of
    all 2^C ways to sign the C differences whose sum is at least as far from 0. Rows inside a cluster may depend on each
    other in any way. With one row a cluster this is McNemar's exact test.

    Args:
        differences: [C] rows that only the first model gets right minus rows that only the second does, by cluster.

    Returns:
        p, exact to about 1e-12; never below 2^(1 - C), C the clusters whose difference is not 0.

    Source: Canay, Romano and Shaikh, Randomization tests under an approximate symmetry assumption,
        Econometrica 85(3), 2017.
    """
    sizes, copies = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    total, observed = int(sizes @ copies), abs(int(differences.sum()))
    if not observed:
        return 1.0
    # The sum's distribution on -total..total from its characteristic function, the product of cos(size t).
    length = 2 * total + 1
    cosines = np.cos(np.outer(sizes, 2 * np.pi / length * np.arange(length)))
    mass = np.fft.ifft(np.prod(cosines ** copies[:, None], axis=0)).real
    tail = 2 * float(mass[observed : total + 1].sum())
    return min(1.0, max(tail, 2.0 ** (1 - int(copies.sum()))))


def holm(p: Floats) -> Floats:
    """p values [n] corrected for n tests, [n]: at level a, the chance of any false finding stays below a.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6(2),
        1979.
    """
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    result = np.empty(len(p))
    result[order] = np.maximum.accumulate(steps)
    return result


def losses(truth: Indices, probabilities: Floats) -> Floats:
    """-ln p(truth) of every row, nats; [M, N, K] -> [M, N]. Floored like `metrics.negative_log_likelihood`."""
    chosen = probabilities[:, np.arange(len(truth)), truth].astype(np.float64)
    return np.asarray(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0)))


@dataclass(frozen=True)
class _Cells:
    """Rows sorted by the cell that they lie in: `found[i]` holds the rows `order[starts[i]]` and on.

    Args:
        values: what a row counts, in the order of `order`; None for 1.
    """

    order: Indices
    found: Indices
    starts: Indices
    values: Floats | None

    @classmethod
    def of(cls, cells: Indices, values: Floats | None = None) -> _Cells:
        order = np.argsort(cells, kind="stable")
        found, starts = np.unique(cells[order], return_index=True)
        return cls(order, found, starts, None if values is None else values[order])

    def sums(self, weights: Floats, size: int) -> Floats:
        """The values' sums in each of `size` cells for rows that count as often as `weights` [D, N] say, [D, size]."""
        rows = weights[:, self.order]
        if self.values is not None:
            rows *= self.values
        result = np.zeros((len(weights), size))
        result[:, self.found] = np.add.reduceat(rows, self.starts, axis=1)
        return result


class _Models:
    """What several models' scores are computed from, sorted once for all resampled data sets."""

    def __init__(self, truth: Indices, probabilities: Floats) -> None:
        answers, confidence = probabilities.argmax(axis=2), probabilities.max(axis=2)
        bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        self.k = probabilities.shape[2]
        self.cells = [_Cells.of(truth * self.k + answer) for answer in answers]
        self.bins = [_Cells.of(*row) for row in zip(bins, (answers == truth) - confidence, strict=True)]
        self.losses = losses(truth, probabilities)

    def scores(self, weights: Floats) -> tuple[dict[str, Floats], Floats]:
        """Scores, name -> [M, D], of rows that count as often as `weights` [D, N] say, and the bins' gaps.

        The gaps [M, D, BINS] are the share of right rows minus the mean confidence, times the bin's share of the rows.
        Their sizes add up to the expected calibration error; the bins are those of `calibration.reliability`.
        """
        rows = weights.sum(axis=1)
        matrices = np.stack([cells.sums(weights, self.k**2).reshape(-1, self.k, self.k) for cells in self.cells])
        gaps = np.stack([bins.sums(weights, BINS) for bins in self.bins]) / rows[:, None]
        result = {name: score(matrices) for name, score in CONFUSION_SCORES.items()}
        result[LOSS] = self.losses @ weights.T / rows
        result[CALIBRATION] = np.abs(gaps).sum(axis=2)
        return result, gaps


def percentiles(value: float, draws: Floats, level: float = LEVEL) -> Interval:
    """A score with the percentiles of its resampled values `draws` [D]."""
    low, high = np.quantile(draws, ((1 - level) / 2, (1 + level) / 2))
    return Interval(value=value, low=float(low), high=float(high))


def _calibration_interval(value: float, draws: Floats, noise: Floats, level: float) -> Interval:
    """The interval of a calibration error, which every resampling makes larger: noise in a bin never cancels.

    Percentiles would lie too high, so they are reflected at the value (the basic bootstrap interval). 0 belongs to the
    interval unless the value is larger than noise alone explains.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.
    """
    low, high = np.quantile(draws, ((1 - level) / 2, (1 + level) / 2))
    reflected = 0.0 if value <= np.quantile(noise, level) else max(0.0, 2 * value - float(high))
    return Interval(value=value, low=min(value, reflected), high=max(value, 2 * value - float(low)))
