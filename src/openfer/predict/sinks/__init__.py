"""Where predictions go: a file by its ending (CSV, JSON, JSONL, Parquet), or a table for people. One row a face."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from openfer.errors import ConfigError
from openfer.files import replacing
from openfer.predict.sinks.parquet import parquet_file, read_parquet
from openfer.predict.sinks.rows import Read, Write, columns_of, row_of
from openfer.predict.sinks.text import csv_file, json_file, jsonl_file, read_csv, read_json, read_jsonl
from openfer.records import Prediction


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: how it is written, and how what was written is read back."""

    write: Callable[[Path, Sequence[str]], AbstractContextManager[Write]]
    read: Callable[[Path, Sequence[str]], Read]


ENDINGS = {
    ".csv": Format(csv_file, read_csv),
    ".json": Format(json_file, read_json),
    ".jsonl": Format(jsonl_file, read_jsonl),
    ".parquet": Format(parquet_file, read_parquet),
}


@dataclass(frozen=True, slots=True)
class Sink:
    """Takes predictions, one after the other: `sink.write(prediction)`."""

    write: Callable[[Prediction], None]


@contextmanager
def open_sink(path: Path, names: tuple[str, ...]) -> Iterator[Sink]:
    """A file of predictions, its format by its ending; there when the block ends well, else as it was before.

    Columns are those of `Prediction.to_row`, in its order. Rows are written as they come, so that memory stays flat.

    Args:
        path: the file; missing folders are made.
        names: the label names that are chosen among.

    Raises:
        ConfigError: an unknown ending, or the path is a folder.
        DataError: the file cannot be written.
    """
    file = format_of(path)
    with replacing(path) as beside, file.write(beside, columns_of(names)) as write:
        yield Sink(lambda prediction: write(row_of(prediction, names)))


def format_of(path: Path) -> Format:
    """How a file is written, by its ending.

    Raises:
        ConfigError: an unknown ending, or something that is no file has this name.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"output '{path}': unknown ending '{path.suffix}'; known: {', '.join(ENDINGS)}")
    if os.path.isdir(path):  # noqa: PTH112 - answers False where pathlib raises (too long, not allowed)
        raise ConfigError(f"output '{path}': is a folder; name a file in it, such as {path / 'faces.csv'}")
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        raise ConfigError(f"output '{path}': is a pipe or a device; name a file")
    return ENDINGS[path.suffix.lower()]
