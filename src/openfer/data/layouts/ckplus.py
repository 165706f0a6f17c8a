"""CK+: sequences from a neutral face to the peak of an expression.

    cohn-kanade-images/S005/001/S005_001_00000011.png            593 sequences of 123 people
    Emotion/S005/001/S005_001_00000011_emotion.txt               also Emotion_labels/Emotion/: one code for the peak
    FACS/S005/001/S005_001_00000011_facs.txt                     also FACS_labels/FACS/: AU and intensity a line
    Landmarks/S005/001/S005_001_00000011_landmarks.txt           also Landmarks/Landmarks/: 68 lines of x and y
    anger/S005_001_00000011.png  contempt/ …                     class folders (CK+48)

Codes: 0 neutral (in no file), 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happiness, 6 sadness, 7 surprise. A sequence
without an emotion file has no label. `--variant last` (default) reads the peak, `last3` the last three frames;
`last+neutral` and `last3+neutral` also the first frame of a labelled sequence as neutral. Action units: 1 to 5 is the
intensity (A to E), null an AU that is there without one; what is not listed is absent. The group is the sequence.
There is no official split; `--fold K/N` takes whole people.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openfer.data.layouts.common import NO_LABEL, Row, Scan, ScanOptions, head, label_of_code, picture_row
from openfer.data.layouts.disk import find_folder, listing, numbers, set_root, stem
from openfer.data.layouts.folder import refuse_two_classes, scan_classes
from openfer.data.layouts.folds import split_by_subject
from openfer.data.layouts.video import frames_by_number
from openfer.data.pictures import MISSING
from openfer.errors import DataError
from openfer.labels import LABEL_SETS, canonical
from openfer.records import OK

CODES = LABEL_SETS["ckplus"]
NAME = re.compile(r"(S\d{3})_(\d{3})_(\d+)", re.IGNORECASE)
VARIANTS = ("last", "last3", "last+neutral", "last3+neutral")
TREE = "cohn-kanade-images/S005/001/ and Emotion/S005/001/, or class folders"


def read(root: Path, options: ScanOptions) -> Scan:
    """Read every sequence. Raises `DataError` where a file says what cannot be."""
    options.only("ckplus", "variant", "fold")
    variant = options.variant_of(*VARIANTS) or "last"
    notes: list[str] = []
    place = set_root(root, _is_here, "CK+", TREE, notes)
    images = find_folder(place, "cohn-kanade-images")
    neutral = variant.endswith("+neutral")
    labels = LABEL_SETS["ckplus_neutral"] if neutral else CODES
    if images is None:
        scan = _read_classes(place, notes)
        rule = split_by_subject(scan.rows, options, notes)
        return replace(scan, rule=f"class folders{rule}", root=place)
    reader = _Reader(place, images, last=3 if variant.startswith("last3") else 1, neutral=neutral)
    rows = reader.rows(notes)
    rule = split_by_subject(rows, options, notes)
    return Scan(rows=rows, labels=labels, rule=f"{variant} of a labelled sequence{rule}", notes=notes, root=place)


def _is_here(place: Path) -> bool:
    words = {canonical(name) for name in listing(place).folders}
    return find_folder(place, "cohn-kanade-images") is not None or {"contempt", "disgust", "fear"} <= words


def _read_classes(place: Path, notes: list[str]) -> Scan:
    scan = scan_classes(place, [("train", place)], CODES, notes, words_only=True)
    refuse_two_classes(scan.rows)
    for row in scan.rows:
        match = NAME.match(Path(row["source"]).name)
        if match:
            row |= {"subject": match[1].upper(), "group": f"{match[1].upper()}_{match[2]}"}
    return scan


class _Reader:
    """Frames, labels, action units and points of every sequence."""

    def __init__(self, place: Path, images: Path, *, last: int, neutral: bool) -> None:
        self._place, self._images = place, images
        self._last, self._neutral = last, neutral
        self._emotion = find_folder(place, "Emotion", "Emotion_labels/Emotion", "Emotion_labels")
        if self._emotion is None:
            raise DataError(f"{place}: no Emotion/ with the labels")
        self._facs = find_folder(place, "FACS", "FACS_labels/FACS", "FACS_labels")
        self._points = find_folder(place, "Landmarks/Landmarks", "Landmarks")
        self._not_last: list[str] = []
        self._no_points = 0

    def rows(self, notes: list[str]) -> list[Row]:
        sequences = _sequences(self._images, notes)
        labelled = _sequences(self._emotion, notes)
        rows: list[Row] = []
        alone = [key for key in labelled if key not in sequences]
        for key in sorted({*sequences, *labelled}):
            rows += self._sequence(key, sequences.get(key))
        groups = len({row["group"] for row in rows if row["label"]})
        notes.append(f"{len(sequences)} sequences, {groups} labelled; the official release has 593 and 327")
        if alone:
            notes.append(f"{len(alone)} sequences of Emotion/ have no frames: {head([f'{a}/{b}' for a, b in alone])}")
        if self._not_last:
            notes.append(f"{len(self._not_last)} labels are not of the last frame: {head(self._not_last)}")
        if self._no_points:
            notes.append(f"{self._no_points} frames without 68 points")
        return rows

    def _sequence(self, key: tuple[str, str], folder: Path | None) -> list[Row]:
        subject, number = key
        frames = frames_by_number(folder) if folder else {}
        for name in frames.values():
            if not name.upper().startswith(f"{subject}_{number}_"):
                raise DataError(f"{self._images / subject / number / name}: by its name of another sequence")
        label, status, peak, source = self._label(key, frames)
        if label is None and not frames:
            return []
        base = f"{self._images.relative_to(self._place).as_posix()}/{subject}/{number}"
        known: dict[str, Any] = {"split": None, "subject": subject, "group": f"{subject}_{number}"}
        if peak not in frames:
            name = f"{subject}_{number}_{peak:08d}.png"
            return [picture_row(f"{base}/{name}", label=label, source=source, status=MISSING, **known)]
        upto = [frame for frame in frames if frame <= peak]
        rows = []
        if self._neutral and label is not None:
            first = frames[min(frames)]
            extra: dict[str, Any] = {"landmarks68": self._landmarks(key, stem(first))}
            rows.append(picture_row(f"{base}/{first}", label="neutral", source=source, **known, **extra))
        chosen = upto[-self._last :] if label is not None else upto[-1:]
        for frame in chosen:
            name = frames[frame]
            extra = {"landmarks68": self._landmarks(key, stem(name))}
            if frame == peak:
                extra["aus"] = self._units(key, stem(name))
            rows.append(picture_row(f"{base}/{name}", label=label, source=source, status=status, **known, **extra))
        return rows

    def _label(self, key: tuple[str, str], frames: dict[int, str]) -> tuple[str | None, str, int, str]:
        """Label, status, the frame it is of, and the file that says so."""
        assert self._emotion is not None
        folder = find_folder(self._emotion, "/".join(key))
        files = [name for name in listing(folder).files if name.lower().endswith("_emotion.txt")] if folder else []
        last = max(frames, default=0)
        if not files:
            return None, NO_LABEL, last, f"{self._images.name}/{'/'.join(key)}"
        assert folder is not None
        if len(files) > 1:
            raise DataError(f"{folder}: {' and '.join(files)}; a sequence has one label")
        path = folder / files[0]
        match = NAME.match(files[0])
        if match is None or (match[1].upper(), match[2]) != key:
            raise DataError(f"{path}: by its name of another sequence")
        peak = int(match[3])
        source = path.relative_to(self._place).as_posix()
        values = numbers(path.read_bytes())
        if values is not None and not values.size:
            return None, f"{NO_LABEL}: empty emotion file", last, source
        if values is None or values.size != 1 or values[0] != int(values[0]):
            raise DataError(f"{path}, line 1: expected one code from 1 to 7, such as 3.0000000e+00")
        label = label_of_code(str(int(values[0])), CODES, f"{path}, line 1")
        if frames and peak != last:
            self._not_last.append(source)
        return label, OK, peak, source

    def _units(self, key: tuple[str, str], name: str) -> dict[str, float | None] | None:
        path = self._beside(self._facs, key, f"{name}_facs.txt")
        if path is None:
            return None
        units: dict[str, float | None] = {}
        for line, text in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), 1):
            values = numbers(text.encode())
            if values is None or values.size not in (0, 2) or any(value != int(value) for value in values):
                raise DataError(f"{path}, line {line}: expected an AU and its intensity")
            if values.size:
                unit, intensity = map(int, values)
                if not 0 <= intensity <= 5:
                    raise DataError(f"{path}, line {line}: intensity {intensity}; expected 0 (not given) to 5")
                if units.get(f"AU{unit}", intensity or None) != (intensity or None):
                    raise DataError(f"{path}, line {line}: AU {unit} has two intensities")
                units[f"AU{unit}"] = float(intensity) if intensity else None
        return units

    def _landmarks(self, key: tuple[str, str], name: str) -> NDArray[np.float32] | None:
        path = self._beside(self._points, key, f"{name}_landmarks.txt")
        values = numbers(path.read_bytes()) if path else None
        if values is None or values.size != 136:
            self._no_points += self._points is not None
            return None
        return values.reshape(68, 2)

    @staticmethod
    def _beside(folder: Path | None, key: tuple[str, str], name: str) -> Path | None:
        path = folder / key[0] / key[1] / name if folder else None
        return path if path is not None and path.is_file() else None


def _sequences(folder: Path | None, notes: list[str]) -> dict[tuple[str, str], Path]:
    """Subject and sequence of every folder below, in order."""
    if folder is None:
        return {}
    inner = [(subject, number) for subject in listing(folder).folders for number in listing(folder / subject).folders]
    known = [pair for pair in inner if re.fullmatch(r"S\d{3}/\d{3}", "/".join(pair), re.IGNORECASE)]
    others = ["/".join(pair) for pair in inner if pair not in set(known)]
    if others:
        notes.append(f"{len(others)} folders of {folder.name}/ are no sequence like S005/001, left out: {head(others)}")
    return {(subject.upper(), number): folder / subject / number for subject, number in known}
