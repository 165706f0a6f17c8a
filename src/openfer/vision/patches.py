"""Eyes and mouth as pictures of their own, cut from the picture of a face."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.records import Box
from openfer.vision.image import Picture

REGIONS: Mapping[str, Box] = {
    "eyes": Box(x=4 / 48, y=10 / 48, w=40 / 48, h=16 / 48),
    "mouth": Box(x=10 / 48, y=30 / 48, w=28 / 48, h=16 / 48),
}
"""Shares of the side of a frame such as FER2013's. CSRN (Kim et al., ICCE 2024) reads such patches; how its authors
cut them is not published."""
PATCH_SIDE = 64
"""CSRN's networks read patches of this side, pixels."""

LANDMARKS: Mapping[str, slice] = {"eyes": slice(36, 48), "mouth": slice(48, 68)}
"""The landmarks (iBUG order) whose mean says where a patch belongs."""


def moved_regions(landmarks: NDArray[np.floating], usual: NDArray[np.floating]) -> dict[str, Box]:
    """The regions of one face, moved to where its eyes and mouth are.

    Their size stays, so that an open mouth fills more of its patch than a closed one.

    Args:
        landmarks: [68, 2], shares of the face picture's side.
        usual: [68, 2], where the landmarks of the mean face are, for which `REGIONS` are right.

    Returns:
        `eyes` and `mouth`, inside the unit square.
    """
    moved = {}
    for name, region in REGIONS.items():
        x, y = (landmarks[LANDMARKS[name]] - usual[LANDMARKS[name]]).mean(axis=0).tolist()
        x, y = (min(max(at, 0.0), 1.0 - size) for at, size in ((region.x + x, region.w), (region.y + y, region.h)))
        moved[name] = Box(x=x, y=y, w=region.w, h=region.h)
    return moved


def cut_patches(face: Picture, regions: Mapping[str, Box] = REGIONS, *, side: int = PATCH_SIDE) -> dict[str, Picture]:
    """Cut regions of a face and bring each to a square; their proportions are not kept.

    Args:
        face: uint8 [S, S, 3], the face as the one aligner cuts it.
        regions: name -> box in shares of the face's side, inside the unit square.
        side: of the patches, pixels.

    Returns:
        name -> uint8 [side, side, 3], linear interpolation.
    """
    image, scale = Image.fromarray(face), face.shape[0]
    patches = {}
    for name, region in regions.items():
        box = (region.x, region.y, region.x + region.w, region.y + region.h)
        pixels = tuple(min(share * scale, scale) for share in box)
        patches[name] = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=pixels))
    return patches
