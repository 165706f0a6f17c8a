"""CAER-S: film stills with what is around the face, a folder a class.

    train/Anger/0001.png  test/Anger/0001.png     Anger (also Angry), Disgust, Fear, Happy, Neutral, Sad, Surprise
    train.txt  test.txt                           boxes of a third party, any .txt or .csv beside the folders:
                                                  test/Happy/4321.png,3,251,97,340,186    path, code, corners of the box

Codes of the boxes follow the alphabet: 0 anger, 1 disgust, 2 fear, 3 happiness, 4 neutral, 5 sadness, 6 surprise.
They must agree with the folders. The names do not say which stills are of one clip.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from openfer.data.layouts import folder
from openfer.data.layouts.common import Row, Scan, ScanOptions, label_of_code
from openfer.data.layouts.disk import find_folder, listing, set_root, suffix
from openfer.data.layouts.lists import Once, csv_rows
from openfer.errors import DataError
from openfer.labels import LABEL_SETS
from openfer.vision.image import SUFFIXES

LABELS = LABEL_SETS["caer_s"]
TREE = "train/<class>/ and test/<class>/"
LARGEST = 1e6
"""No coordinate reaches this."""
FORM = "path, code, x_min, y_min, x_max, y_max"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read the class folders, and the boxes where a list is there. Raises `DataError` where they contradict."""
    options.only("caer-s")
    notes: list[str] = []
    place = set_root(
        root,
        lambda one: find_folder(one, "train", "test") is not None,
        "CAER-S",
        "train/<class>/ and test/<class>/",
        notes,
    )
    parts = [part for part in folder.split_folders(place, notes) or [] if part[0] != "validation"]
    scan = folder.scan_classes(place, parts, LABELS, notes, words_only=True)
    boxes = _boxes(place, notes)
    if boxes:
        _add_boxes(scan.rows, boxes, notes)
    return replace(scan, labels=LABELS, notes=notes, root=place)


def _boxes(place: Path, notes: list[str]) -> dict[str, tuple[str, list[float], str]]:
    """Label, corners and place in its file of every listed picture, by its path in lower case."""
    found: dict[str, tuple[str, list[float], str]] = {}
    once = Once("code or box")
    for name in listing(place).files:
        if suffix(name) not in (".txt", ".csv", ".lst"):
            continue
        path = place / name
        for line, fields in csv_rows(path, notes):
            if line == 1 and (len(fields) != 6 or suffix(fields[0]) not in SUFFIXES):
                notes.append(f"{name} left out: no list of boxes ({FORM})")
                break
            where = f"{path}, line {line}"
            if len(fields) != 6:
                raise DataError(f"{where}: {len(fields)} fields; expected {FORM}")
            label = label_of_code(fields[1], LABELS, where)
            try:
                corners = [float(text) for text in fields[2:]]
            except ValueError:
                raise DataError(f"{where}: a corner is no number; expected {FORM}") from None
            if max(map(abs, corners)) > LARGEST or not (corners[2] > corners[0] and corners[3] > corners[1]):
                raise DataError(f"{where}: the box ends before it begins; expected {FORM}")
            key = fields[0].replace("\\", "/").removeprefix("./").removeprefix("CAER-S/").casefold()
            if not once.again(key, (label, *corners), where):
                found[key] = (label, corners, where)
    once.report(notes)
    return found


def _add_boxes(rows: list[Row], boxes: dict[str, tuple[str, list[float], str]], notes: list[str]) -> None:
    used = 0
    for row in rows:
        label, corners, where = boxes.get(row["source"].casefold(), (None, None, ""))
        if corners is None:
            continue
        if label != row["label"]:
            raise DataError(f"{where}: {row['source']} is {label} here, but {row['label']} by its folder")
        used += 1
        x, y, right, bottom = corners
        row["box"] = np.array([x, y, right - x, bottom - y], dtype=np.float32)
    if used < len(rows):
        notes.append(f"{len(rows) - used} pictures have no box in the lists")
    if used < len(boxes):
        notes.append(f"{len(boxes) - used} boxes are of pictures that are not there")
