"""A data set on disk becomes a manifest, and a report of what was found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from openfer import __version__
from openfer.data.layouts import reader
from openfer.data.layouts.common import ScanOptions
from openfer.data.manifest import SPLITS, Manifest, Origin, build_manifest, write_manifest
from openfer.data.pictures import MISSING, Progress, decode, relocate
from openfer.errors import DataError
from openfer.records import OK, UNREADABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan found and wrote.

    Args:
        layout: the reader's name.
        label_set: name of the label set.
        labels: its label names, in order.
        rule: how the labels were made.
        rows: all rows of the manifest.
        counts: split -> label -> rows that can be used.
        skipped: why not -> rows that cannot.
        missing: names of pictures that are listed but not there.
        unreadable: names of pictures that cannot be decoded; without `verify` only those the reader had to decode.
        notes: what is worth saying, a line each.
    """

    layout: str
    label_set: str
    labels: tuple[str, ...]
    rule: str
    rows: int
    counts: dict[str, dict[str, int]]
    skipped: dict[str, int]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]


def scan(
    layout: str,
    root: Path,
    out: Path,
    labels: str | None = None,
    variant: str | None = None,
    votes: str | None = None,
    verify: bool = False,
    *,
    command: str = "",
    progress: Progress | None = None,
) -> ScanReport:
    """Read a data set and write its manifest.

    Args:
        layout: a name of `openfer.data.layouts.LAYOUTS`.
        root: where the data set lies.
        out: the manifest to write; paths of pictures become relative to its folder.
        labels, variant, votes: see the layout's docstring.
        verify: decode every picture; rows of damaged ones get the status `unreadable: <why>`.
        command: kept in the manifest.
        progress: called while pictures are decoded.

    Raises:
        ConfigError: an unknown layout, or an option that it does not have.
        DataError: the data set contradicts itself, or nothing is there.
    """
    read = reader(layout)
    if not root.exists():
        raise DataError(f"{root}: no such file or folder")
    found = read(root, ScanOptions(labels=labels, variant=variant, votes=votes))
    if not found.rows:
        raise DataError(f"{root}: no rows; see the layout's form in the documentation of `openfer data scan`")
    origin = Origin(layout=layout, reader=__version__, rule=found.rule, command=command)
    manifest = build_manifest(found.rows, found.labels, origin, root)
    if verify:
        manifest = _verified(manifest, progress)
    counts = usable_counts(manifest)
    notes = (*found.notes, *_differences(manifest, found.official), *_absent_classes(counts))
    manifest = replace(manifest, origin=replace(origin, notes=notes))
    write_manifest(relocate(manifest, out.parent), out)
    statuses = manifest.column("status")
    return ScanReport(
        layout=layout,
        label_set=found.labels.name,
        labels=found.labels.names,
        rule=found.rule,
        rows=len(manifest),
        counts=counts,
        skipped=skipped_counts(manifest),
        missing=tuple(manifest.name(row) for row, status in enumerate(statuses) if status == MISSING),
        unreadable=tuple(
            f"{manifest.name(row)}: {status}" for row, status in enumerate(statuses) if status.startswith(UNREADABLE)
        ),
        notes=notes,
    )


def usable_counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Split -> label -> rows whose status is `ok`; splits in their usual order, every label of the set."""
    splits, labels, statuses = (manifest.column(name) for name in ("split", "label", "status"))
    cells = Counter(cell[:2] for cell in zip(splits, labels, statuses, strict=True) if cell[2] in (OK, None))
    present = set(splits)
    return {split: {label: cells[split, label] for label in manifest.labels} for split in SPLITS if split in present}


def skipped_counts(manifest: Manifest) -> dict[str, int]:
    """Status -> rows, most frequent first, without the details after a colon; rows that are `ok` are left out."""
    statuses = [status.split(":")[0] for status in manifest.column("status") if status not in (OK, None)]
    return dict(Counter(statuses).most_common())


def _differences(manifest: Manifest, official: dict[str, int]) -> list[str]:
    rows = Counter(manifest.column("split"))
    return [
        f"{split}: {rows[split]:,} rows, the official release has {expected:,}"
        for split, expected in official.items()
        if rows[split] != expected
    ]


def _absent_classes(counts: dict[str, dict[str, int]]) -> list[str]:
    notes = []
    for split, cells in counts.items():
        absent = [label for label, count in cells.items() if not count]
        if len(absent) == len(cells):
            notes.append(f"{split}: no row that can be used")
        elif absent:
            notes.append(f"{split}: no row of {', '.join(absent)}")
    return notes


def _verified(manifest: Manifest, progress: Progress | None) -> Manifest:
    statuses = []
    for row, status in enumerate(manifest.column("status")):
        readable = decode(manifest, row)[1] if status == OK else OK
        statuses.append(status if readable == OK else readable)
        if progress is not None:
            progress(row + 1, len(manifest))
    return manifest.with_column("status", statuses)
