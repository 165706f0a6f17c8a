"""BP4D (and BP4D+ in the same form): action units in frames of 41 people at 8 tasks.

    2D/F001/T1/0001.jpg  or  2D/F001/T1/1.jpg      also 2D_img/, Sequences/: frames by their number
    AUCoding/AU_OCC/F001_T1.csv                    also AU_OCC/: first line 0 and the AU numbers, then frame and values
    AU-Intensity-Codes3.0/AU06/F001_T1_AU06.csv    frame,intensity; --variant intensity
    2D_img/<id>.jpg  Annotations/AUs/<id>.txt  Annotations/Landmarks/<id>.txt  list_experiment/id_fold1_2.txt,
    id_fold3.txt                                   AUE-CRL's form: lines of index (0 to 11) and value

A row is a coded frame; frames that nobody coded have none. Values: 0 absent, 1 present, 9 unknown, which is left out
of a row's action units. Intensities are 0 to 5. There are no emotions. The subject is F001, the group F001_T1. There is
no official split; `--fold K/3` are the three parts of the literature, other N deal sorted subjects.
"""

from __future__ import annotations

import re
from pathlib import Path

from openfer.data.layouts.common import Row, Scan, ScanOptions, first_problem, head, in_order, picture_row
from openfer.data.layouts.disk import Finder, SideFiles, find_file, find_folder, listing, numbers, set_root
from openfer.data.layouts.folds import split_by_subject
from openfer.data.layouts.lists import Once, checked, csv_rows, list_rows
from openfer.data.layouts.video import frames_by_number
from openfer.data.pictures import MISSING
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS
from openfer.records import OK

LABELS = LABEL_SETS["bp4d"]
INTENSITY_LABELS = LABEL_SETS["bp4d_intensity"]
PARTS = tuple(
    tuple(part.split())
    for part in (
        # Fold 1 tests the third published part, fold 3 the first.
        "F007 F015 F006 F019 M006 M009 F012 M003 F004 F021 F017 M015 F014",
        "M011 F003 M010 M002 F005 F022 M018 M017 F013 M016 F020 F011 M013 M005",
        "F001 M007 F018 F008 F002 M004 F010 F009 M012 M001 F016 M014 F023 M008",
    )
)
INTENSITIES = ("0", "1", "2", "3", "4", "5", "9")
PICTURES = ("2D", "2D_img", "Sequences")
TREE = "2D/F001/T1/ and AUCoding/AU_OCC/F001_T1.csv"
CODED = re.compile(r"([FM]\d{3})_(T\d+)(?:_AU(\d+))?\.csv", re.IGNORECASE)

Units = dict[int, dict[str, float]]
"""Frame -> action unit -> value."""


def read(root: Path, options: ScanOptions) -> Scan:
    """Read the coded frames of every task. Raises `DataError` where a file says what cannot be."""
    options.only("bp4d", "variant", "fold")
    intensity = options.variant_of("occurrence", "intensity") == "intensity"
    notes: list[str] = []
    place = set_root(root, _is_here, "BP4D", TREE, notes)
    pictures = find_folder(place, *PICTURES)
    if pictures is None:
        raise DataError(f"{place}: no pictures; expected {', '.join(PICTURES)}")
    if find_folder(place, "Annotations/AUs"):
        if options.fold or intensity:
            raise ConfigError(f"--fold, --variant: {place} has lists and units of its own")
        return Scan(
            rows=_read_listed(place, pictures, notes), labels=LABELS, rule="AUs 0 or 1", notes=notes, root=place
        )
    tasks = _intensities(place, notes) if intensity else _occurrences(place, notes)
    rows = [row for task in sorted(tasks) for row in _task(place, pictures, task, tasks[task], notes)]
    rule = split_by_subject(rows, options, notes, PARTS)
    return Scan(
        rows=rows,
        labels=INTENSITY_LABELS if intensity else LABELS,
        rule=("AU intensity 0 to 5" if intensity else "AU occurrence 0 or 1") + rule,
        notes=notes,
        root=place,
    )


def _is_here(place: Path) -> bool:
    return find_folder(place, "AUCoding", "AU_OCC", "AU-Intensity-Codes3.0", "Annotations/AUs") is not None


def _occurrences(place: Path, notes: list[str]) -> dict[tuple[str, str], tuple[str, Units]]:
    folder = find_folder(place, "AUCoding/AU_OCC", "AU_OCC", "AUCoding")
    if folder is None:
        raise DataError(f"{place}: no AUCoding/AU_OCC/; intensities alone are read with --variant intensity")
    tasks = {}
    for name in listing(folder).files:
        match = CODED.fullmatch(name)
        if match is None or match[3]:
            notes.append(f"{name} left out: no name like F001_T1.csv")
            continue
        tasks[match[1].upper(), match[2].upper()] = (name, _occurrence(folder / name, notes))
    if not tasks:
        raise DataError(f"{folder}: no F001_T1.csv or the like in it")
    return tasks


def _occurrence(path: Path, notes: list[str]) -> Units:
    lines = csv_rows(path, notes)
    _, header = next(lines, (0, [""]))
    if header[0] != "0" or not all(cell.isdecimal() for cell in header) or len(set(header)) != len(header):
        raise DataError(f"{path}, line 1: expected 0 and the numbers of the AUs, got {head(header, 5)}")
    found: Units = {}
    once = Once("codes")
    for line, (frame, *values) in checked(lines, len(header), path):
        where = f"{path}, line {line}"
        wrong = next((value for value in values if value not in ("0", "1", "9")), None)
        if wrong is not None or not frame.isdecimal():
            bad = frame if wrong is None else wrong
            raise DataError(f"{where}: '{bad}'; expected a frame, then 0 (absent), 1 (present) or 9 (unknown)")
        once.again(int(frame), tuple(values), where)
        found[int(frame)] = {
            f"AU{int(unit)}": float(value) for unit, value in zip(header[1:], values, strict=True) if value != "9"
        }
    once.report(notes)
    return found


def _intensities(place: Path, notes: list[str]) -> dict[tuple[str, str], tuple[str, Units]]:
    folder = find_folder(place, "AU-Intensity-Codes3.0")
    if folder is None:
        raise ConfigError(f"--variant intensity: {place} has no AU-Intensity-Codes3.0/")
    tasks: dict[tuple[str, str], tuple[str, Units]] = {}
    for inner in listing(folder).folders:
        for name in listing(folder / inner).files:
            match = CODED.fullmatch(name)
            if match is None or not match[3] or inner.upper() != f"AU{match[3]}":
                notes.append(f"{inner}/{name} left out: no name like AU06/F001_T1_AU06.csv")
                continue
            _, units = tasks.setdefault((match[1].upper(), match[2].upper()), (f"{match[1]}_{match[2]}", {}))
            once = Once("intensity")
            for line, fields in csv_rows(folder / inner / name, notes):
                where = f"{folder / inner / name}, line {line}"
                if (
                    len(fields) != 2
                    or not fields[0].isdecimal()
                    or fields[1] not in ("0", "1", "2", "3", "4", "5", "9")
                ):
                    raise DataError(f"{where}: expected a frame and an intensity from 0 to 5, or 9 (unknown)")
                once.again(int(fields[0]), fields[1], where)
                values = units.setdefault(int(fields[0]), {})
                if fields[1] != "9":
                    values[f"AU{int(match[3])}"] = float(fields[1])
    return tasks


def _task(place: Path, pictures: Path, task: tuple[str, str], coded: tuple[str, Units], notes: list[str]) -> list[Row]:
    subject, number = task
    name, units = coded
    folder = find_folder(pictures, f"{subject}/{number}")
    frames = frames_by_number(folder) if folder else {}
    if folder is None:
        notes.append(f"{subject}/{number}: coded, but no folder of pictures")
    path = f"{pictures.relative_to(place).as_posix()}/{subject}/{number}"
    return [
        picture_row(
            f"{path}/{frames.get(frame, f'{frame:04d}.jpg')}",
            label=None,
            split=None,
            source=f"{name} frame {frame}",
            status=OK if frame in frames else MISSING,
            subject=subject,
            group=f"{subject}_{number}",
            aus=values,
        )
        for frame, values in sorted(units.items())
    ]


def _read_listed(place: Path, pictures: Path, notes: list[str]) -> list[Row]:
    """AUE-CRL's form: an empty file of units is a face that shows none of the twelve."""
    lists = {
        split: path
        for split, name in (("train", "id_fold1_2.txt"), ("test", "id_fold3.txt"))
        if (path := find_file(find_folder(place, "list_experiment"), name))
    }
    if not lists:
        raise DataError(f"{place}: no list_experiment/id_fold1_2.txt, id_fold3.txt")
    coded = find_folder(place, "Annotations/AUs")
    assert coded is not None
    finder, once, rows = Finder(place, pictures), Once("split"), list[Row]()
    points = SideFiles("68 points", find_folder(place, "Annotations/Landmarks"))
    for split, path in lists.items():
        for line, (key,) in list_rows(path, notes, 1, "the id of a picture"):
            if once.again(key.casefold(), "", f"{path}, line {line}", split):
                continue
            units = _listed_units(coded / f"{key}.txt")
            found, there = finder.find(f"{key}.jpg", f"{key}.png")
            beside = points.read(136, f"{key}.txt") if points else None
            match = re.match(r"([FM]\d{3})[_/-](T\d+)", key, re.IGNORECASE)
            row = picture_row(
                found,
                label=None,
                split=split,
                source=f"{path.name}:{line}",
                status=first_problem(there, OK if units is not None else "no action units"),
                subject=match[1].upper() if match else None,
                group=f"{match[1]}_{match[2]}".upper() if match else None,
                aus=units,
                landmarks68=None if beside is None else beside.reshape(68, 2),
            )
            rows.append(row)
    for reporter in (finder, once, points):
        reporter.report(notes)
    return in_order(rows)


def _listed_units(path: Path) -> dict[str, float] | None:
    """The twelve units of a file; None where it is not there."""
    if not path.is_file():
        return None
    units = dict.fromkeys(LABELS, 0.0)
    for line, text in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), 1):
        values = numbers(text.encode())
        if values is not None and not values.size:
            continue
        if values is None or values.size != 2 or values[0] not in range(len(LABELS)) or values[1] not in (0, 1, 9):
            raise DataError(f"{path}, line {line}: expected an index from 0 to 11 and 0, 1 or 9")
        units[LABELS.names[int(values[0])]] = float(values[1])
    return {unit: value for unit, value in units.items() if value != 9}
