"""What became of the rows, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from openfer.data.manifest import SPLITS, Manifest
from openfer.data.pictures import MISSING
from openfer.data.prepare.row import LANDMARKS_STATUSES, POINTS_STATUSES
from openfer.records import UNREADABLE, UNSUPPORTED


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareReport:
    """What became of the rows.

    Args:
        rows: of the manifest.
        points5: status -> rows; the sum is `rows`.
        landmarks: status -> rows, the sum is `rows`; empty where none were asked for.
        splits: split -> status of the five points -> rows; rows without a split stand under `none`.
        unreadable: rows whose picture or coordinates cannot be read.
        resumed: rows that an interrupted run had prepared.
    """

    rows: int
    points5: dict[str, int]
    landmarks: dict[str, int]
    splits: dict[str, dict[str, int]]
    unreadable: int
    resumed: int = 0


def count_rows(prepared: Manifest, *, landmarks: bool, resumed: int = 0) -> PrepareReport:
    """Count the rows of a prepared manifest."""
    points, splits = prepared.column("points5_status"), prepared.column("split")
    found = prepared.column("landmarks_status") if landmarks else []
    return PrepareReport(
        rows=len(prepared),
        points5=_counts(points, POINTS_STATUSES),
        landmarks=_counts(found, LANDMARKS_STATUSES) if landmarks else {},
        splits={
            split or "none": _counts((p for p, s in zip(points, splits, strict=True) if s == split), POINTS_STATUSES)
            for split in (*SPLITS, None)
            if split in splits
        },
        unreadable=len(unreadable_rows(prepared, landmarks=landmarks)),
        resumed=resumed,
    )


def _counts(found: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    counts = Counter(found)
    return {name: counts[name] for name in names}


def unreadable_rows(prepared: Manifest, *, landmarks: bool) -> list[int]:
    """The rows whose picture or coordinates cannot be read."""
    names = ("points5_status", "landmarks_status") if landmarks else ("points5_status",)
    columns = [prepared.column(name) for name in ("status", *names)]
    return [
        row
        for row, (status, *found) in enumerate(zip(*columns, strict=True))
        if UNREADABLE in found or status == MISSING or status.startswith((UNREADABLE, UNSUPPORTED))
    ]


def words(counts: dict[str, int]) -> str:
    """Counts as they stand in a manifest's notes: `3 given, 5 detected`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())
