"""What lies on disk: folders listed once, without junk, and pictures found by the name that a list gives them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openfer.data.layouts.common import head
from openfer.data.pictures import MISSING
from openfer.errors import DataError
from openfer.files import natural_key
from openfer.records import OK
from openfer.vision.image import SUFFIXES

VIDEOS = frozenset({".avi", ".mp4", ".mpg", ".mpeg", ".mov", ".mkv", ".wmv"})
"""File endings of clips, lower case."""


def is_junk(name: str) -> bool:
    """Whether a file or folder is something that systems and archives leave behind."""
    plain = name.lower()
    return plain.startswith((".", "__macosx", "readme")) or plain.endswith((".md", ".zip")) or plain in _JUNK


_JUNK = {"thumbs.db", "desktop.ini"}


def suffix(name: str) -> str:
    """The last suffix of a name, lower case: `a.b.JPG` -> `.jpg`."""
    return posixpath.splitext(name)[1].lower()


def stem(name: str) -> str:
    """A name without its last suffix."""
    return posixpath.splitext(name)[0]


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's contents, names in natural order, without junk.

    Args:
        folder: the folder itself.
        folders: names of folders.
        files: names of files, links that lead nowhere included.
        broken: those links.
    """

    folder: Path
    folders: list[str]
    files: list[str]
    broken: frozenset[str]

    @property
    def pictures(self) -> list[str]:
        """The files that are pictures by their suffix."""
        return [name for name in self.files if suffix(name) in SUFFIXES]

    def status(self, name: str) -> str:
        """`ok`, or `missing` for a link that leads nowhere."""
        return MISSING if name in self.broken else OK


def listing(folder: Path) -> Listing:
    """List a folder once. Raises `DataError` where it cannot be read."""
    folders, files, broken = [], [], set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_junk(entry.name):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                files.append(entry.name)
                if entry.is_symlink() and not entry.is_file():
                    broken.add(entry.name)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error
    return Listing(folder, sorted(folders, key=natural_key), sorted(files, key=natural_key), frozenset(broken))


def find_file(folder: Path | None, *names: str) -> Path | None:
    """The first of these files in a folder, without regard to case, also gzipped; None where there is none."""
    if folder is None:
        return None
    files = {name.lower(): name for name in listing(folder).files}
    wanted = (form.lower() for name in names for form in (name, f"{name}.gz"))
    return next((folder / files[name] for name in wanted if name in files), None)


def find_folder(folder: Path | None, *names: str) -> Path | None:
    """The first of these folders (`a` or `a/b`) in a folder, without regard to case; None where there is none."""
    for name in names:
        found = folder
        for part in name.split("/"):
            if found is not None:
                found = next((found / one for one in listing(found).folders if one.lower() == part.lower()), None)
        if found is not None:
            return found
    return None


def set_root(root: Path, here: Callable[[Path], bool], name: str, tree: str, notes: list[str]) -> Path:
    """Where a data set begins: at the root, or in the one folder below it that looks right, which is noted.

    Args:
        root: the folder that the user named.
        here: whether a folder looks like the beginning of the data set.
        name: of the data set.
        tree: what is expected, for the message.
        notes: a line is added where the data set begins lower.

    Raises:
        DataError: it begins nowhere, in several places, or higher up.
    """
    if here(root):
        return root
    below = [found for one in listing(root).folders if here(found := root / one)]
    if len(below) == 1:
        notes.append(f"{name} begins one level lower: read from {below[0].name}/")
        return below[0]
    if below:
        raise DataError(f"{root}: {name} begins in several folders ({head(below)}); scan one of them")
    above = next((parent for parent in root.resolve().parents[:2] if here(parent)), None)
    hint = f"; it begins higher up: scan {above}" if above else ""
    raise DataError(f"{root}: no {name} here; expected {tree}{hint}")


class Finder:
    """Pictures by the names that a list gives them: each folder is listed once; exact names first, then any case.

    Args:
        root: found paths are relative to it.
        base: the folder that the list's names are relative to.
    """

    def __init__(self, root: Path, base: Path) -> None:
        self._root, self._base = root, base
        self._place = _relative(root, base)
        self._folders: dict[str, _Names | None] = {}
        self._found: set[str] = set()
        self._renamed: list[str] = []
        self._windows = 0

    def find(self, *names: str) -> tuple[str, str]:
        """The path of the first of these names that is there, relative to the root, and `ok`.

        Where none is there, where the first should be, and `missing`. Backslashes read as slashes.
        """
        plain = [name.replace("\\", "/") for name in names]
        self._windows += plain[0] != names[0]
        for name in plain:
            folder, _, file = name.rpartition("/")
            there = self._names("/" if name.startswith("/") and not folder else folder)
            found = there and there.find(file)
            if there and found:
                if found != file:
                    self._renamed.append(name)
                path = there.prefix + found
                self._found.add(path)
                return path, MISSING if found in there.broken else OK
        return posixpath.normpath(posixpath.join(self._place, plain[0])), MISSING

    def report(self, notes: list[str]) -> None:
        """Say which names differ in upper or lower case, and how many pictures no list names."""
        if self._renamed:
            notes.append(
                f"{len(self._renamed)} file names differ from the list in upper or lower case: {head(self._renamed)}"
            )
        if self._windows:
            notes.append(f"{self._windows} paths written with backslashes read as paths with slashes")
        extra = [
            there.prefix + name
            for there in self._folders.values()
            if there
            for name in there.names
            if suffix(name) in SUFFIXES and there.prefix + name not in self._found
        ]
        extra.sort(key=natural_key)
        if extra:
            notes.append(f"{len(extra)} pictures that no list names left out: {head(extra)}")

    def _names(self, folder: str) -> _Names | None:
        if folder not in self._folders:
            place = self._base / folder
            if not place.is_dir():
                place = find_folder(self._base, posixpath.normpath(folder)) or place
            there = None
            if place.is_dir():
                found = listing(place)
                there = _Names(_relative(self._root, place), found.files, found.broken)
            # A folder written in two ways is one folder, so that its pictures count once.
            same = next((one for one in self._folders.values() if one and there and one.prefix == there.prefix), there)
            self._folders[folder] = same
        return self._folders[folder]


class _Names:
    def __init__(self, folder: str, names: list[str], broken: frozenset[str]) -> None:
        self.prefix = "" if folder == "." else folder + "/"
        self.names = dict.fromkeys(names)
        self.broken = broken
        self._folded: dict[str, str | None] = {}
        for name in names:
            # Two files that differ in case only: neither is meant for certain.
            key = name.casefold()
            self._folded[key] = None if key in self._folded else name

    def find(self, name: str) -> str | None:
        return name if name in self.names else self._folded.get(name.casefold())


def _relative(root: Path, folder: Path) -> str:
    try:
        return folder.relative_to(root).as_posix()
    except ValueError:  # a list may give absolute paths
        return folder.as_posix()


class SideFiles:
    """Small files of numbers beside the pictures (boxes, points): a hole is null and counted, and loses no row.

    Args:
        what: what they hold, for the notes.
        folder: where they lie; None where the release has none.
    """

    def __init__(self, what: str, folder: Path | None) -> None:
        self._what, self._folder = what, folder
        self._files = {} if folder is None else {name.casefold(): name for name in listing(folder).files}
        self._missing: list[str] = []
        self._broken: list[str] = []

    def __bool__(self) -> bool:
        return self._folder is not None

    def read(self, count: int, *names: str) -> NDArray[np.float32] | None:
        """The numbers of the first of these files that is there; None where there is none or they are not `count`."""
        if self._folder is None:
            return None
        name = next((self._files[one.casefold()] for one in names if one.casefold() in self._files), None)
        if name is None:
            self._missing.append(names[0])
            return None
        values = numbers((self._folder / name).read_bytes()) if count else None
        if values is None or len(values) != count:
            self.refuse(name)
            return None
        return values

    def refuse(self, name: str) -> None:
        """Count a file whose numbers cannot be what they should be."""
        self._broken.append(name)

    def report(self, notes: list[str]) -> None:
        """Say how many files are missing or damaged."""
        if self._missing:
            notes.append(f"{len(self._missing)} rows without {self._what}, no file: {head(self._missing)}")
        if self._broken:
            notes.append(f"{len(self._broken)} rows without {self._what}, damaged file: {head(self._broken)}")


def numbers(content: bytes) -> NDArray[np.float32] | None:
    """Numbers between blanks, line ends or commas; None where something else stands there."""
    try:
        values = np.array(content.decode("utf-8-sig").replace(",", " ").split(), dtype=np.float32)
    except (UnicodeDecodeError, ValueError):
        return None
    return values if np.isfinite(values).all() else None


def names_of(paths: Iterable[Path]) -> str:
    """Names of files or folders, for a message."""
    return head([path.name for path in paths])
