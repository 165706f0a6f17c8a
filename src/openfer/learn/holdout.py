"""Which training rows train, which are held out, and which must not be used: split by content, not by file order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Rows of a manifest by their use: disjoint, in the manifest's order.

    Args:
        train: rows that move the weights.
        holdout: rows that choose the epoch and the temperature.
        leaks: training rows whose picture also stands in another split; left out.
    """

    train: Rows
    holdout: Rows
    leaks: Rows


def partition(
    labels: NDArray[np.int64],
    splits: list[str | None],
    hashes: list[str | None],
    subjects: list[str | None],
    *,
    split: str,
    share: float,
    seed: int,
    drop_leaks: bool,
) -> Partition:
    """Carve a holdout out of the training rows.

    Stratified by label; rows of one subject, or with the same pixels, never fall on both sides. Which rows are held
    out depends on their content and the seed, not on their order.

    Args:
        labels: [N] columns of the labels; rows below 0 are left out.
        splits: N names; hashes: N hashes of the pixels, None = unreadable, left out; subjects: N names or None.
        split: the one that trains.
        share: of the training rows to hold out, 0 to 0.5.
        seed: of the choice.
        drop_leaks: leave out training rows whose pixels also stand in another split.
    """
    in_split = np.array([value == split for value in splits], dtype=bool)
    usable = in_split & (labels >= 0) & np.array([value is not None for value in hashes], dtype=bool)
    elsewhere = {value for value, inside in zip(hashes, in_split, strict=True) if not inside and value is not None}
    leaked = usable & np.array([value in elsewhere for value in hashes], dtype=bool)
    rows = np.flatnonzero(usable & ~leaked if drop_leaks else usable)
    leaks = np.flatnonzero(leaked) if drop_leaks else np.array([], dtype=np.int64)
    names = [str(hashes[row]) for row in rows]
    groups = connected(names, [subjects[row] for row in rows])
    held = stratified(labels[rows], groups, names, share, seed)
    return Partition(train=rows[~held], holdout=rows[held], leaks=leaks)


def connected(hashes: list[str], subjects: list[str | None]) -> Rows:
    """Group numbers [n]: rows that share pixels or a subject, directly or through others, have the same number."""
    nodes: dict[tuple[str, str], int] = {}
    edges: list[tuple[int, int]] = []
    for row, (content, subject) in enumerate(zip(hashes, subjects, strict=True)):
        edges.append((row, nodes.setdefault(("pixels", content), len(nodes))))
        if subject is not None:
            edges.append((row, nodes.setdefault(("subject", subject), len(nodes))))
    if not edges:
        return np.array([], dtype=np.int64)
    count = len(hashes)
    start, end = np.array(edges).T
    size = count + len(nodes)
    graph = coo_array((np.ones(len(edges)), (start, count + end)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:count], dtype=np.int64)


def stratified(labels: NDArray[np.int64], groups: Rows, names: list[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose whole groups until about `share` of every label's rows is held out.

    Args:
        labels: [n] >= 0.
        groups: [n] group numbers.
        names: n contents that decide the random order.
        share: 0 to 1.
        seed: of the random order.

    Returns:
        bool [n], True = held out. A label with a single group stays in training.
    """
    held = np.zeros(len(labels), dtype=bool)
    if share == 0 or not len(labels):
        return held
    _, groups = np.unique(groups, return_inverse=True)
    keys = np.array([int(hashlib.sha256(f"{seed} {name}".encode()).hexdigest()[:15], 16) for name in names])
    size = np.bincount(groups)
    key = np.full(len(size), np.iinfo(np.int64).max)
    np.minimum.at(key, groups, keys)
    # A group counts for its most frequent label.
    table = np.zeros((len(size), labels.max() + 1), dtype=np.int64)
    np.add.at(table, (groups, labels), 1)
    label = table.argmax(1)
    for value in np.unique(label):
        members = np.flatnonzero(label == value)
        members = members[np.argsort(key[members], kind="stable")]
        wanted = share * size[members].sum()
        before = np.cumsum(size[members]) - size[members]
        chosen = members[before + size[members] / 2 <= wanted]
        held[np.isin(groups, chosen[: len(members) - 1])] = True
    return held
