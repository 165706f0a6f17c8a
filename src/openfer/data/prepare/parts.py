"""What a run has prepared so far, a file for each block of rows, so that a kill costs no more than the last blocks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openfer.errors import ConfigError
from openfer.files import blaming, open_locked, remove_leftovers, replacing

FORMAT = 1


class Parts:
    """The parts of a run; `open_parts` makes it.

    Args:
        folder: where they lie.
        rows: of the manifest.
        block: rows of each part; the last may have fewer.
    """

    def __init__(self, folder: Path, rows: int, block: int) -> None:
        self._folder = folder
        self.blocks = [range(start, min(start + block, rows)) for start in range(0, rows, block)]
        self.kept = 0
        """Rows that an earlier run prepared."""

    def left(self) -> list[range]:
        """The blocks that are not there yet; counts the rows of the others as kept."""
        left = [block for block in self.blocks if not self._has(block)]
        self.kept = sum(map(len, self.blocks)) - sum(map(len, left))
        return left

    def _has(self, block: range) -> bool:
        try:
            return bool(pq.read_metadata(self._path(block)).num_rows == len(block))
        except (OSError, pa.ArrowInvalid):
            return False

    def add(self, block: range, table: pa.Table) -> None:
        """Keep the rows of a block."""
        with replacing(self._path(block)) as beside:
            pq.write_table(table, beside, compression="zstd")

    def table(self) -> pa.Table:
        """All rows, in order."""
        return pa.concat_tables([pq.read_table(self._path(block)) for block in self.blocks])

    def _path(self, block: range) -> Path:
        return self._folder / f"{block.start:09d}.parquet"


@contextmanager
def open_parts(file: Path, settings: Mapping[str, Any], rows: int, block: int) -> Iterator[Parts]:
    """The parts of the run that writes `file`: those that an interrupted run left, where it was the same run.

    They lie in a hidden folder beside the file, which one run at a time has. When the block ends well they are taken
    away; however else it ends, they stay.

    Args:
        file: what the run writes in the end.
        settings: name -> value of all that changes the rows; plain JSON values.
        rows: of the manifest.
        block: rows of each part.

    Raises:
        ConfigError: another run writes the file, or an interrupted one was made with other settings.
        DataError: the folder cannot be written to.
    """
    folder = file.with_name(f".{file.name}.openfer-parts")
    with blaming(file):
        folder.mkdir(parents=True, exist_ok=True)
        stream = open_locked(folder / "run.json", file)
    with stream:
        remove_leftovers(folder, "*.parquet")
        parts = Parts(folder, rows, block)
        wanted = json.loads(json.dumps({"format": FORMAT, "block": block, **settings}))
        with blaming(file):
            _agree(file, folder, stream, wanted)
        try:
            yield parts
        except BaseException as error:
            parts.left()
            if not parts.kept:
                _remove(folder)
            elif isinstance(error, KeyboardInterrupt):
                rest = f"{parts.kept:,} of {rows:,} rows are kept, the same command goes on from there"
                raise KeyboardInterrupt(f"{str(error) or 'interrupted'}; {rest}") from error
            raise
        _remove(folder)


def _agree(file: Path, folder: Path, stream: FileIO, wanted: dict[str, Any]) -> None:
    """Make the folder that of this run, or refuse what another one left in it."""
    stream.seek(0)
    try:
        found = json.loads(stream.read())
    except ValueError:  # new, or torn by a kill before any part was there
        found = None
    if not isinstance(found, dict) or not any(folder.glob("*.parquet")):
        stream.truncate(0)
        stream.write(json.dumps(wanted).encode())
        return
    other = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if other:
        raise ConfigError(
            f"{file}: an interrupted run kept rows that were made with other settings ({', '.join(other)}); "
            f"repeat them, or delete {folder} to start anew"
        )


def _remove(folder: Path) -> None:
    if os.name == "nt":  # where an open file cannot be removed; the next run finds no parts there
        for part in folder.glob("*.parquet"):
            part.unlink(missing_ok=True)
    with suppress(OSError):
        shutil.rmtree(folder)
