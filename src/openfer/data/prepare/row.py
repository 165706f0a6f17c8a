"""One row: what is given is kept, what is missing is found, and what cannot be found has a status that says so."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.data.manifest import Manifest
from openfer.data.pictures import decode
from openfer.data.prepare.options import PrepareOptions
from openfer.errors import DataError
from openfer.records import NO_FACE, OK, UNCERTAIN, UNREADABLE, Box, Points5, as_points5
from openfer.vision.align import TEMPLATES, colour_of, fit_similarity, shares_of_square, upright_square, warp
from openfer.vision.au_locations import au_locations
from openfer.vision.cut import find_in_frame
from openfer.vision.detect import Detector
from openfer.vision.image import Picture
from openfer.vision.landmarks import MIN_QUALITY, Landmarker, square_of_frame, square_of_points
from openfer.vision.mean_face import mean_face
from openfer.vision.patches import REGIONS, cut_patches, moved_regions

GIVEN, DETECTED = "given", "detected"
POINTS_STATUSES = (GIVEN, DETECTED, NO_FACE, UNREADABLE)
LANDMARKS_STATUSES = (GIVEN, DETECTED, UNCERTAIN, NO_FACE, UNREADABLE)

Values = dict[str, Any]
Square = tuple[complex, complex]


def prepare_row(
    manifest: Manifest, row: int, detector: Detector, landmarker: Landmarker | None, options: PrepareOptions
) -> Values:
    """The columns of `options` for one row; pictures as encoded bytes, None where there are none."""
    values: Values = dict.fromkeys(options.columns)
    values["status"] = manifest.value(row, "status") or OK
    try:
        values |= _given_points(manifest, row)
        values |= _given_landmarks(manifest, row) if options.landmarks else {}
    except DataError as error:
        return _unreadable(values, f"{UNREADABLE}: {error}")
    points5: Points5 | None = values["points5"]
    if points5 is not None and not options.landmarks and not options.pictures:
        return values
    picture, readable = decode(manifest, row)
    if picture is None:
        return _unreadable(values, readable)
    frame = frame_of(manifest, row, picture)
    if points5 is None:
        points5 = _find_points(picture, detector, manifest.box(row)) if frame else None
        values |= {"points5": points5, "points5_status": NO_FACE if points5 is None else DETECTED}
    if landmarker is not None and options.landmarks and values["landmarks68"] is None:
        values |= _find_landmarks(picture, landmarker, points5, frame)
    return values | _from_face(picture, points5, frame, values, options)


def _given_points(manifest: Manifest, row: int) -> Values:
    points5 = manifest.points5(row)
    return {"points5": points5, "points5_status": points5 and (manifest.value(row, "points5_status") or GIVEN)}


def _given_landmarks(manifest: Manifest, row: int) -> Values:
    landmarks = manifest.landmarks68(row)
    if landmarks is None:
        return {}
    values = {name: manifest.value(row, name) for name in ("landmark_confidence", "landmark_quality")}
    status = manifest.value(row, "landmarks_status") or GIVEN
    return values | {"landmarks68": landmarks.astype(np.float32), "landmarks_status": status}


def _unreadable(values: Values, why: str) -> Values:
    """The row with the reason; what is known of it stays."""
    statuses = {name: UNREADABLE for name in ("points5_status", "landmarks_status") if values.get(name, OK) is None}
    return values | statuses | ({"status": why} if values["status"] == OK else {})


def frame_of(manifest: Manifest, row: int, picture: Picture) -> Box | None:
    """A row's frame: its box, else the whole picture; None where its box is none that can be cut."""
    try:
        box = manifest.box(row) or Box(x=0, y=0, w=picture.shape[1], h=picture.shape[0])
        return box if np.isfinite(upright_square(box)).all() else None
    except DataError:
        return None


def _find_points(picture: Picture, detector: Detector, box: Box | None) -> Points5 | None:
    try:
        face = find_in_frame(picture, detector, box=box)
    except DataError:  # the box is far larger than the picture
        return None
    # As the manifest will hold them, so that whoever reads it cuts the same face.
    return as_points5(np.array(face.points5, dtype=np.float32)) if face and face.points5 else None


def _find_landmarks(picture: Picture, landmarker: Landmarker, points5: Points5 | None, frame: Box | None) -> Values:
    """Landmarks around the five points, else inside the frame, which is known to hold a face.

    Those of a quality below `MIN_QUALITY` are `uncertain`; what follows from landmarks is then that of the mean face.
    """
    around = None if frame is None else square_of_frame(frame)
    if points5 is not None:
        with suppress(DataError):  # given points that coincide
            around = square_of_points(points5)
    found = landmarker.find(picture, [around])[0] if around else None
    usable = found is not None and found.quality >= MIN_QUALITY
    values: Values = {"landmark_quality": found.quality if found else None, "landmarks_status": NO_FACE}
    if found is None or not (usable or points5):
        return values
    return values | {
        "landmarks68": found.points,
        "landmark_confidence": found.confidence,
        "landmarks_status": DETECTED if usable else UNCERTAIN,
    }


def _from_face(
    picture: Picture, points5: Points5 | None, frame: Box | None, found: Values, options: PrepareOptions
) -> Values:
    """What is seen from the aligned face: places of action units, the face itself, its patches."""
    values: Values = {}
    try:
        square, mean = face_square(points5, frame, options)
        landmarks = mean
        if found.get("landmarks_status") in (GIVEN, DETECTED):
            landmarks = shares_of_square(found["landmarks68"], square)
        if options.landmarks:
            values["au_locations"] = au_locations(landmarks).astype(np.float32)
        if not options.pictures:
            return values
        face = colour_of(warp(picture, square, options.align.size, options.align.detail), options.align.colour)
    except DataError:  # there is no square, or it is far larger than the picture
        return values
    if options.crops:
        values["face"] = png(face)
    if options.patches:
        regions = moved_regions(landmarks, mean) if options.patches == "landmarks" else REGIONS
        patches = cut_patches(face, regions, side=options.patch_side)
        values |= {name: png(patch) for name, patch in patches.items()}
    return values


def face_square(
    points5: Points5 | None, frame: Box | None, options: PrepareOptions
) -> tuple[Square, NDArray[np.float64]]:
    """Where the aligned face lies: by the points, else the frame.

    Returns:
        the similarity z -> a z + b that lays the unit square into the picture; the mean face's landmarks [68, 2] in
        shares of the square's side.

    Raises:
        DataError: there is nothing to cut by.
    """
    align = options.align
    if points5 is not None and options.cut == "points":
        with suppress(DataError):  # given points that coincide
            square = fit_similarity(TEMPLATES[align.template], np.asarray(points5, dtype=np.float64))
            return square, mean_face(align.template)
    if frame is None:
        raise DataError("neither points nor a frame")
    mean = (mean_face("fer2013") + align.margin) / (1 + 2 * align.margin)
    return upright_square(frame, align.margin), mean


def png(pixels: Picture) -> bytes:
    """A picture uint8 [H, W, 3] as the bytes of a PNG file, of one channel where it is grey."""
    grey = bool((pixels == pixels[:, :, :1]).all())
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if grey else pixels).save(stream, "PNG", compress_level=4)
    return stream.getvalue()
