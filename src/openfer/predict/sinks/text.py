"""CSV, JSON and JSON Lines, UTF-8: a row a face."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from openfer.records import Prediction

Write = Callable[[Prediction], None]


@contextmanager
def csv_file(path: Path, names: tuple[str, ...]) -> Iterator[Write]:
    """A header and a line a face; what is unknown is empty."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        plain = csv.writer(stream, lineterminator="\n")
        quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        plain.writerow(Prediction(path="").to_row(names))

        def write(prediction: Prediction) -> None:
            # A carriage return in a file's name ends a line for readers, yet `csv` does not quote it by itself.
            writer = quoted if "\r" in prediction.path else plain
            writer.writerow(prediction.to_row(names).values())

        yield write


@contextmanager
def jsonl_file(path: Path, names: tuple[str, ...]) -> Iterator[Write]:
    """A JSON object a line."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        yield lambda prediction: _dump(stream, prediction, names, "", "\n")


@contextmanager
def json_file(path: Path, names: tuple[str, ...]) -> Iterator[Write]:
    """One JSON array of objects."""
    with path.open("w", encoding="utf-8", newline="\n") as stream, json_stream(stream, names) as write:
        yield write


@contextmanager
def json_stream(stream: TextIO, names: tuple[str, ...]) -> Iterator[Write]:
    """One JSON array of objects, an object a line, to an open stream such as standard output."""
    count = 0

    def write(prediction: Prediction) -> None:
        nonlocal count
        _dump(stream, prediction, names, ",\n" if count else "[\n", "")
        count += 1

    yield write
    stream.write("\n]\n" if count else "[]\n")


def _dump(stream: TextIO, prediction: Prediction, names: tuple[str, ...], before: str, after: str) -> None:
    stream.write(before + json.dumps(prediction.to_row(names), ensure_ascii=False) + after)
