"""A data set on disk becomes a manifest, and a report of what was found."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openfer import __version__
from openfer.data.layouts import reader
from openfer.data.layouts.common import Row, Scan, ScanOptions
from openfer.data.manifest import SPLITS, Manifest, Origin, build_manifest, write_manifest
from openfer.data.pictures import MISSING, Progress, decode, relocate
from openfer.errors import DataError
from openfer.records import OK, UNREADABLE

CHUNK = 1024
"""Pictures that are decoded before their results are collected."""


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
        lost: split -> label -> rows whose picture is missing or damaged; only what is not 0.
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
    lost: dict[str, dict[str, int]]
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
    fold: str | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> ScanReport:
    """Read a data set and write its manifest.

    Args:
        layout: a name of `openfer.data.layouts.LAYOUTS`.
        root: where the data set lies.
        out: the manifest to write; paths of pictures become relative to its folder.
        labels, variant, votes, fold: see the layout's docstring.
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
    found = read(root, ScanOptions(labels=labels, variant=variant, votes=votes, fold=fold))
    if not found.rows:
        raise DataError(f"{root}: no rows; see the layout's form in the documentation of `openfer data scan`")
    _refuse_two_labels(found.rows)
    origin = Origin(layout=layout, reader=__version__, rule=found.rule, command=command)
    manifest = build_manifest(found.rows, found.labels, origin, found.root or root)
    sizes: Counter[tuple[int, int]] = Counter()
    if verify:
        manifest = _verified(manifest, sizes, progress)
    counts = usable_counts(manifest)
    notes = (
        *found.notes,
        *_differences(manifest, found),
        *_absent_classes(manifest, counts),
        *_unusual_sizes(sizes, found.size),
    )
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
        lost=_lost_counts(manifest),
        missing=tuple(manifest.name(row) for row, status in enumerate(statuses) if status == MISSING),
        unreadable=tuple(
            f"{manifest.name(row)}: {status}"
            for row, status in enumerate(statuses)
            if status and status.startswith(UNREADABLE)
        ),
        notes=notes,
    )


def usable_counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Split -> label -> rows whose status is `ok`; splits in their usual order, every label of the set.

    For a set of action units: rows in which the unit shows (its value is over 0, or it is there without one).
    """
    splits, statuses = manifest.column("split"), manifest.column("status")
    usable = [status in (OK, None) for status in statuses]
    present = set(splits)
    if manifest.labels.of_action_units:
        shown = (
            (split, unit)
            for split, ok, units in zip(splits, usable, manifest.column("aus"), strict=True)
            if ok
            for unit, value in units or ()
            if value is None or value > 0
        )
        cells = Counter(shown)
    else:
        labels = manifest.column("label")
        cells = Counter((split, label) for split, label, ok in zip(splits, labels, usable, strict=True) if ok)
    return {split: {label: cells[split, label] for label in manifest.labels} for split in SPLITS if split in present}


def skipped_counts(manifest: Manifest) -> dict[str, int]:
    """Status -> rows, most frequent first, without the details after a colon; rows that are `ok` are left out."""
    statuses = [status.split(":")[0] for status in manifest.column("status") if status not in (OK, None)]
    return dict(Counter(statuses).most_common())


def _lost_counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    columns = (manifest.column(name) for name in ("split", "label", "status"))
    cells = Counter(
        (split or "no split", label or "no label")
        for split, label, status in zip(*columns, strict=True)
        if status is not None and (status == MISSING or status.startswith(UNREADABLE))
    )
    lost: dict[str, dict[str, int]] = {}
    for (split, label), count in sorted(cells.items()):
        lost.setdefault(split, {})[label] = count
    return lost


def _refuse_two_labels(rows: Sequence[Row]) -> None:
    """Whatever a layout's form, one face (a picture, or a box in it) has one label.

    Raises:
        DataError: naming both places.
    """
    seen: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        path, box = row["image"]["path"], row.get("box")
        if path is None or row.get("label") is None:
            continue
        before = seen.setdefault((path, *(() if box is None else tuple(map(float, box)))), row)
        if before["label"] != row["label"]:
            raise DataError(
                f"{row['source']}: {path} is {row['label']}, but {before['label']} in {before['source']}; "
                "one of them is wrong"
            )


def _differences(manifest: Manifest, found: Scan) -> list[str]:
    splits = manifest.column("split")
    if found.counted == "groups":
        # A group is counted in every split in which it stands.
        splits = [split for split, _ in set(zip(splits, manifest.column("group"), strict=True))]
    rows: Counter[str | None] = Counter(splits)
    rows[None] = len(splits)
    what = "rows" if found.counted == "rows" else "clips"
    return [
        f"{split or 'all'}: {rows[split]:,} {what}, the official release has {expected:,}"
        for split, expected in found.official.items()
        if rows[split] != expected
    ]


def _absent_classes(manifest: Manifest, counts: dict[str, dict[str, int]]) -> list[str]:
    splits, statuses = manifest.column("split"), manifest.column("status")
    usable = {split for split, status in zip(splits, statuses, strict=True) if status in (OK, None)}
    notes = []
    for split, cells in counts.items():
        absent = [label for label, count in cells.items() if not count]
        if split not in usable:
            notes.append(f"{split}: no row that can be used")
        elif absent:
            notes.append(f"{split}: no row of {', '.join(absent)}")
    return notes


def _unusual_sizes(sizes: Counter[tuple[int, int]], official: tuple[int, int] | None) -> list[str]:
    others = {size: count for size, count in sizes.items() if size != official}
    if official is None or not others:
        return []
    (width, height), _ = max(others.items(), key=lambda item: item[1])
    return [
        f"{sum(others.values()):,} pictures are not {official[0]} x {official[1]} as in the official release "
        f"(most of them {width} x {height})"
    ]


def _verified(manifest: Manifest, sizes: Counter[tuple[int, int]], progress: Progress | None) -> Manifest:
    """The manifest with a status for every picture that cannot be decoded; `sizes` counts width and height."""
    before = manifest.column("status")

    def look(row: int) -> tuple[str, tuple[int, int] | None]:
        picture, status = decode(manifest, row) if before[row] == OK else (None, before[row])
        return status, None if picture is None else (picture.shape[1], picture.shape[0])

    statuses = []
    # Warnings are silenced around the threads: inside them Python cannot do it safely.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        for start in range(0, len(manifest), CHUNK):
            for status, size in pool.map(look, range(start, min(start + CHUNK, len(manifest)))):
                statuses.append(status)
                if size is not None:
                    sizes[size] += 1
                if progress is not None:
                    progress(len(statuses), len(manifest))
    return manifest.with_column("status", statuses)
