"""What a user names becomes pictures, lazily: files, folders (in depth), quoted patterns, a list on standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from openfer.files import natural_key
from openfer.vision.image import SUFFIXES, VIDEO_SUFFIXES

STANDARD_INPUT = "-"
"""The source that stands for a list of names."""
WANTED = SUFFIXES | VIDEO_SUFFIXES
"""Endings that a folder is searched for. A video is a row too: its status says that it is not read."""
BLOCK = 1 << 16

Identity = tuple[int, int]
"""Device and inode: the same for a folder by whatever link it is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something named that gives no picture; it becomes a row whose status says why."""

    path: str
    why: str


Source = Path | Missing


def find_pictures(sources: Sequence[str | Path], *, leave_out: Path | None = None) -> Iterator[Source]:
    """The pictures that a list of names stands for.

    A file is taken whatever its ending; a folder gives its pictures (by ending, hidden ones left out), its own before
    those of its folders, in natural order (`2.jpg` before `10.jpg`); a pattern such as `'**/*.jpg'` gives what
    it matches; `-` gives what the names on standard input stand for, which are files and folders. Links to folders are
    followed, but no folder is read twice for one name. Pipes and devices are not read: that could wait for ever.

    Args:
        sources: names as the user wrote them.
        leave_out: a folder that is passed over inside others, such as the one that overlays are written to.

    Yields:
        Paths, and a `Missing` for each name or folder that gives none.
    """
    for source in sources:
        name = str(source)
        if name == STANDARD_INPUT:
            yield from _on_standard_input(leave_out)
        elif os.path.lexists(name) or not _is_pattern(name):
            yield from _named(name, leave_out)
        else:
            yield from _matches(name, leave_out)


def listed_names(stream: BufferedIOBase) -> Iterator[str]:
    """The names of a list, as they come: one a line, or ended by null bytes as `find -print0` writes them.

    A null byte in the first block decides. A name that holds a line's end needs null bytes. Names that are not UTF-8
    are kept as the file system has them; empty ones are left out.
    """
    block = stream.read1(BLOCK)
    end, rest = (b"\0" if b"\0" in block else b"\n"), b""
    while block:
        *names, rest = (rest + block).split(end)
        yield from _decoded(names, end)
        block = stream.read1(BLOCK)
    yield from _decoded([rest], end)


def _decoded(names: list[bytes], end: bytes) -> Iterator[str]:
    for name in names:
        plain = name.removesuffix(b"\r") if end == b"\n" else name
        if plain:
            yield os.fsdecode(plain)


def _on_standard_input(leave_out: Path | None) -> Iterator[Source]:
    if sys.stdin is None:
        yield Missing(path=STANDARD_INPUT, why="standard input is closed")
        return
    try:
        for name in listed_names(cast("BufferedIOBase", sys.stdin.buffer)):
            yield from _named(name, leave_out)
    except OSError as error:
        yield Missing(path=STANDARD_INPUT, why=f"standard input cannot be read ({error.strerror or error})")


def _named(name: str, leave_out: Path | None) -> Iterator[Source]:
    """A file or a folder by its name. A name that is not there is a path as well: reading it says so."""
    if os.path.isdir(name):  # noqa: PTH112 - os.path answers False where pathlib raises (too long, null byte)
        yield from _in_folder(Path(name), leave_out)
        return
    kind = _strange_kind(name)
    yield Path(name) if kind is None else Missing(path=name, why=f"{kind}, not a file")


def _strange_kind(name: str) -> str | None:
    """What a name stands for if that is neither a file nor a folder."""
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return None
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    return next((kind for is_kind, kind in kinds.items() if is_kind(mode)), None)


def _in_folder(folder: Path, leave_out: Path | None) -> Iterator[Source]:
    seen = {_identity(leave_out)} - {_identity(folder)}
    waiting, empty = [folder], True
    while waiting:
        current = waiting.pop()
        identity = _identity(current)
        if identity is not None and identity in seen:
            continue
        seen.add(identity)
        try:
            pictures, folders = _listing(current)
        except OSError as error:
            empty = False
            yield Missing(path=str(current), why=error.strerror or str(error))
            continue
        empty = empty and not pictures
        yield from (current / name for name in pictures)
        waiting.extend(current / name for name in reversed(folders))
    if empty:
        yield Missing(path=str(folder), why="no pictures in this folder")


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Names of pictures and folders directly inside a folder, hidden ones left out, each in natural order."""
    pictures, folders = [], []
    with os.scandir(folder) as listing:
        for entry in listing:
            if entry.name.startswith("."):
                continue
            if _holds(entry.is_dir):
                folders.append(entry.name)
            # A broken link is still a row; a pipe or a device is no picture.
            elif Path(entry.name).suffix.lower() in WANTED and (_holds(entry.is_file) or _is_broken_link(entry)):
                pictures.append(entry.name)
    return sorted(pictures, key=natural_key), sorted(folders, key=natural_key)


def _holds(question: Callable[[], bool]) -> bool:
    """An entry's answer; no where it cannot tell, such as for a link to itself."""
    try:
        return question()
    except OSError:
        return False


def _is_broken_link(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110 - as above


def _matches(pattern: str, leave_out: Path | None) -> Iterator[Source]:
    anchor = Path(pattern).anchor
    inner = str(Path(pattern).relative_to(anchor))
    recursive = "**" in inner
    if Path(inner).name == "**":
        inner = str(Path(inner, "*"))
    # `*.dat` asks for that ending; `*` asks for whatever is a picture.
    asked = not _is_pattern(Path(inner).suffix) and Path(inner).suffix != ""
    try:
        # pathlib's `**` does not follow links, so that loops end.
        found = sorted(Path(anchor).glob(inner), key=lambda path: [natural_key(part) for part in path.parts])
    except (ValueError, OSError, RecursionError) as error:
        why = str(error).encode("utf-8", "backslashreplace").decode()
        yield Missing(path=pattern, why=f"not a pattern that can be searched ({why})")
        return
    unwanted, empty = _identity(leave_out), True
    for path in found:
        hidden = any(part.startswith(".") and part not in Path(pattern).parts for part in path.parts)
        if hidden or (unwanted is not None and _identity(path.parent) == unwanted):
            continue
        if os.path.isdir(path):  # noqa: PTH112 - as above
            if not recursive:
                empty = False
                yield from _in_folder(path, leave_out)
        elif (asked or path.suffix.lower() in WANTED) and _strange_kind(str(path)) is None:
            empty = False
            yield path
    if empty:
        yield Missing(path=pattern, why="no picture matches this pattern")


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _identity(path: Path | None) -> Identity | None:
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None
