"""DISFA: intensities of twelve action units in every frame of 27 people's clips.

    ActionUnit_Labels/SN001/SN001_au1.txt …      frame,intensity a line; frames from 1, intensities 0 to 5
    Videos_LeftCamera/LeftVideoSN001_comp.avi    Video_RightCamera/RightVideoSN001_comp.avi: --variant left (default),
    Videos_LeftCamera/LeftVideoSN001_comp/1.png  right; the frames of a clip (see `openfer.data.layouts.video`),
    Images/SN001/1.png                           or here, also Frames/SN001/
    Landmark_Points/                             66 points a frame; not read

Action units: 1 2 4 5 6 9 12 15 17 20 25 26. A file that is missing leaves its unit out: unknown is not 0. There are no
emotions. Subject and group are SN001. There is no official split; `--fold K/3` are the three parts of the literature,
other N deal sorted subjects.
"""

from __future__ import annotations

import re
from pathlib import Path

from openfer.data.layouts.common import Row, Scan, ScanOptions, head, picture_row
from openfer.data.layouts.disk import VIDEOS, find_folder, listing, set_root, suffix
from openfer.data.layouts.folds import split_by_subject
from openfer.data.layouts.lists import Once, csv_rows
from openfer.data.layouts.video import UNREAD_VIDEO, frames_from_one
from openfer.data.pictures import MISSING
from openfer.errors import DataError
from openfer.labels import LABEL_SETS
from openfer.records import OK

LABELS = LABEL_SETS["disfa"]
PARTS = tuple(
    tuple(f"SN{number}" for number in part.split())
    for part in (
        # As in BP4D fold 1 tests the third published part, fold 3 the first.
        "003 029 023 025 008 005 007 017 004",
        "013 018 011 028 012 006 031 021 024",
        "002 010 001 026 027 032 030 009 016",
    )
)
SUBJECTS = frozenset(subject for part in PARTS for subject in part)
CLIPS = {"left": ("Videos_LeftCamera", "Video_LeftCamera"), "right": ("Video_RightCamera", "Videos_RightCamera")}
TREE = "ActionUnit_Labels/SN001/SN001_au1.txt and Videos_LeftCamera/"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every subject's frames. Raises `DataError` where a file says what cannot be."""
    options.only("disfa", "variant", "fold")
    side = options.variant_of("left", "right") or "left"
    notes: list[str] = []
    place = set_root(root, lambda one: find_folder(one, "ActionUnit_Labels") is not None, "DISFA", TREE, notes)
    labels = find_folder(place, "ActionUnit_Labels")
    assert labels is not None
    rows: list[Row] = []
    for name in listing(labels).folders:
        subject = name.upper()
        if not re.fullmatch(r"SN\d{3}", subject):
            notes.append(f"{name}/ left out: no subject")
            continue
        if subject not in SUBJECTS:
            notes.append(f"{subject}: not among the 27 subjects of DISFA")
        rows += _subject(place, subject, _units(labels / name, subject, notes), side, notes)
    rule = split_by_subject(rows, options, notes, PARTS)
    return Scan(
        rows=rows,
        labels=LABELS,
        rule=f"AU intensity 0 to 5; papers take 2 and more (or 1) as present{rule}",
        notes=notes,
        root=place,
    )


def _units(folder: Path, subject: str, notes: list[str]) -> dict[int, dict[str, float]]:
    """Frame -> action unit -> intensity."""
    found: dict[int, dict[str, float]] = {}
    lengths: dict[str, int] = {}
    for name in listing(folder).files:
        match = re.fullmatch(r"(SN\d{3})_au(\d+)\.txt", name, re.IGNORECASE)
        unit = f"AU{int(match[2])}" if match else ""
        if match is None or unit not in LABELS:
            notes.append(f"{folder.name}/{name} left out: no file of one of the action units")
            continue
        if match[1].upper() != subject:
            raise DataError(f"{folder / name}: by its name of another subject")
        once = Once("intensity")
        for line, fields in csv_rows(folder / name, notes):
            where = f"{folder / name}, line {line}"
            if len(fields) != 2 or not fields[0].isdecimal() or fields[1] not in ("0", "1", "2", "3", "4", "5"):
                raise DataError(f"{where}: expected a frame and an intensity from 0 to 5")
            if int(fields[0]) == 0:
                raise DataError(f"{where}: frame 0; the frames of DISFA count from 1")
            once.again(int(fields[0]), fields[1], where)
            found.setdefault(int(fields[0]), {})[unit] = float(fields[1])
        once.report(notes)
        lengths[unit] = len(once)
    absent = [unit for unit in LABELS if unit not in lengths]
    if absent:
        notes.append(f"{subject}: no file of {', '.join(absent)}; unknown in its rows")
    if len(set(lengths.values())) > 1:
        longest = max(lengths.values())
        short = [f"{unit} {count}" for unit, count in lengths.items() if count < longest]
        notes.append(f"{subject}: {longest} frames, but fewer lines for {head(short)}; unknown there")
    return found


def _subject(place: Path, subject: str, units: dict[int, dict[str, float]], side: str, notes: list[str]) -> list[Row]:
    clip, folder = _clip(place, subject, side)
    frames = frames_from_one(folder) if folder else {}
    path = folder.relative_to(place).as_posix() if folder else ""
    # Without frames every row names the clip, so that its labels are kept until there are some.
    fallback = clip.relative_to(place).as_posix() if clip else f"Images/{subject}/"
    rows = []
    for frame, values in sorted(units.items()):
        there = frame in frames
        name = f"{path}/{frames.get(frame, f'{frame}.png')}" if folder else fallback
        status = OK if there else MISSING if folder or not clip else UNREAD_VIDEO
        image = name if folder or clip else f"{fallback}{frame}.png"
        source = f"{subject} frame {frame}"
        rows.append(
            picture_row(
                image, label=None, split=None, source=source, status=status, subject=subject, group=subject, aus=values
            )
        )
    beyond = len(frames.keys() - units.keys())
    if beyond:
        notes.append(f"{subject}: {beyond} frames have no label, left out")
    return rows


def _clip(place: Path, subject: str, side: str) -> tuple[Path | None, Path | None]:
    """A subject's video and the folder of its frames."""
    videos = find_folder(place, *CLIPS[side])
    inner = listing(videos) if videos else None
    names = [name for name in inner.files if suffix(name) in VIDEOS and subject in name.upper()] if inner else []
    clip = videos / names[0] if videos and names else None
    beside = [name for name in inner.folders if subject in name.upper()] if inner else []
    if videos and beside:
        return clip, videos / beside[0]
    return clip, find_folder(place, f"Images/{subject}", f"Frames/{subject}") if side == "left" else None
