"""The table of classes: each one's shares with their intervals, and what it is mistaken for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openfer.evaluate import metrics
from openfer.evaluate.intervals import Interval, Statistic
from openfer.evaluate.report.record import ClassScores, EvaluationReport, Range

MISTAKES = 20
"""How many confusions a page lists."""
SHARES = {"recall": metrics.recall, "precision": metrics.precision, "f1": metrics.f1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One class taken for another: how often, and which share of the true class's rows that is."""

    truth: str
    answer: str
    count: int
    share: float


def class_statistics(k: int) -> dict[str, Statistic]:
    """Every share of every class as a score for `bootstrap`, named `recall 0`, `recall 1` and so on."""

    def of_class(share: Statistic, index: int) -> Statistic:
        return lambda matrices: share(_against_the_rest(matrices, index))[..., 0]

    return {f"{name} {index}": of_class(share, index) for name, share in SHARES.items() for index in range(k)}


def _against_the_rest(matrices: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """[..., K, K] -> [..., 2, 2]: one class and all others. The others' own answers are left at 0: no share needs them,
    and so a class costs its row and its column, not the whole matrix."""
    hits = matrices[..., index, index]
    missed, wrong = matrices[..., index, :].sum(axis=-1) - hits, matrices[..., index].sum(axis=-1) - hits
    return np.stack([hits, missed, wrong, np.zeros_like(hits)], axis=-1).reshape(*hits.shape, 2, 2)


def class_table(
    names: tuple[str, ...], matrix: NDArray[np.int64], intervals: Mapping[str, Interval]
) -> tuple[ClassScores, ...]:
    """A line for each class.

    Args:
        names: labels, in the order of `matrix`.
        matrix: [K, K] counts, rows truth, columns predicted.
        intervals: what `bootstrap` found for `class_statistics`.
    """
    mistakes = matrix - np.diag(np.diag(matrix))
    rivals, confused = mistakes.argmax(axis=1).tolist(), mistakes.max(axis=1).tolist()
    support, answers = matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist()

    return tuple(
        ClassScores(
            name=name,
            support=support[index],
            answers=answers[index],
            recall=_known(intervals[f"recall {index}"]),
            precision=_known(intervals[f"precision {index}"]),
            f1=_known(intervals[f"f1 {index}"]),
            recall_interval=known_range(intervals[f"recall {index}"]),
            precision_interval=known_range(intervals[f"precision {index}"]),
            f1_interval=known_range(intervals[f"f1 {index}"]),
            confused_with=names[rivals[index]] if confused[index] else None,
            confused=confused[index],
        )
        for index, name in enumerate(names)
    )


def _known(share: Interval) -> float | None:
    return None if np.isnan(share.value) else share.value


def known_range(interval: Interval) -> Range | None:
    """An interval's ends; None where resampling says nothing.

    A class that some resampled data set lacks has ends that are no numbers. All or none right gives the same share
    in every resampled data set, and an interval without width would claim to be sure.
    """
    if np.isnan([interval.low, interval.high]).any() or interval.low == interval.high:
        return None
    return interval.low, interval.high


def frequent_mistakes(report: EvaluationReport, count: int = MISTAKES) -> tuple[Mistake, ...]:
    """The most frequent confusions of one class with another, most frequent first."""
    matrix = np.array(report.confusion)
    np.fill_diagonal(matrix, 0)
    cells = np.argsort(-matrix, axis=None, kind="stable")[:count]
    found = [divmod(cell, len(matrix)) for cell in cells.tolist()]
    return tuple(
        Mistake(
            truth=report.labels[row],
            answer=report.labels[column],
            count=int(matrix[row, column]),
            share=int(matrix[row, column]) / report.classes[row].support,
        )
        for row, column in found
        if matrix[row, column]
    )
