"""Several predictions files side by side: the same rows, the same classes, one truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openfer.data.pictures import MISSING
from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.evaluate.intervals import cluster_numbers
from openfer.evaluate.predictions import Predictions
from openfer.evaluate.score import LABEL_RULES, LEFT_OUT
from openfer.labels import LabelSet, basic_order
from openfer.records import OK, UNREADABLE

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

UNKNOWN, CONTRADICTION = -1, -2
ABSENT = "not in every file"
OTHER_SPLIT = "of another split in another file"
EXCLUDED = "excluded by their status"
OTHER_CLASS = "of a class that not every file has"
UNANSWERED = "without an answer in every file"
UNLABELLED = "without a truth in every file"


@dataclass(frozen=True, kw_only=True)
class Matched:
    """The rows that all files judge.

    Args:
        labels: the K classes that all files have; basic expressions first, whatever order the files have.
        left_out_labels: names that only some files have.
        truth: [N] columns of `labels`.
        probabilities: [M, N, K], a file after the other.
        judged: rows of each file that have a truth out of `labels` and an answer.
        rows: number of different rows in all files together.
        left_out: why a row is not used -> how many.
        splits: of the used rows.
        resampled: what belongs together: `subject`, `group`, `episode` or `row`.
        clusters: [N] numbers of people or clips; None where every row stands for itself.
        ways: way of cutting -> used rows, for each file; empty where it does not say.
    """

    labels: LabelSet
    left_out_labels: tuple[str, ...]
    truth: Indices
    probabilities: NDArray[np.float64]
    judged: tuple[int, ...]
    rows: int
    left_out: Mapping[str, int]
    splits: tuple[str, ...]
    resampled: str
    clusters: Indices | None
    ways: tuple[Mapping[str, int], ...]


def match(files: Mapping[str, Predictions], rule: str = "same") -> Matched:
    """Lay predictions side by side. A row is matched by its number, and by its split where both files name one.

    Args:
        files: model name -> predictions, two or more.
        rule: `same`: all files have the same label names, in any order. `intersection`: names that only some have are
            left out, probabilities are renormalised over the rest, and rows of a left-out class do not count.

    Raises:
        ConfigError: an unknown rule.
        DataError: label names, manifests or truths differ, or no row is judged by all.
    """
    labels, left_out_labels = _shared_labels(files, rule)
    _check_manifests(files)
    _check_episodes(files)
    classes = (*labels, *left_out_labels)
    numbers = [file.table["row"].to_numpy() for file in files.values()]
    rows = reduce(partial(np.intersect1d, assume_unique=True), numbers)
    sides = [_rows(file, _places(own, rows)) for file, own in zip(files.values(), numbers, strict=True)]
    same_split = _agreed([side.column("split") for side in sides]) != CONTRADICTION
    truth = _agreed([side.column("truth") for side in sides], classes)
    _check_truth(dict(zip(files, sides, strict=True)), (truth == CONTRADICTION) & same_split)
    used = same_split & np.all([_judged(side, labels) for side in sides], axis=0)
    everything = len(np.unique(np.concatenate(numbers)))
    left_out = {ABSENT: everything - len(rows), OTHER_SPLIT: int((~same_split).sum())}
    left_out |= _reasons(sides, truth >= len(labels), same_split & ~used)
    left_out = {why: count for why, count in left_out.items() if count}
    if not used.any():
        counts = ", ".join(f"{count} {why}" for why, count in left_out.items()) or "they have none"
        raise DataError(f"{', '.join(files)}: no row is judged by all ({counts}); judge all of them on the same rows")
    sides = [_rows(side, np.flatnonzero(used)) for side in sides]
    resampled, clusters = _clusters(sides)
    return Matched(
        labels=labels,
        left_out_labels=left_out_labels,
        truth=truth[used],
        probabilities=np.stack([_probabilities(side, labels) for side in sides]),
        judged=tuple(int(_judged(file, labels).sum()) for file in files.values()),
        rows=everything,
        left_out=left_out,
        splits=tuple(sorted({name for side in sides for name in side.column("split") if name is not None})),
        resampled=resampled,
        clusters=clusters,
        ways=tuple(Counter(way for way in side.column("way") if way is not None) for side in sides),
    )


def _shared_labels(files: Mapping[str, Predictions], rule: str) -> tuple[LabelSet, tuple[str, ...]]:
    """The classes that all files have, and the names that only some have.

    The order does not depend on that of the files, so that two equal probabilities give every file the same answer.
    """
    if rule not in LABEL_RULES:
        raise ConfigError(f"--labels: unknown rule '{rule}'; {did_you_mean(rule, LABEL_RULES)}")
    every = basic_order(sorted({name for file in files.values() for name in file.labels}))
    shared = tuple(name for name in every if all(name in file.labels for file in files.values()))
    left_out = tuple(name for name in every if name not in shared)
    if left_out and rule == "same":
        name = left_out[0]
        having, lacking = ([m for m, file in files.items() if (name in file.labels) == has] for has in (True, False))
        raise DataError(
            f"labels differ: {having[0]} has {name}, {lacking[0]} has not; compare what all have with "
            "--labels intersection"
        )
    if len(shared) < 2:
        raise DataError(f"labels: {', '.join(files)} share {len(shared)} names; expected two or more")
    return LabelSet("shared", shared), left_out


def _check_manifests(files: Mapping[str, Predictions]) -> None:
    """Row numbers mean the same row only in the same manifest, or in one whose judged rows are the same."""
    known = [(name, file.context) for name, file in files.items() if file.context.manifest]
    for name, context in known[1:]:
        first, reference = known[0]
        same_rows = bool(context.rows_sha256) and context.rows_sha256 == reference.rows_sha256
        if context.manifest != reference.manifest and not same_rows:
            raise DataError(
                f"{name}: judged on another manifest ({context.manifest[:12]}) than {first} "
                f"({reference.manifest[:12]}); evaluate both on the same one"
            )


def _check_episodes(files: Mapping[str, Predictions]) -> None:
    """A query means the same only in the same episodes."""
    contexts = {name: file.context for name, file in files.items() if file.context.manifest}
    hashes = {name: context.episodes.sha256 if context.episodes else "" for name, context in contexts.items()}
    for name, own in hashes.items():
        first, other = next(iter(hashes.items()))
        if own != other:
            raise DataError(
                f"{name}: judged on other episodes ({own[:12] or 'none'}) than {first} ({other[:12] or 'none'}); "
                "evaluate both on the same ones with --episodes FILE"
            )


def _check_truth(sides: Mapping[str, Predictions], wrong: Mask) -> None:
    if not wrong.any():
        return
    place = int(np.argmax(wrong))
    told = {name: side.column("truth")[place] for name, side in sides.items()}
    first = next(name for name, truth in told.items() if truth is not None)
    other = next(name for name, truth in told.items() if truth not in (None, told[first]))
    row = next(iter(sides.values())).column("row")[place]
    raise DataError(
        f"row {row}: its truth is '{told[first]}' in {first} and '{told[other]}' in {other} "
        f"({int(wrong.sum())} such rows); compare predictions for the same labels"
    )


def _places(numbers: Indices, wanted: Indices) -> Indices:
    """Where each wanted number stands."""
    order = np.argsort(numbers)
    return np.asarray(order[np.searchsorted(numbers, wanted, sorter=order)])


def _rows(file: Predictions, places: Indices) -> Predictions:
    return replace(file, table=file.table.take(pa.array(places)))


def _agreed(columns: Sequence[Sequence[str | None]], names: Sequence[str] = ()) -> Indices:
    """What several columns say about each of n rows, [n]: a number, in the order of `names` where they are given;
    `UNKNOWN` where none says anything, `CONTRADICTION` where two say different things."""
    names = names or sorted({value for column in columns for value in column if value is not None})
    position: dict[str | None, int] = {name: index for index, name in enumerate(names)}
    numbers = np.array([[position.get(value, UNKNOWN) for value in column] for column in columns], dtype=np.int64)
    highest = numbers.max(axis=0)
    lowest = np.where(numbers == UNKNOWN, highest, numbers).min(axis=0)
    return np.asarray(np.where(lowest == highest, highest, CONTRADICTION))


def _judged(file: Predictions, labels: LabelSet) -> Mask:
    """Rows with an answer and a truth out of `labels`, [N]."""
    known = np.array([*(name in labels for name in file.labels), False])  # the last is for -1, no truth
    return np.asarray(file.counted & known[file.truth])


def _probabilities(file: Predictions, labels: LabelSet) -> NDArray[np.float64]:
    """Probabilities [N, K] of `labels`, renormalised where the file has more; uniform where nothing was on them."""
    chosen = file.probabilities[:, file.labels.columns_for(labels)]
    if len(file.labels) == len(labels):
        return chosen
    total = chosen.sum(axis=1, keepdims=True)
    return np.where(total == 0, 1.0 / len(labels), chosen / np.where(total == 0, 1.0, total))


def _reasons(sides: Sequence[Predictions], other_class: Mask, chosen: Mask) -> dict[str, int]:
    """Why the chosen rows are not judged by all -> rows; the first reason that holds counts."""
    words = np.array([[(status or OK).split(":")[0] for status in side.column("status")] for side in sides], dtype=str)
    answered = np.all([np.isfinite(side.probabilities).all(axis=1) for side in sides], axis=0)
    other_class = other_class | (words == LEFT_OUT).any(axis=0)
    excluded = ~np.isin(words, (OK, UNREADABLE, MISSING, LEFT_OUT)).all(axis=0)
    names = (EXCLUDED, OTHER_CLASS, UNANSWERED, UNLABELLED)
    found = np.select([excluded, other_class, ~answered], np.arange(3), 3)[chosen]
    return dict(zip(names, np.bincount(found, minlength=4).tolist(), strict=True))


def _clusters(sides: Sequence[Predictions]) -> tuple[str, Indices | None]:
    """People where a file names them, else clips or episodes: what `evaluate` resamples. None where each has a single
    row."""
    episodes = any(side.context.episodes for side in sides)
    for column in ("subject", "group"):
        for side in sides:
            names = side.column(column)
            numbers = cluster_numbers(names)
            if numbers.max() + 1 < len(numbers):
                return "episode" if episodes else column, numbers
    return "row", None
