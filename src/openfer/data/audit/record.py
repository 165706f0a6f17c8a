"""What an audit found, by row number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openfer.data.audit.copies import Pairs
from openfer.data.audit.hashes import Hashes
from openfer.data.audit.look import Looks
from openfer.data.check import BadRow

LeakKind = Literal["exact", "near", "subject", "clip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What two splits share, and should not.

    Args:
        kind: `exact`, equal pixels; `near`, a near copy and no equal one; `subject` or `clip`, the same person or
            sequence.
        later, earlier: the splits, such as `validation` and `train`.
        rows: rows of `later` whose picture, person or sequence also stands in `earlier`.
        usable: how many of these have the status `ok`.
        names: the shared people or sequences; empty for pictures.
    """

    kind: LeakKind
    later: str
    earlier: str
    rows: tuple[int, ...]
    usable: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Copies that carry different labels.

    Args:
        kind: `exact` or `near`.
        rows: all rows with the pixels of one picture, or of the two of a near pair.
        labels: theirs, None for a row without one.
        splits: theirs.
    """

    kind: Literal["exact", "near"]
    rows: tuple[int, ...]
    labels: tuple[str | None, ...]
    splits: tuple[str | None, ...]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The findings on N rows with U different pictures.

    Args:
        rows: N.
        bad: rows whose picture is missing or cannot be decoded; not those that never had one.
        counts: split -> label -> rows that can be used.
        looks: what was measured of each row.
        content: number of each row's picture, int64 [N], -1 where there is none; pictures are numbered by their first
            row.
        first: the first row with each picture, int64 [U], increasing.
        hashed: hash of each row's picture, [N, 2] (`hashes.hashes`).
        pairs: near copies, as rows: the first ones with their pictures.
        searched: whether near copies were looked for.
        leaks: what splits share.
        contradictions: copies with different labels.
        poor: flag -> rows of poor quality, the worst first.
    """

    rows: int
    bad: tuple[BadRow, ...]
    counts: dict[str, dict[str, int]]
    looks: Looks
    content: NDArray[np.int64]
    first: NDArray[np.int64]
    hashed: Hashes
    pairs: Pairs
    searched: bool
    leaks: tuple[Leak, ...]
    contradictions: tuple[Contradiction, ...]
    poor: dict[str, NDArray[np.int64]]

    @property
    def groups(self) -> list[NDArray[np.int64]]:
        """Rows with equal pixels, where there are two or more; in the order of their first rows."""
        return [rows for rows in rows_of(self.content) if len(rows) > 1]

    def near_contents(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pictures of the pairs, as numbers of pictures, [P] and [P]."""
        return self.content[self.pairs.first], self.content[self.pairs.second]


def rows_of(content: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows with each picture.

    Args:
        content: number of each row's picture, [N], -1 for none; all numbers from 0 on occur.
    """
    rows = np.flatnonzero(content >= 0)
    order = rows[np.argsort(content[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(content[order])) + 1) if len(order) else []
