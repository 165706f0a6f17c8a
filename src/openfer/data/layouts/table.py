"""A table of your own with the manifest's columns: a csv file (also .csv.gz, .tsv) or a Parquet file.

    image,label,split,subject,box
    faces/1.jpg,happy,train,anna,"[10, 20, 64, 64]"

`image` (or `path`) is the picture's path relative to the table; the other columns are those of
`openfer.data.manifest`, and all may be absent. Lists and maps are JSON in a csv file. Labels are words as people write
them; numbers need `--labels NAME`, as that set's own codes, and so do votes, whose order only that name tells. Without
a column `split` every row is train. A Parquet file may also be a manifest: then `--labels` converts it by name, and a
class that the other set lacks costs its rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openfer.data.layouts.common import (
    NO_LABEL,
    OWN,
    SPLIT_WORDS,
    Row,
    Scan,
    ScanOptions,
    found_labels,
    head,
    label_of_word,
    wanted_labels,
)
from openfer.data.layouts.disk import Finder, listing, suffix
from openfer.data.layouts.lists import checked, columns_of, csv_rows
from openfer.data.manifest import METADATA_KEY, SCHEMA, load_manifest
from openfer.errors import DataError, did_you_mean
from openfer.files import natural_key, read_parquet
from openfer.labels import LabelSet
from openfer.records import OK

PATHS = ("image", "path", "image.path")
NESTED = ("votes", "box", "points5", "landmarks68", "aus")
NUMBERS = ("valence", "arousal")
NO_SPLIT = "no split"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read a table, or the only one in a folder. Raises `DataError` where a row says what cannot be."""
    options.only("manifest", "labels")
    path = root if root.is_file() else _only_table(root)
    if suffix(path.name) == ".parquet":
        table = read_parquet(path, absent="no such table")
        if METADATA_KEY in (table.schema.metadata or {}):
            return _converted(path, options)
        named = (("row", number, row) for number, row in enumerate(table.to_pylist()))
        return _scan(path, table.column_names, named, options, [])
    notes: list[str] = []
    lines = csv_rows(path, notes)
    _, header = next(lines, (0, [""]))
    columns = columns_of(header, path)
    named = (
        ("line", line, {name: fields[index] for name, index in columns.items()})
        for line, fields in checked(lines, len(header), path)
    )
    return _scan(path, list(columns), named, options, notes)


def _only_table(root: Path) -> Path:
    names = [name for name in listing(root).files if suffix(name.removesuffix(".gz")) in (".csv", ".parquet")]
    if len(names) != 1:
        raise DataError(f"{root}: {len(names)} tables ({head(names) or 'none'}); name the csv or Parquet file itself")
    return root / names[0]


def _converted(path: Path, options: ScanOptions) -> Scan:
    """A manifest as it is, or with the labels of another set, by name."""
    manifest = load_manifest(path)
    rows: list[Row] = manifest.table.to_pylist()
    target = wanted_labels(options.labels) or manifest.labels
    notes = [f"a manifest of {manifest.labels.name}"]
    if target.names != manifest.labels.names:
        columns = [manifest.labels.names.index(name) if name in manifest.labels else None for name in target]
        for row in rows:
            if row.get("label") is not None and row["label"] not in target:
                row |= {"status": f"{row['label']} is not in {target.name}", "label": None, "votes": None}
            elif row.get("votes") is not None:
                votes = [0.0 if column is None else row["votes"][column] for column in columns]
                row["votes"] = [vote / sum(votes) for vote in votes] if sum(votes) else None
        notes.append(f"labels converted by name to {target.name}")
    return Scan(rows=rows, labels=target, rule=manifest.origin.rule, notes=notes, root=path.parent)


def _scan(
    path: Path,
    columns: list[str],
    named: Iterable[tuple[str, int, dict[str, Any]]],
    options: ScanOptions,
    notes: list[str],
) -> Scan:
    picture = next((name for name in PATHS if name in columns), None)
    if picture is None:
        raise DataError(f"{path}: no column 'image' among {', '.join(columns)}; expected the manifest's columns")
    _look_at_names(path, [name for name in columns if name != picture], notes)
    labels = wanted_labels(options.labels)
    if "votes" in columns and labels is None:
        raise DataError(f"{path}: votes need --labels NAME, which tells their order")
    finder = Finder(path.parent, path.parent)
    rows: list[Row] = []
    own, name = options.labels == OWN, str(path)
    for unit, number, given in named:
        row = _row(given, picture, f"{name}, {unit} {number}", labels, own, finder)
        row["source"] = row.get("source") or f"{path.name}:{number}"
        rows.append(row)
    finder.report(notes)
    if "split" not in columns:
        notes.append("no column 'split': every row is train")
    words = [row["label"] for row in rows if row["label"] is not None]
    if labels is None:
        if not words:
            raise DataError(f"{path}: no row has a label; name the label set with --labels NAME")
        labels = LabelSet(OWN, tuple(sorted(set(words), key=natural_key))) if options.labels else found_labels(words)
    return Scan(rows=rows, labels=labels, notes=notes, root=path.parent)


def _look_at_names(path: Path, columns: list[str], notes: list[str]) -> None:
    """Refuse a column that is almost one of the manifest's; say which others are left out."""
    others = [name for name in columns if name not in SCHEMA.names]
    for name in others:
        hint = did_you_mean(name, [*SCHEMA.names, "image"])
        if hint.startswith("did you mean"):
            raise DataError(f"{path}: unknown column '{name}'; {hint} Rename it, or leave it out")
    if others:
        notes.append(f"columns left out: {', '.join(others)}")


def _row(given: dict[str, Any], picture: str, where: str, labels: LabelSet | None, own: bool, finder: Finder) -> Row:
    row: Row = {name: _value(name, given[name], where) for name in SCHEMA.names if name in given and name != "image"}
    image = given[picture]
    content = image.get("bytes") if isinstance(image, dict) else None
    name = image.get("path") if isinstance(image, dict) else image
    problem = OK
    if content is None and not name:
        content, problem = b"", "no picture"
    if content is None:
        name, problem = finder.find(str(name))
    row["image"] = {"bytes": content, "path": None if content is not None else name}
    word = row.get("label")
    row["label"] = None if word is None else str(word) if own else label_of_word(str(word), labels, where)
    row["split"] = _split(row["split"], where) if "split" in row else "train"
    if row.get("status") in (None, OK):
        unlabelled = row["label"] is None and row.get("votes") is None and row.get("aus") is None
        row["status"] = problem if problem != OK else NO_LABEL if unlabelled else OK
    if row["split"] is None and row["status"] == OK:
        row["status"] = NO_SPLIT
    return row


def _split(word: Any, where: str) -> str | None:
    if word is None:
        return None
    if str(word).lower() not in SPLIT_WORDS:
        raise DataError(f"{where}: unknown split '{word}'; {did_you_mean(str(word), SPLIT_WORDS)}")
    return SPLIT_WORDS[str(word).lower()]


def _value(name: str, value: Any, where: str) -> Any:
    """A cell as the manifest wants it; None where it is empty."""
    if value is None or value == "":
        return None
    try:
        if name in NUMBERS:
            return _finite(value)
        if name in NESTED and isinstance(value, str):
            return _nested(name, json.loads(value))
        if name in NESTED:
            return _nested(name, value)
    except (ValueError, TypeError, AttributeError):
        raise DataError(f"{where}: {name} '{str(value)[:40]}' is not what a manifest holds there") from None
    return value


def _finite(value: Any) -> float:
    """A number that a manifest can hold. Raises `ValueError` or `TypeError` for others."""
    number = float(value)
    if not abs(number) < 1e30:
        raise ValueError
    return number


def _nested(name: str, value: Any) -> Any:
    """Numbers of the shape that a column has. Raises `ValueError` or `TypeError` for others."""
    if name == "aus":
        return {str(unit): None if degree is None else _finite(degree) for unit, degree in dict(value).items()}
    if name in ("points5", "landmarks68"):
        points = [[_finite(x), _finite(y)] for x, y in value]
        if len(points) != (5 if name == "points5" else 68):
            raise ValueError
        return points
    numbers = [_finite(number) for number in value]
    if name == "box" and len(numbers) != 4:
        raise ValueError
    return numbers
