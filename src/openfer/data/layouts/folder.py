"""Pictures in class folders, the form every data set can be brought into.

    root/train/happiness/2.jpg          splits: train, training; val, valid, validation; test, testing
    root/happiness/2.jpg                without splits every row is `train`

Class folders are words as people write them (`Happy`, `joy`; see `openfer.labels`). Numbers mean something else in
every data set and are read only with `--labels NAME`, as that set's own codes: rafdb and rafdb_compound count from 1;
affectnet, fer2013 and ferplus from 0. Other words are read with `--labels own` (as they are, sorted) or
`--labels a,b,c`.
"""

from __future__ import annotations

import re
from pathlib import Path

from openfer.data.layouts.common import (
    CODE_BASE,
    Row,
    Scan,
    ScanOptions,
    head,
    label_of_code,
    listing,
)
from openfer.data.manifest import SPLITS
from openfer.errors import DataError, did_you_mean
from openfer.files import natural_key
from openfer.labels import ALIASES, BASIC, LABEL_SETS, LabelSet, basic_order, canonical, label_set
from openfer.records import OK
from openfer.vision.image import SUFFIXES

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
OWN = "own"

Parts = list[tuple[str, Path]]
"""Split and the folder that holds its class folders."""


def read(root: Path, options: ScanOptions) -> Scan:
    """Read `root/split/class/*` or `root/class/*`.

    Raises:
        DataError: not a folder, no pictures, or a class folder whose meaning is not certain.
        ConfigError: an unknown label set.
    """
    options.only("folder", "labels")
    notes: list[str] = []
    parts = split_folders(root, notes) or [("train", root)]
    if options.labels == OWN:
        names = {path.name for _, folder in parts for path in listing(folder)[0]}
        if not names:
            raise DataError(f"{root}: no class folders; expected root/split/class/* or root/class/*")
        return scan_classes(root, parts, LabelSet(OWN, tuple(sorted(names, key=natural_key))), notes)
    return scan_classes(root, parts, label_set(options.labels) if options.labels else None, notes)


def split_folders(root: Path, notes: list[str]) -> Parts | None:
    """The folders of a root that are named like a split; None where there are none."""
    folders, _ = listing(root)
    parts = [(SPLIT_WORDS[path.name.lower()], path) for path in folders if path.name.lower() in SPLIT_WORDS]
    others = [path.name for path in folders if path.name.lower() not in SPLIT_WORDS]
    if parts and others:
        notes.append(f"folders beside the splits left out: {head(others)}")
    return sorted(parts, key=lambda part: SPLITS.index(part[0])) or None


def scan_classes(root: Path, parts: Parts, labels: LabelSet | None, notes: list[str]) -> Scan:
    """The pictures of every class folder of every part.

    Args:
        root: sources are named relative to it.
        labels: what the folders may mean; None: any known expression, and the label set is what was found.
        notes: what is worth saying is added.
    """
    rows: list[Row] = []
    extra: list[Path] = []
    numbers = False
    for split, folder in parts:
        classes, loose = listing(folder)
        extra += [path for path in loose if path.suffix.lower() in SUFFIXES]
        for class_folder in classes:
            label = label_of_folder(class_folder, labels)
            numbers |= _is_number(class_folder.name) and label != class_folder.name
            deeper, files = listing(class_folder)
            pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
            extra += deeper + [path for path in files if path.suffix.lower() not in SUFFIXES]
            rows += [_row(root, path, label, split) for path in pictures]
    if not rows:
        raise DataError(f"{root}: no pictures in class folders; expected root/split/class/* or root/class/*")
    if extra:
        names = head(path.relative_to(root).as_posix() for path in extra)
        notes.append(f"{len(extra)} files or folders that are no pictures of a class left out: {names}")
    if numbers and labels is not None:
        notes.append(
            f"numbers of class folders read as codes of {labels.name}: {CODE_BASE[labels.name]} is {labels.names[0]}"
        )
    return Scan(rows=rows, labels=labels or _found_labels(rows), notes=notes)


def label_of_folder(folder: Path, labels: LabelSet | None) -> str:
    """What a class folder means. Raises `DataError` naming the folder and the way out where that is not certain."""
    name = folder.name
    if labels is not None and name in labels:
        return name
    if _is_number(name):
        if labels is None:
            raise DataError(
                f"{folder}: a number means another class in every data set; say whose codes these are, such as "
                "--labels rafdb, or --labels own to keep them as names"
            )
        if labels.name not in CODE_BASE:
            raise DataError(
                f"{folder}: the label set '{labels.name}' has no class codes; expected one of {', '.join(CODE_BASE)}"
            )
        return label_of_code(name, labels, str(folder))
    word = canonical(name)
    if word is not None and (labels is None or word in labels):
        return word
    known = {*BASIC, *ALIASES} if labels is None else set(labels)
    of_set = "is no known expression" if labels is None else f"is not in the label set '{labels.name}'"
    raise DataError(
        f"{folder}: '{name}' {of_set}; {did_you_mean(name, known)} Rename it, or take folder names as they are with "
        "--labels own, or list them: --labels a,b,c"
    )


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", name.strip()) is not None


def _row(root: Path, path: Path, label: str, split: str) -> Row:
    source = path.relative_to(root).as_posix()
    return {"image": {"bytes": None, "path": source}, "label": label, "split": split, "status": OK, "source": source}


def _found_labels(rows: list[Row]) -> LabelSet:
    """A known set where all its classes are there and no other, else the user's own in the toolkit's order."""
    found = {row["label"] for row in rows}
    for name in ("basic7", "basic8", "rafdb_compound"):
        if found == set(LABEL_SETS[name]):
            return LABEL_SETS[name]
    return LabelSet(OWN, basic_order(sorted(found)))
