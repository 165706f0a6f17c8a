"""What a report says, as plain frozen data: `report.json` is its `to_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from openfer.evaluate.calibration import Bin
from openfer.evaluate.intervals import Interval
from openfer.evaluate.predictions import Context

FORMAT = 1
"""Version of `report.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """One class's line of the table. Shares are 0 to 1; None where they would be a share of nothing.

    Args:
        name: the label.
        support: counted rows of this class.
        answers: counted rows that were taken for this class.
        recall: share of its rows that were found.
        precision: share of its answers that were right.
        f1: harmonic mean of both.
    """

    name: str
    support: int
    answers: int
    recall: float | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Where every row went; the parts add up to `rows`.

    Args:
        rows: all rows of the split.
        counted: rows that the scores are computed from.
        unreadable: rows whose picture is missing or could not be read.
        left_out: rows of a class that the model does not know.
        excluded: rows whose status in the manifest says not to use them.
        unlabelled: rows without a truth.
    """

    rows: int
    counted: int
    unreadable: int
    left_out: int
    excluded: int
    unlabelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row that could not be read: its number in the manifest, its name and why."""

    row: int
    name: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """A model judged on the rows of a split.

    Args:
        context: model, data, protocol and versions.
        labels: class names in the order of `confusion`.
        counts: where every row went.
        ways: way of cutting -> counted rows: `points` by given points, `detected`, `frame`; `unknown` where the
            predictions do not say.
        accuracy: share of counted rows whose class was found, with its 95 % interval.
        mean_class_accuracy: mean recall over the classes that have rows, with its 95 % interval.
        classes_used: how many classes have rows.
        macro_f1: mean F1 over those classes.
        calibration_error: expected calibration error, 15 equal-width bins, 0 to 1.
        negative_log_likelihood: mean -ln p(truth), nats.
        classes: a line for each class.
        confusion: [K][K] counts, rows truth, columns predicted.
        reliability: bins of the confidence.
        resampled: what the intervals' bootstrap drew: `subject`, `group` or `row`.
        clusters: how many of them there are.
        draws: number of resampled data sets.
        failures: the first rows that could not be read.
        warnings: what a reader of the numbers must know, a line each.
    """

    context: Context
    labels: tuple[str, ...]
    counts: RowCounts
    ways: Mapping[str, int]
    accuracy: Interval
    mean_class_accuracy: Interval
    classes_used: int
    macro_f1: float
    calibration_error: float
    negative_log_likelihood: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Bin, ...]
    resampled: str
    clusters: int
    draws: int
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values; `EvaluationReport.from_dict` gives an equal report back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EvaluationReport:
        """The inverse of `to_dict`, also after a round trip through JSON."""
        parts = dict(values)
        parts["context"] = Context.from_dict(parts["context"])
        parts["counts"] = RowCounts(**parts["counts"])
        for name in ("accuracy", "mean_class_accuracy"):
            parts[name] = Interval(**parts[name])
        for name, kind in (("classes", ClassScores), ("reliability", Bin), ("failures", Failure)):
            parts[name] = tuple(kind(**part) for part in parts[name])
        parts["confusion"] = tuple(tuple(row) for row in parts["confusion"])
        for name in ("labels", "warnings"):
            parts[name] = tuple(parts[name])
        return cls(**parts)
