"""The one aligner: five points or a box of a picture become the network's square picture.

Data preparation, training, evaluation and prediction all cut faces here, so that a network is used on the pixels it was
trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.records import Box, Points5
from openfer.vision.image import Colour, Picture, grey

TEMPLATES: dict[str, NDArray[np.float64]] = {
    # Where the five points lie in the unit square.
    # fer2013: medians of the points found in FER2013's 48 px frames, made symmetric about x = 23.75.
    "fer2013": np.array([(15.0, 19.4), (32.5, 19.4), (23.75, 28.9), (16.85, 36.3), (30.65, 36.3)]) / 48.0,
    # arcface112: the 112 px template of the face recognition field (Deng et al., CVPR 2019).
    "arcface112": np.array(
        [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
    )
    / 112.0,
}

Square = tuple[complex, complex]
"""Where a face was cut: the similarity z -> a z + b (points as complex numbers) that lays the unit square into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How a face becomes the network's picture; part of a bundle's card.

    Args:
        template: where the five points go, a name of `TEMPLATES`.
        size: side of the result, pixels.
        colour: `grey` repeats the luma three times.
        margin: added around a given box on each side where no points are known, as a share of the box's side.
        detail: the finest resolution the network has seen, as pixels across the frame; a photo's face is cut at
            `detail` and enlarged to `size`, so that it is no sharper than the training pictures. 0 = no limit.
    """

    template: str = "fer2013"
    size: int = 96
    colour: Colour = "rgb"
    margin: float = 0.0
    detail: int = 0

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise ConfigError(f"align: unknown template '{self.template}'; {did_you_mean(self.template, TEMPLATES)}")
        if not 8 <= self.size <= 1024:
            raise ConfigError(f"align: expected a size from 8 to 1024 px, got {self.size}")
        if self.colour not in ("grey", "rgb"):
            raise ConfigError(f"align: expected colour 'grey' or 'rgb', got '{self.colour}'")


def align(picture: Picture, points5: Points5, template: str, size: int, *, detail: int = 0) -> Picture:
    """Cut a face by its five points: the similarity transform that fits them best to the template (least squares).

    Args:
        picture: uint8 [H, W, 3].
        points5: left eye, right eye, nose, left and right mouth corner, pixels of `picture`.
        template: a name of `TEMPLATES`.
        size: side of the result, pixels.
        detail: see `Alignment`.

    Returns:
        uint8 [size, size, 3]; beyond the picture its border is repeated.

    Raises:
        DataError: the points coincide or are not finite.
    """
    return warp(picture, fit_similarity(TEMPLATES[template], np.asarray(points5, dtype=np.float64)), size, detail)


def frame(picture: Picture, box: Box, margin: float, size: int, *, detail: int = 0) -> Picture:
    """Cut an upright square around a box: the way where no points are known.

    Args:
        picture: uint8 [H, W, 3].
        box: pixels of `picture`; the square has its centre and its longer side.
        margin: added on each side, as a share of the longer side.
        size: side of the result, pixels.
        detail: see `Alignment`.

    Returns:
        uint8 [size, size, 3]; beyond the picture its border is repeated.

    Raises:
        DataError: the box is empty.
    """
    return warp(picture, upright_square(box, margin), size, detail)


def upright_square(box: Box, margin: float = 0.0) -> Square:
    """The square that `frame` cuts, as the similarity z -> a z + b that lays the unit square into the picture.

    Raises:
        DataError: the box is empty.
    """
    side = max(box.w, box.h) * (1.0 + 2.0 * margin)
    if not side > 0:
        raise DataError(f"box of {box.w} x {box.h} px: expected a size above 0")
    return complex(side, 0.0), complex(box.x + box.w / 2 - side / 2, box.y + box.h / 2 - side / 2)


def shares_of_square(points: NDArray[np.floating], square: Square) -> NDArray[np.float64]:
    """Points of a picture as shares of a square that was cut from it.

    Args:
        points: [n, 2] (x, y), pixels of the picture.
        square: the similarity z -> a z + b that lays the unit square into the picture.

    Returns:
        [n, 2], 0 to 1 inside the square.
    """
    a, b = square
    z = (np.asarray(points, dtype=np.float64) @ (1, 1j) - b) / a
    return np.stack([z.real, z.imag], axis=-1)


def cut_side(points5: Points5, template: str) -> float:
    """Side of the square that `align` cuts by these points, pixels of their picture; 0 where they coincide."""
    try:
        return abs(fit_similarity(TEMPLATES[template], np.asarray(points5, dtype=np.float64))[0])
    except DataError:
        return 0.0


def fit_similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[complex, complex]:
    """The similarity z -> a z + b (points as complex numbers) with the least squared error from source to target.

    Args:
        source: [n, 2], not all equal.
        target: [n, 2].

    Returns:
        a (scale and rotation) and b (shift). No reflection.

    Raises:
        DataError: the target points are not finite or coincide.

    Source: Umeyama, IEEE TPAMI 13(4), 1991; in the plane the solution is the complex regression below.
    """
    z, w = source @ (1, 1j), target @ (1, 1j)
    centred = z - z.mean()
    a = complex(np.vdot(centred, w - w.mean()) / np.vdot(centred, centred).real)
    if not np.isfinite(a) or abs(a) < 1e-6:
        raise DataError("the five points coincide or are not finite")
    return a, complex(w.mean() - a * z.mean())


def warp(picture: Picture, unit_to_picture: tuple[complex, complex], size: int, detail: int) -> Picture:
    """Resample the unit square, laid into the picture by z -> a z + b, to uint8 [size, size, 3]; see `align`."""
    a, b = unit_to_picture
    if detail and detail < size and abs(a) > 1.25 * detail:
        small = Image.fromarray(_resample(picture, a, b, detail))
        return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))
    return _resample(picture, a, b, size)


def _resample(picture: Picture, a: complex, b: complex, size: int) -> Picture:
    # Only the part of the picture that the result needs, one spare pixel around, borders repeated.
    corners = [b, a + b, 1j * a + b, (1 + 1j) * a + b]
    if not np.isfinite(corners).all():
        raise DataError("the points or the box are not finite")
    shrink = abs(a) / size  # picture pixels per result pixel
    spare = 2 + int(shrink)
    left, top = (int(np.floor(min(part))) - spare for part in ([c.real for c in corners], [c.imag for c in corners]))
    right, bottom = (int(np.ceil(max(part))) + spare for part in ([c.real for c in corners], [c.imag for c in corners]))
    if max(right - left, bottom - top) > 4 * max(picture.shape[:2]) + 64:
        raise DataError("the face would be far larger than its picture; its points or box are wrong")
    rows = np.clip(np.arange(top, bottom), 0, picture.shape[0] - 1)
    columns = np.clip(np.arange(left, right), 0, picture.shape[1] - 1)
    part = Image.fromarray(picture[rows[:, None], columns])
    a, b = a, b - complex(left, top)
    # Anti-aliasing in two steps: whole factors by box averages, the rest by drawing twice as large and averaging.
    whole = int(shrink)
    if whole > 1:
        part = part.reduce(whole)
        a, b = a / whole, b / whole
    drawn = 2 if abs(a) / size > 1.0 else 1
    step = a / (size * drawn)
    matrix = (step.real, -step.imag, b.real, step.imag, step.real, b.imag)
    side = size * drawn
    result = part.transform((side, side), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC)
    return np.asarray(result.reduce(drawn) if drawn > 1 else result)


def colour_of(pictures: Picture, colour: Colour) -> Picture:
    """Pictures [..., 3] in the colour that a network reads."""
    return grey(pictures) if colour == "grey" else pictures


def eye_distance(points5: Points5) -> float:
    """Distance between the two eyes, pixels."""
    (left_x, left_y), (right_x, right_y) = points5[:2]
    return hypot(right_x - left_x, right_y - left_y)
