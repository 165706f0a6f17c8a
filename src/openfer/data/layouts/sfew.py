"""SFEW 2.0: stills from films, a folder a class.

    Train/Train_Aligned_Faces/Angry/Somefilm_000123450_00000017.png      aligned faces, the default
    Val/Val_Aligned_Faces/…  (also …_new)   Test/Test_Aligned_Faces/…    Test has no labels
    Train/Angry/…  Val/Angry/…                                           --variant original, whole frames
    Train/imgs/Angry/…   list_experiment/id_train_list.txt               --variant aue (AUE-CRL): lines of Class/name
    Train/Annotations/Landmarks_68_FAN/Angry/….txt                       68 points on those

Folders: Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise; the owner gives no codes. The group is the film, which
the name begins with. Three folders of crops are read as in `openfer.data.layouts.forms`.
"""

from __future__ import annotations

import re
from pathlib import Path

from openfer.data.layouts import forms
from openfer.data.layouts.common import Row, Scan, ScanOptions, in_order, label_of_word, picture_row
from openfer.data.layouts.disk import Finder, SideFiles, find_file, find_folder, listing, set_root, stem
from openfer.data.layouts.folder import refuse_two_classes, scan_classes
from openfer.data.layouts.lists import Once, list_rows
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS, canonical

LABELS = LABEL_SETS["sfew"]
PARTS = {"train": "Train", "validation": "Val", "test": "Test"}
OFFICIAL: dict[str | None, int] = {"train": 958, "validation": 436, "test": 372}
NO_ALIGNED_FACE = "no aligned face"
VARIANTS = ("aligned", "original", "aue")
TREE = "Train/Train_Aligned_Faces/<class>/ and Val/Val_Aligned_Faces/<class>/"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every part. Raises `DataError` where a folder is no class or a picture has two."""
    options.only("sfew", "variant")
    variant = options.variant_of(*VARIANTS)
    notes: list[str] = []
    if variant is None and forms.is_crops(root):
        scan = forms.read_crops(root, LABELS, notes)
        _group_by_film(scan.rows)
        return scan
    place = set_root(root, lambda one: any(_folders(one, name) for name in VARIANTS), "SFEW", TREE, notes)
    variant = variant or next(name for name in VARIANTS if _folders(place, name))
    folders = _folders(place, variant)
    if not folders:
        raise ConfigError(f"--variant {variant}: {place} has no such pictures; expected {TREE}")
    notes.append(
        f"{variant} pictures read from {', '.join(f'{one.parent.name}/{one.name}' for one in folders.values())}"
    )
    absent = [PARTS[split] for split in PARTS if split not in folders and find_folder(place, PARTS[split])]
    notes += [f"{name}/ has no {variant} pictures" for name in absent]
    rows: list[Row] = []
    for split, folder in folders.items():
        rows += _listed(place, split, folder, notes) if variant == "aue" else _classes(place, split, folder, notes)
    if variant == "aligned":
        rows += _without_face(place, rows)
    _group_by_film(rows)
    return Scan(rows=in_order(rows), labels=LABELS, notes=notes, official=OFFICIAL, root=place)


def _folders(place: Path, variant: str) -> dict[str, Path]:
    """The folder that holds the class folders of a variant, by split."""
    found = {}
    for split, name in PARTS.items():
        part = find_folder(place, name)
        if variant == "original":
            classes = part and (any(_is_class(one) for one in listing(part).folders) or listing(part).pictures)
            inner = part if classes else None
        elif variant == "aue":
            inner = find_folder(part, "imgs")
        else:
            inner = find_folder(part, f"{name}_Aligned_Faces_new", f"{name}_Aligned_Faces")
        if inner is not None:
            found[split] = inner
    return found


def _is_class(word: str) -> bool:
    return canonical(word) in LABELS


def _besides(name: str) -> bool:
    """Whether a folder beside the class folders of whole frames is another part of the release."""
    plain = name.lower()
    return "aligned_faces" in plain or plain in ("imgs", "annotations") or "lpq" in plain or "landmark" in plain


def _classes(place: Path, split: str, folder: Path, notes: list[str]) -> list[Row]:
    inner = listing(folder)
    if split == "test" and not any(_is_class(name) for name in inner.folders):
        path = folder.relative_to(place).as_posix()
        return [
            picture_row(f"{path}/{one}", label=None, split=split, source=f"{path}/{one}", status=inner.status(one))
            for one in inner.pictures
        ]
    rows = scan_classes(place, [(split, folder)], LABELS, notes, besides=_besides).rows
    refuse_two_classes(rows)
    return rows


def _without_face(place: Path, aligned: list[Row]) -> list[Row]:
    """Whole frames of which there is no aligned face, each a row with that status."""
    known = {(row["split"], stem(Path(row["source"]).name).casefold()) for row in aligned}
    return [
        row | {"status": NO_ALIGNED_FACE}
        for split, folder in _folders(place, "original").items()
        for row in _classes(place, split, folder, [])
        if (split, stem(Path(row["source"]).name).casefold()) not in known
    ]


def _listed(place: Path, split: str, folder: Path, notes: list[str]) -> list[Row]:
    """AUE-CRL's form: the list names the pictures, without a suffix."""
    name = f"id_{PARTS[split].lower()}_list.txt"
    path = find_file(place, name) or find_file(find_folder(place, "list_experiment"), name)
    if path is None:
        raise DataError(f"{place}: no list_experiment/{name} with lines of Class/name")
    finder, once, rows = Finder(place, folder), Once(), list[Row]()
    points = find_folder(folder.parent, "Annotations/Landmarks_68_FAN")
    sides = {word: SideFiles(f"68 points ({word})", find_folder(points, word)) for word in listing(folder).folders}
    for line, (entry,) in list_rows(path, notes, 1, "Class/name"):
        where = f"{path}, line {line}"
        word, _, picture = entry.replace("\\", "/").rpartition("/")
        label = label_of_word(word, LABELS, where)
        if once.again(picture.casefold(), label, where):
            continue
        plain = f"{word}/{picture}"
        found, status = finder.find(f"{plain}.jpg", f"{plain}.png", plain)
        known = sides[word].read(136, f"{picture}.txt") if word in sides else None
        rows.append(
            picture_row(
                found,
                label=label,
                split=split,
                source=f"{path.name}:{line}",
                status=status,
                landmarks68=None if known is None else known.reshape(68, 2),
            )
        )
    finder.report(notes)
    once.report(notes)
    for side in sides.values():
        side.report(notes)
    return rows


def _group_by_film(rows: list[Row]) -> None:
    """The film of every picture as its group, where its name says it."""
    for row in rows:
        match = re.fullmatch(r"(.+)_\d+_\d+", stem(Path(row["image"]["path"]).name))
        row["group"] = match[1] if match else None
