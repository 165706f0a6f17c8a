"""FER+: votes of ten taggers for the pictures of FER2013.

    FER2013Train/label.csv   fer0000000.png,"(0, 0, 48, 48)",1,0,0,7,0,0,0,0,2,0    no header; pictures beside it
    FER2013Valid/…  FER2013Test/…                          at the root or below data/
    fer2013new.csv           Usage,Image name,neutral,…    beside fer2013.csv (pixels), row by row

Votes: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF (not a face). Where both files
of votes are there (they differ in 1,601 pictures), `--variant label` (the default) or `new` picks one.

`--votes RULE` makes the labels of train (see `openfer.data.votes`); validation and test are always by `majority`,
except that `argmax` and `plurality` hold everywhere. `--variant mek` reads train.txt and test.txt with lines of path
and code, in the order of the votes. Rows that a rule drops stay, with its reason as their status. The box of label.csv
is not read: it is the whole picture in every line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from openfer.data.layouts import fer2013, forms
from openfer.data.layouts.common import REPEATED, Row, Scan, ScanOptions, head
from openfer.data.layouts.disk import Finder, find_file, find_folder, listing, set_root
from openfer.data.layouts.lists import Once, checked, csv_rows
from openfer.data.pictures import MISSING
from openfer.data.votes import COLUMNS, LABELS, RULES, describe_rule, rule_for, vote_fields
from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.files import natural_key
from openfer.records import OK

FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
OFFICIAL: dict[str | None, int] = {"train": 28_558, "validation": 3_579, "test": 3_573}
"""Lines of the label.csv files; fer2013new.csv has a line for every row of fer2013.csv."""
VARIANTS = ("label", "new", "mek")
TAGGERS = 10
NO_NAME = "no file name"
CLEAR, ENOUGH = 8, 100
"""Votes for one column that make a row clear, and clear rows that tell whether two files belong together: in the
official files about four of five agree, by chance one of five."""
CONTRADICTED = "file name occurs twice with other votes"
TREE = "expected FER2013Train/label.csv and its pictures, or fer2013new.csv beside fer2013.csv"


@dataclass(frozen=True, slots=True)
class Vote:
    """A line of a file of votes.

    Args:
        source: file and line.
        split: of the manifest.
        name: file name of the picture; empty where there is none.
        counts: ten votes.
    """

    source: str
    split: str
    name: str
    counts: tuple[int, ...]


def read(root: Path, options: ScanOptions) -> Scan:
    """Read the votes and find each one's picture. Raises `DataError` where a form is incomplete or contradictory."""
    options.only("ferplus", "variant", "votes")
    rule = options.votes or "majority"
    if rule not in RULES:
        raise ConfigError(f"unknown vote rule '{rule}'; {did_you_mean(rule, RULES)}")
    options.variant_of(*VARIANTS)
    notes: list[str] = []
    if options.variant == "mek":
        return forms.read_lists(root, LABELS, LABELS, notes)
    root = set_root(root, _is_here, "FER+", TREE.removeprefix("expected "), notes)
    release = _find(root)
    if release.variant(options.variant) == "label":
        if not release.lists:
            raise DataError(f"{root}: no label.csv in {', '.join(FOLDERS.values())}; {TREE}")
        votes = [vote for split, path in release.lists.items() for vote in _read_label(path, split, notes)]
        notes.append("votes read from label.csv")
        rows, official = _from_folders(root, release.folders, votes, notes), OFFICIAL
    else:
        if release.new is None:
            raise DataError(f"{root}: no FER+ votes here; {TREE}")
        votes, official = _read_new(release.new, notes), fer2013.OFFICIAL
        notes.append(f"votes read from {release.new.name}")
        if release.table is not None:
            rows = _from_table(release.table, votes, notes)
        else:
            rows = _from_folders(root, release.folders, votes, notes)
    _note_repeats(votes, notes)
    fewer = sum(sum(vote.counts) < TAGGERS for vote in votes)
    if fewer:
        notes.append(f"{fewer} rows have fewer than {TAGGERS} votes")
    rows = _with_votes(rows, votes, rule)
    return Scan(
        rows=rows, labels=LABELS, rule=describe_rule(rule), notes=notes, official=official, size=(48, 48), root=root
    )


def _is_here(place: Path) -> bool:
    """Whether a folder, or its data/, holds a file of votes or the folders of pictures."""
    places = [one for one in (place, find_folder(place, "data")) if one]
    return any(find_file(one, "fer2013new.csv") or find_folder(one, *FOLDERS.values()) for one in places)


@dataclass(frozen=True, slots=True)
class _Release:
    """What of the two forms lies there: folders and their label.csv by split, the two tables; None where absent."""

    folders: dict[str, Path]
    lists: dict[str, Path]
    new: Path | None
    table: Path | None

    def variant(self, wanted: str | None) -> str:
        """Whose votes are read. A clone of the repository has label.csv without pictures: then the tables are."""
        if wanted is not None:
            return wanted
        tables = self.new is not None and self.table is not None
        pictures = any(listing(folder).pictures for folder in self.folders.values())
        return "label" if self.lists and (pictures or not tables) else "new"


def _find(root: Path) -> _Release:
    places = [place for place in (root, find_folder(root, "data")) if place]
    folders = {split: folder for split, name in FOLDERS.items() for p in places if (folder := find_folder(p, name))}
    lists = {split: path for split, folder in folders.items() if (path := find_file(folder, "label.csv"))}
    if lists and len(lists) < len(folders):
        raise DataError(f"{next(folders[split] for split in folders if split not in lists)}: no label.csv in it")
    return _Release(
        folders=folders,
        lists=lists,
        new=next((path for place in places if (path := find_file(place, "fer2013new.csv"))), None),
        table=next((path for place in places if (path := find_file(place, *fer2013.TABLES))), None),
    )


def _read_label(path: Path, split: str, notes: list[str]) -> list[Vote]:
    votes = []
    once = Once("votes")
    for line, fields in csv_rows(path, notes):
        where = f"{path}, line {line}"
        if len(fields) != 2 + len(COLUMNS):
            raise DataError(f"{where}: {len(fields)} columns; expected name, box and {len(COLUMNS)} votes")
        source = f"{path.parent.name}/{path.name}:{line}"
        vote = Vote(source, split, fields[0], _counts(fields[2:], where))
        if vote.name:
            once.again(vote.name.casefold(), vote.counts, where)
        votes.append(vote)
    return votes


def _read_new(path: Path, notes: list[str]) -> list[Vote]:
    lines = csv_rows(path, notes)
    _, header = next(lines, (0, [""]))
    expected = ["usage", "image name", *(name.lower() for name in COLUMNS)]
    if [name.lower() for name in header] != expected:
        raise DataError(
            f"{path}: its columns are {', '.join(header)}; expected Usage, Image name, {', '.join(COLUMNS)}"
        )
    votes = []
    for line, fields in checked(lines, len(header), path):
        where = f"{path}, line {line}"
        split = fer2013.split_of(fields[0], where)
        votes.append(Vote(f"{path.name}:{line}", split, fields[1], _counts(fields[2:], where)))
    return votes


def _counts(fields: list[str], where: str) -> tuple[int, ...]:
    wrong = next((text for text in fields if not text.isdecimal()), None)
    if wrong is not None:
        raise DataError(f"{where}: '{wrong}' is no number of votes; expected whole numbers from 0")
    counts = tuple(map(int, fields))
    if sum(counts) > TAGGERS:
        raise DataError(f"{where}: {sum(counts)} votes; ten people voted on every picture")
    return counts


def _from_folders(root: Path, folders: dict[str, Path], votes: list[Vote], notes: list[str]) -> list[Row]:
    """A row a vote, its picture found by name in its split's folder."""
    finders = {split: Finder(root, folder) for split, folder in folders.items()}
    said: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    for vote in votes:
        said.setdefault((vote.split, vote.name.casefold()), set()).add(vote.counts)
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    for vote in votes:
        if not vote.name:
            rows.append({"image": {"bytes": b"", "path": None}, "status": NO_NAME})
            continue
        key = (vote.split, vote.name.casefold())
        finder = finders.get(vote.split)
        path, status = finder.find(vote.name) if finder else (f"{FOLDERS[vote.split]}/{vote.name}", MISSING)
        # One file cannot have two labels; where the votes are the same the first line has it.
        if status == OK and len(said[key]) > 1:
            status = CONTRADICTED
        elif status == OK and key in seen:
            status = REPEATED
        seen.add(key)
        rows.append({"image": {"bytes": None, "path": path}, "status": status})
    for finder in finders.values():
        finder.report(notes)
    return rows


def _from_table(table: Path, votes: list[Vote], notes: list[str]) -> list[Row]:
    """A row a vote, its picture taken from the same row of fer2013.csv: numbers in the file names are not rows."""
    _refuse_other_order(votes)
    rows: list[Row] = []
    agree, compared = 0, 0
    for number, pixels in enumerate(fer2013.table_rows(table, notes)):
        if number < len(votes) and pixels.split not in (None, votes[number].split):
            raise DataError(
                f"{table}, line {pixels.line}: its Usage is not that of {votes[number].source}; the two files are read "
                "row by row and must have the same order"
            )
        rows.append({"image": {"bytes": pixels.png, "path": None}, "status": pixels.status})
        if number < len(votes) and pixels.label is not None and max(votes[number].counts) >= CLEAR:
            compared += 1
            agree += COLUMNS[int(np.argmax(votes[number].counts))] == pixels.label
    if compared >= ENOUGH and 2 * agree < compared:
        raise DataError(
            f"{table}: its labels agree with {agree} of {compared} clear votes; the rows of the two files do not "
            "belong together"
        )
    if len(rows) != len(votes):
        raise DataError(f"{table}: {len(rows)} rows, the file of votes has {len(votes)}; they are read row by row")
    return [
        row if vote.name or row["status"] != OK else row | {"status": NO_NAME}
        for row, vote in zip(rows, votes, strict=True)
    ]


def _refuse_other_order(votes: list[Vote]) -> None:
    """Refuse votes in another order than the official one, in which the numbers of names that occur once grow."""
    times = Counter(vote.name for vote in votes)
    named = [vote for vote in votes if vote.name and times[vote.name] == 1]
    for before, after in pairwise(named):
        if natural_key(after.name) < natural_key(before.name):
            raise DataError(
                f"{after.source}: {after.name} follows {before.name}; the lines must have the official order, as they "
                "are read row by row with fer2013.csv"
            )


def _note_repeats(votes: list[Vote], notes: list[str]) -> None:
    lines = Counter((vote.split, vote.name) for vote in votes if vote.name)
    twice = [name for (_, name), count in lines.items() if count > 1]
    if twice:
        notes.append(f"{len(twice)} file names occur more than once: {head(twice)}")


def _with_votes(rows: list[Row], votes: list[Vote], rule: str) -> list[Row]:
    """Label, distribution and status by the rule; what was wrong with a row before stays its status."""
    counts = np.array([vote.counts for vote in votes], dtype=np.int64).reshape(-1, len(COLUMNS))
    splits = np.array([vote.split for vote in votes])
    for split in FOLDERS:
        chosen = np.flatnonzero(splits == split)
        for index, fields in zip(chosen.tolist(), vote_fields(counts[chosen], rule_for(split, rule)), strict=True):
            row = rows[index]
            if row["status"] in (NO_NAME, REPEATED, CONTRADICTED):
                fields = {"label": None, "votes": None}
            elif row["status"] != OK:
                fields.pop("status")
            row |= fields | {"split": split, "source": f"{votes[index].source} {votes[index].name}".strip()}
    return rows
