"""AFEW / EmotiW: clips of films, a folder a class; the faces that were delivered with the challenge are read.

    Train/Angry/000123450.avi  Val/…  Test/000123450.avi      also Train_AFEW/ …; Test has no labels
    Faces/Train/000123450/0001.jpg                            aligned faces; also Train_Aligned_Faces/, in Train/ too
    Train/Angry/000123450/0001.jpg                            --variant original: frames in a folder beside the clip

Folders: Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise; the owner gives no codes. A row is a frame; its group is
the clip. The same number can be another clip in another part. A clip without frames is a row with a status, because
the official evaluation counts it as an error. Three folders of crops are read as in `openfer.data.layouts.forms`.
"""

from __future__ import annotations

from pathlib import Path

from openfer.data.layouts import forms
from openfer.data.layouts.common import Row, Scan, ScanOptions, head, label_of_word, picture_row
from openfer.data.layouts.disk import VIDEOS, find_folder, listing, set_root, stem, suffix
from openfer.data.layouts.video import UNREAD_VIDEO
from openfer.errors import ConfigError, DataError
from openfer.files import natural_key
from openfer.labels import LABEL_SETS, canonical
from openfer.records import NO_FACE

LABELS = LABEL_SETS["afew"]
PARTS = {"train": "Train", "validation": "Val", "test": "Test"}
OFFICIAL: dict[str | None, int] = {"train": 773, "validation": 383}
TREE = "Train/<class>/<clip>.avi, Val/<class>/<clip>.avi and Faces/{Train,Val}/<clip>/"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every clip's frames. Raises `DataError` where a folder is no class or a clip of a part has two."""
    options.only("afew", "variant")
    variant = options.variant_of("aligned", "original")
    notes: list[str] = []
    if variant is None and forms.is_crops(root):
        return forms.read_crops(root, LABELS, notes)
    place = set_root(root, _is_here, "AFEW", TREE, notes)
    parts = _parts(place)
    faces = {split: folder for split in parts if (folder := _faces(place, parts[split], PARTS[split]))}
    if variant == "aligned" and not faces:
        raise ConfigError(f"--variant aligned: {place} has no Faces/")
    if variant == "original" or not faces:
        faces = {}
        notes.append("frames read from folders beside the clips")
    rows: list[Row] = []
    for split, part in parts.items():
        if faces and split not in faces:
            notes.append(f"{split}: no aligned faces for this part")
        rows += _part(place, split, part, faces.get(split), notes)
    if faces and any(row["status"] == UNREAD_VIDEO for row in rows):
        notes.append("parts without aligned faces have no picture to read")
    return Scan(rows=rows, labels=LABELS, notes=notes, official=OFFICIAL, counted="groups", root=place)


def _is_here(place: Path) -> bool:
    return bool(_parts(place)) and place.name.lower() != "faces"


def _parts(place: Path) -> dict[str, Path]:
    found = {}
    for split, name in PARTS.items():
        part = find_folder(place, name, f"{name}_AFEW")
        inner = listing(part) if part else None
        if (
            part
            and inner
            and (any(canonical(one) in LABELS for one in inner.folders) or (split == "test" and _clips(part)))
        ):
            found[split] = part
    return found


def _faces(place: Path, part: Path, name: str) -> Path | None:
    aligned = f"{name}_Aligned_Faces"
    return find_folder(place, f"Faces/{name}", f"Faces/{aligned}", aligned) or find_folder(part, aligned)


def _clips(folder: Path) -> dict[str, str | None]:
    """Every clip of a folder and its video's file name; None where only its folder of frames is there."""
    inner = listing(folder)
    videos: dict[str, str | None] = {stem(name): name for name in inner.files if suffix(name) in VIDEOS}
    frames: dict[str, str | None] = {name: None for name in inner.folders if name.isdecimal()}
    return frames | videos


def _part(place: Path, split: str, part: Path, faces: Path | None, notes: list[str]) -> list[Row]:
    said: dict[str, tuple[str | None, Path, str | None]] = {}
    label: str | None
    words = [name for name in listing(part).folders if "aligned_faces" not in name.lower() and not name.isdecimal()]
    for word in words:
        label = label_of_word(word, LABELS, str(part / word))
        for clip, video in _clips(part / word).items():
            before = said.setdefault(clip, (label, part / word, video))
            if before[0] != label:
                raise DataError(f"{part / word}: the clip {clip} is {before[0]} in {before[1]}; one of them is wrong")
    if split == "test":
        said |= {clip: (None, part, video) for clip, video in _clips(part).items() if clip not in said}
    frames_of = {name: name for name in listing(faces).folders} if faces else {}
    rows: list[Row] = []
    for clip in sorted(said, key=natural_key):
        label, folder, video = said[clip]
        frames = faces / clip if faces and clip in frames_of else None
        if not faces and (folder / clip).is_dir():
            frames = folder / clip
        source = f"{folder.relative_to(place).as_posix()}/{video or clip}"
        inner = listing(frames) if frames else None
        if inner and inner.pictures:
            assert frames is not None
            path = frames.relative_to(place).as_posix()
            rows += [
                picture_row(
                    f"{path}/{name}", label=label, split=split, source=source, status=inner.status(name), group=clip
                )
                for name in inner.pictures
            ]
        else:
            status = NO_FACE if faces else UNREAD_VIDEO
            rows.append(picture_row(source, label=label, split=split, source=source, status=status, group=clip))
    unlabelled = sorted(frames_of.keys() - said.keys(), key=natural_key)
    if unlabelled:
        notes.append(f"{split}: {len(unlabelled)} folders of faces belong to no clip, left out: {head(unlabelled)}")
    return rows
