"""Action unit probabilities and truth become scores with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openfer.errors import DataError
from openfer.evaluate.action_units.record import MEASURES, ActionUnitReport, Mean, Score, UnitScores
from openfer.evaluate.action_units.statistics import (
    Faces,
    Flags,
    Floats,
    Indices,
    auc,
    best_thresholds,
    f1,
    pcc,
    ranked_pairs,
)
from openfer.evaluate.intervals import LEVEL

DRAWS, FEWEST_DRAWS = 1000, 200
PATIENCE = 400_000_000
"""Draws times faces times units that a report takes its time for, about a minute; of more faces fewer are drawn."""
CHUNK = 4_000_000
"""Numbers held at once while resampling."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """N faces with the answers of one model.

    Args:
        units: FACS numbers of the A columns.
        probabilities: [N, A]; NaN in faces without an answer.
        values: [N, A] true intensities, 0 for absent; NaN where unknown.
        present_from: a unit is there from this intensity on.
        expressions: [N] names of the expressions; None where unknown.
        clusters: [N] numbers of people or clips, from 0 on; None for face by face.
        resampled: what the clusters are, `subject`, `group` or `row`.
    """

    units: tuple[int, ...]
    probabilities: Floats
    values: Floats
    present_from: float
    expressions: Sequence[str | None]
    clusters: Indices | None = None
    resampled: str = "row"


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Every score of `MEASURES` that can be asked for, of the faces as they are and of resampled data sets.

    Args:
        faces: those that count, [N].
        names: of their expressions, [N].
        thresholds: [A] of `f1_best`; None without a holdout.
        values: name -> [A], NaN where there is nothing to compute it from.
        draws: name -> [D, A].
    """

    faces: Faces
    names: list[str | None]
    thresholds: Floats | None
    values: Mapping[str, Floats]
    draws: Mapping[str, Floats]

    def mean(self, name: str, among: Flags | None = None) -> tuple[float, Floats, int]:
        """The mean of a score over the U units that have it: value, draws [D], U; NaN where no unit has it.

        In a resampled data set it is the mean over those of them that have it there. `among` [A]: of these units alone.
        """
        has = np.isfinite(self.values[name]) & (True if among is None else among)
        part = np.isfinite(self.draws[name]) & has
        count = part.sum(axis=1)
        sums = np.where(part, self.draws[name], 0.0).sum(axis=1)
        draws = np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)
        return float(self.values[name][has].mean()) if has.any() else np.nan, draws, int(has.sum())


def score_action_units(
    judged: Judged, *, holdout: tuple[Floats, Floats] | None = None, draws: int | None = None, seed: int = 0
) -> ActionUnitReport:
    """Scores of every unit, over all faces and within each expression.

    Within an expression, knowing the expression tells nothing: a score that depends on the expression alone has an AUC
    of exactly 0.5 and a PCC of 0 there. See `statistics.auc` and `statistics.pcc` for how expressions are put together.
    Faces without an answer do not count; faces whose expression is unknown count only over all faces.

    Args:
        judged: answers and truth.
        holdout: probabilities [M, A] and true intensities [M, A] of other faces, to choose thresholds from; None for no
            such threshold.
        draws: number of resampled data sets for the intervals; None for `DRAWS`, or fewer of very many faces.
        seed: of the resampling.

    Raises:
        DataError: no face has an answer and a truth.
    """
    if draws is None:
        draws = int(np.clip(PATIENCE // judged.values.size, FEWEST_DRAWS, DRAWS))
    found = resample(judged, holdout=holdout, draws=draws, seed=seed)
    known = np.isfinite(judged.values).any(axis=1)
    means = {name: found.mean(name) for name in found.values}
    return ActionUnitReport(
        units=_units(judged.units, found),
        means={
            name: Mean(score=_score(value, drawn), units=units)
            for name, (value, drawn, units) in means.items()
            if units
        },
        faces=len(found.names),
        unanswered=int(known.sum()) - len(found.names),
        present_from=judged.present_from,
        expressions=tuple(dict.fromkeys(name for name in found.names if name is not None)),
        resampled="row" if judged.clusters is None else judged.resampled,
        clusters=int(found.faces.clusters.max()) + 1,
        draws=draws,
    )


def resample(
    judged: Judged, *, holdout: tuple[Floats, Floats] | None = None, draws: int = DRAWS, seed: int = 0
) -> Resampled:
    """The scores behind `score_action_units`; models judged on the same faces see the same resampled data sets."""
    answered = np.isfinite(judged.probabilities).all(axis=1)
    chosen = np.flatnonzero(answered & np.isfinite(judged.values).any(axis=1))
    if not len(chosen):
        raise DataError("action units: no face has both a truth and an answer")
    clusters = np.arange(len(chosen)) if judged.clusters is None else _renumbered(judged.clusters[chosen])
    faces = Faces(
        probabilities=judged.probabilities[chosen].astype(np.float64),
        values=judged.values[chosen].astype(np.float64),
        present=judged.values[chosen] >= judged.present_from,
        clusters=clusters,
    )
    names = [judged.expressions[row] for row in chosen.tolist()]
    thresholds = None if holdout is None else best_thresholds(holdout[0], holdout[1] >= judged.present_from)
    number = int(clusters.max()) + 1
    values = _scores(faces, np.ones((1, number)), names, thresholds)
    parts = [_scores(faces, picks, names, thresholds) for picks in _picks(number, faces, draws, seed)]
    return Resampled(
        faces=faces,
        names=names,
        thresholds=thresholds,
        values={name: value[0] for name, value in values.items()},
        draws={name: np.concatenate([part[name] for part in parts]) for name in values},
    )


def _scores(faces: Faces, picks: Floats, names: list[str | None], thresholds: Floats | None) -> dict[str, Floats]:
    """Every score of `MEASURES` that can be asked for, [D, A] each."""
    together = np.zeros(len(names), dtype=np.int64)
    found = {
        "f1": f1(faces, picks, np.full(faces.present.shape[1], 0.5)),
        "auc": auc(faces, picks, together),
        "pcc": pcc(faces, picks, together),
    }
    if thresholds is not None:
        found["f1_best"] = f1(faces, picks, thresholds)
    inside, strata = _strata(faces, names)
    if len(strata):
        found["auc_within"], found["pcc_within"] = auc(inside, picks, strata), pcc(inside, picks, strata)
    return {name: found[name] for name in MEASURES if name in found}


def _strata(faces: Faces, names: list[str | None]) -> tuple[Faces, Indices]:
    """The faces whose expression is known, and its number for each."""
    known = np.array([name is not None for name in names], dtype=bool)
    _, strata = np.unique(np.array([name for name in names if name is not None], dtype=str), return_inverse=True)
    inside = Faces(
        probabilities=faces.probabilities[known],
        values=faces.values[known],
        present=faces.present[known],
        clusters=faces.clusters[known],
    )
    return inside, strata.astype(np.int64)


def _picks(clusters: int, faces: Faces, draws: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is in each of `draws` data sets, [chunk, C] at a time."""
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK // faces.present.size)
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=size).astype(np.float64)


def _units(units: tuple[int, ...], found: Resampled) -> tuple[UnitScores, ...]:
    faces = found.faces
    inside, strata = _strata(faces, found.names)
    once = np.ones((1, int(faces.clusters.max()) + 1))
    mixed = (ranked_pairs(inside, once, strata)[1][0] > 0).sum(axis=-1) if len(strata) else np.zeros(len(units), int)
    shown = faces.present & faces.known
    return tuple(
        UnitScores(
            unit=unit,
            faces=int(faces.known[:, column].sum()),
            present=int(shown[:, column].sum()),
            expressions=int(mixed[column]),
            threshold=None if found.thresholds is None else float(found.thresholds[column]),
            scores={
                name: _score(values[column], found.draws[name][:, column])
                for name, values in found.values.items()
                if np.isfinite(values[column])
            },
        )
        for column, unit in enumerate(units)
    )


def _score(value: float, drawn: Floats) -> Score:
    if not np.isfinite(drawn).all():
        return Score(value=float(value))
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Score(value=float(value), interval=(float(low), float(high)))


def _renumbered(clusters: Indices) -> Indices:
    return np.unique(clusters, return_inverse=True)[1].astype(np.int64)
