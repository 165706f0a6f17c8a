"""Files: written whole or not at all, hashed, sorted by name, and found inside installed packages."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from openfer.errors import ConfigError, DataError, reason

if TYPE_CHECKING:
    import pyarrow as pa

try:
    import fcntl
except ImportError:  # Windows: two runs that write one file are not noticed there
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to `path` when the block ends well, removed when it does not.

    A reader, or a run killed at any moment, sees the old file or the new one. Missing folders are made.

    Raises:
        DataError: the folder cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with blaming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            beside.replace(path)
    finally:
        with suppress(OSError):  # where the path itself is impossible, unlink fails as well
            beside.unlink(missing_ok=True)


@contextmanager
def blaming(path: Path, what: Literal["written", "read"] = "written") -> Iterator[None]:
    """Errors of the system inside the block become one about `path`: `DataError`, that it cannot be written or read."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of standard output went away inside the block; this file is not to blame
    except OSError as error:
        raise DataError(f"{path}: cannot be {what} ({error.strerror or reason(error)})") from error


def open_locked(path: Path, file: Path) -> FileIO:
    """Open a file beside `file` for reading and appending, and hold it: one run at a time has it, until it closes it.

    Raises:
        ConfigError: another run has it.
        OSError: it cannot be opened.
    """
    while True:
        stream = FileIO(path, "a+")
        try:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise ConfigError(f"{file}: another run is writing it; wait for its end, or name another file") from None
        except OSError:
            return stream  # a file system without locks
        # The run that had it may have removed it between our opening and our locking.
        with suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                return stream
        stream.close()


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove what killed runs left half written in a folder.

    Args:
        folder: where `replacing` wrote; one that is not there holds nothing.
        name: a pattern (`fnmatch`) of the names that were to be written.
    """
    with suppress(OSError):
        for entry in os.listdir(folder):  # noqa: PTH208 - names are enough, there may be many
            left = re.fullmatch(r"\.(.+)\.(\d{1,9})\.part", entry, re.DOTALL)
            if left and fnmatch.fnmatchcase(left[1], name) and not _is_running(int(left[2])):
                (folder / entry).unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":
        return True  # where signal 0 is not a question
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def natural_key(name: str) -> tuple[str, str]:
    """A sort key by which numbers inside names count as numbers and case does not matter."""
    # A number is written after a null character, which no name has, so that it comes before any letter; its length
    # stands before its digits. Strings take much less memory than lists of parts.
    return re.sub(r"\d+", lambda number: _sortable(int(number[0])), name.casefold()), name


def _sortable(number: int) -> str:
    return f"\0{chr(len(str(number)))}{number}"


def package_file(package: str, file: str) -> Path | None:
    """A file inside an installed package, which is not imported for it; None where it is not there."""
    spec = importlib.util.find_spec(package)
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    return path if path is not None and path.is_file() else None


def read_parquet(path: Path, *, absent: str) -> pa.Table:
    """A Parquet file's table.

    Raises:
        DataError: not there (`absent` says what to do), or not a Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise DataError(f"{path}: {absent}") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({reason(error)})") from error
