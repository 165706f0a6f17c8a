"""MMI: posed expressions and action units, a clip or a still a session.

    Sessions/12/session.xml                <track … view="0|1|2" …>: 0 frontal, 1 profile, 2 both; only 0 is read
    Sessions/12/S001-001.avi               or a still, S001-001.jpg; the subject is S001
    Sessions/12/S001-001/0001.png          the frames of a clip (see `openfer.data.layouts.video`)
    Sessions/12/S001-001.xml               <Metatag Name="Emotion" Value="4"/>
    Sessions/12/S001-001-oao_aucs.xml      <ActionUnit Number="12"><Marker Frame="23" Type="1"/>…

    Select_Frames/Imgs_x/<id>.jpg  Emotions_x/<id>.txt  Landmarks_68_FAN/<id>.txt  list/id_train_list_crossval0.txt …
                                           AUE-CRL's form, whose first number in Emotions counts from 0

Codes of the xml, from 1: anger, disgust, fear, happiness, sadness, surprise; above 6 other states, no class. A clip
gives one row: the middle of its apex (markers of type 2 to 3), without markers the middle frame. An action unit is 1
from its onset (type 1) to its end (type 0). There is no official split; `--fold K/N` takes whole people.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from openfer.data.layouts.common import (
    NO_LABEL,
    Row,
    Scan,
    ScanOptions,
    first_problem,
    in_order,
    label_of_code,
    picture_row,
)
from openfer.data.layouts.disk import (
    VIDEOS,
    Finder,
    Listing,
    SideFiles,
    find_file,
    find_folder,
    listing,
    numbers,
    set_root,
    stem,
    suffix,
)
from openfer.data.layouts.folds import split_by_subject
from openfer.data.layouts.lists import Once, list_rows
from openfer.data.layouts.video import UNREAD_VIDEO, frames_from_one
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS
from openfer.records import OK

LABELS = LABEL_SETS["mmi"]
FRONTAL = "0"
NOT_FRONTAL = "not a frontal view"
OTHER_STATE = "another state than the six emotions"
TREE = "Sessions/<number>/ with S001-001.avi, S001-001.xml"

Markers = dict[str, list[tuple[int, int]]]
"""Action unit -> frame and type of its markers, in the order of the frames."""


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every session. Raises `DataError` where a file says what cannot be."""
    options.only("mmi", "fold")
    notes: list[str] = []
    place = set_root(root, _is_here, "MMI", TREE, notes)
    selected = find_folder(place, "Select_Frames")
    if selected is not None:
        if options.fold:
            raise ConfigError(f"--fold {options.fold}: {selected} has lists of its own")
        return Scan(rows=_read_selected(place, selected, notes), labels=LABELS, notes=notes, root=place)
    sessions = find_folder(place, "Sessions")
    assert sessions is not None
    rows = [row for name in listing(sessions).folders for row in _session(place, sessions / name, notes)]
    if not rows:
        raise DataError(f"{sessions}: no clip or still in any session; expected {TREE}")
    rule = split_by_subject(rows, options, notes)
    return Scan(rows=rows, labels=LABELS, rule=f"emotion of the session{rule}", notes=notes, root=place)


def _is_here(place: Path) -> bool:
    return find_folder(place, "Sessions", "Select_Frames") is not None


def _session(place: Path, folder: Path, notes: list[str]) -> list[Row]:
    inner = listing(folder)
    views = _views(folder, inner, notes)
    clips = [name for name in inner.files if suffix(name) in VIDEOS or name in inner.pictures]
    return [_clip(place, inner, name, views) for name in clips]


def _clip(place: Path, inner: Listing, name: str, views: dict[str, str]) -> Row:
    folder, key = inner.folder, stem(name)
    subject = re.match(r"S\d{3}", key, re.IGNORECASE)
    label, status, source = _emotion(folder, inner, key)
    markers = _markers(folder, inner, f"{key}-oao_aucs.xml")
    path = f"{folder.relative_to(place).as_posix()}/{name}"
    frame = _apex(markers)
    problem = inner.status(name)
    if suffix(name) in VIDEOS:
        if key in inner.folders and (frames := frames_from_one(folder / key)):
            frame = frame if frame in frames else list(frames)[len(frames) // 2]
            path = f"{folder.relative_to(place).as_posix()}/{key}/{frames[frame]}"
        else:
            problem = UNREAD_VIDEO
    view = views.get(name.lower(), views.get("", FRONTAL))
    if view != FRONTAL:
        problem = NOT_FRONTAL if view in ("1", "2") else f"{NOT_FRONTAL}, or not known"
    return picture_row(
        path,
        label=label,
        split=None,
        source=f"{folder.relative_to(place).as_posix()}/{source}",
        status=first_problem(problem, status),
        subject=subject[0].upper() if subject else None,
        group=key,
        aus=_units(markers, None if name in inner.pictures else frame),
    )


def _parse(path: Path) -> ET.Element | None:
    """The root of an xml file; None where it is damaged."""
    try:
        return ET.parse(path).getroot()
    except (ET.ParseError, UnicodeDecodeError, LookupError, ValueError):
        return None


def _views(folder: Path, inner: Listing, notes: list[str]) -> dict[str, str]:
    """View by the name of the track's file; under the empty name that of every other file, `?` where tracks differ."""
    path = find_file(folder, "session.xml")
    root = _parse(path) if path else None
    if root is None:
        notes.append(f"{folder.name}: {'damaged' if path else 'no'} session.xml, taken for frontal")
        return {}
    tracks = [one for one in root.iter() if one.tag.lower().endswith("track") and one.get("view") is not None]
    pairs = [((one.get("filename") or one.get("fileName") or "").lower(), str(one.get("view"))) for one in tracks]
    named = {name: view for name, view in pairs if name}
    views = {view for name, view in pairs if not name} or set(named.values())
    return named | {"": views.pop() if len(views) == 1 else FRONTAL if not views else "?"}


def _emotion(folder: Path, inner: Listing, key: str) -> tuple[str | None, str, str]:
    """Label, status and the file that says so."""
    path = find_file(folder, f"{key}.xml")
    if path is None:
        return None, NO_LABEL, key
    root = _parse(path)
    if root is None:
        return None, f"{NO_LABEL}: damaged xml", path.name
    values = {
        str(one.get("Value", "")).strip()
        for one in root.iter()
        if one.tag.endswith("Metatag") and str(one.get("Name")).lower() == "emotion"
    }
    if len(values) > 1:
        raise DataError(f"{path}: several emotions ({', '.join(sorted(values))}); one of them is wrong")
    code = next(iter(values), "")
    if not code:
        return None, NO_LABEL, path.name
    if code.isdecimal() and int(code) > len(LABELS):
        return None, OTHER_STATE, path.name
    return label_of_code(code, LABELS, str(path)), OK, path.name


def _markers(folder: Path, inner: Listing, name: str) -> Markers:
    path = find_file(folder, name)
    root = _parse(path) if path else None
    found: Markers = {}
    for unit in root.iter() if root is not None else ():
        if not unit.tag.endswith("ActionUnit"):
            continue
        pairs = [(one.get("Frame", ""), one.get("Type", "")) for one in unit.iter() if one.tag.endswith("Marker")]
        number = unit.get("Number", "")
        if not number.isdecimal() or not all(a.isdecimal() and b in ("0", "1", "2", "3") for a, b in pairs):
            raise DataError(f"{path}: action unit '{number}' has a marker that is no frame and type from 0 to 3")
        found.setdefault(f"AU{int(number)}", []).extend((int(a), int(b)) for a, b in pairs)
    return {unit: sorted(pairs) for unit, pairs in found.items()}


def _apex(markers: Markers) -> int | None:
    """The middle of the frames between the first marker of type 2 and the last of type 3 (or 2)."""
    frames = [frame for pairs in markers.values() for frame, kind in pairs if kind in (2, 3)]
    return (min(frames) + max(frames)) // 2 if frames else None


def _units(markers: Markers, frame: int | None) -> dict[str, float] | None:
    """Which action units show at a frame; for a still all that have a marker other than neutral."""
    if not markers:
        return None
    shown = {}
    for unit, pairs in markers.items():
        kinds = [kind for at, kind in pairs if frame is None or at <= frame]
        shown[unit] = float(any(kinds) if frame is None else bool(kinds and kinds[-1]))
    return shown


def _read_selected(place: Path, selected: Path, notes: list[str]) -> list[Row]:
    """AUE-CRL's form."""
    folders = listing(selected).folders
    images = next((selected / name for name in folders if name.lower().startswith("imgs")), None)
    emotions = next((selected / name for name in folders if name.lower().startswith("emotions")), None)
    lists = {
        split: path
        for split, word in (("train", "train"), ("validation", "val"))
        if (path := find_file(find_folder(selected, "list"), f"id_{word}_list_crossval0.txt"))
    }
    if images is None or emotions is None or not lists:
        raise DataError(f"{selected}: expected Imgs_…/, Emotions_…/ and list/id_train_list_crossval0.txt")
    finder, once, rows = Finder(place, images), Once("split"), list[Row]()
    points = SideFiles("68 points", find_folder(selected, "Landmarks_68_FAN"))
    known = {name.lower(): name for name in listing(emotions).files}
    for split, path in lists.items():
        for line, (key,) in list_rows(path, notes, 1, "the id of a picture"):
            if once.again(key.casefold(), "", f"{path}, line {line}", split):
                continue
            name = known.get(f"{key}.txt".lower())
            values = numbers((emotions / name).read_bytes()) if name else None
            label, status = None, NO_LABEL
            if values is not None and values.size:
                # Codes from 0, unlike those of the xml files.
                code = f"{values[0]:g}"
                where = f"{emotions / str(name)}, line 1"
                if code not in [str(index) for index in range(len(LABELS))]:
                    raise DataError(f"{where}: class code '{code}'; expected 0 to 5 ({', '.join(LABELS)})")
                label, status = LABELS.names[int(code)], OK
            elif name:
                status = f"{NO_LABEL}: damaged {name}"
            found, there = finder.find(f"{key}.jpg", f"{key}.png")
            beside = points.read(136, f"{key}.txt") if points else None
            subject = re.match(r"S\d{3}", key, re.IGNORECASE)
            rows.append(
                picture_row(
                    found,
                    label=label,
                    split=split,
                    source=f"{path.name}:{line}",
                    status=first_problem(there, status),
                    subject=subject[0].upper() if subject else None,
                    landmarks68=None if beside is None else beside.reshape(68, 2),
                )
            )
    for reporter in (finder, once, points):
        reporter.report(notes)
    return in_order(rows)
