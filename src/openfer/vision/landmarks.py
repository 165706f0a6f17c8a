"""The 68 iBUG points of a face, by the project's own network.

Order of the points (Sagonas et al., "300 Faces in-the-Wild Challenge", ICCV Workshops 2013): jaw 0 to 16, brows 17 to
26, nose 27 to 35, eyes 36 to 47, lips 48 to 67; each from left to right in the picture, closed curves clockwise.
Coordinates are pixels, x right, y down, the top left corner of the top left pixel is (0, 0).
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import radians
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openfer.errors import DataError
from openfer.records import Box, Face, Points5, as_points5
from openfer.runtime import session
from openfer.vision.align import TEMPLATES, fit_similarity, warp
from openfer.vision.image import Picture, grey

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.floating]
Array = NDArray[np.float32]

GROUPS = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *(27, 28, 29, 30, 35, 34, 33, 32, 31),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
    ]
)
"""Point k of a mirrored picture is point MIRROR[k] of the picture."""

MODEL = Path(__file__).parents[1] / "models" / "landmarks68" / "model.onnx"
SIZE = 64
"""Side of the network's picture, pixels."""
ENLARGE = 1.15
"""Its square is this much larger than FER2013's frame."""
DETAIL = 55
"""Finest resolution it was trained on, pixels across its square: FER2013's frame has 48."""
BATCH = 32
MIN_QUALITY = 0.5
"""Points of a lower quality are not read by any network: the face then counts as one without them."""
FOREHEAD_TO_CHIN = 48 / 44.6
"""Side of FER2013's frame, as a share of the height of the detector's box in it (median of 403 faces)."""


NO_POINTS = np.full((68, 2), np.nan, dtype=np.float32)
"""What a network gets in place of landmarks that are not known."""


def mirrored_shares(shares: Array) -> Array:
    """Landmarks [..., 68, 2] in shares of a picture's side, of the mirrored picture."""
    return np.stack([1 - shares[..., MIRROR, 0], shares[..., MIRROR, 1]], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Where to look: a square of a picture.

    Args:
        x: of its centre, pixels.
        y: of its centre, pixels.
        side: pixels, above 0.
        roll: degrees by which it is turned clockwise as seen, to follow a tilted head.
    """

    x: float
    y: float
    side: float
    roll: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """The points of one face.

    Args:
        points: [68, 2], pixels of the picture, iBUG order. A hidden point is given where it would be.
        confidence: [68], 0 to 1: how likely each point lies within 5 % of the outer eye distance of its place.
        quality: 0 to 1: how likely this is a face whose points can be used.
    """

    points: Array
    confidence: Array
    quality: float

    @property
    def points5(self) -> Points5:
        """Left eye, right eye, nose tip, left and right mouth corner."""
        return points5_of(self.points)


def square_of_points(points5: Points5) -> Square:
    """The square around a face whose five points are known; it is turned with the head.

    Raises:
        DataError: the points coincide or are not finite.
    """
    a, b = fit_similarity(TEMPLATES["fer2013"], np.asarray(points5, dtype=np.float64))
    centre = b + a * (0.5 + 0.5j)
    return Square(x=centre.real, y=centre.imag, side=ENLARGE * abs(a), roll=float(np.degrees(np.angle(a))))


def square_of_frame(box: Box) -> Square:
    """The square of a box, or a picture, that frames a face as FER2013 does: brows to chin fill it."""
    return Square(x=box.x + box.w / 2, y=box.y + box.h / 2, side=ENLARGE * max(box.w, box.h))


def square_of_box(box: Box) -> Square:
    """The square around a detector's box, which goes from forehead to chin; `square_of_points` is more exact."""
    return Square(x=box.x + box.w / 2, y=box.y + box.h / 2, side=ENLARGE * FOREHEAD_TO_CHIN * max(box.w, box.h))


def square_of_face(face: Face) -> Square:
    """The square of a face that a detector found, or, where it was given without points, of its frame."""
    if face.points5 is None:
        return square_of_frame(face.box)
    try:
        return square_of_points(face.points5)
    except DataError:  # points that coincide
        return square_of_box(face.box)


def points5_of(points: Floats) -> Points5:
    """The five points from the 68: [68, 2] -> left eye, right eye, nose tip, left and right mouth corner."""
    return as_points5([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def outer_eye_distance(points: Floats) -> Floats:
    """Distance between the outer corners of the eyes, the usual unit of errors: [..., 68, 2] -> [...]."""
    return np.asarray(np.linalg.norm(points[..., 45, :] - points[..., 36, :], axis=-1))


@dataclass(frozen=True)
class Landmarker:
    """The network, ready for any number of faces. Safe to use from several threads.

    Args:
        path: the graph: `crops` uint8 [n, 64, 64] -> `points` [n, 68, 2], `confidence` [n, 68], `quality` [n].
        threads: upper bound of threads.
    """

    path: Path = MODEL
    threads: int = 1

    @classmethod
    def load(cls, threads: int = 1) -> Landmarker:
        """The network that comes with the package.

        Raises:
            ModelError: its file is missing or damaged.
        """
        landmarker = cls(threads=threads)
        _ = landmarker._session
        return landmarker

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return session(self.path, threads=self.threads)

    def find(self, picture: Picture, squares: Sequence[Square]) -> list[Landmarks]:
        """The points of several faces of a picture.

        Args:
            picture: uint8 [H, W, 3].
            squares: where to look, one for each face. One that cannot be cut (no size, far outside the picture)
                is answered with a quality near 0, and its points mean nothing.
        """
        crops = np.stack([cut_crop(picture, square) for square in squares]) if squares else _no_crops()
        return [_placed(found, square) for found, square in zip(self.find_crops(crops), squares, strict=True)]

    def find_crops(self, crops: NDArray[np.uint8]) -> list[Landmarks]:
        """The points of faces that are cut already: the fast way for many.

        Args:
            crops: grey, uint8 [n, 64, 64], the squares above; points are given in their pixels.
        """
        found: list[Landmarks] = []
        for start in range(0, len(crops), BATCH):
            answers = self._session.run(OUTPUTS, {"crops": crops[start : start + BATCH]})
            found += [
                Landmarks(points=points, confidence=confidence, quality=float(quality))
                for points, confidence, quality in zip(*answers, strict=True)
            ]
        return found


OUTPUTS = ("points", "confidence", "quality")


def _no_crops() -> NDArray[np.uint8]:
    return np.empty((0, SIZE, SIZE), dtype=np.uint8)


def edge(square: Square) -> tuple[complex, complex]:
    """The square's top edge a and top left corner b: z -> a z + b lays the unit square into the picture."""
    a = cmath.rect(square.side, radians(square.roll))
    return a, complex(square.x, square.y) - a * (0.5 + 0.5j)


def cut_crop(picture: Picture, square: Square) -> NDArray[np.uint8]:
    """What the network sees of a square: grey, uint8 [64, 64]; black where it cannot be cut, and so no face."""
    try:
        if not square.side > 0:
            raise DataError("a square without size")
        return grey(warp(picture, edge(square), SIZE, DETAIL))[:, :, 0]
    except DataError:
        return np.zeros((SIZE, SIZE), dtype=np.uint8)


def _placed(found: Landmarks, square: Square) -> Landmarks:
    """The same points in pixels of the picture that the crop was cut from."""
    a, b = edge(square)
    with np.errstate(invalid="ignore", over="ignore"):  # a square without size or place
        z = b + a * (found.points.astype(np.float64) / SIZE @ (1, 1j))
    points = np.stack([z.real, z.imag], axis=-1).astype(np.float32)
    return Landmarks(points=points, confidence=found.confidence, quality=found.quality)
