"""What the readers share: their options and their result, rows, labels of words and of codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from openfer.data.manifest import SPLITS
from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.files import natural_key
from openfer.labels import ALIASES, BASIC, LABEL_SETS, LabelSet, basic_order, canonical, label_set
from openfer.records import OK

CODE_BASE = {
    "affectnet": 0,
    "affectnet7": 0,
    "caer_s": 0,
    "ckplus": 1,
    "ckplus_neutral": 0,
    "expw": 0,
    "fer2013": 0,
    "ferplus": 0,
    "mmi": 1,
    "rafdb": 1,
    "rafdb_compound": 1,
}
"""The first code of each data set that numbers its classes; codes follow the order of its label set."""

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "train_set": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "val_set": "validation",
    "test": "test",
    "testing": "test",
    "test_set": "test",
}
"""Names of folders and files, lower case, that name a split."""

OWN = "own"
"""`--labels own`: words are taken as they are."""

NO_LABEL = "no label"
REPEATED = "repeated"

Row = dict[str, Any]
"""Column of the manifest -> value. `image.path` is absolute or relative to the scan's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """What the user may say about a data set; None where nothing was said.

    Args:
        labels: a label set, a list of names, or `own`.
        variant: which of several forms on disk.
        votes: the rule that makes labels of votes.
        fold: `K/N`, the part of N with whole subjects that becomes the test split.
    """

    labels: str | None = None
    variant: str | None = None
    votes: str | None = None
    fold: str | None = None

    def only(self, layout: str, *allowed: str) -> None:
        """Refuse the options that a layout has no use for, so that none is silently ignored."""
        for name in ("labels", "variant", "votes", "fold"):
            if getattr(self, name) is not None and name not in allowed:
                raise ConfigError(f"--{name} {getattr(self, name)}: the layout '{layout}' has no such option")

    def variant_of(self, *allowed: str) -> str | None:
        """The variant, one of these; None where the user named none. Raises `ConfigError` for another one."""
        if self.variant is not None and self.variant not in allowed:
            raise ConfigError(f"--variant {self.variant}: {did_you_mean(self.variant, allowed)}")
        return self.variant

    def labels_of(self, *allowed: str) -> LabelSet:
        """The label set of a layout that has several views, the first one by default."""
        name = (self.labels or allowed[0]).replace("-", "_")
        if name not in allowed:
            raise ConfigError(f"--labels {self.labels}: {did_you_mean(name, allowed)}")
        return LABEL_SETS[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a reader found.

    Args:
        rows: one a picture, in an order that is the same on every machine.
        labels: the label set of the rows.
        rule: how the labels were made.
        notes: what is worth saying, a line each.
        official: what the official release has, by split (None: all together); empty where nothing is known.
        counted: what those are numbers of: rows, or groups (clips, sequences).
        size: width and height of the official pictures, pixels; None where they differ.
        root: where the rows' paths begin; None: at the root that was scanned.
    """

    rows: list[Row]
    labels: LabelSet
    rule: str = "as given"
    notes: list[str] = field(default_factory=list)
    official: dict[str | None, int] = field(default_factory=dict)
    counted: Literal["rows", "groups"] = "rows"
    size: tuple[int, int] | None = None
    root: Path | None = None


def picture_row(
    path: str, *, label: str | None, split: str | None, source: str, status: str = OK, **known: object
) -> Row:
    """A row whose picture is a file; where it is there, but neither a label nor action units are, its status says so.

    Args:
        path: of the picture.
        label, split, source, status: as in the manifest.
        known: further columns.
    """
    if status == OK and label is None and known.get("aus") is None:
        status = NO_LABEL
    image = {"bytes": None, "path": path}
    return {"image": image, "label": label, "split": split, "status": status, "source": source, **known}


def first_problem(*statuses: str) -> str:
    """The first status that is not `ok`, else `ok`."""
    return next((status for status in statuses if status != OK), OK)


def in_order(rows: list[Row]) -> list[Row]:
    """Rows by split, path (numbers in names count as numbers) and box, however the list on disk is sorted."""
    position: dict[str | None, int] = {split: number for number, split in enumerate((*SPLITS, None))}

    def key(row: Row) -> tuple[int, Any, tuple[float, ...], str]:
        box = tuple(map(float, row["box"])) if row.get("box") is not None else ()
        return position[row["split"]], natural_key(row["image"]["path"]), box, row["status"]

    return sorted(rows, key=key)


def label_of_code(text: str, labels: LabelSet, where: str) -> str:
    """The label of a data set's own class code. Raises `DataError` naming `where` for a code that is none."""
    base = CODE_BASE[labels.name]
    last = base + len(labels) - 1
    index = int(text) - base if re.fullmatch(r"[0-9]{1,9}", text) else -1
    if not 0 <= index < len(labels):
        raise DataError(f"{where}: class code '{text}'; expected {base} to {last} ({', '.join(labels)})")
    return labels.names[index]


def wanted_labels(text: str | None) -> LabelSet | None:
    """What `--labels` says of words and numbers; None: any known expression."""
    return label_set(text) if text and text != OWN else None


def label_of_word(word: str, labels: LabelSet | None, where: str) -> str:
    """The label of a word or number as people write it.

    Args:
        word: such as `Happy`, or `3` where `labels` has codes.
        labels: what the word may mean; None: any known expression.
        where: file and line, or folder, for the message.

    Raises:
        DataError: its meaning is not certain; the message names the way out.
    """
    if labels is not None and word in labels:
        return word
    if is_number(word):
        if labels is None:
            raise DataError(
                f"{where}: a number means another class in every data set; say whose codes these are, such as "
                "--labels rafdb, or --labels own to keep them as names"
            )
        if labels.name not in CODE_BASE:
            raise DataError(
                f"{where}: the label set '{labels.name}' has no class codes; expected one of {', '.join(CODE_BASE)}"
            )
        return label_of_code(word.strip(), labels, where)
    name = canonical(word)
    if name is not None and (labels is None or name in labels):
        return name
    known = {*BASIC, *ALIASES} if labels is None else set(labels)
    of_set = "is no known expression" if labels is None else f"is not in the label set '{labels.name}'"
    raise DataError(
        f"{where}: '{word}' {of_set}; {did_you_mean(word, known)} Rename it, or take the names as they are with "
        "--labels own, or list them: --labels a,b,c"
    )


def is_number(word: str) -> bool:
    """Whether a word is a whole number, so that it may be a class code."""
    return re.fullmatch(r"[+-]?[0-9]+", word.strip()) is not None


def found_labels(found: Iterable[str]) -> LabelSet:
    """A known set where all its classes are there and no other, else the user's own in the toolkit's order."""
    names = set(found)
    for name in ("basic7", "basic8", "rafdb_compound"):
        if names == set(LABEL_SETS[name]):
            return LABEL_SETS[name]
    return LabelSet(OWN, basic_order(sorted(names)))


def head(names: Sequence[object], most: int = 3) -> str:
    """The first few of many, for a message: `a, b, c and 5 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more
