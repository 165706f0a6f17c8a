"""AffectNet, later release: a small NumPy file for everything that is known of a picture.

    train_set/images/0.jpg  2.jpg …      faces of 224 x 224; numbers without padding, with gaps
    train_set/annotations/0_exp.npy      code of the expression, as a number or as text
                          0_val.npy 0_aro.npy      valence and arousal, -1 to 1
                          0_lnd.npy                68 points, x and y in turn
    val_set/…                            also eval_set, test_set, and with _7, _aug or _7_aug behind the name

Codes: 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none, 9 uncertain and
10 no face are no classes. `--labels affectnet7` leaves contempt out. Ad-Corre brought every data set into this form,
with these codes; `rafdb` and `fer2013` read it as `--variant adcorre`.
"""

from __future__ import annotations

import ast
import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openfer.data.layouts.common import NO_LABEL, Row, Scan, ScanOptions, first_problem, head, in_order, picture_row
from openfer.data.layouts.disk import Listing, find_folder, listing, set_root, stem
from openfer.data.layouts.forms import label_or_status
from openfer.data.manifest import SPLITS
from openfer.data.pictures import MISSING
from openfer.errors import DataError
from openfer.labels import LABEL_SETS, LabelSet

LARGEST = 1e6
"""No code, rating or coordinate reaches this."""
OFFICIAL: dict[str | None, int] = {"train": 287_651, "validation": 3_999}
CODES = LABEL_SETS["affectnet"]
TREE = "train_set/ and val_set/, each with images/ and annotations/"

_SET = re.compile(r"(train|val|eval|test)_set(?:_7)?(?:_aug)?", re.IGNORECASE)
_SPLIT = {"train": "train", "val": "validation", "eval": "validation", "test": "test"}
_EXPRESSION = "_exp.npy"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every set. Raises `DataError` where none is there or an annotation says what cannot be."""
    options.only("affectnet-npy", "labels")
    notes: list[str] = []
    labels = options.labels_of("affectnet", "affectnet7")
    place = set_root(root, lambda folder: bool(sets_below(folder)), "AffectNet", TREE, notes)
    scan = read_sets(place, labels, notes)
    official = OFFICIAL if labels is CODES else {}
    return Scan(rows=scan.rows, labels=labels, notes=notes, official=official, size=(224, 224), root=place)


def read_sets(root: Path, labels: LabelSet, notes: list[str]) -> Scan:
    """Read every set below a root; the codes are AffectNet's, the labels those of any set.

    Raises:
        DataError: no set or two for one split, or an annotation that says what cannot be.
    """
    parts = sets_below(root)
    if not parts:
        raise DataError(f"{root}: no sets of pictures and annotations; expected {TREE}")
    for split in SPLITS:
        same = [folder.name for one, folder in parts if one == split]
        if len(same) > 1:
            raise DataError(f"{root}: {' and '.join(same)} are both {split}; leave one of them below the root")
    rows = [row for split, folder in parts for row in _read_set(root, split, folder, labels, notes)]
    return Scan(rows=rows, labels=labels, notes=notes)


def refuse_form(root: Path) -> None:
    """Refuse this form where its codes, AffectNet's, must be asked for. Raises `DataError` with the way out."""
    if root.is_dir() and sets_below(root):
        raise DataError(
            f"{root}: pictures and annotations as Ad-Corre has them; --variant adcorre reads their codes as AffectNet's"
        )


def sets_below(root: Path) -> list[tuple[str, Path]]:
    """Split and folder of every `train_set` and the like that holds pictures or annotations."""
    found = [
        (_SPLIT[match[1].lower()], root / name)
        for name in listing(root).folders
        if (match := _SET.fullmatch(name))
        and (find_folder(root / name, "annotations") or find_folder(root / name, "images"))
    ]
    return sorted(found, key=lambda part: SPLITS.index(part[0]))


def _read_set(root: Path, split: str, part: Path, labels: LabelSet, notes: list[str]) -> list[Row]:
    pictures, annotations = _needed(part, "images"), _needed(part, "annotations")
    _refuse_same_stem(pictures)
    place, beside = (folder.folder.relative_to(root).as_posix() for folder in (pictures, annotations))
    known = _Annotations(annotations, labels)
    rows: list[Row] = []
    listed = {stem(name).lower(): name for name in pictures.pictures}
    for key, name in listed.items():
        fields, status = known.of(key)
        status = first_problem(pictures.status(name), status)
        source = f"{beside}/{key}{_EXPRESSION}"
        rows.append(picture_row(f"{place}/{name}", split=split, source=source, status=status, **fields))
    for key in known.keys() - listed.keys():
        fields, _ = known.of(key)
        source = f"{beside}/{key}{_EXPRESSION}"
        rows.append(picture_row(f"{place}/{key}.jpg", split=split, source=source, status=MISSING, **fields))
    known.report(part.name, notes)
    return in_order(rows)


def _needed(part: Path, name: str) -> Listing:
    folder = find_folder(part, name)
    if folder is None:
        raise DataError(f"{part}: no {name}/ in it; expected {TREE}")
    return listing(folder)


def _refuse_same_stem(pictures: Listing) -> None:
    seen: dict[str, str] = {}
    for name in pictures.pictures:
        before = seen.setdefault(stem(name).lower(), name)
        if before != name:
            raise DataError(f"{pictures.folder}: {before} and {name} have one annotation; leave one of them")


class _Annotations:
    """What the small files of one folder say; the folder is listed once."""

    def __init__(self, files: Listing, labels: LabelSet) -> None:
        self._folder, self._labels = files.folder, labels
        self._names = {name.lower(): name for name in files.files}
        self._damaged: list[str] = []
        self._outside: list[str] = []

    def keys(self) -> set[str]:
        return {name.removesuffix(_EXPRESSION) for name in self._names if name.endswith(_EXPRESSION)}

    def of(self, key: str) -> tuple[dict[str, Any], str]:
        """Label, valence, arousal and points of a picture; and its status."""
        label, status = self._expression(key)
        points = self._values(f"{key}_lnd.npy", (136,), (68, 2))
        fields: dict[str, Any] = {
            "label": label,
            "valence": self._degree(f"{key}_val.npy"),
            "arousal": self._degree(f"{key}_aro.npy"),
            "landmarks68": None if points is None else points.reshape(68, 2),
        }
        return fields, status

    def report(self, name: str, notes: list[str]) -> None:
        if self._damaged:
            notes.append(f"{name}: {len(self._damaged)} damaged annotations left out: {head(self._damaged)}")
        if self._outside:
            notes.append(f"{name}: {len(self._outside)} values outside -1 to 1 left out: {head(self._outside)}")

    def _expression(self, key: str) -> tuple[str | None, str]:
        name = self._names.get(key + _EXPRESSION)
        if name is None:
            return None, NO_LABEL
        values = self._values(name, (), (1,))
        if values is None:
            return None, f"{NO_LABEL}: {name} is damaged"
        code = values.item()
        where = str(self._folder / name)
        return label_or_status(f"{code:.0f}" if code == int(code) else str(code), CODES, self._labels, where)

    def _degree(self, name: str) -> float | None:
        values = self._values(name, (), (1,))
        if values is None or values.item() == -2:  # -2: not rated
            return None
        if not -1 <= values.item() <= 1:
            self._outside.append(name)
            return None
        return float(values.item())

    def _values(self, name: str, *shapes: tuple[int, ...]) -> NDArray[np.float64] | None:
        there = self._names.get(name.lower())
        if there is None:
            return None
        try:
            values = _npy((self._folder / there).read_bytes())
        except (OSError, ValueError, TypeError, SyntaxError, KeyError, IndexError):
            values = None
        if values is None or values.shape not in shapes or not (np.abs(values) < LARGEST).all():
            self._damaged.append(there)
            return None
        return values


def _npy(content: bytes) -> NDArray[np.float64]:
    """The numbers of a .npy file, written as numbers or as text. There are a million such files: headers repeat.

    Raises:
        ValueError, TypeError, SyntaxError, KeyError, IndexError: not a file of numbers.
    """
    if content[:6] != b"\x93NUMPY":
        raise ValueError("no NumPy file")
    wide = 2 if content[6] == 1 else 4
    start = 8 + wide + int.from_bytes(content[8 : 8 + wide], "little")
    kind, shape, order = _header(content[8 + wide : start])
    values = np.frombuffer(content, kind, count=math.prod(shape), offset=start)
    return values.reshape(shape, order=order).astype(np.float64)


@lru_cache(maxsize=256)
def _header(text: bytes) -> tuple[np.dtype[np.generic], tuple[int, ...], Literal["C", "F"]]:
    fields = ast.literal_eval(text.decode("latin-1"))
    kind = np.dtype(fields["descr"])
    if kind.hasobject:
        raise ValueError("holds Python objects")
    return kind, tuple(fields["shape"]), "F" if fields["fortran_order"] else "C"
