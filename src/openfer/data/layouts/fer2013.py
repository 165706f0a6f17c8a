"""FER2013: 48 x 48 grey faces of seven expressions, as a csv file or as folders.

    fer2013.csv            emotion,pixels,Usage            also icml_face_data.csv (blanks in its header), each also .gz
    train.csv, test.csv    emotion,pixels / pixels         the form of the competition; test has no labels
    train/angry/Training_1234567.jpg                       the folder form; also below images/
    test/angry/PublicTest_… and PrivateTest_….jpg
    images/  images_eye/  images_lip/  train/<class>/      `openfer.data.layouts.forms`; train_set/ with annotations/
                                                           is read as --variant adcorre (codes of AffectNet)

Codes: 0 anger, 1 disgust, 2 fear, 3 happiness, 4 sadness, 5 surprise, 6 neutral. Usage: Training is train, PublicTest
validation, PrivateTest test. The root is the csv file or the folder that holds one of the forms. Pictures of a csv file
are embedded as PNG.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from openfer.data.layouts import affectnet_npy, folder, forms
from openfer.data.layouts.common import NO_LABEL, SPLIT_WORDS, Row, Scan, ScanOptions, head, label_of_code
from openfer.data.layouts.disk import find_file, find_folder, listing, set_root, stem
from openfer.data.layouts.lists import checked, columns_of, csv_rows
from openfer.errors import DataError, did_you_mean
from openfer.labels import LABEL_SETS
from openfer.records import OK, UNREADABLE

LABELS = LABEL_SETS["fer2013"]
USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
OFFICIAL: dict[str | None, int] = {"train": 28_709, "validation": 3_589, "test": 3_589}
TABLES = ("fer2013.csv", "icml_face_data.csv")
SIDE = 48
TREE = "fer2013.csv, train.csv or the folders train/ and test/"


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of a csv file.

    Args:
        line: its number in the file, the header is 1.
        label: None where the file has none.
        split: None where the file does not say.
        png: the picture; empty where its pixels are damaged.
        status: `ok` or what is wrong.
    """

    line: int
    label: str | None
    split: str | None
    png: bytes
    status: str


def read(root: Path, options: ScanOptions) -> Scan:
    """Read whichever form lies at the root. Raises `DataError` where none does or where one contradicts itself."""
    options.only("fer2013", "variant")
    notes: list[str] = []
    if options.variant_of("adcorre"):
        return affectnet_npy.read_sets(root, LABELS, notes)
    affectnet_npy.refuse_form(root)
    if root.is_file():
        return _scan_tables([root], notes)
    place = set_root(root, _is_here, "FER2013", TREE, notes)
    tables = [path for name in TABLES if (path := find_file(place, name))]
    if len(tables) > 1:
        notes.append(f"read from {tables[0].name}; {tables[1].name} is another form of it")
    pair = [path for name in ("train.csv", "test.csv") if (path := find_file(place, name))]
    if tables or pair:
        return replace(_scan_tables(tables[:1] or pair, notes), root=place)
    if forms.is_crops(place):
        return replace(forms.read_crops(place, LABELS, notes), root=place)
    return replace(_scan_folders(place, notes), root=place)


def _is_here(place: Path) -> bool:
    """Whether a folder holds one of the tables, or splits."""
    if find_file(place, *TABLES, "train.csv", "test.csv"):
        return True
    return any(
        {name.lower() for name in listing(folder).folders} & SPLIT_WORDS.keys()
        for folder in (place, find_folder(place, "images"))
        if folder
    )


def _scan_tables(paths: list[Path], notes: list[str]) -> Scan:
    rows: list[Row] = []
    for path in paths:
        # Without Usage the file's name is the split; `fer2013.csv.gz` has two suffixes.
        of_name = SPLIT_WORDS.get(stem(path.name.removesuffix(".gz")).lower())
        for row in table_rows(path, notes):
            split = row.split or of_name
            if split is None:
                raise DataError(f"{path}, line 1: no column 'Usage', and its name is not train.csv or test.csv")
            status = NO_LABEL if row.status == OK and row.label is None else row.status
            image = {"bytes": row.png, "path": None}
            source = f"{path.name}:{row.line}"
            rows.append({"image": image, "label": row.label, "split": split, "status": status, "source": source})
    return Scan(rows=rows, labels=LABELS, notes=notes, official=OFFICIAL, size=(SIDE, SIDE))


def table_rows(path: Path, notes: list[str]) -> Iterator[TableRow]:
    """The lines of a csv file; columns are found by their names.

    Raises:
        DataError: no column `pixels` (or `emotion`, save in the test part), another number of columns, a code outside
            0 to 6, an unknown Usage.
    """
    lines = csv_rows(path, notes)
    _, header = next(lines, (0, [""]))
    needed = ("pixels",) if header == ["pixels"] else ("pixels", "emotion")
    columns = columns_of(header, path, *needed)
    for line, fields in checked(lines, len(header), path):
        where = f"{path}, line {line}"
        code = fields[columns["emotion"]] if "emotion" in columns else ""
        usage = fields[columns["usage"]] if "usage" in columns else None
        label = label_of_code(code, LABELS, where) if code else None
        png, status = _png(fields[columns["pixels"]])
        yield TableRow(line, label, None if usage is None else split_of(usage, where), png, status)


def split_of(usage: str, where: str) -> str:
    if usage not in USAGES:
        raise DataError(f"{where}: unknown Usage '{usage}'; {did_you_mean(usage, USAGES)}")
    return USAGES[usage]


def _png(pixels: str) -> tuple[bytes, str]:
    """The blank-separated values of a 48 x 48 picture as a PNG file and `ok`; or nothing and what is wrong."""
    values = pixels.split()
    if len(values) != SIDE * SIDE:
        return b"", f"{UNREADABLE}: {len(values)} pixel values, expected {SIDE * SIDE}"
    try:
        raw = bytes(map(int, values))
    except ValueError:
        return b"", f"{UNREADABLE}: a pixel value is not a whole number from 0 to 255"
    stream = io.BytesIO()
    Image.frombytes("L", (SIDE, SIDE), raw).save(stream, "PNG")
    return stream.getvalue(), OK


def _scan_folders(root: Path, notes: list[str]) -> Scan:
    top = find_folder(root, "images") or root
    parts = folder.split_folders(top, notes)
    if parts is None:
        raise DataError(f"{root}: no FER2013 here; expected {TREE}")
    scan = folder.scan_classes(root, parts, LABELS, notes)
    prefixes = {usage.lower(): split for usage, split in USAGES.items()}
    unnamed, moved, named = 0, list[str](), list[Row]()
    for row in scan.rows:
        # The official split is still in the file's name: PublicTest_12345678.jpg
        split = prefixes.get(Path(row["source"]).name.split("_")[0].lower())
        if split is None:
            unnamed += row["split"] == "test"
            continue
        named.append(row)
        if (split == "train") != (row["split"] == "train"):
            moved.append(row["source"])
        row["split"] = split
    folder.refuse_two_classes(named)
    if moved:
        notes.append(f"{len(moved)} pictures are of another split by their name, which was believed: {head(moved)}")
    splits = {split for split, _ in parts}
    if "validation" in splits:
        notes.append("a copy with a validation folder: split at random, not comparable with the official splits")
    elif unnamed:
        notes.append(
            f"validation and test are merged: {unnamed} file names under test/ do not say PublicTest or PrivateTest"
        )
    return replace(scan, official=OFFICIAL, size=(SIDE, SIDE))
