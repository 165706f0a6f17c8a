"""Files: written whole or not at all, hashed, sorted by name, and found inside installed packages."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from openfer.errors import DataError, reason

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to `path` when the block ends well, removed when it does not.

    A reader, or a run killed at any moment, sees the old file or the new one. Missing folders are made.

    Raises:
        DataError: the folder cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except BrokenPipeError:
        raise  # the reader of standard output went away inside the block; this file is not to blame
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # where the path itself is impossible, unlink fails as well
            beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key by which numbers inside names count as numbers and case does not matter."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], name


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
