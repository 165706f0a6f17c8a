"""Where predictions go: a file by its ending (CSV, JSON, JSONL, Parquet), or a table for people. One row a face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from openfer.errors import ConfigError
from openfer.files import replacing
from openfer.predict.sinks.parquet import parquet_file
from openfer.predict.sinks.text import csv_file, json_file, jsonl_file
from openfer.records import Prediction

Write = Callable[[Prediction], None]

ENDINGS: dict[str, Callable[[Path, tuple[str, ...]], AbstractContextManager[Write]]] = {
    ".csv": csv_file,
    ".json": json_file,
    ".jsonl": jsonl_file,
    ".parquet": parquet_file,
}


@dataclass(frozen=True, slots=True)
class Sink:
    """Takes predictions, one after the other: `sink.write(prediction)`."""

    write: Write


@contextmanager
def open_sink(path: Path, names: tuple[str, ...]) -> Iterator[Sink]:
    """A file of predictions, its format by its ending; there when the block ends well, else as it was before.

    Columns are those of `Prediction.to_row`, in its order. Rows are written as they come, so that memory stays flat.

    Args:
        path: the file; missing folders are made.
        names: the model's label names.

    Raises:
        ConfigError: an unknown ending, or the path is a folder.
        DataError: the file cannot be written.
    """
    file = ENDINGS.get(path.suffix.lower())
    if file is None:
        raise ConfigError(f"output '{path}': unknown ending '{path.suffix}'; known: {', '.join(ENDINGS)}")
    if path.is_dir():
        raise ConfigError(f"output '{path}': is a folder; name a file in it, such as {path / 'faces.csv'}")
    with replacing(path) as beside, file(beside, names) as write:
        yield Sink(write)
