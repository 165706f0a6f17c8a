"""The journal of a run: what it has read, beside the file that it will write, so that a kill loses nothing.

JSON Lines. The first line says what the run is, each further one holds the rows of one picture; the last one, once all
is read, the hash of the file that is ready to be put in place. Lines are written whole; a kill can tear only the last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from openfer.files import blaming, open_locked
from openfer.predict.sinks.rows import Row

FORMAT = 1
WRITTEN = "written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run is: the first line of its journal.

    Args:
        columns: of its rows, in order.
        settings: name -> value of all that changes answers; plain JSON values.
        keeps: whether the rows that the file has stay in it; else the run replaces them.
        before: SHA-256 of the file when the run began; None where there was none.
        format: version of the journal.
    """

    columns: list[str]
    settings: dict[str, Any]
    keeps: bool
    before: str | None
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"journal: expected format {FORMAT}, got {self.format}")


class Journal:
    """An open journal that no other run has; `open_journal` makes it.

    Args:
        path: where it lies.
        file: the file that the run writes in the end; errors name it.
        stream: the journal, open for appending.
    """

    def __init__(self, path: Path, file: Path, stream: FileIO) -> None:
        self.path = path
        self.run: Run | None = None
        self.pictures = 0
        self.written: str | None = None
        """SHA-256 of the file that holds all rows, where the run came that far."""
        self._file = file
        self._stream = stream

    def recover(self) -> None:
        """Take over what an earlier run left, up to its first line that is torn or damaged; the rest is cut off."""
        end = 0
        for line in _whole_lines(self.path):
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, KeyError):
                break
            end += len(line)
        with blaming(self._file):
            self._stream.truncate(end)

    def _take(self, value: Any) -> None:
        if self.run is None:
            self.run = Run(**value)
        elif isinstance(value, dict):
            self.written = value[WRITTEN]
        else:
            _as_rows(value, self.run.columns)
            self.pictures, self.written = self.pictures + 1, None

    def begin(self, run: Run) -> None:
        """Start afresh; what an earlier run left is gone."""
        with blaming(self._file):
            self._stream.truncate(0)
        self.run, self.pictures, self.written = run, 0, None
        self._write(asdict(run))

    def add(self, rows: Sequence[Row]) -> None:
        """Keep the rows of one picture."""
        self._write([list(row.values()) for row in rows])
        self.pictures += 1

    def rows(self) -> Iterator[Row]:
        """All rows, in the order in which they came."""
        assert self.run is not None
        for line in _whole_lines(self.path):
            value = json.loads(line)
            if isinstance(value, list):
                yield from _as_rows(value, self.run.columns)

    def ready(self, sha256: str) -> None:
        """Note the hash of the file that holds all rows, before it is put in place."""
        self._write({WRITTEN: sha256})

    def remove(self) -> None:
        """Take the journal away: the file holds all rows, or there are none."""
        if os.name == "nt":  # where an open file cannot be removed
            self._stream.close()
        with suppress(OSError):
            self.path.unlink()

    def _write(self, value: object) -> None:
        line = memoryview(json.dumps(value, separators=(",", ":")).encode() + b"\n")
        with blaming(self._file):
            while line:
                line = line[self._stream.write(line) :]


@contextmanager
def open_journal(file: Path) -> Iterator[Journal]:
    """The journal of `file`, beside it and hidden. One run at a time has it.

    Raises:
        ConfigError: another run has it.
        DataError: it cannot be written.
    """
    path = file.with_name(f".{file.name}.openfer-journal")
    with blaming(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = open_locked(path, file)
    with stream:
        yield Journal(path, file, stream)


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield line


def _as_rows(value: Any, columns: list[str]) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in value]
