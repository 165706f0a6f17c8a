"""Which rows a cleaned manifest leaves out, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from openfer.data.audit.leaks import FAMILIES, split_tables
from openfer.data.audit.record import Audit
from openfer.data.manifest import Manifest
from openfer.errors import ConfigError, DataError

Keep = Literal["evaluation", "train"]
DROPS = {
    "unreadable": "the picture is missing or damaged",
    "leaks": "a copy stands in another split",
    "subjects": "the person stands in another split",
    "clips": "the clip stands in another split",
    "conflicts": "copies carry another label",
    "copies": "an earlier training row shows the same",
}
"""What can be left out, in the order in which a row's reason is chosen."""
USUAL: dict[Keep, tuple[str, ...]] = {
    "evaluation": ("unreadable", "leaks", "subjects", "clips", "conflicts"),
    "train": ("unreadable", "leaks", "subjects", "clips"),
}
"""What is left out where nothing is said: what stays whole only loses what cannot be read."""
RANKS: dict[Keep, dict[str, int]] = {
    "evaluation": {"train": 0, "validation": 1, "test": 2},
    "train": {"validation": 0, "test": 1, "train": 2},
}
"""Of two splits that share something, the one of higher rank stays whole."""


def parse_drops(text: str) -> tuple[str, ...]:
    """What to leave out, from names with commas between them; some of `DROPS`.

    Raises:
        ConfigError: an unknown name.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in DROPS:
            raise ConfigError(f"--drop {name}: expected some of {', '.join(DROPS)}")
    return names


def parse_keep(text: str) -> Keep:
    """Which side of a leak stays whole. Raises `ConfigError` for any other word."""
    for known in get_args(Keep):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise ConfigError(f"--keep {text}: expected {' or '.join(get_args(Keep))}")


def left_out(
    manifest: Manifest, found: Audit, *, drop: tuple[str, ...] | None = None, keep: Keep = "evaluation"
) -> dict[int, str]:
    """Row -> why it is left out, one of `drop` (by default `USUAL`); in the order of the rows.

    - `unreadable`: rows whose picture is missing or damaged.
    - `leaks`: where two splits hold equal pixels or near copies, the rows of one of them. With `keep="evaluation"`
      train gives way to validation and test; with `keep="train"` these two give way to train; validation always gives
      way to test. `subjects` and `clips`: the same for people and sequences.
    - `conflicts`: training rows whose copies, in whatever split, carry another label. Validation and test keep theirs.
    - `copies`: training rows that show what an earlier training row shows, equal or nearly.
    """
    splits = np.array([split or "" for split in manifest.column("split")], dtype=object)
    ranks = np.array([RANKS[keep].get(split, -1) for split in splits], dtype=np.int64)
    training = splits == "train"
    drop = USUAL[keep] if drop is None else drop
    masks = {
        "unreadable": _mask(found.rows, [one.row for one in found.bad]),
        "leaks": _weaker_copies(found, splits, ranks, keep),
        "subjects": _weaker_family(manifest, FAMILIES["subject"], ranks),
        "clips": _weaker_family(manifest, FAMILIES["clip"], ranks),
        "conflicts": training & _mask(found.rows, [row for one in found.contradictions for row in one.rows]),
        "copies": training & _repeats(found, training),
    }
    reasons = {name: masks[name] for name in DROPS if name in drop}
    return {
        row: next(name for name, mask in reasons.items() if mask[row])
        for row in np.flatnonzero(np.logical_or.reduce([np.zeros(found.rows, dtype=bool), *reasons.values()])).tolist()
    }


def without(manifest: Manifest, dropped: dict[int, str], *, keep: Keep = "evaluation") -> Manifest:
    """The manifest without these rows; a note in its origin says how many went and why.

    Raises:
        DataError: nothing is left.
    """
    rows = np.setdiff1d(np.arange(len(manifest)), np.array(list(dropped), dtype=np.int64))
    if not len(rows):
        raise DataError("no row is left; choose less with --drop")
    counts = Counter(dropped.values())
    said = ", ".join(f"{counts[name]} {name} ({why})" for name, why in DROPS.items() if counts[name])
    note = f"audit: {len(dropped)} of {len(manifest)} rows left out (kept whole: {keep}): {said or 'none'}"
    origin = replace(manifest.origin, notes=(*manifest.origin.notes, note))
    return replace(manifest.rows(rows), origin=origin)


def _mask(count: int, rows: list[int]) -> NDArray[np.bool_]:
    mask = np.zeros(count, dtype=bool)
    mask[rows] = True
    return mask


def _weaker_copies(
    found: Audit, splits: NDArray[np.object_], ranks: NDArray[np.int64], keep: Keep
) -> NDArray[np.bool_]:
    """Rows whose picture, or a near copy of it, stands in a split of higher rank."""
    same, alike = split_tables(found.content, splits, found.near_contents())
    highest = np.full(len(found.first), -1, dtype=np.int64)
    for split, rank in RANKS[keep].items():
        highest = np.where(same[split] | alike[split], np.maximum(highest, rank), highest)
    result = np.zeros(found.rows, dtype=bool)
    known = (found.content >= 0) & (ranks >= 0)
    result[known] = highest[found.content[known]] > ranks[known]
    return result


def _weaker_family(manifest: Manifest, column: str, ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose person or sequence stands in a split of higher rank."""
    names = np.array([value or "" for value in manifest.column(column)], dtype=object).astype(str)
    _, number = np.unique(names, return_inverse=True)
    highest = np.full(number.max(initial=-1) + 1, -1, dtype=np.int64)
    np.maximum.at(highest, number, ranks)
    return np.asarray((names != "") & (ranks >= 0) & (highest[number] > ranks))


def _repeats(found: Audit, training: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Training rows whose picture an earlier training row shows, or a near copy of it."""
    rows = np.flatnonzero(training & (found.content >= 0))
    _, firsts = np.unique(found.content[rows], return_index=True)
    result = np.zeros(found.rows, dtype=bool)
    result[np.delete(rows, firsts)] = True
    first_row = np.full(len(found.first), found.rows, dtype=np.int64)
    first_row[found.content[rows[firsts]]] = rows[firsts]
    left, right = (first_row[numbers] for numbers in found.near_contents())
    both = (left < found.rows) & (right < found.rows)
    result[np.maximum(left, right)[both]] = True
    return result
