"""One look at every picture: whether it can be read, its exact pixels, and what the audit measures of it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.data.audit.hashes import SIDE, Thumbs
from openfer.data.check import pixel_hash
from openfer.data.manifest import Manifest
from openfer.data.pictures import Progress, decode
from openfer.errors import DataError
from openfer.vision.image import Picture

QUALITY_SIDE = 48
"""Brightness and sharpness are measured at this size, whatever the picture's own: they are about the face."""
CHUNK = 512


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What was seen of N rows; 0 where a picture cannot be read.

    Args:
        statuses: `ok`, or why the picture cannot be read.
        contents: SHA-256 over shape and pixels; None where it cannot be read.
        thumbs: small grey pictures, uint8 [N, 32, 32].
        sizes: width and height, pixels, int64 [N, 2].
        brightness: grey level that 95 % of the pixels do not exceed, 0 to 255, float32 [N].
        contrast: standard deviation of the grey levels, float32 [N].
        sharpness: root mean square of the Laplacian over the contrast, float32 [N]; 0 without contrast.
    """

    statuses: tuple[str, ...]
    contents: tuple[str | None, ...]
    thumbs: Thumbs
    sizes: NDArray[np.int64]
    brightness: NDArray[np.float32]
    contrast: NDArray[np.float32]
    sharpness: NDArray[np.float32]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Whether there is a picture, [N]."""
        return np.array([content is not None for content in self.contents], dtype=bool)


@dataclass(frozen=True, slots=True)
class _Look:
    status: str
    content: str | None = None
    size: tuple[int, int] = (0, 0)
    thumb: NDArray[np.uint8] | None = None
    middle: NDArray[np.uint8] | None = None


def look(manifest: Manifest, *, workers: int = 1, progress: Progress | None = None) -> Looks:
    """Decode every row's picture once. Where a row has a box, the picture is what lies inside it.

    Args:
        manifest: any; few pictures are in memory at a time.
        workers: threads.
        progress: called with the rows done.
    """
    parts: list[Looks] = []
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(manifest), CHUNK):
            rows = range(start, min(start + CHUNK, len(manifest)))
            parts.append(_measured(list(pool.map(lambda row: _look(manifest, row), rows))))
            if progress is not None:
                progress(rows.stop, len(manifest))
    if not parts:
        return _measured([])
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("thumbs", "sizes", "brightness", "contrast", "sharpness")
    }
    return Looks(
        statuses=tuple(status for part in parts for status in part.statuses),
        contents=tuple(content for part in parts for content in part.contents),
        **arrays,
    )


def face_of(manifest: Manifest, row: int, picture: Picture) -> Picture:
    """The part of a row's picture that its box holds; all of it without a box, or with one that holds nothing."""
    try:
        box = manifest.box(row)
    except DataError:
        box = None
    if box is None:
        return picture
    height, width = picture.shape[:2]
    left, top = max(math.floor(box.x), 0), max(math.floor(box.y), 0)
    right, bottom = min(math.ceil(box.x + box.w), width), min(math.ceil(box.y + box.h), height)
    return picture[top:bottom, left:right] if left < right and top < bottom else picture


def _look(manifest: Manifest, row: int) -> _Look:
    picture, status = decode(manifest, row)
    if picture is None:
        return _Look(status)
    face = np.ascontiguousarray(face_of(manifest, row, picture))
    grey = Image.fromarray(face).convert("L")
    thumb, middle = (np.asarray(grey.resize((side, side), Image.Resampling.BILINEAR)) for side in (SIDE, QUALITY_SIDE))
    return _Look(status, pixel_hash(face), grey.size, thumb, middle)


def _measured(looks: list[_Look]) -> Looks:
    thumbs = _stacked([one.thumb for one in looks], SIDE)
    middles = _stacked([one.middle for one in looks], QUALITY_SIDE)
    contrast = middles.std(axis=(1, 2), dtype=np.float32)
    return Looks(
        statuses=tuple(one.status for one in looks),
        contents=tuple(one.content for one in looks),
        thumbs=thumbs,
        sizes=np.array([one.size for one in looks], dtype=np.int64).reshape(-1, 2),
        brightness=np.percentile(middles, 95, axis=(1, 2)).astype(np.float32),
        contrast=contrast,
        sharpness=_sharpness(middles, contrast),
    )


def _stacked(pictures: list[NDArray[np.uint8] | None], side: int) -> NDArray[np.uint8]:
    nothing = np.zeros((side, side), dtype=np.uint8)
    return np.array([nothing if one is None else one for one in pictures], dtype=np.uint8).reshape(-1, side, side)


def _sharpness(pictures: NDArray[np.uint8], contrast: NDArray[np.float32]) -> NDArray[np.float32]:
    """The root of the Laplacian's variance (Pertuz et al. 2013) over the contrast: a pale picture is not blurred."""
    values = pictures.astype(np.float32)
    beside = values[:, :-2, 1:-1] + values[:, 2:, 1:-1] + values[:, 1:-1, :-2] + values[:, 1:-1, 2:]
    laplacian = beside - 4 * values[:, 1:-1, 1:-1]
    strength = np.sqrt((laplacian**2).mean(axis=(1, 2)))
    result = np.zeros_like(contrast)
    np.divide(strength, contrast, out=result, where=contrast > 0)
    return result
