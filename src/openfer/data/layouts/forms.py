"""Forms that authors of methods brought several data sets into.

    crops      images/1.png  images_eye/1.png  images_lip/1.png      the three crops of a face share a name
               train/happy/1.png  test/angry/1.png                   used for names only
    lists      train.txt  test.txt                                   `<path> <code>` a line, paths below the root

The first is CSRN's, the second MEK's, whose training list is repeated many times over. Ad-Corre's form is that of
`openfer.data.layouts.affectnet_npy`.
"""

from __future__ import annotations

from pathlib import Path

from openfer.data.layouts.common import (
    NO_LABEL,
    SPLIT_WORDS,
    Row,
    Scan,
    first_problem,
    found_labels,
    head,
    in_order,
    label_of_code,
    label_of_word,
    picture_row,
)
from openfer.data.layouts.disk import Finder, find_folder, listing, stem, suffix
from openfer.data.layouts.lists import Once, list_rows
from openfer.data.manifest import SPLITS
from openfer.errors import DataError
from openfer.labels import LABEL_SETS, LabelSet
from openfer.records import OK

NOT_A_CLASS = {"8": "none", "9": "uncertain", "10": "no face"}
"""Codes of AffectNet that are no expression, as a row's status."""


def is_crops(root: Path) -> bool:
    """Whether a folder has crops of faces and of their eyes or lips beside train/."""
    found = {name.lower() for name in listing(root).folders} if root.is_dir() else set()
    return {"images", "train"} <= found and not found.isdisjoint({"images_eye", "images_lip"})


def read_crops(root: Path, labels: LabelSet | None, notes: list[str]) -> Scan:
    """Read the form `crops`: labels from the class folders, pictures from images/.

    Raises:
        DataError: no names, a class folder whose meaning is not certain, or a name with two labels.
    """
    notes.append("three folders of crops: the pictures are those of images/; eye and lip crops are not kept")
    images = find_folder(root, "images")
    assert images is not None
    finder = Finder(root, images)
    crops = [folder for name in ("images_eye", "images_lip") if (folder := find_folder(root, name))]
    known = [{name.casefold() for name in listing(folder).files} for folder in crops]
    once, rows, lacking = Once(), list[Row](), list[str]()
    for split in ("train", "test"):
        part = find_folder(root, split)
        for word in listing(part).folders if part else ():
            label = label_of_word(word, labels, str(root / split / word))
            for name in listing(root / split / word).pictures:
                source = f"{split}/{word}/{name}"
                if once.again(name.casefold(), label, source, split):
                    continue
                path, status = finder.find(name)
                rows.append(picture_row(path, label=label, split=split, source=source, status=status))
                if any(name.casefold() not in names for names in known):
                    lacking.append(name)
    if not rows:
        raise DataError(f"{root}: no names in train/<class>/ or test/<class>/")
    finder.report(notes)
    once.report(notes)
    if lacking:
        notes.append(f"{len(lacking)} pictures lack an eye or lip crop: {head(lacking)}")
    return Scan(rows=in_order(rows), labels=labels or found_labels(row["label"] for row in rows), notes=notes)


def text_lists(root: Path) -> dict[str, Path]:
    """The files train.txt, val.txt, test.txt and the like below a root, by split."""
    found: dict[str, Path] = {}
    for name in listing(root).files:
        split = SPLIT_WORDS.get(stem(name).lower())
        if split is None or suffix(name) not in (".txt", ".lst"):
            continue
        if split in found:
            raise DataError(f"{root}: {found[split].name} and {name} are both {split}; leave one of them")
        found[split] = root / name
    return {split: found[split] for split in SPLITS if split in found}


def read_lists(root: Path, codes: LabelSet, labels: LabelSet, notes: list[str]) -> Scan:
    """Read the form `lists`.

    Args:
        root: where the lists lie.
        codes: the label set whose codes the lists hold.
        labels: that of the rows, by name; what it lacks costs its row.
        notes: what is worth saying is added.

    Raises:
        DataError: no list, a code that is none, or a picture with two labels.
    """
    lists = text_lists(root)
    if not lists:
        raise DataError(f"{root}: no train.txt, val.txt or test.txt with lines of path and code")
    finder, once, rows = Finder(root, root), Once("code"), list[Row]()
    for split, path in lists.items():
        for line, (name, code) in list_rows(path, notes, 2, "path and class code"):
            where = f"{path}, line {line}"
            label, status = label_or_status(code, codes, labels, where)
            if once.again(name.replace("\\", "/").casefold(), code, where, split):
                continue
            found, there = finder.find(name)
            source = f"{path.name}:{line}"
            problem = first_problem(there, status)
            rows.append(picture_row(found, label=label, split=split, source=source, status=problem))
    finder.report(notes)
    once.report(notes)
    notes.append(f"codes of the lists read as those of {codes.name}: 0 is {codes.names[0]}")
    return Scan(rows=in_order(rows), labels=labels, rule=f"codes of {codes.name}", notes=notes)


def label_or_status(code: str, codes: LabelSet, labels: LabelSet, where: str) -> tuple[str | None, str]:
    """The label of a code and `ok`; or None and why the row has none.

    Args:
        code: as written; empty where nothing is.
        codes: the label set whose codes these are; AffectNet's 8 to 10 are no class.
        labels: the label set of the rows.
        where: file and line, for the message.

    Raises:
        DataError: a code that is none.
    """
    if not code:
        return None, NO_LABEL
    if codes is LABEL_SETS["affectnet"] and code in NOT_A_CLASS:
        return None, NOT_A_CLASS[code]
    label = label_of_code(code, codes, where)
    return (label, OK) if label in labels else (None, f"{label} is not in {labels.name}")
