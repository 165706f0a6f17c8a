"""What is wrong with a manifest: unreadable, missing and repeated pictures, and repeats that contradict each other."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from openfer.data.manifest import SPLITS, Manifest
from openfer.data.pictures import MISSING, Progress, decode
from openfer.records import OK, UNREADABLE
from openfer.vision.image import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row whose picture cannot be used.

    Args:
        row: number in the manifest, from 0.
        name: what a person would call it.
        reason: `missing`, or `unreadable: <why>`.
    """

    row: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Rows with identical pixels and different labels.

    Args:
        rows: numbers in the manifest.
        names: what a person would call them.
        labels: the rows' labels, None for a row without one.
        splits: the rows' splits.
    """

    rows: tuple[int, ...]
    names: tuple[str, ...]
    labels: tuple[str | None, ...]
    splits: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check found; a duplicate is a row whose decoded pixels are those of an earlier row.

    Args:
        rows: all rows that were looked at.
        missing: rows whose file is not there.
        unreadable: rows whose picture cannot be decoded.
        inside: split -> duplicates of a row of the same split.
        across: `later in earlier` split, such as `validation in train` -> rows of the first whose picture also
            stands in the second.
        conflicts: groups of duplicates that carry two labels or more.
    """

    rows: int
    missing: tuple[BadRow, ...]
    unreadable: tuple[BadRow, ...]
    inside: dict[str, int]
    across: dict[str, int]
    conflicts: tuple[Conflict, ...]

    @property
    def sound(self) -> bool:
        """Whether every picture is there and can be decoded; duplicates are the data set's own business."""
        return not self.missing and not self.unreadable


def check(manifest: Manifest, progress: Progress | None = None) -> CheckReport:
    """Decode every picture once and report what is wrong.

    Rows that never had a picture (a status other than `unreadable` and nothing stored) are not reported again.
    """
    looks = _look(manifest, progress)
    statuses = manifest.column("status")
    bad = [
        BadRow(row=row, name=manifest.name(row), reason=bad_reason(reason, statuses[row]))
        for row, (_, reason) in enumerate(looks)
        if reason != OK and not known_hole(manifest, row, statuses[row])
    ]
    splits = manifest.column("split")
    groups = duplicate_groups(content for content, _ in looks)
    inside: Counter[str] = Counter()
    across: Counter[str] = Counter()
    for rows in groups:
        counts = Counter(splits[row] for row in rows)
        inside.update({split: count - 1 for split, count in counts.items() if split and count > 1})
        for earlier, later in combinations(SPLITS, 2):
            if counts[earlier] and counts[later]:
                across[f"{later} in {earlier}"] += counts[later]
    return CheckReport(
        rows=len(manifest),
        missing=tuple(row for row in bad if row.reason == MISSING),
        unreadable=tuple(row for row in bad if row.reason != MISSING),
        inside=dict(inside),
        across=dict(across),
        conflicts=_conflicts(manifest, groups),
    )


def content_hashes(manifest: Manifest, progress: Progress | None = None) -> list[str | None]:
    """SHA-256 over shape and decoded pixels of every row's picture, hexadecimal; None where it cannot be decoded.

    Equal hashes are equal pictures, whatever their files and formats. One picture is in memory at a time.
    """
    return [content for content, _ in _look(manifest, progress)]


def pixel_hash(picture: Picture) -> str:
    """SHA-256 over a picture's shape and pixels, hexadecimal."""
    return hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).hexdigest()


def duplicate_groups(contents: Iterable[str | None]) -> list[list[int]]:
    """Numbers of the rows that share a content hash, a list a hash; only hashes that occur twice or more."""
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(contents):
        if content is not None:
            rows_of[content].append(row)
    return [rows for rows in rows_of.values() if len(rows) > 1]


def _look(manifest: Manifest, progress: Progress | None) -> list[tuple[str | None, str]]:
    """Every row's content hash, and `ok` or why its picture cannot be decoded."""
    results: list[tuple[str | None, str]] = []
    for row in range(len(manifest)):
        picture, status = decode(manifest, row)
        content = None
        if picture is not None:
            content = pixel_hash(picture)
        results.append((content, status))
        if progress is not None:
            progress(row + 1, len(manifest))
    return results


def known_hole(manifest: Manifest, row: int, status: str | None) -> bool:
    """Whether a row never had a picture, and its status says so."""
    stored = manifest.table["image"][row].as_py()["bytes"]
    return stored == b"" and status not in (OK, None) and not status.startswith(UNREADABLE)


def bad_reason(found: str, status: str | None) -> str:
    """Why a picture cannot be used: what decoding found, or what the row's status has said."""
    # The scan may know better why nothing could be stored.
    return status if status is not None and status.startswith(UNREADABLE) else found


def _conflicts(manifest: Manifest, groups: list[list[int]]) -> tuple[Conflict, ...]:
    labels, splits = manifest.column("label"), manifest.column("split")
    return tuple(
        Conflict(
            rows=tuple(rows),
            names=tuple(manifest.name(row) for row in rows),
            labels=tuple(labels[row] for row in rows),
            splits=tuple(splits[row] for row in rows),
        )
        for rows in groups
        if len({labels[row] for row in rows} - {None}) > 1
    )
