"""AffectNet, first release: lists in csv files, pictures of any size with a box and 68 points.

    training.csv  validation.csv                                     also in Manually_Annotated_file_lists/
    Manually_Annotated/Manually_Annotated_Images/1/<hash>.jpg        also without the first level
    automatically_annotated.csv
    Automatically_Annotated/Automatically_Annotated_Images/…         labels of a machine: --variant automatic alone

    subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal
    1/0a1b.jpg,134,96,412,412,181.4;230.9;…136 numbers…,3,0.12,0.78        copies without the header are read as well

Codes: 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none, 9 uncertain and
10 no face are no classes. `--labels affectnet7` leaves contempt out. Valence and arousal of -2 are unknown.
`--variant mek` reads train.txt, val.txt and test.txt with lines of path and code (see `openfer.data.layouts.forms`).
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openfer.data.layouts.common import Row, Scan, ScanOptions, first_problem, in_order, picture_row
from openfer.data.layouts.disk import Finder, find_file, find_folder, set_root, suffix
from openfer.data.layouts.forms import label_or_status, read_lists, text_lists
from openfer.data.layouts.lists import Once, checked, columns_of, csv_rows
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS, LabelSet
from openfer.vision.image import SUFFIXES

CODES = LABEL_SETS["affectnet"]
OFFICIAL: dict[str | None, int] = {"train": 414_799, "validation": 5_500}
LISTS = {"train": "training.csv", "validation": "validation.csv"}
FOLDERS = ("Manually_Annotated_file_lists", "Automatically_annotated_file_list")
AUTOMATIC = "automatically_annotated.csv"
HEADER = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
TREE = "training.csv, validation.csv and Manually_Annotated/Manually_Annotated_Images/"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read the lists and find every picture. Raises `DataError` where a list is damaged or contradicts itself."""
    options.only("affectnet-csv", "labels", "variant")
    variant = options.variant_of("manual", "automatic", "mek")
    labels = options.labels_of("affectnet", "affectnet7")
    notes: list[str] = []
    if variant == "mek":
        place = set_root(root, lambda one: bool(text_lists(one)), "lists", "train.txt and test.txt", notes)
        scan = read_lists(place, CODES, labels, notes)
        return Scan(rows=scan.rows, labels=labels, rule=scan.rule, notes=notes, root=place)
    place = set_root(root, _is_here, "AffectNet", TREE, notes)
    lists = _lists(place)
    automatic = lists.pop("automatic", None)
    if variant == "automatic":
        if automatic is None:
            raise ConfigError(f"--variant automatic: {place} has no {AUTOMATIC}")
        lists = {"train": automatic}
    elif not lists:
        raise DataError(f"{place}: only {AUTOMATIC}, labels of a machine; read them with --variant automatic")
    else:
        notes += [f"no {name}" for split, name in LISTS.items() if split not in lists]
        if automatic:
            notes.append(f"{AUTOMATIC} left out: labels of a machine; --variant automatic reads them alone")
    reader = _Reader(place, _pictures(place, "Automatically" if variant == "automatic" else "Manually"), labels, notes)
    rows = [row for split, path in lists.items() for row in reader.rows(path, split)]
    reader.report()
    return Scan(
        rows=in_order(rows),
        labels=labels,
        rule="automatic labels" if variant == "automatic" else "as given",
        notes=notes,
        official=OFFICIAL if variant != "automatic" else {},
        root=place,
    )


def _is_here(place: Path) -> bool:
    return bool(_lists(place)) and place.name.lower() not in [name.lower() for name in FOLDERS]


def _lists(place: Path) -> dict[str, Path]:
    folders = [place, *(folder for name in FOLDERS if (folder := find_folder(place, name)))]
    return {
        split: path
        for split, name in (*LISTS.items(), ("automatic", AUTOMATIC))
        if (path := next((path for folder in folders if (path := find_file(folder, name))), None))
    }


def _pictures(place: Path, how: str) -> Path:
    inner = f"{how}_Annotated_Images"
    found = find_folder(place, f"{how}_Annotated/{inner}", inner, f"{how}_Annotated")
    if found is None:
        raise DataError(f"{place}: no {how}_Annotated/{inner}/ with the pictures")
    return found


class _Reader:
    """Lists to rows; what is odd is counted over all lists."""

    def __init__(self, place: Path, pictures: Path, labels: LabelSet, notes: list[str]) -> None:
        self._labels, self._notes = labels, notes
        self._finder = Finder(place, pictures)
        self._once = Once("code")
        self._odd = {"box": 0, "68 points": 0, "valence or arousal": 0}

    def rows(self, path: Path, split: str) -> list[Row]:
        lines = csv_rows(path, self._notes)
        first, fields = next(lines, (0, [""]))
        if not {name.lower() for name in HEADER}.isdisjoint(name.lower() for name in fields):
            columns = columns_of(fields, path, *(name.lower() for name in HEADER))
            width = len(fields)
        else:
            self._notes.append(f"{path.name}: no header; columns read in the official order")
            columns, width = {name.lower(): index for index, name in enumerate(HEADER)}, len(HEADER)
            lines = chain([(first, fields)] if first else [], lines)
        order = [columns[name.lower()] for name in HEADER]
        rows = []
        for line, fields in checked(lines, width, path):
            row = self._row([fields[index] for index in order], split, f"{path}, line {line}", f"{path.name}:{line}")
            if row is not None:
                rows.append(row)
        return rows

    def _row(self, fields: list[str], split: str, where: str, source: str) -> Row | None:
        name, x, y, w, h, points, code, valence, arousal = fields
        if suffix(name) not in SUFFIXES:
            raise DataError(f"{where}: '{name}' is no path of a picture; expected the columns {', '.join(HEADER)}")
        label, status = label_or_status(code, CODES, self._labels, where)
        box = self._box([x, y, w, h])
        key = name.replace("\\", "/").casefold()
        if self._once.again((key, (x, y, w, h)), code, where, split):
            return None
        path, there = self._finder.find(name)
        return picture_row(
            path,
            label=label,
            split=split,
            source=source,
            status=first_problem(there, status),
            box=box,
            landmarks68=self._points(points),
            valence=self._degree(valence),
            arousal=self._degree(arousal),
        )

    def _box(self, texts: list[str]) -> NDArray[np.float32] | None:
        try:
            box = np.array(texts, dtype=np.float32)
        except ValueError:
            box = np.full(4, -1, np.float32)
        # Some rows have -1 where no box is known; a box may leave the picture.
        if np.isfinite(box).all() and (box[2:] > 0).all():
            return box
        self._odd["box"] += 1
        return None

    def _points(self, text: str) -> NDArray[np.float32] | None:
        try:
            points = np.array(text.split(";"), dtype=np.float32)
        except ValueError:
            points = np.empty(0, np.float32)
        if points.size == 136 and np.isfinite(points).all():
            return points.reshape(68, 2)
        self._odd["68 points"] += 1
        return None

    def _degree(self, text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if -1 <= value <= 1:
            return value
        self._odd["valence or arousal"] += value != -2  # -2: not rated
        return None

    def report(self) -> None:
        self._finder.report(self._notes)
        self._once.report(self._notes)
        self._notes += [f"{count} rows without {what}" for what, count in self._odd.items() if count]
