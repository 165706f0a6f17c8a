"""One picture becomes faces and the pixels to classify: decode, detect, cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.errors import DataError, UnsupportedError
from openfer.predict.sources import Missing
from openfer.records import NO_FACE, OK, UNREADABLE, UNSUPPORTED, Box, Face, Points68, Prediction
from openfer.vision.align import Alignment, Square, cut_side, shares_of_square
from openfer.vision.cut import cut_face
from openfer.vision.detect import Detector
from openfer.vision.image import Decoded, Picture, as_picture, decode, decode_image
from openfer.vision.landmarks import MIN_QUALITY, Landmarker, square_of_face

ImageLike = str | Path | bytes | Image.Image | NDArray[np.generic] | Missing
Order = Literal["rgb", "bgr"]

SPARE = 2.0
"""Large JPEGs are decoded reduced, yet never below this many times the pixels that detector and network look at."""
WITHOUT_POINTS = "read without its 68 points, which were not found"
"""The note of a face whose model reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """How pictures are looked at; the arguments of `Predictor`.

    Args:
        landmarker: None where neither the user nor the model wants landmarks.
        show_landmarks: whether faces carry them.
        read_landmarks: whether the model reads them.
    """

    detector: Detector | None
    alignment: Alignment
    detect_size: int
    max_pixels: int
    order: Order
    landmarker: Landmarker | None = None
    show_landmarks: bool = False
    read_landmarks: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """The 68 points of a face that can be used.

    Args:
        points: pixels of the full picture.
        shares: float32 [68, 2], shares of the side of the network's picture.
    """

    points: Points68
    shares: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one picture holds before classification.

    Args:
        rows: a prediction without probabilities for each face, or one that says why there is none.
        pixels: for each row the face as the network reads it; None where there is nothing to classify.
        marks: for each row its points; None where there are none that can be used.
    """

    rows: list[Prediction]
    pixels: list[Picture | None]
    marks: list[Marks | None]


def look(image: ImageLike, eye: Eye) -> Seen:
    """Decode one picture, find its faces and cut them. Never raises because of the picture."""
    name = name_of(image)
    try:
        decoded, faces = _find(image, eye)
        if eye.landmarker is not None:
            faces = _with_landmarks(decoded.pixels, faces, eye.landmarker)
        if not faces:
            return Seen([Prediction(path=name, status=NO_FACE, note=decoded.note)], [None], [None])
        seen = Seen([], [], [])
        for number, face in enumerate(faces):
            status, note, cut, marks = OK, decoded.note, None, None
            found = _in_full(face, decoded)
            try:
                cut = cut_face(decoded.pixels, eye.alignment, points5=face.points5)
                marks = _marks(face, found, cut.square)
                if eye.read_landmarks and marks is None:
                    note = "; ".join(filter(None, (note, WITHOUT_POINTS)))
            except DataError as error:
                status = _status(error)
            if not eye.show_landmarks:
                found = replace(found, landmarks=None)
            seen.rows.append(Prediction(path=name, face=number, found=found, status=status, note=note))
            seen.pixels.append(None if cut is None else cut.pixels)
            seen.marks.append(marks)
        return seen
    except DataError as error:
        return Seen([Prediction(path=name, status=_status(error))], [None], [None])


def _find(image: ImageLike, eye: Eye) -> tuple[Decoded, list[Face]]:
    """The picture and its faces, in pixels of what was decoded: a large JPEG only as finely as its faces need."""
    kept = eye.alignment.detail or eye.alignment.size
    if eye.detector is None:
        decoded = _read(image, eye, at_least=ceil(SPARE * kept))
        height, width = decoded.pixels.shape[:2]
        return decoded, [Face(box=Box(x=0.0, y=0.0, w=float(width), h=float(height)))]
    decoded = _read(image, eye, at_least=ceil(SPARE * eye.detect_size))
    faces = eye.detector.find(decoded.pixels, detect_size=eye.detect_size)
    sides = [cut_side(face.points5, eye.alignment.template) for face in faces if face.points5]
    long_side = max(decoded.pixels.shape[:2])
    if sides and min(sides) < SPARE * kept and long_side < max(decoded.full_size):
        # The smallest face is too coarse here. The faces stay where they are, the picture gets finer around them.
        finer = _read(image, eye, at_least=ceil(long_side * SPARE * kept / max(min(sides), 1.0)))
        x, y = (new / old for new, old in zip(_size(finer.pixels), _size(decoded.pixels), strict=True))
        decoded, faces = finer, [face.scaled(x, y) for face in faces]
    return decoded, faces


def _with_landmarks(picture: Picture, faces: list[Face], landmarker: Landmarker) -> list[Face]:
    """The faces with their 68 points, all of a picture at once."""
    squares = [square_of_face(face) for face in faces]
    found = landmarker.find(picture, squares)
    return [
        replace(face, landmarks=Points68.of(one.points, one.confidence, one.quality))
        for face, one in zip(faces, found, strict=True)
    ]


def _marks(face: Face, found: Face, square: Square) -> Marks | None:
    """The points of a face, given in pixels of what was decoded and of the full picture, if they can be used."""
    given = face.landmarks
    if given is None or found.landmarks is None or given.quality < MIN_QUALITY:
        return None
    shares = shares_of_square(np.array(given.points), square).astype(np.float32)
    return Marks(found.landmarks, shares) if np.isfinite(shares).all() else None


def _read(image: ImageLike, eye: Eye, *, at_least: int) -> Decoded:
    match image:
        case Missing():
            raise DataError(image.why)
        case str() | Path() | bytes():
            return decode(image, max_pixels=eye.max_pixels, at_least=at_least)
        case np.ndarray():
            pixels = as_picture(image, eye.order)
            return Decoded(pixels=pixels, full_size=_size(pixels), note="")
        case Image.Image():
            return decode_image(image, max_pixels=eye.max_pixels)
        case _:
            raise DataError(f"expected a path, bytes, a PIL image or an array, got {type(image).__name__}")


def _in_full(face: Face, decoded: Decoded) -> Face:
    """The face in pixels of the full picture."""
    size = _size(decoded.pixels)
    if size == decoded.full_size:
        return face
    return face.scaled(decoded.full_size[0] / size[0], decoded.full_size[1] / size[1])


def _size(picture: Picture) -> tuple[int, int]:
    """Width and height."""
    return picture.shape[1], picture.shape[0]


def _status(error: DataError) -> str:
    return f"{UNSUPPORTED if isinstance(error, UnsupportedError) else UNREADABLE}: {error}"


def name_of(image: ImageLike) -> str:
    """What the row calls the picture: always text that can be written as UTF-8."""
    match image:
        case Missing():
            name = image.path
        case str() | Path():
            name = str(image)
        case Image.Image():
            name = str(getattr(image, "filename", "") or "<image>")
        case np.ndarray():
            name = "<array>"
        case _:
            name = f"<{type(image).__name__}>"
    # File systems allow names that are not UTF-8; Python carries them as lone surrogates.
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
