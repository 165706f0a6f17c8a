"""Scores of action unit probabilities on many resampled data sets at once.

A data set is drawn in clusters (people, clips or single faces): `picks` [D, C] says how often each of C clusters is in
each of D data sets, `clusters` [N] which cluster a face belongs to. A score is [D, A]; NaN where a data set has nothing
to compute it from. `strata` [N] are the expressions, numbers from 0 on: pairs of faces are formed inside a stratum
only. Zeros for all faces give the usual scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

CONSTANT = 1e-12
"""A variance below this share of the mean square is that of a constant, but for rounding."""


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Answers and truth of N faces.

    Args:
        probabilities: [N, A], finite.
        values: [N, A] true intensities; NaN where unknown.
        present: [N, A]; without meaning where the truth is unknown.
        clusters: [N], numbers from 0 on.
    """

    probabilities: Floats
    values: Floats
    present: Flags
    clusters: Indices

    @property
    def known(self) -> Flags:
        """Where the truth is known, [N, A]."""
        return np.isfinite(self.values)


def f1(faces: Faces, picks: Floats, thresholds: Floats) -> Floats:
    """2 TP / (2 TP + FP + FN), [D, A]; a probability of `thresholds` [A] or more says that the unit is there."""
    said = (faces.probabilities >= thresholds) & faces.known
    there = faces.present & faces.known
    counts = np.stack([said & there, said, there], axis=-1).astype(np.float64)
    hits, answers, positives = np.moveaxis(_drawn(counts, faces.clusters, picks), -1, 0)
    return _share(2 * hits, answers + positives)


def auc(faces: Faces, picks: Floats, strata: Indices) -> Floats:
    """Share of the pairs (a face with the unit, one without it) that the probabilities order rightly, [D, A].

    Ties count half. With several strata: right pairs of all strata over pairs of all strata.
    """
    won, pairs = ranked_pairs(faces, picks, strata)
    return _share(won.sum(axis=-1), pairs.sum(axis=-1))


def ranked_pairs(faces: Faces, picks: Floats, strata: Indices) -> tuple[Floats, Floats]:
    """Rightly ordered pairs and all pairs in each stratum that occurs, [D, A, G] both."""
    scores = faces.probabilities.T
    order = np.lexsort(np.stack([scores, np.broadcast_to(strata, scores.shape)]), axis=-1)
    ranked, groups = np.take_along_axis(scores, order, axis=-1), np.sort(strata)
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    # Faces that share stratum and score are a run: what is below them begins where the run begins.
    fresh = np.ones(ranked.shape, dtype=bool)
    fresh[:, 1:] = (np.diff(ranked, axis=-1) != 0) | (np.diff(groups) != 0)
    place = np.arange(len(groups))
    start = np.maximum.accumulate(np.where(fresh, place, 0), axis=-1)
    last = np.append(fresh[:, 1:], np.ones((len(fresh), 1), dtype=bool), axis=-1)
    end = np.minimum.accumulate(np.where(last, place + 1, len(groups))[:, ::-1], axis=-1)[:, ::-1]
    weight = picks[:, faces.clusters[order]]
    with_unit, without = (
        weight * np.take_along_axis((faces.known & (faces.present == side)).T, order, axis=-1) for side in (True, False)
    )
    below = np.concatenate([np.zeros((*without.shape[:2], 1)), without.cumsum(axis=-1)], axis=-1)
    stratum = np.repeat(below[..., first], np.diff(first, append=len(groups)), axis=-1)
    beaten = 0.5 * (_pick(below, start) + _pick(below, end)) - stratum
    won = np.add.reduceat(with_unit * beaten, first, axis=-1)
    return won, np.add.reduceat(with_unit, first, axis=-1) * np.add.reduceat(without, first, axis=-1)


def pcc(faces: Faces, picks: Floats, strata: Indices) -> Floats:
    """Pearson's correlation of probability and true intensity, [D, A].

    With several strata: the mean of their correlations, weighted by their pairs of faces, n (n - 1) / 2. A stratum
    whose intensity is constant is left out; one whose probability is constant counts 0, as it says nothing.
    """
    r, pairs = correlations(faces, picks, strata)
    known = np.isfinite(r)
    return _share(np.where(known, r * pairs, 0.0).sum(axis=1), np.where(known, pairs, 0.0).sum(axis=1))


def correlations(faces: Faces, picks: Floats, strata: Indices) -> tuple[Floats, Floats]:
    """Correlation and pairs of faces in each stratum, [D, G, A] both."""
    inside = strata[:, None] == np.unique(strata)
    cells = inside[:, :, None] & faces.known[:, None, :]
    x, y = (_from_lowest(values, cells) for values in (faces.probabilities, faces.values))
    rows = np.stack([cells.astype(np.float64), x, y, x * x, y * y, x * y], axis=-1)
    sums = _drawn(rows, faces.clusters, picks)
    count = sums[..., 0]
    mean_x, mean_y, xx, yy, xy = (_share(sums[..., part], count) for part in range(1, 6))
    var_x, var_y = xx - mean_x**2, yy - mean_y**2
    flat_x, flat_y = var_x <= CONSTANT * xx, ~(var_y > CONSTANT * yy)
    scale = np.sqrt(np.where(flat_x | flat_y, 1.0, var_x * var_y))
    r = np.where(flat_y, np.nan, np.where(flat_x, 0.0, np.clip((xy - mean_x * mean_y) / scale, -1, 1)))
    return r, 0.5 * count * np.maximum(count - 1, 0)


def best_thresholds(probabilities: Floats, present: Flags) -> Floats:
    """For each unit the threshold that gives the highest F1, [A]; 0.5 where no face has the unit.

    Args:
        probabilities: [N, A] of a holdout, never of the faces that are scored later.
        present: [N, A].
    """
    order = np.argsort(-probabilities, axis=0, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=0)
    hits = np.take_along_axis(present, order, axis=0).cumsum(axis=0)
    answers = np.arange(1, len(ranked) + 1)[:, None]
    score = 2 * hits / (answers + present.sum(axis=0))
    score[:-1][ranked[:-1] == ranked[1:]] = -1.0  # equal probabilities are on one side of any threshold
    best = np.take_along_axis(ranked, score.argmax(axis=0)[None], axis=0)[0]
    return np.where(present.any(axis=0), best, 0.5)


def _drawn(rows: Floats, clusters: Indices, picks: Floats) -> Floats:
    """Sums [D, ...] of rows [N, ...] over the data sets."""
    sums = np.zeros((picks.shape[1], *rows.shape[1:]))
    np.add.at(sums, clusters, rows)
    return np.asarray(np.tensordot(picks, sums, axes=1))


def _from_lowest(values: Floats, cells: Flags) -> Floats:
    """Values [N, A] in each stratum less the lowest there, [N, G, A]; 0 outside. So a constant is exactly 0."""
    spread = np.where(cells, values[:, None, :], np.inf)
    lowest = spread.min(axis=0)
    return np.where(cells, spread - np.where(np.isfinite(lowest), lowest, 0.0), 0.0)


def _pick(values: Floats, places: Indices) -> Floats:
    return np.take_along_axis(values, np.broadcast_to(places, (len(values), *places.shape)), axis=-1)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))
