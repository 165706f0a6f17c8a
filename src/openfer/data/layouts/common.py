"""What the readers share: their result, junk, file order, lists in csv files, class codes."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from openfer.errors import ConfigError, DataError
from openfer.files import natural_key
from openfer.labels import LabelSet

CODE_BASE = {"affectnet": 0, "affectnet7": 0, "fer2013": 0, "ferplus": 0, "rafdb": 1, "rafdb_compound": 1}
"""The first code of each data set that numbers its classes; codes follow the order of its label set."""

NO_LABEL = "no label"

Row = dict[str, Any]
"""Column of the manifest -> value. `image.path` is absolute or relative to the data set's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """What the user may say about a data set; None where nothing was said.

    Args:
        labels: a label set, a list of names, or `own`.
        variant: which of several forms on disk.
        votes: the rule that makes labels of votes.
    """

    labels: str | None = None
    variant: str | None = None
    votes: str | None = None

    def only(self, layout: str, *allowed: str) -> None:
        """Refuse the options that a layout has no use for, so that none is silently ignored."""
        for name in ("labels", "variant", "votes"):
            if getattr(self, name) is not None and name not in allowed:
                raise ConfigError(f"--{name} {getattr(self, name)}: the layout '{layout}' has no such option")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a reader found.

    Args:
        rows: one a picture, in an order that is the same on every machine.
        labels: the label set of the rows.
        rule: how the labels were made.
        notes: what is worth saying, a line each.
        official: rows by split of the official release; empty where the layout has none.
    """

    rows: list[Row]
    labels: LabelSet
    rule: str = "as given"
    notes: list[str] = field(default_factory=list)
    official: dict[str, int] = field(default_factory=dict)


def is_junk(name: str) -> bool:
    """Whether a file or folder is something that systems and archives leave behind."""
    plain = name.lower()
    return plain.startswith((".", "__macosx", "readme")) or plain.endswith((".md", ".zip")) or plain in _JUNK


_JUNK = {"thumbs.db", "desktop.ini"}


def listing(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files of a folder, each in natural order, without junk."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((natural_key(entry.name), entry.is_dir(), entry.name) for entry in entries)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error
    kept = [(is_dir, folder / name) for _, is_dir, name in found if not is_junk(name)]
    return [path for is_dir, path in kept if is_dir], [path for is_dir, path in kept if not is_dir]


def find_file(folder: Path, *names: str) -> Path | None:
    """The first of these files in a folder, without regard to case, also gzipped; None where there is none."""
    files = {path.name.lower(): path for path in listing(folder)[1]}
    wanted = [form for name in names for form in (name, f"{name}.gz")]
    return next((files[name] for name in wanted if name in files), None)


def find_folder(folder: Path, name: str) -> Path | None:
    """A folder in a folder, without regard to case; None where there is none."""
    return next((path for path in listing(folder)[0] if path.name.lower() == name.lower()), None)


def csv_rows(path: Path, notes: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped fields of every line of a csv file, plain or gzipped, that is not empty.

    A byte-order mark and Windows line ends are no matter; empty lines are counted in `notes`.

    Raises:
        DataError: the file cannot be read to its end.
    """
    empty = 0
    try:
        with _open_text(path) as stream:
            reader = csv.reader(stream)
            for fields in reader:
                stripped = [part.strip() for part in fields]
                if any(stripped):
                    yield reader.line_num, stripped
                else:
                    empty += 1
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read as a csv file ({getattr(error, 'strerror', None) or error})"
        ) from error
    if empty:
        notes.append(f"{path.name}: {empty} empty lines left out")


def _open_text(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def label_of_code(text: str, labels: LabelSet, where: str) -> str:
    """The label of a data set's own class code. Raises `DataError` naming `where` for a code that is none."""
    base = CODE_BASE[labels.name]
    last = base + len(labels) - 1
    try:
        index = int(text) - base
    except ValueError:
        index = -1
    if not 0 <= index < len(labels):
        raise DataError(f"{where}: class code '{text}'; expected {base} to {last} ({', '.join(labels)})")
    return labels.names[index]


def head(names: Iterable[object], most: int = 3) -> str:
    """The first few of many, for a message: `a, b, c and 5 more`."""
    words = [str(name) for name in names]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
