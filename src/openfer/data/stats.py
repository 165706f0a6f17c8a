"""What is in a manifest: classes by split, how sure the votes are, sizes of pictures, what is known of the rows."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from openfer.data.manifest import Manifest
from openfer.data.scan import skipped_counts, usable_counts
from openfer.errors import DataError
from openfer.records import OK

KNOWLEDGE = ("box", "points5", "landmarks68", "subject", "group", "votes", "aus", "valence", "arousal")
"""Columns whose coverage is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of the pictures whose header can be read.

    Args:
        pictures: how many.
        width: smallest, median and largest, pixels.
        height: smallest, median and largest, pixels.
    """

    pictures: int
    width: tuple[int, int, int]
    height: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsReport:
    """The numbers of a manifest.

    Args:
        rows: all rows.
        counts: split -> label -> rows that can be used.
        skipped: why not -> rows that cannot be used.
        entropy: split -> mean entropy of the votes of its usable rows, bits (0 = all taggers agree); only splits
            with votes.
        sizes: of the pictures; None where none can be read.
        coverage: column -> share of all rows that know it, 0 to 1; columns that no row knows are left out.
        subjects: number of different subjects.
    """

    rows: int
    counts: dict[str, dict[str, int]]
    skipped: dict[str, int]
    entropy: dict[str, float]
    sizes: Sizes | None
    coverage: dict[str, float]
    subjects: int


def stats(manifest: Manifest) -> StatsReport:
    """Count what is in a manifest; pictures are not decoded, only their headers are read."""
    return StatsReport(
        rows=len(manifest),
        counts=usable_counts(manifest),
        skipped=skipped_counts(manifest),
        entropy=_entropy(manifest),
        sizes=_sizes(manifest),
        coverage={
            name: 1 - manifest.table[name].null_count / len(manifest) for name in KNOWLEDGE if manifest.has(name)
        },
        subjects=len(set(manifest.column("subject")) - {None}),
    )


def _entropy(manifest: Manifest) -> dict[str, float]:
    splits, statuses = manifest.column("split"), manifest.column("status")
    known = [
        (splits[row], votes)
        for row, votes in enumerate(manifest.column("votes"))
        if votes is not None and statuses[row] in (OK, None)
    ]
    if not known:
        return {}
    shares = np.array([votes for _, votes in known], dtype=np.float64)
    bits = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)
    of_split = np.array([split or "" for split, _ in known])
    return {str(split): float(bits[of_split == split].mean()) for split in np.unique(of_split)}


def _sizes(manifest: Manifest) -> Sizes | None:
    sizes = []
    for row in range(len(manifest)):
        try:
            with Image.open(io.BytesIO(manifest.encoded(row))) as image:
                sizes.append(image.size)
        except (DataError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # `openfer data check` names these
    if not sizes:
        return None
    low, middle, high = (np.array(sizes).min(0), np.median(sizes, axis=0), np.array(sizes).max(0))
    width, height = ((int(low[side]), int(middle[side]), int(high[side])) for side in (0, 1))
    return Sizes(pictures=len(sizes), width=width, height=height)
