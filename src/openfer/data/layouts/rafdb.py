"""RAF-DB: seven basic (`rafdb`) or eleven compound expressions (`rafdb-compound`) of faces from the web.

    basic/                                                    compound/ has the same tree
    ├── EmoLabel/list_patition_label.txt                      train_00077.jpg 4     also list_partition_label.txt
    ├── EmoLabel/distribution_basic.txt                       name and seven shares; read with --votes distribution
    ├── Image/aligned/train_00001_aligned.jpg                 100 x 100, the default
    ├── Image/original/train_00001.jpg                        --variant original
    └── Annotation/                                           pixels of the original, so read with that variant only
        ├── boundingbox/train_00001_boundingbox.txt           x_min y_min x_max y_max          also train_00001.txt
        ├── manual/train_00001_manu_attri.txt                 five points, gender, race, age
        └── Landmarks_68_FAN_bbox/train_00001.txt             68 points from the corner of the box (AUE-CRL)

Basic, from 1: surprise, fear, disgust, happiness, sadness, anger, neutral. Compound, from 1: see
`openfer.labels`. The prefix of a name is its split. Other forms: `--variant mek` (the list beside pictures of one's own
alignment under the original names, or in RAF/), `--variant adcorre` (`affectnet_npy`, with AffectNet's codes); for
`rafdb` also three folders of crops (`forms`) and class folders train/1 … test/7, whose numbers are RAF-DB's codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from openfer.data.layouts import affectnet_npy, folder, forms
from openfer.data.layouts.common import Row, Scan, ScanOptions, head, in_order, label_of_code, picture_row
from openfer.data.layouts.disk import Finder, find_file, find_folder, listing, set_root
from openfer.data.layouts.lists import Once, checked, columns_of, csv_rows, list_rows
from openfer.data.layouts.rafdb_originals import Originals
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS, LabelSet

LISTS = ("list_patition_label.txt", "list_partition_label.txt")
NAME = re.compile(r"(train|test)_(\d+)(?:_aligned)?\.(?:jpe?g|png)", re.IGNORECASE)
TREE = "EmoLabel/list_patition_label.txt and Image/aligned/"


@dataclass(frozen=True, slots=True)
class Release:
    """One of the two data sets.

    Args:
        layout: its name on the command line.
        labels: its label set.
        folder: the name of its folder.
        other: the name of the other's, which holds files of the same names.
        digits: of the numbers in its names, by split; empty where they are not certain.
        official: rows by split.
    """

    layout: str
    labels: LabelSet
    folder: str
    other: str
    digits: dict[str, int]
    official: dict[str | None, int]


BASIC = Release(
    "rafdb",
    LABEL_SETS["rafdb"],
    "basic",
    "compound",
    {"train": 5, "test": 4},
    {"train": 12_271, "test": 3_068},
)
COMPOUND = Release(
    "rafdb-compound", LABEL_SETS["rafdb_compound"], "compound", "basic", {}, {"train": 3_162, "test": 792}
)


def read(root: Path, options: ScanOptions) -> Scan:
    """Read the seven basic expressions. Raises `DataError` where the list contradicts itself or is another set's."""
    options.only("rafdb", "variant", "votes")
    variant = options.variant_of("aligned", "original", "mek", "adcorre")
    notes: list[str] = []
    if variant == "adcorre":
        return affectnet_npy.read_sets(root, BASIC.labels, notes)
    if variant is None and not _begins(root, BASIC):
        affectnet_npy.refuse_form(root)
        if forms.is_crops(root):
            return forms.read_crops(root, BASIC.labels, notes)
        top = find_folder(root, "DATASET") or root
        parts = folder.split_folders(top, [])
        if parts is not None and not forms.text_lists(root) and _are_classes(parts):
            return replace(_read_classes(top, parts, notes), root=top)
    return _read_list(root, options, BASIC, notes)


def read_compound(root: Path, options: ScanOptions) -> Scan:
    """Read the eleven compound expressions. Raises `DataError` as `read`."""
    options.only("rafdb-compound", "variant")
    options.variant_of("aligned", "original")
    return _read_list(root, options, COMPOUND, [])


def _begins(place: Path, release: Release, *, named: bool = False) -> bool:
    if place.resolve().name.lower() == "emolabel" or (named and place.name.lower() == release.other):
        return False
    return find_file(place, *LISTS) is not None or find_file(find_folder(place, "EmoLabel"), *LISTS) is not None


def _read_list(root: Path, options: ScanOptions, release: Release, notes: list[str]) -> Scan:
    place = set_root(
        root, lambda one: _begins(one, release, named=one != root), f"RAF-DB {release.folder}", TREE, notes
    )
    if place.resolve().name.lower() == release.other:
        raise DataError(f"{place}: this is the {release.other} part of RAF-DB, not '{release.layout}'")
    emo_label = find_folder(place, "EmoLabel")
    found = [path for one in (emo_label, place) for name in LISTS if (path := find_file(one, name))]
    if len({path.read_bytes() for path in found}) > 1:
        raise DataError(f"{found[0]}: {found[1].name} says something else; leave one of them")
    pictures, original = _pictures(place, options.variant)
    notes.append(f"pictures read from {pictures.relative_to(place).as_posix()}/")
    rows = _rows(place, found[0], pictures, original, release, notes)
    if options.votes:
        rule = _add_votes(rows, options.votes, [one for one in (place, emo_label) if one], notes)
    else:
        rule = "as given"
    aligned = pictures.name.lower() == "aligned"
    return Scan(
        rows=in_order(rows),
        labels=release.labels,
        rule=rule,
        notes=notes,
        official=release.official,
        size=(100, 100) if aligned else None,
        root=place,
    )


def _pictures(place: Path, variant: str | None) -> tuple[Path, bool]:
    """The folder of pictures, and whether they are the originals, on which boxes and points were made."""
    forms_of = {
        "aligned": find_folder(place, "Image/aligned"),
        "original": find_folder(place, "Image/original"),
        "mek": find_folder(place, "RAF") or (place if any(NAME.fullmatch(n) for n in listing(place).files) else None),
    }
    if variant is not None:
        chosen = forms_of[variant]
        if chosen is None:
            raise ConfigError(f"--variant {variant}: {place} has no such pictures; expected {TREE}")
        return chosen, variant == "original"
    name = next((name for name, found in forms_of.items() if found), None)
    if name is None:
        raise DataError(f"{place}: no pictures; expected Image/aligned/ or Image/original/")
    chosen = forms_of[name]
    assert chosen is not None
    return chosen, name == "original"


def _rows(place: Path, path: Path, pictures: Path, original: bool, release: Release, notes: list[str]) -> list[Row]:
    finder, once, side = Finder(place, pictures), Once(), Originals(place if original else None)
    rows: list[Row] = []
    codes = set()
    for line, (name, code) in list_rows(path, notes, 2, "file name and class code"):
        where = f"{path}, line {line}"
        match = NAME.fullmatch(name)
        if match is None:
            raise DataError(f"{where}: '{name}' is no name of RAF-DB, such as train_00001.jpg")
        split, number = match[1].lower(), match[2]
        if release.digits.get(split, len(number)) != len(number):
            raise DataError(
                f"{where}: '{name}' is not of RAF-DB basic, whose numbers have {release.digits[split]} digits in "
                f"{split}; compound is read as rafdb-compound"
            )
        if release is BASIC and re.fullmatch(r"[89]|1[01]", code):
            raise DataError(f"{where}: class code '{code}' is of RAF-DB compound; scan it as rafdb-compound")
        label = label_of_code(code, release.labels, where)
        codes.add(label)
        key = f"{split}_{number}"
        if once.again((split, int(number)), label, where):
            continue
        both = [f"{key}_aligned.jpg", f"{key}.jpg"]
        # In one folder with the originals an aligned picture would be another frame of reference.
        tried = both[1:] if original else both
        found, status = finder.find(*tried, *(name.replace(".jpg", ".png") for name in tried))
        rows.append(
            picture_row(found, label=label, split=split, source=f"{path.name}:{line}", status=status, **side.of(key))
        )
    if release is COMPOUND and codes and codes <= set(release.labels.names[:7]):
        raise DataError(f"{path}: no code above 7; this looks like RAF-DB basic, which is read as rafdb")
    finder.report(notes)
    once.report(notes)
    side.report(notes)
    return rows


def _add_votes(rows: list[Row], rule: str, places: list[Path], notes: list[str]) -> str:
    """Give rows the shares of `distribution_basic.txt` as their votes."""
    if rule != "distribution":
        raise ConfigError(f"--votes {rule}: expected distribution")
    path = next((path for place in places if (path := find_file(place, "distribution_basic.txt"))), None)
    if path is None:
        raise DataError(f"{places[0]}: no distribution_basic.txt in it or in EmoLabel/")
    shares: dict[tuple[str, int], list[float]] = {}
    once = Once("shares")
    for line, (name, *texts) in list_rows(path, notes, 8, "file name and seven shares"):
        where = f"{path}, line {line}"
        match = NAME.fullmatch(name)
        try:
            values = [float(text) for text in texts]
        except ValueError:
            values = []
        if match is None or not values or min(values) < 0 or abs(sum(values) - 1) > 0.05:
            raise DataError(f"{where}: expected a name and seven shares from 0 that sum to 1")
        key = (match[1].lower(), int(match[2]))
        once.again(key, tuple(values), where)
        shares[key] = [value / sum(values) for value in values]
    differ, lacking = list[str](), list[str]()
    for row in rows:
        match = NAME.fullmatch(Path(row["image"]["path"]).name)
        row["votes"] = shares.get((match[1].lower(), int(match[2]))) if match else None
        if row["votes"] is None:
            lacking.append(row["source"])
        elif row["votes"][BASIC.labels.index(row["label"])] < max(row["votes"]):
            differ.append(row["source"])
    if lacking:
        notes.append(f"{len(lacking)} rows without shares in {path.name}: {head(lacking)}")
    if differ:
        notes.append(f"{len(differ)} rows whose label has not the largest share: {head(differ)}")
    return "list, votes from distribution_basic.txt"


def _are_classes(parts: folder.Parts) -> bool:
    return all(listing(part).folders for _, part in parts)


def _read_classes(root: Path, parts: folder.Parts, notes: list[str]) -> Scan:
    """The form with class folders, whose numbers are RAF-DB's; lists of labels beside them must agree."""
    folder.split_folders(root, notes)
    scan = folder.scan_classes(root, parts, BASIC.labels, notes)
    named = [row for row in scan.rows if NAME.fullmatch(Path(row["source"]).name)]
    folder.refuse_two_classes(named)
    for row in named:
        match = NAME.fullmatch(Path(row["source"]).name)
        assert match is not None
        split = match[1].lower()
        if split != row["split"] and row["split"] != "validation":
            raise DataError(f"{row['source']}: its name says {split}, its folder {row['split']}")
        row["split"] = split
    _compare_labels(root, scan.rows, notes)
    return replace(scan, rows=in_order(scan.rows), official=BASIC.official)


def _compare_labels(root: Path, rows: list[Row], notes: list[str]) -> None:
    """Refuse class folders that `train_labels.csv` and `test_labels.csv` (image,label) contradict."""
    by_name = {(row["split"], Path(row["source"]).name.casefold()): row for row in rows}
    for split in ("train", "test"):
        path = find_file(root, f"{split}_labels.csv") or find_file(root.parent, f"{split}_labels.csv")
        if path is None:
            continue
        lines = csv_rows(path, notes)
        _, header = next(lines, (0, [""]))
        columns = columns_of(header, path, "image", "label")
        absent = 0
        for line, fields in checked(lines, len(header), path):
            where = f"{path}, line {line}"
            label = label_of_code(fields[columns["label"]], BASIC.labels, where)
            row = by_name.get((split, fields[columns["image"]].casefold()))
            absent += row is None
            if row is not None and row["label"] != label:
                raise DataError(f"{where}: {fields[columns['image']]} is {label}, but lies in {row['source']}")
        if absent:
            notes.append(f"{absent} pictures of {path.name} are in no class folder")
