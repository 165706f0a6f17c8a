"""Faces that were looked at go through the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openfer.bundle.load import Array, Bundle
from openfer.predict.look import Seen
from openfer.vision.landmarks import NO_POINTS, mirrored_shares

INPUTS = ("image", "landmarks")
"""What a model may want of a photo's face."""


def run_network(
    bundle: Bundle, seen: Sequence[Seen], outputs: tuple[str, ...], *, mirrored: bool = False
) -> tuple[Array, ...]:
    """The network's outputs for all faces of some pictures, one after the other; () where there are none.

    Args:
        bundle: the model.
        seen: the pictures.
        outputs: names of the card's outputs.
        mirrored: ask about the mirrored faces.
    """
    faces = [pair for one in seen for pair in zip(one.pixels, one.marks, strict=True)]
    pixels = [cut for cut, _ in faces if cut is not None]
    if not pixels:
        return ()
    pictures, landmarks = np.stack(pixels), None
    if "landmarks" in bundle.card.inputs:
        landmarks = np.stack([marks.shares if marks else NO_POINTS for cut, marks in faces if cut is not None])
    if mirrored:
        pictures = np.ascontiguousarray(pictures[:, :, ::-1])
        landmarks = None if landmarks is None else mirrored_shares(landmarks)
    return bundle.run(pictures, landmarks=landmarks, outputs=outputs)
