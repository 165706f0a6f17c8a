"""Lists in text files: comma- or blank-separated, with every damage that an editor or a download can do."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from openfer.data.layouts.common import head
from openfer.errors import DataError, reason

Line = tuple[int, list[str]]
"""Number of the line in its file, from 1, and its fields without blanks around them."""


def csv_rows(path: Path, notes: list[str]) -> Iterator[Line]:
    """Every line of a comma-separated file, plain or gzipped, that is not empty.

    A byte-order mark and Windows line ends are no matter; empty lines are counted in `notes`.

    Raises:
        DataError: the file cannot be read to its end; a quote is not closed on its line.
    """
    yield from _lines(path, notes, _split_csv)


def list_rows(path: Path, notes: list[str], fields: int, form: str) -> Iterator[Line]:
    """Every line of a blank-separated file that is not empty; several blanks or tabs count as one.

    Args:
        path: the list.
        notes: empty lines are counted here.
        fields: how many every line must have.
        form: what they are, for the message.

    Raises:
        DataError: the file cannot be read to its end, or a line has another number of fields.
    """
    for line, parts in _lines(path, notes, lambda stream: ((n, text.split()) for n, text in enumerate(stream, 1))):
        if len(parts) != fields:
            raise DataError(f"{path}, line {line}: {len(parts)} fields; expected {fields}: {form}")
        yield line, parts


def _split_csv(stream: TextIO) -> Iterator[Line]:
    reader = csv.reader(stream, strict=True)
    before = 0
    for fields in reader:
        if reader.line_num > before + 1:
            raise csv.Error(f"line {before + 1}: a quote is not closed")
        before = reader.line_num
        yield before, [part.strip() for part in fields]


def _lines(path: Path, notes: list[str], split: Callable[[TextIO], Iterator[Line]]) -> Iterator[Line]:
    empty = 0
    with reading(path):
        with _open_text(path) as stream:
            for number, fields in split(stream):
                if any(fields):
                    yield number, fields
                else:
                    empty += 1
        if not _ends_well(path):
            notes.append(f"{path.name}: no line end after its last line; is it complete?")
    if empty:
        notes.append(f"{path.name}: {empty} empty lines left out")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong while a text file is read into one line that names the file, and the line if known."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{path}{_line_of_bad_bytes(path)}: not UTF-8 text; save the file as UTF-8") from error
    except (OSError, EOFError, csv.Error) as error:
        why = getattr(error, "strerror", None) or reason(error)
        raise DataError(f"{path}: cannot be read to its end ({why})") from error


def _open_text(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _line_of_bad_bytes(path: Path) -> str:
    if path.suffix.lower() == ".gz":
        return ""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f", line {number}"
    return ""


def _ends_well(path: Path) -> bool:
    if path.suffix.lower() == ".gz":
        return True
    with path.open("rb") as stream:
        end = stream.seek(0, 2)
        stream.seek(max(0, end - 1))
        return stream.read() in (b"", b"\n", b"\r")


def columns_of(header: list[str], path: Path, *needed: str) -> dict[str, int]:
    """Where each column of a header stands, names in lower case.

    Raises:
        DataError: a column that is needed is not there, or one occurs twice.
    """
    names = [name.lower() for name in header]
    for name in needed:
        if name not in names:
            raise DataError(
                f"{path}, line 1: no column '{name}' among {', '.join(header)}; expected a header with "
                f"{', '.join(needed)}"
            )
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}, line 1: the column '{twice}' occurs twice")
    return {name: index for index, name in enumerate(names)}


def checked(lines: Iterator[Line], width: int, path: Path) -> Iterator[Line]:
    """The lines, refused where one has another number of fields than the header."""
    for line, fields in lines:
        if len(fields) != width:
            raise DataError(f"{path}, line {line}: {len(fields)} columns, the header has {width}")
        yield line, fields


class Once:
    """What was said of each picture, so that a repeated line counts once and a contradiction is refused.

    Args:
        what: the kind of thing that is said, for the message.
    """

    def __init__(self, what: str = "label") -> None:
        self._what = what
        self._said: dict[Hashable, tuple[object, str, str]] = {}
        self._repeats: list[str] = []
        self._leaks: list[str] = []

    def __len__(self) -> int:
        return len(self._said)

    def again(self, key: Hashable, said: object, where: str, split: str = "") -> bool:
        """Whether the same was said of this picture in this split before.

        Raises:
            DataError: something else was said, in whatever split.
        """
        before = self._said.setdefault(key, (said, where, split))
        if before[1] == where:
            return False
        if before[0] != said:
            name = key[0] if isinstance(key, tuple) else key
            what = f"the {self._what} {said}, but {before[0]}" if isinstance(said, str) else f"other {self._what} than"
            raise DataError(f"{where}: {name} has {what} in {before[1]}; one of them is wrong")
        if before[2] != split:
            self._leaks.append(where)
            return self.again((key, split), said, where, split)
        self._repeats.append(where)
        return True

    def report(self, notes: list[str]) -> None:
        """Say how many lines were repeated, and how many pictures are in two splits."""
        if self._repeats:
            notes.append(f"{len(self._repeats)} repeated lines count once: {head(self._repeats)}")
        if self._leaks:
            notes.append(f"{len(self._leaks)} lines name a picture that is in another split, too: {head(self._leaks)}")
