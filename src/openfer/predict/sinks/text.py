"""CSV, JSON and JSON Lines, UTF-8: a row a face. Each is written and read row by row, so that memory stays flat."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from openfer.errors import DataError
from openfer.predict.sinks.rows import TEXT, Read, Row, Write, check_columns

BLOCK = 1 << 20
"""Characters of a JSON document that are looked at together."""
BETWEEN = " \t\r\n,"


@contextmanager
def csv_file(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """A header and a line a face; what is unknown is empty."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        plain = csv.writer(stream, lineterminator="\n")
        quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)

        def write(values: Sequence[object]) -> None:
            # A carriage return, as in a file's name, ends a line for readers; `csv` does not quote it by itself.
            returns = any(isinstance(value, str) and "\r" in value for value in values)
            (quoted if returns else plain).writerow(values)

        write(columns)
        yield lambda row: write(list(row.values()))


def read_csv(path: Path, columns: Sequence[str]) -> Read:
    """The rows of a file that `csv_file` wrote, value for value.

    Raises:
        ConfigError: other columns.
        DataError: not such a file.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream, strict=True)
        try:
            check_columns(path, next(lines, []), columns)
            for values in lines:
                yield {name: _value(name, text) for name, text in zip(columns, values, strict=True)}
        except (csv.Error, ValueError) as error:
            raise DataError(f"{path}, line {lines.line_num}: not a row of predictions ({error})") from error


def _value(column: str, text: str) -> str | float | int | None:
    if column == "path":
        return text
    if text == "":
        return None
    if column in TEXT:
        return text
    return int(text) if text.removeprefix("-").isdecimal() else float(text)


@contextmanager
def jsonl_file(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """A JSON object a line."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        yield lambda row: _dump(stream, row, "", "\n")


def read_jsonl(path: Path, columns: Sequence[str]) -> Read:
    """The rows of a file that `jsonl_file` wrote; raises as `read_csv`."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = _checked(path, json.loads(line), columns)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: not a row of predictions ({error})") from error
            yield row


@contextmanager
def json_file(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """One JSON array of objects."""
    with path.open("w", encoding="utf-8", newline="\n") as stream, json_stream(stream) as write:
        yield write


@contextmanager
def json_stream(stream: TextIO) -> Iterator[Write]:
    """One JSON array of objects, an object a line, to an open stream such as standard output."""
    count = 0

    def write(row: Row) -> None:
        nonlocal count
        _dump(stream, row, ",\n" if count else "[\n", "")
        count += 1

    yield write
    stream.write("\n]\n" if count else "[]\n")


def read_json(path: Path, columns: Sequence[str]) -> Read:
    """The rows of one JSON array of objects, however it is laid out; raises as `read_csv`."""
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8") as stream:
        try:
            text = stream.read(BLOCK).lstrip()
            if not text.startswith("["):
                raise ValueError("no JSON array")
            start = 1
            while True:
                while start < len(text) and text[start] in BETWEEN:
                    start += 1
                if text.startswith("]", start):
                    return
                try:
                    row, start = decoder.raw_decode(text, start)
                except ValueError:
                    # Perhaps only cut by the block's end.
                    more = stream.read(BLOCK)
                    if not more:
                        raise
                    text, start = text[start:] + more, 0
                    continue
                yield _checked(path, row, columns)
        except ValueError as error:
            raise DataError(f"{path}: not an array of predictions ({error})") from error


def _checked(path: Path, row: object, columns: Sequence[str]) -> Row:
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {type(row).__name__}")
    check_columns(path, list(row), columns)
    return row


def _dump(stream: TextIO, row: Row, before: str, after: str) -> None:
    # JSON is UTF-8; where a stream writes anything else, escapes keep it valid.
    escape = (stream.encoding or "utf-8").lower().replace("-", "") != "utf8"
    stream.write(before + json.dumps(row, ensure_ascii=escape) + after)
