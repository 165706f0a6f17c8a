"""A row of a data set becomes the network's picture, and says by which way it was cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from openfer.records import Box, Face, Points5, as_points5
from openfer.vision.align import (
    TEMPLATES,
    Alignment,
    Square,
    colour_of,
    eye_distance,
    fit_similarity,
    frame,
    upright_square,
    warp,
)
from openfer.vision.detect import Detector
from openfer.vision.image import Picture

Way = Literal["points", "detected", "frame"]
WAYS: tuple[Way, ...] = ("points", "detected", "frame")

FRAME_SIDE = 192
"""A given box is searched for its face at this size, whatever its own. No border is repeated around it: of 300 FER+
pictures, 48 px and tight, 295 are found, with a border of 5 % on each side 288, of 25 % 266."""
FRAME_THRESHOLD = 0.3
"""In a row that is known to hold a face the detector may be less strict than in a photo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A face as the network reads it.

    Args:
        pixels: uint8 [size, size, 3].
        way: `points` cut by the row's own five points, `detected` by points found in its frame, `frame` as given.
        points5: the points it was cut by, pixels of the full picture; None for `frame`.
        square: where it was cut: the similarity z -> a z + b that lays the unit square into the full picture.
    """

    pixels: Picture
    way: Way
    points5: Points5 | None
    square: Square


def cut_face(
    picture: Picture,
    alignment: Alignment,
    *,
    points5: Points5 | None = None,
    box: Box | None = None,
    detector: Detector | None = None,
) -> Cut:
    """Cut one face by its own points, else by points found in its frame, else by the frame.

    Args:
        picture: uint8 [H, W, 3].
        alignment: the network's settings.
        points5: known points, pixels of `picture`.
        box: the given frame; None for the whole picture.
        detector: finds points where none are given; None goes straight to the frame.

    Raises:
        DataError: points or box cannot be cut (coincident, empty, far outside).
    """
    way: Way = "points"
    if points5 is None and detector is not None:
        found = find_in_frame(picture, detector, box=box)
        points5, way = (found.points5 if found else None), "detected"
    if points5 is None:
        height, width = picture.shape[:2]
        given = box or Box(x=0, y=0, w=width, h=height)
        square, way = upright_square(given, alignment.margin), "frame"
    else:
        square = fit_similarity(TEMPLATES[alignment.template], np.asarray(points5, dtype=np.float64))
    pixels = warp(picture, square, alignment.size, alignment.detail)
    return Cut(pixels=colour_of(pixels, alignment.colour), way=way, points5=points5, square=square)


def find_in_frame(picture: Picture, detector: Detector, *, box: Box | None = None) -> Face | None:
    """The face of a row, its points and box in pixels of `picture`; None where the detector sees none.

    Without a box the whole picture is searched as the predictor would, and the largest face is the row's. With one,
    only its square is; a face that does not cover the square's centre, or whose eyes are nearer than a tenth of its
    side, is somebody else's.
    """
    if box is None:
        return next(iter(detector.find(picture, threshold=FRAME_THRESHOLD)), None)
    side = max(box.w, box.h)
    if side <= 0:
        return None
    square = frame(picture, box, 0.0, FRAME_SIDE)
    scale = side / FRAME_SIDE
    left, top = box.x + box.w / 2 - side / 2, box.y + box.h / 2 - side / 2
    middle = FRAME_SIDE / 2
    for face in detector.find(square, detect_size=FRAME_SIDE, threshold=FRAME_THRESHOLD):
        covers = abs(face.box.x + face.box.w / 2 - middle) < face.box.w / 2
        covers = covers and abs(face.box.y + face.box.h / 2 - middle) < face.box.h / 2
        if not covers or face.points5 is None or eye_distance(face.points5) < FRAME_SIDE / 10:
            continue
        return Face(
            box=Box(
                x=face.box.x * scale + left,
                y=face.box.y * scale + top,
                w=face.box.w * scale,
                h=face.box.h * scale,
            ),
            score=face.score,
            points5=as_points5(np.asarray(face.points5) * scale + (left, top)),
        )
    return None
