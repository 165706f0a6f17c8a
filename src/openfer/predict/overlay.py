"""Predictions drawn into their picture: a frame, label, confidence and a small chart for each face."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image

from openfer.predict.colours import colour_of
from openfer.predict.drawing.faces import marked
from openfer.predict.drawing.heat import lay_heat, with_key
from openfer.predict.drawing.outline import outline
from openfer.predict.drawing.paint import bar, frame
from openfer.predict.drawing.placing import place
from openfer.predict.drawing.units import lay_units
from openfer.records import Prediction
from openfer.vision.image import Picture

LONG, SHORT = 480, 160
"""A picture with a shorter longer side, or a shorter shorter side, is enlarged by a whole factor: for the letters."""
LARGEST = 4096
"""A strip is not enlarged beyond this longer side, pixels."""


def draw(picture: Picture, predictions: Sequence[Prediction]) -> Picture:
    """A copy of the picture with its faces marked: frame, label, confidence and the most probable labels.

    Cards keep off all faces where there is room, off each other, off eyes and mouths always. A face that has no room
    for its chart gets its label, then only its number (`face` in the table), then only its frame; the largest faces
    lose last. Landmarks and action units are drawn where predictions have them. Where predictions carry class maps, a
    layer of heat shows where each face's label comes from, and a strip under the picture is its key.

    Args:
        picture: uint8 [H, W, 3].
        predictions: of this picture; those without a face in it are left out.

    Returns:
        uint8 [s H, s W, 3], s = 1 unless the picture is small (`LONG`, `SHORT`) and has a face; with heat the strip
        comes on top of the height.
    """
    height, width = picture.shape[:2]
    factor = _enlargement(width, height)
    size = (factor * width, factor * height)
    faces = marked(predictions, size, factor)
    if not faces:
        return picture.copy()
    canvas = (
        picture.copy() if factor == 1 else np.array(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    )
    placed = place(faces, size)
    for face in reversed(faces):  # the largest last
        lay_heat(canvas, face.prediction, factor)
    for one in placed:
        colour = colour_of(one.face.prediction.label, tuple(one.face.prediction.probabilities))
        frame(canvas, one.face.frame, colour, one.face.line, dashed=one.face.prediction.undecided)
        if one.card:
            bar(canvas, one.tie, colour, max(1, one.face.line // 3))
    for face in reversed(faces):
        if face.prediction.found and face.prediction.found.landmarks:
            outline(canvas, face.prediction.found.landmarks, factor)
        if face.prediction.aus:
            lay_units(canvas, face.prediction.aus, factor)
    for one in placed:
        if one.card:
            one.card.paint(canvas, *one.rect[:2])
    return with_key(canvas) if any(face.prediction.maps for face in faces) else canvas


def _enlargement(width: int, height: int) -> int:
    long, short = max(width, height), min(width, height)
    return max(ceil(LONG / long), min(ceil(SHORT / short), LARGEST // long), 1)
