"""KDEF: posed expressions of 70 people from five sides, twice each, 562 x 762.

    KDEF/AF01/AF01AFFL.JPG      session A or B, sex, person 01 to 35, expression, side; a folder a session and person

Expressions: AF fear (afraid), AN anger, DI disgust, HA happiness, NE neutral, SA sadness, SU surprise. Sides: FL full
left, HL half left, S straight, HR half right, FR full right; `--variant straight` reads S only. The subject is sex and
person: sessions A and B are the same people. There is no official split; `--fold K/N` takes whole people.
"""

from __future__ import annotations

import re
from pathlib import Path

from openfer.data.layouts.common import REPEATED, Row, Scan, ScanOptions, head, in_order, picture_row
from openfer.data.layouts.disk import listing, set_root, stem
from openfer.data.layouts.folds import split_by_subject
from openfer.data.layouts.jaffe import NOT_A_NAME
from openfer.errors import DataError
from openfer.labels import LABEL_SETS

LABELS = LABEL_SETS["kdef"]
EXPRESSIONS = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
NAME = re.compile(r"([AB])([FM])(\d\d)(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)\.(?:jpe?g|png)", re.IGNORECASE)
SESSION = re.compile(r"[AB][FM]\d\d", re.IGNORECASE)
AVERAGE = re.compile(r"[FM](?:AF|AN|DI|HA|NE|SA|SU)(?:S|HL|HR|FL|FR)\.jpe?g", re.IGNORECASE)
DARK = {
    *("AF01SUFR", "AF10AFFR", "AF11NEHL", "AF20DIHL", "AM25DIFL"),
    *("AM34DIFR", "BF13NEHR", "BM21DIFL", "BM22DIHL", "BM24DIFL"),
}
"""Pictures of the official release that are almost black."""


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every picture's name. Raises `DataError` where a name belongs to another person or another set."""
    options.only("kdef", "variant", "fold")
    straight = options.variant_of("all", "straight") == "straight"
    notes: list[str] = []
    place = set_root(root, _is_here, "KDEF", "AF01/AF01AFFL.JPG and the like", notes)
    rows: list[Row] = []
    seen: set[str] = set()
    other, dark = 0, list[str]()
    folders = [place, *(place / name for name in listing(place).folders)]
    for folder in folders:
        inner = listing(folder)
        for name in inner.pictures:
            path = name if folder == place else f"{folder.name}/{name}"
            match = _match(folder, name)
            if match is None:
                rows.append(picture_row(path, label=None, split=None, source=path, status=NOT_A_NAME))
                continue
            _, sex, person, code, side = (part.upper() for part in match.groups())
            if straight and side != "S":
                other += 1
                continue
            key = stem(name).upper()
            dark += [path] if key in DARK else []
            status = REPEATED if key in seen else inner.status(name)
            seen.add(key)
            rows.append(
                picture_row(
                    path, label=EXPRESSIONS[code], split=None, source=path, status=status, subject=f"{sex}{person}"
                )
            )
    if other:
        notes.append(f"{other} pictures from other sides left out")
    if dark:
        notes.append(f"{len(dark)} pictures are almost black in the official release: {head(dark, 10)}")
    rule = split_by_subject([row for row in rows if row.get("subject")], options, notes)
    for row in rows:
        row["split"] = row["split"] or "train"
    return Scan(
        rows=in_order(rows),
        labels=LABELS,
        rule=f"expression in the file name{rule}",
        notes=notes,
        official={} if straight else {None: 4_900},
        size=(562, 762),
        root=place,
    )


def _match(folder: Path, name: str) -> re.Match[str] | None:
    """What a file name says; None where it breaks the rule, as two do in the official release."""
    if AVERAGE.fullmatch(name):
        raise DataError(f"{folder / name}: a name of AKDEF, averages of many faces; this layout reads KDEF")
    match = NAME.fullmatch(name)
    if match is None:
        return None
    if not 1 <= int(match[3]) <= 35:
        raise DataError(f"{folder / name}: person {match[3]}; KDEF has 01 to 35")
    if SESSION.fullmatch(folder.name) and not name.upper().startswith(folder.name.upper()):
        raise DataError(f"{folder / name}: by its name this picture belongs into another folder")
    return match


def _is_here(place: Path) -> bool:
    inner = listing(place)
    names = [name for name in inner.pictures if NAME.fullmatch(name) or AVERAGE.fullmatch(name)]
    sessions = [name for name in inner.folders if SESSION.fullmatch(name)]
    return bool(sessions) or (bool(names) and not SESSION.fullmatch(place.name))
