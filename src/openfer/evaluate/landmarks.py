"""A row's landmarks for a model that reads them: its own, else those that the landmark network finds."""

from __future__ import annotations

import numpy as np

from openfer.bundle.load import Array
from openfer.data.manifest import Manifest
from openfer.data.pictures import decode
from openfer.data.placed import placed_landmarks
from openfer.records import Box
from openfer.vision.align import shares_of_square
from openfer.vision.cut import Cut
from openfer.vision.image import Picture
from openfer.vision.landmarks import MIN_QUALITY, NO_POINTS, Landmarker, Square, square_of_frame, square_of_points


def row_landmarks(manifest: Manifest, row: int, cut: Cut, landmarker: Landmarker) -> Array:
    """Landmarks in shares of the square that a row was cut from, float32 [68, 2]; NaN where there are none to use.

    A row that was searched for landmarks before (`landmarks_status`) is not searched again.

    Raises:
        DataError: the row's landmarks are not 68 points.
    """
    placed = placed_landmarks(manifest, row, cut.square)
    if np.isfinite(placed).all() or manifest.value(row, "landmarks_status") is not None:
        return placed
    picture, _ = decode(manifest, row)
    if picture is None:
        return NO_POINTS
    found = landmarker.find(picture, [_around(cut, manifest.box(row), picture)])[0]
    shares = shares_of_square(found.points, cut.square).astype(np.float32)
    return shares if found.quality >= MIN_QUALITY and np.isfinite(shares).all() else NO_POINTS


def _around(cut: Cut, box: Box | None, picture: Picture) -> Square:
    """Where the face is: by the points that it was cut by, else its frame."""
    if cut.points5 is not None:
        return square_of_points(cut.points5)
    return square_of_frame(box or Box(x=0, y=0, w=picture.shape[1], h=picture.shape[0]))
