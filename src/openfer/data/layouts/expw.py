"""ExpW (Expression in the Wild): faces in pictures from the web, one list.

    image/origin/afraid_boy_312.jpg      also below data/
    label/label.lst                      name, face in the picture, top, left, right, bottom, confidence, code
    landmarks/ExpW_landmarks.txt         AUE-CRL: the same 8 fields and 68 points from the corner of the box

    afraid_boy_312.jpg 0 41 88 203 156 62.5031 2

Codes: 0 anger, 1 disgust, 2 fear, 3 happiness, 4 sadness, 5 surprise, 6 neutral. A row is a face: (name, face) is the
key. There is no official split: a hash of the picture's name deals the pictures to ten parts, of which the first is
test; `--fold K/N` chooses another one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openfer.data.layouts.common import Row, Scan, ScanOptions, in_order, label_of_code, picture_row
from openfer.data.layouts.disk import Finder, find_file, find_folder, set_root
from openfer.data.layouts.folds import Fold, parse_fold
from openfer.data.layouts.lists import Line, Once, list_rows
from openfer.errors import DataError
from openfer.labels import LABEL_SETS

LABELS = LABEL_SETS["expw"]
OFFICIAL: dict[str | None, int] = {None: 91_793}
LARGEST = 1e6
"""No coordinate reaches this."""
FORM = "name, face, top, left, right, bottom, confidence, code"
TREE = "label/label.lst and image/origin/"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read the list and find every picture. Raises `DataError` where the list is damaged or contradicts itself."""
    options.only("expw", "fold")
    fold = parse_fold(options.fold or "1/10")
    notes: list[str] = []
    place = set_root(root, lambda one: _list(one) is not None, "ExpW", TREE, notes)
    pictures = find_folder(place, "image/origin", "data/image/origin")
    if pictures is None:
        raise DataError(f"{place}: no pictures; expected image/origin/")
    path = _list(place)
    assert path is not None
    official = path.name.lower() == "label.lst"
    points = _points(place, notes) if official else {}
    finder, once, rows = Finder(place, pictures), Once("label or box"), list[Row]()
    for line, fields in list_rows(path, notes, 8 if official else 8 + 136, FORM):
        where = f"{path}, line {line}"
        name, face, *_ = fields
        label, box = _face(fields, where)
        if once.again((name.casefold(), face), (label, tuple(box.tolist())), where):
            continue
        beside = points.get((name.casefold(), face)) if official else _relative_points(fields, where)
        found, status = finder.find(name)
        rows.append(
            picture_row(
                found,
                label=label,
                split=_split(name, fold),
                source=f"{path.name}:{line} face {face}",
                status=status,
                box=box,
                landmarks68=None if beside is None else beside + box[:2],
            )
        )
    finder.report(notes)
    once.report(notes)
    rule = f"pictures dealt to {fold.count} parts by a hash of their name; part {fold.number} is test"
    notes.append(f"no official split: {rule}")
    return Scan(
        rows=in_order(rows), labels=LABELS, rule=f"as given; {rule}", notes=notes, official=OFFICIAL, root=place
    )


def _list(place: Path) -> Path | None:
    folders = [place, find_folder(place, "label"), find_folder(place, "data/label")]
    official = next((path for folder in folders if (path := find_file(folder, "label.lst"))), None)
    return official or find_file(find_folder(place, "landmarks", "data/landmarks"), "ExpW_landmarks.txt")


def _face(fields: list[str], where: str) -> tuple[str, NDArray[np.float32]]:
    """The label and the box [x, y, w, h] of a line."""
    label = label_of_code(fields[7], LABELS, where)
    try:
        int(fields[1])
        top, left, right, bottom, confidence = map(float, fields[2:7])
    except ValueError:
        raise DataError(f"{where}: a field is no number; expected {FORM}") from None
    if max(map(abs, (top, left, right, bottom))) > LARGEST or not (right > left and bottom > top):
        raise DataError(f"{where}: right {right:g} is not over left {left:g}, or bottom not over top; expected {FORM}")
    if not 0 <= confidence <= 100:
        raise DataError(f"{where}: confidence {confidence:g}; expected 0 to 100, the fields {FORM}")
    return label, np.array([left, top, right - left, bottom - top], dtype=np.float32)


def _relative_points(fields: list[str], where: str) -> NDArray[np.float32]:
    try:
        points = np.array(fields[8:], dtype=np.float32).reshape(68, 2)
    except ValueError:
        points = np.full((68, 2), np.nan, np.float32)
    if not np.isfinite(points).all():
        raise DataError(f"{where}: a coordinate is no number")
    return points


def _points(place: Path, notes: list[str]) -> dict[tuple[str, str], NDArray[np.float32]]:
    """AUE-CRL's points by name and face, where their file lies beside the official list."""
    path = find_file(find_folder(place, "landmarks", "data/landmarks"), "ExpW_landmarks.txt")
    if path is None:
        return {}
    lines: list[Line] = list(list_rows(path, notes, 8 + 136, f"{FORM} and 68 points"))
    return {(fields[0].casefold(), fields[1]): _relative_points(fields, f"{path}, line {n}") for n, fields in lines}


def _split(name: str, fold: Fold) -> str:
    """Whole pictures, so that two faces of one picture are in one split."""
    digest = hashlib.sha256(name.casefold().encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") % fold.count == fold.number - 1 else "train"
