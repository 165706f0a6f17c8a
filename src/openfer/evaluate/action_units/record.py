"""What is said of a model's action units, as plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MEASURES = {
    "f1": "F1 at 0.5",
    "f1_best": "F1 at the holdout's threshold",
    "auc": "AUC",
    "auc_within": "AUC within expressions",
    "pcc": "PCC",
    "pcc_within": "PCC within expressions",
}
"""The scores, and what they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A score and its 95 % interval.

    Args:
        value: F1 and AUC 0 to 1, PCC -1 to 1.
        interval: low and high end; None where some resampled data set has nothing to compute the score from.
    """

    value: float
    interval: tuple[float, float] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> Score | None:
        """The inverse of `dataclasses.asdict`, also after a round trip through JSON."""
        if values is None:
            return None
        ends = values.get("interval")
        return cls(value=values["value"], interval=None if ends is None else (ends[0], ends[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitScores:
    """One action unit.

    Args:
        unit: its FACS number.
        faces: faces whose truth is known.
        present: how many of them show it.
        expressions: in how many expressions some faces show it and some do not.
        threshold: of `f1_best`; None without a holdout.
        scores: name of `MEASURES` -> score; a score that there is nothing to compute from is not in it.
    """

    unit: int
    faces: int
    present: int
    expressions: int
    threshold: float | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of a score over those units that have it: the score, and how many they are."""

    score: Score
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionUnitReport:
    """A model's action units judged.

    Args:
        units: a line for each unit that model and truth share.
        means: name of `MEASURES` -> mean over the units.
        faces: faces that count.
        unanswered: faces with a truth for which the model gave no action units, as they have no landmarks.
        present_from: a unit is there from this true intensity on.
        expressions: names that "within expressions" speaks of; () where the faces have none.
        resampled: what the intervals' bootstrap drew, `subject`, `group` or `row`.
        clusters: how many of them there are.
        draws: number of resampled data sets.
    """

    units: tuple[UnitScores, ...]
    means: Mapping[str, Mean]
    faces: int
    unanswered: int
    present_from: float
    expressions: tuple[str, ...]
    resampled: str
    clusters: int
    draws: int

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ActionUnitReport:
        """The inverse of `dataclasses.asdict`, also after a round trip through JSON."""
        units = tuple(UnitScores(**{**unit, "scores": _scores(unit["scores"])}) for unit in values["units"])
        means = {
            name: Mean(score=score, units=mean["units"])
            for name, mean in values["means"].items()
            if (score := Score.from_dict(mean["score"])) is not None
        }
        return cls(**{**values, "units": units, "means": means, "expressions": tuple(values["expressions"])})


def _scores(values: Mapping[str, Any]) -> dict[str, Score]:
    return {name: score for name, one in values.items() if (score := Score.from_dict(one)) is not None}
