"""JAFFE: posed expressions of ten women, grey, 256 x 256.

    jaffe/KA.AN1.39.tiff        person . expression and number . running number; also re-packed as png or jpg
    jaffe/README_FIRST.txt      ratings; not read, because the name gives the label

Expressions: AN anger, DI disgust, FE fear, HA happiness, NE neutral, SA sadness, SU surprise. There is no official
split; `--fold K/N` takes whole persons, `--fold K/10` one.
"""

from __future__ import annotations

import re
from pathlib import Path

from openfer.data.layouts.common import REPEATED, Row, Scan, ScanOptions, picture_row
from openfer.data.layouts.disk import listing, set_root
from openfer.data.layouts.folds import split_by_subject
from openfer.errors import DataError
from openfer.labels import LABEL_SETS

LABELS = LABEL_SETS["jaffe"]
EXPRESSIONS = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
SUBJECTS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})(\d*)\.(\d+)\.(?:tiff?|png|jpe?g)", re.IGNORECASE)
NOT_A_NAME = "the file name says no expression"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every picture's name. Raises `DataError` for an unknown expression or a picture with two."""
    options.only("jaffe", "fold")
    notes: list[str] = []
    place = set_root(root, _is_here, "JAFFE", "KA.AN1.39.tiff and the like", notes)
    inner = listing(place)
    rows: list[Row] = []
    said: dict[tuple[str, str], tuple[str, str]] = {}
    strangers = set()
    for name in inner.pictures:
        match = NAME.fullmatch(name)
        if match is None:
            rows.append(picture_row(name, label=None, split=None, source=name, status=NOT_A_NAME))
            continue
        subject, code, _, number = (part.upper() for part in match.groups())
        if code not in EXPRESSIONS:
            raise DataError(f"{place / name}: unknown expression '{code}'; expected {', '.join(EXPRESSIONS)}")
        if subject not in SUBJECTS:
            strangers.add(subject)
        before = said.setdefault((subject, str(int(number))), (code, name))
        if before[0] != code:
            raise DataError(f"{place / name}: {before[1]} is the same picture with another expression")
        # The same picture in two formats counts once.
        status = inner.status(name) if before[1] == name else REPEATED
        rows.append(picture_row(name, label=EXPRESSIONS[code], split=None, source=name, status=status, subject=subject))
    if strangers:
        notes.append(f"unknown persons: {', '.join(sorted(strangers))}; JAFFE has {', '.join(SUBJECTS)}")
    known = [row for row in rows if row.get("subject")]
    rule = split_by_subject(known, options, notes)
    for row in rows:
        row["split"] = row["split"] or "train"
    return Scan(
        rows=rows,
        labels=LABELS,
        rule=f"expression in the file name{rule}",
        notes=notes,
        official={None: 213},
        size=(256, 256),
        root=place,
    )


def _is_here(place: Path) -> bool:
    return any(NAME.fullmatch(name) for name in listing(place).pictures)
