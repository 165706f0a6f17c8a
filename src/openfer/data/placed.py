"""A row's landmarks in the frame of the picture that a network reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from openfer.data.manifest import Manifest
from openfer.errors import DataError
from openfer.records import UNCERTAIN
from openfer.vision.align import Square, shares_of_square
from openfer.vision.landmarks import NO_POINTS


def placed_landmarks(manifest: Manifest, row: int, square: Square) -> NDArray[np.float32]:
    """Landmarks in shares of the square that the row was cut from, [68, 2]; NaN where unknown or uncertain.

    Raises:
        DataError: the row's landmarks are not 68 points; the message names the row.
    """
    if manifest.value(row, "landmarks_status") == UNCERTAIN:
        return NO_POINTS
    try:
        landmarks = manifest.landmarks68(row)
    except DataError as error:
        raise DataError(f"{manifest.name(row)}: {error}") from error
    return NO_POINTS if landmarks is None else shares_of_square(landmarks, square).astype(np.float32)
