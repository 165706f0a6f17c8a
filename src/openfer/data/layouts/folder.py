"""Pictures in class folders, the form every data set can be brought into.

    root/train/happiness/2.jpg          splits: train, training; val, valid, validation; test, testing; also train_set …
    root/happiness/2.jpg                without splits every row is `train`

Class folders are words as people write them (`Happy`, `joy`; see `openfer.labels`). Numbers mean something else in
every data set and are read only with `--labels NAME`, as that set's own codes: rafdb and rafdb_compound count from 1;
affectnet, fer2013 and ferplus from 0. Other words are read with `--labels own` (as they are, sorted) or
`--labels a,b,c`. Three folders of crops beside train/ and test/ are read as in `openfer.data.layouts.forms`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openfer.data.layouts import forms
from openfer.data.layouts.common import (
    CODE_BASE,
    OWN,
    SPLIT_WORDS,
    Row,
    Scan,
    ScanOptions,
    found_labels,
    head,
    is_number,
    label_of_word,
    picture_row,
    wanted_labels,
)
from openfer.data.layouts.disk import listing, suffix
from openfer.data.manifest import SPLITS
from openfer.errors import DataError
from openfer.files import natural_key
from openfer.labels import LabelSet
from openfer.vision.image import SUFFIXES

Parts = list[tuple[str, Path]]
"""Split and the folder that holds its class folders."""

TREE = "expected root/split/class/* or root/class/*"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read `root/split/class/*` or `root/class/*`.

    Raises:
        DataError: not a folder, no pictures, or a class folder whose meaning is not certain.
        ConfigError: an unknown label set.
    """
    options.only("folder", "labels")
    notes: list[str] = []
    labels = wanted_labels(options.labels)
    if forms.is_crops(root) and options.labels != OWN:
        return forms.read_crops(root, labels, notes)
    parts = split_folders(root, notes)
    if parts is None:
        _expect_top(root)
        parts = [("train", root)]
        notes.append("no split folders: every row is train")
        if root.resolve().name.lower() in SPLIT_WORDS:
            notes.append(f"the root is itself named like a split; scan {root.resolve().parent} to keep the splits")
    if options.labels == OWN:
        names = {name for _, folder in parts for name in listing(folder).folders}
        if not names:
            raise DataError(f"{root}: no class folders; {TREE}")
        labels = LabelSet(OWN, tuple(sorted(names, key=natural_key)))
    return scan_classes(root, parts, labels, notes)


def _expect_top(root: Path) -> None:
    """Refuse a folder that has the splits one level lower: its folders are no classes."""
    below = [name for name in listing(root).folders if _has_splits(root / name)]
    if below:
        raise DataError(f"{root}: the splits lie one level lower; scan {root / below[0]}")


def _has_splits(folder: Path) -> bool:
    return any(name.lower() in SPLIT_WORDS for name in listing(folder).folders)


def split_folders(root: Path, notes: list[str]) -> Parts | None:
    """The folders of a root that are named like a split; None where there are none."""
    folders = listing(root).folders
    parts = [(SPLIT_WORDS[name.lower()], root / name) for name in folders if name.lower() in SPLIT_WORDS]
    others = [name for name in folders if name.lower() not in SPLIT_WORDS]
    if parts and others:
        notes.append(f"folders beside the splits left out: {head(others)}")
    for split in SPLITS:
        same = [folder.name for one, folder in parts if one == split]
        if len(same) > 1:
            notes.append(f"{split} is read from {len(same)} folders: {', '.join(same)}")
    return sorted(parts, key=lambda part: SPLITS.index(part[0])) or None


def scan_classes(
    root: Path,
    parts: Parts,
    labels: LabelSet | None,
    notes: list[str],
    *,
    besides: Callable[[str], bool] | None = None,
    words_only: bool = False,
) -> Scan:
    """The pictures of every class folder of every part.

    Args:
        root: sources are named relative to it.
        labels: what the folders may mean; None: any known expression, and the label set is what was found.
        notes: what is worth saying is added.
        besides: whether a folder beside the class folders is a known one that is none.
        words_only: refuse numbers also where the label set has codes, because the owner has no such folders.
    """
    rows: list[Row] = []
    extra: list[str] = []
    empty: list[str] = []
    numbers = False
    for split, folder in parts:
        place = "" if folder == root else folder.relative_to(root).as_posix() + "/"
        classes = listing(folder)
        extra += [place + name for name in classes.pictures]
        if not classes.folders:
            empty.append(place)
        for name in classes.folders:
            if besides is not None and besides(name):
                continue
            if words_only and is_number(name):
                raise DataError(
                    f"{folder / name}: the owner's folders are words; scan numbers as `folder` with --labels NAME"
                )
            label = label_of_word(name, labels, str(folder / name))
            numbers |= is_number(name) and label != name
            found = listing(folder / name)
            path = f"{place}{name}/"
            extra += [path + one for one in found.folders]
            extra += [path + one for one in found.files if suffix(one) not in SUFFIXES]
            if not found.pictures:
                empty.append(path)
            rows += [
                picture_row(path + one, label=label, split=split, source=path + one, status=found.status(one))
                for one in found.pictures
            ]
    if not rows:
        raise DataError(f"{root}: no pictures in class folders; {TREE}")
    if extra:
        notes.append(f"{len(extra)} files or folders that are no pictures of a class left out: {head(extra)}")
    if empty:
        notes.append(f"{len(empty)} folders without pictures: {head(empty)}")
    if numbers and labels is not None:
        notes.append(
            f"numbers of class folders read as codes of {labels.name}: {CODE_BASE[labels.name]} is {labels.names[0]}"
        )
    return Scan(rows=rows, labels=labels or found_labels(row["label"] for row in rows), notes=notes)


def refuse_two_classes(rows: list[Row]) -> None:
    """Refuse a file name that stands in two class folders, for sets whose names are unique.

    Raises:
        DataError: naming both files.
    """
    seen: dict[str, Row] = {}
    for row in rows:
        name = Path(row["source"]).name.casefold()
        before = seen.setdefault(name, row)
        if before["label"] != row["label"]:
            raise DataError(
                f"{row['source']}: the same picture is {before['label']} in {before['source']}; one of them is wrong"
            )
