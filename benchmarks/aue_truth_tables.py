"""The answers of `aue_truth.py` become Markdown tables: scores with intervals over people and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openfer.data.manifest import Manifest
from openfer.evaluate.action_units.build import Judged, Resampled, resample
from openfer.evaluate.action_units.record import MEASURES
from openfer.evaluate.benchmark.build import over_seeds
from openfer.evaluate.intervals import LEVEL, cluster_numbers
from openfer.labels import AU_NAMES
from openfer.vision.au_locations import AUS

PRESENT = 0.2
"""An action unit counts as present from this intensity on, about FACS level B."""
TOLD = 0.8
"""Action units that the expression alone tells with this AUC or more are called determined by it."""
ALONE = "the true expression alone"
ATTENTION = " (attention)"
ACCURACY = "expressions named right, seed by seed"

Floats = NDArray[np.float64]
Answers = Mapping[str, Sequence[Mapping[str, NDArray[Any]]]]
Scores = Mapping[str, Sequence[Resampled]]
"""Arm -> its scores, a seed each."""


def markdown(found: Answers, faces: Manifest, values: Floats, *, pairing: str, command: str, draws: int) -> str:
    """All tables.

    Args:
        found: arm -> seed by seed what `aue_truth.answers` gave; the first arm is the one that others are compared to.
        faces: the whole set.
        values: [N, 17], true intensities of all faces.
        pairing: the arm that has the first one's action units and differs in the attention alone.
        command: that made the numbers.
        draws: number of resampled data sets.
    """
    first = next(iter(found))
    own = [arm for arm in found if arm != pairing]
    scores = score(found, faces, values, draws)
    determined = scores[ALONE][0].values["auc"] >= TOLD
    test = found[first][0]["test_rows"]
    people = len({faces.column("subject")[row] for row in test.tolist()})
    seeds = "one seed" if len(found[first]) == 1 else f"{len(found[first])} seeds"
    units = ", ".join(str(unit) for unit, told in zip(AUS, determined, strict=True) if told)
    parts = [
        f"{len(test):,} faces of {people} people who were not trained on; a unit is present from an intensity of "
        f"{PRESENT} on. Mean over the 17 action units and {seeds}; in brackets {LEVEL:.0%} intervals "
        f"over people and seeds ({draws:,} resampled data sets). *Within* an expression pairs of faces are formed only "
        "inside each expression, where knowing the expression is worth 0.5 (AUC) and 0 (PCC).",
        "",
        *_table(
            ("", *MEASURES.values(), ACCURACY),
            [(arm, *_cells(scores[arm]), _accuracy(found, arm, faces)) for arm in (*own, ALONE)],
        ),
        "",
        f"Against the {first}, and for those action units that the expression determines (its AUC alone is {TOLD} or "
        f"more: {units}):",
        "",
        *_table(
            ("difference", "AUC", "AUC within", "PCC within", "AUC, determined", "AUC within, determined"),
            [(arm, *_differences(scores[arm], scores[first], determined)) for arm in own[1:]],
        ),
        "",
        "The attention over action units, taken as if it were a score of each (a unit that the network looks at is "
        f"there). The {pairing} concerns the fusion alone; its action units are those of the {first}:",
        "",
        *_table(
            ("", "AUC", "AUC within", "PCC within", ACCURACY),
            [
                (
                    arm,
                    *_cells(scores[arm + ATTENTION], ("auc", "auc_within", "pcc_within")),
                    _accuracy(found, arm, faces),
                )
                for arm in found
            ],
        ),
        "",
        "Unit by unit, mean over the seeds:",
        "",
        *_units(scores, own),
        "",
        f"Written by `{command}`.",
    ]
    return "\n".join(parts)


def score(found: Answers, faces: Manifest, values: Floats, draws: int) -> dict[str, list[Resampled]]:
    """Scores of every arm's action units, of its attention, and of what the true expression alone tells."""
    labels = np.array(faces.column("label"))
    subjects = faces.column("subject")
    split = np.array(faces.column("split"))

    def judged(rows: NDArray[np.int64], probabilities: Floats) -> Judged:
        return Judged(
            units=AUS,
            probabilities=probabilities,
            values=values[rows],
            present_from=PRESENT,
            expressions=labels[rows].tolist(),
            clusters=cluster_numbers([subjects[row] for row in rows.tolist()]),
            resampled="subject",
        )

    scores: dict[str, list[Resampled]] = {}
    for name, key in (("", "aus"), (ATTENTION, "attention")):
        for arm, seeds in found.items():
            scores[arm + name] = [
                resample(
                    judged(one["test_rows"], one[f"test_{key}"]),
                    holdout=(one[f"validation_{key}"], values[one["validation_rows"]]),
                    draws=draws,
                )
                for one in seeds
            ]
    one = next(iter(found.values()))[0]
    train, test, holdout = split == "train", one["test_rows"], one["validation_rows"]
    shares = {label: (values[train & (labels == label)] >= PRESENT).mean(axis=0) for label in np.unique(labels)}
    told = np.array([shares[label] for label in labels])
    scores[ALONE] = [resample(judged(test, told[test]), holdout=(told[holdout], values[holdout]), draws=draws)]
    return scores


def _cells(seeds: Sequence[Resampled], measures: Sequence[str] = tuple(MEASURES)) -> list[str]:
    means = [[seed.mean(name)[:2] for seed in seeds] for name in measures]
    return [_cell([value for value, _ in one], np.stack([drawn for _, drawn in one])) for one in means]


def _differences(arm: Sequence[Resampled], first: Sequence[Resampled], determined: NDArray[np.bool_]) -> list[str]:
    everything = np.ones_like(determined)
    cells = []
    for name, among in (
        ("auc", everything),
        ("auc_within", everything),
        ("pcc_within", everything),
        ("auc", determined),
        ("auc_within", determined),
    ):
        # Arms of a seed share its expression stage, so that seeds are drawn in pairs.
        pairs = [(a.mean(name, among), b.mean(name, among)) for a, b in zip(arm, first, strict=True)]
        drawn = np.stack([a[1] - b[1] for a, b in pairs])
        cells.append(_cell([a[0] - b[0] for a, b in pairs], drawn, sign="+"))
    return cells


def _cell(values: Sequence[float], drawn: Floats, sign: str = "") -> str:
    if not np.isfinite(values).all() or not np.isfinite(drawn).any():
        return ""
    low, high = np.nanquantile(over_seeds(drawn, 0), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return f"{np.mean(values):{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _accuracy(found: Answers, arm: str, faces: Manifest) -> str:
    if arm not in found:
        return ""
    truth = faces.label_indices()
    right = [(one["test_logits"].argmax(1) == truth[one["test_rows"]]).mean() for one in found[arm]]
    return ", ".join(f"{100 * share:.1f} %" for share in right)


def _units(scores: Scores, arms: Sequence[str]) -> list[str]:
    def mean(arm: str, name: str, column: int) -> str:
        value = np.mean([seed.values[name][column] for seed in scores[arm]])
        return f"{value:.2f}" if np.isfinite(value) else ""

    faces = scores[ALONE][0].faces
    present = (faces.present & faces.known).sum(axis=0)
    rows = [
        (
            f"{unit} {AU_NAMES[unit]}",
            str(present[column]),
            mean(ALONE, "auc", column),
            *(mean(arm, "auc", column) for arm in arms),
            *(mean(arm, "auc_within", column) for arm in arms),
        )
        for column, unit in enumerate(AUS)
    ]
    heads = ("AU", "faces", f"AUC: {ALONE}", *(f"AUC: {arm}" for arm in arms), *(f"within: {arm}" for arm in arms))
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
