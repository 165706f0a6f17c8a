"""What a report says, as plain frozen data: `report.json` is its `to_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from openfer.bundle.card import Card
from openfer.evaluate.action_units.record import ActionUnitReport
from openfer.evaluate.calibration import Bin
from openfer.evaluate.intervals import Interval
from openfer.evaluate.predictions import Context

FORMAT = 1
"""Version of `report.json`."""


Range = tuple[float, float]
"""Low and high end of an interval."""


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
        recall_interval: low and high end of the 95 % interval; None where resampling says nothing: the class is too
            rare to be in every resampled data set, or all or none of its rows are right.
        precision_interval: the same for the precision.
        f1_interval: the same for F1.
        confused_with: the class that its rows were most often taken for by mistake; None without a mistake.
        confused: how many rows that were.
    """

    name: str
    support: int
    answers: int
    recall: float | None
    precision: float | None
    f1: float | None
    recall_interval: Range | None = None
    precision_interval: Range | None = None
    f1_interval: Range | None = None
    confused_with: str | None = None
    confused: int = 0


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
class LeftOut:
    """A class that only the model or only the data has, so that it is not judged.

    Args:
        name: the label.
        only: who has it, `model` or `data`.
        rows: rows of this class, which do not count.
    """

    name: str
    only: Literal["model", "data"]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A counted row that is worth looking at.

    Args:
        row: its number in the manifest.
        name: what a person would call it.
        truth: the true class.
        answer: the most probable class.
        confidence: its probability, 0 to 1.
        truth_probability: probability of the true class, 0 to 1.
        way: how it was cut; empty where the predictions do not say.
    """

    row: int
    name: str
    truth: str
    answer: str
    confidence: float
    truth_probability: float
    way: str


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
        macro_f1_interval: low and high end of its 95 % interval.
        calibration_error: expected calibration error, 15 equal-width bins, 0 to 1.
        negative_log_likelihood: mean -ln p(truth), nats.
        classes: a line for each class.
        confusion: [K][K] counts, rows truth, columns predicted.
        reliability: bins of the confidence.
        resampled: what the intervals' bootstrap drew: `subject`, `group`, `episode` or `row`.
        clusters: how many of them there are.
        draws: number of resampled data sets.
        not_counted: why a row does not count -> how many rows; the most frequent reasons first.
        left_out: classes that only the model or only the data has.
        errors: the wrong answers that the model was surest of, surest first.
        hardest: the right answers that the model was least sure of, least sure first.
        failures: the first rows that could not be read.
        card: the model's card; None where only predictions are known.
        action_units: scores of the model's action units; None where model or data have none.
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
    macro_f1_interval: Range | None = None
    not_counted: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    errors: tuple[Example, ...] = ()
    hardest: tuple[Example, ...] = ()
    failures: tuple[Failure, ...] = ()
    card: Card | None = None
    action_units: ActionUnitReport | None = None
    warnings: tuple[str, ...] = ()
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values; `EvaluationReport.from_dict` gives an equal report back."""
        return asdict(self) | {"card": None if self.card is None else self.card.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EvaluationReport:
        """The inverse of `to_dict`, also after a round trip through JSON.

        Raises:
            KeyError, TypeError, ValueError: the values are not those of a report.
        """
        parts = dict(values)
        parts["context"] = Context.from_dict(parts["context"])
        parts["counts"] = RowCounts(**parts["counts"])
        for name in ("accuracy", "mean_class_accuracy"):
            parts[name] = Interval(**parts[name])
        parts["classes"] = [_with_ranges(part) for part in parts["classes"]]
        for name, kind in _PARTS.items():
            parts[name] = tuple(kind(**part) for part in parts.get(name, ()))
        parts["confusion"] = tuple(tuple(row) for row in parts["confusion"])
        for name in ("labels", "warnings"):
            parts[name] = tuple(parts[name])
        if parts.get("card") is not None:
            parts["card"] = Card.model_validate(parts["card"])
        if parts.get("action_units") is not None:
            parts["action_units"] = ActionUnitReport.from_dict(parts["action_units"])
        return cls(**_with_ranges(parts))


_PARTS: dict[str, type] = {
    "classes": ClassScores,
    "reliability": Bin,
    "failures": Failure,
    "left_out": LeftOut,
    "errors": Example,
    "hardest": Example,
}


def _with_ranges(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with every `..._interval` a tuple again, which JSON makes a list."""
    return {
        name: tuple(value) if name.endswith("_interval") and value is not None else value
        for name, value in values.items()
    }
