"""What stands in more than one split, and what contradicts itself. No picture is needed here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from openfer.data.audit.record import Contradiction, Leak, LeakKind, rows_of
from openfer.data.manifest import SPLITS, Manifest
from openfer.records import OK

Pair = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Numbers of pictures that are near copies, [P] and [P]."""
FAMILIES: dict[LeakKind, str] = {"subject": "subject", "clip": "group"}
"""Columns that name what must not be shared by splits."""


def find_leaks(manifest: Manifest, content: NDArray[np.int64], near: Pair) -> tuple[Leak, ...]:
    """Every pair of splits that shares pictures, near copies, people or sequences.

    Args:
        manifest: its splits, subjects and groups.
        content: number of each row's picture, [N], -1 for none.
        near: pictures that are near copies.
    """
    splits = np.array([split or "" for split in manifest.column("split")], dtype=object)
    usable = np.array([status in (OK, None) for status in manifest.column("status")], dtype=bool)
    found: list[Leak] = []
    same, alike = split_tables(content, splits, near)
    families = {kind: _numbers(manifest.column(column)) for kind, column in FAMILIES.items()}
    for earlier, later in combinations(SPLITS, 2):
        here = splits == later
        exact = here & _of(content, same[earlier])
        close = here & ~exact & _of(content, alike[earlier])
        shared: dict[LeakKind, NDArray[np.bool_]] = {"exact": exact, "near": close}
        for kind, (numbers, _) in families.items():
            shared[kind] = here & np.isin(numbers, np.unique(numbers[(splits == earlier) & (numbers >= 0)]))
        for kind, mask in shared.items():
            if mask.any():
                rows = np.flatnonzero(mask)
                values = np.unique(families[kind][0][rows]) if kind in families else ()
                found.append(
                    Leak(
                        kind=kind,
                        later=later,
                        earlier=earlier,
                        rows=tuple(rows.tolist()),
                        usable=int(usable[rows].sum()),
                        names=tuple(families[kind][1][value] for value in values),
                    )
                )
    return tuple(found)


def split_tables(
    content: NDArray[np.int64], splits: NDArray[np.object_], near: Pair
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.bool_]]]:
    """Split -> which pictures stand in it, and which have a near copy in it, bool [U] each."""
    count = int(content.max(initial=-1)) + 1
    same, alike = {}, {}
    for split in SPLITS:
        held = np.zeros(count, dtype=bool)
        held[content[(splits == split) & (content >= 0)]] = True
        touched = np.zeros(count, dtype=bool)
        for left, right in (near, near[::-1]):
            touched[left[held[right]]] = True
        same[split], alike[split] = held, touched
    return same, alike


def find_contradictions(manifest: Manifest, content: NDArray[np.int64], near: Pair) -> tuple[Contradiction, ...]:
    """Pictures whose rows carry two labels or more, and near pairs that do; a missing label contradicts nothing."""
    labels, splits, indices = manifest.column("label"), manifest.column("split"), manifest.label_indices()
    count = int(content.max(initial=-1)) + 1
    carried = np.zeros((count, len(manifest.labels)), dtype=bool)
    known = (content >= 0) & (indices >= 0)
    carried[content[known], indices[known]] = True
    of_content = rows_of(content)
    left, right = near
    labelled = np.asarray(carried.any(axis=1))
    several = labelled[left] & labelled[right] & ((carried[left] | carried[right]).sum(axis=1) > 1)
    groups = [("exact", of_content[number]) for number in np.flatnonzero(carried.sum(axis=1) > 1)]
    groups += [
        ("near", np.sort(np.concatenate([of_content[first], of_content[second]])))
        for first, second in zip(left[several], right[several], strict=True)
    ]
    return tuple(
        Contradiction(
            kind="exact" if kind == "exact" else "near",
            rows=tuple(group.tolist()),
            labels=tuple(labels[row] for row in group),
            splits=tuple(splits[row] for row in group),
        )
        for kind, group in groups
    )


def families_within_splits(manifest: Manifest) -> NDArray[np.int64] | None:
    """Numbers of each row's subject and clip, [N, 2], different in each split; -1 where unknown, None for no family."""
    splits = manifest.column("split")
    names = [manifest.column(column) for column in FAMILIES.values() if manifest.has(column)]
    if not names:
        return None
    within = [
        _numbers([None if value is None else (split or "", value) for split, value in zip(splits, values, strict=True)])
        for values in names
    ]
    return np.stack([numbers for numbers, _ in within], axis=1)


def _of(content: NDArray[np.int64], table: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A table of pictures as a mask of rows."""
    result = np.zeros(len(content), dtype=bool)
    known = content >= 0
    result[known] = table[content[known]]
    return result


def _numbers(values: Sequence[object]) -> tuple[NDArray[np.int64], list[str]]:
    """Each value's number, -1 for None, and the names of the numbers in their order."""
    numbers: dict[object, int] = {}
    found = [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values]
    return np.array(found, dtype=np.int64), [str(value) for value in numbers]
