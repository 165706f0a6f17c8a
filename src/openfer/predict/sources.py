"""What a user names becomes pictures: files, folders (recursive) and quoted patterns, one after the other, lazily."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openfer.files import natural_key
from openfer.vision.image import SUFFIXES

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
    it matches. Links to folders are followed, but no folder is read twice for one name.

    Args:
        sources: names as the user wrote them.
        leave_out: a folder that is passed over inside others, such as the one that overlays are written to.

    Yields:
        Paths, and a `Missing` for each name or folder that gives none.
    """
    for source in sources:
        name = str(source)
        if os.path.isdir(name):  # noqa: PTH112 - os.path answers False where pathlib raises (too long, null byte)
            yield from _in_folder(Path(name), leave_out)
        elif os.path.lexists(name) or not _is_pattern(name):
            # Also a name that is not there: reading it says so.
            yield Path(name)
        else:
            yield from _matches(name, leave_out)


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
            pictures, folders = [Missing(path=str(current), why=error.strerror or str(error))], []
        empty = empty and not pictures
        yield from pictures
        waiting.extend(reversed(folders))
    if empty:
        yield Missing(path=str(folder), why="no pictures in this folder")


def _listing(folder: Path) -> tuple[Sequence[Source], list[Path]]:
    """Pictures and folders directly inside a folder, hidden ones left out, each in natural order."""
    with os.scandir(folder) as listing:
        entries = sorted((e for e in listing if not e.name.startswith(".")), key=lambda e: natural_key(e.name))
    # `os.path` answers False where `entry.is_file` raises (a link to itself). A broken link is still a row; a pipe
    # or a device is no picture, and reading it could wait for ever.
    pictures = [
        folder / entry.name
        for entry in entries
        if Path(entry.name).suffix.lower() in SUFFIXES
        and (os.path.isfile(entry.path) or (entry.is_symlink() and not os.path.exists(entry.path)))  # noqa: PTH110, PTH113
    ]
    return pictures, [folder / entry.name for entry in entries if os.path.isdir(entry.path)]  # noqa: PTH112


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
    except (ValueError, OSError) as error:
        yield Missing(path=pattern, why=f"not a pattern that can be searched ({error})")
        return
    unwanted, empty = _identity(leave_out), True
    for path in found:
        hidden = any(part.startswith(".") and part not in Path(pattern).parts for part in path.parts)
        if hidden or (unwanted is not None and _identity(path.parent) == unwanted):
            continue
        if path.is_dir():
            if not recursive:
                empty = False
                yield from _in_folder(path, leave_out)
        elif asked or path.suffix.lower() in SUFFIXES:
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
