"""Pictures that are no faces, for its quality: textures, backgrounds, and faces taken apart or turned over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.files import package_file
from openfer.learn.landmarks.faces import SIDE
from openfer.synth.scene import draw_background
from openfer.vision.image import read_image

Pictures = NDArray[np.uint8]

SCENES = (
    *("brick", "gravel", "text", "page", "coins", "hubble_deep_field", "ihc", "cell", "moon", "horse", "clock_motion"),
    *("phantom", "microaneurysms", "logo", "color", "rocket", "motorcycle_left"),
)
"""Pictures of scikit-image without people, which train; `benchmarks/landmarks.py` judges on others."""


def draw_nonfaces(count: int, faces: Pictures, rng: np.random.Generator, *, scenes: Sequence[str] = SCENES) -> Pictures:
    """Pictures without a usable face, in the shape of `Faces.pictures`.

    A third each: cuts of photos and textures; drawn backgrounds, gradients and noise; and of faces: turned by a
    quarter or a half, tiles shuffled, or a part much enlarged.

    Args:
        count: how many.
        faces: grey, uint8 [N, SIDE, SIDE], what is taken apart.
        rng: source of chance.
        scenes: names of scikit-image's pictures.
    """
    photos = [photo for name in scenes if (photo := _grey(name)) is not None]
    made = []
    for number in range(count):
        kind = number % 6
        face = faces[rng.integers(len(faces))]
        if kind < 2 and photos:
            made.append(_part(photos[rng.integers(len(photos))], rng, 16, 400))
        elif kind < 4:
            made.append(_drawn(rng))
        elif kind == 4:
            made.append(np.rot90(face, int(rng.integers(1, 4))))
        else:
            made.append(_shuffled(face, rng) if rng.uniform() < 0.5 else _part(face, rng, 10, 24))
    return np.stack(made)


def _grey(name: str) -> Pictures | None:
    for suffix in ("png", "jpg", "gif"):
        path = package_file("skimage", f"data/{name}.{suffix}")
        if path is not None:
            return np.asarray(Image.fromarray(read_image(path)).convert("L"))
    return None


def _part(picture: Pictures, rng: np.random.Generator, low: int, high: int) -> Pictures:
    """A random square of a picture, mirrored or turned at random, at the faces' size."""
    side = int(np.exp(rng.uniform(np.log(low), np.log(min(high, *picture.shape)))))
    top, left = (int(rng.integers(0, length - side + 1)) for length in picture.shape)
    part = Image.fromarray(np.ascontiguousarray(picture[top : top + side, left : left + side]))
    resized: Pictures = np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0))
    return np.rot90(resized, int(rng.integers(4)))


def _drawn(rng: np.random.Generator) -> Pictures:
    kind = rng.uniform()
    if kind < 0.75:
        picture = draw_background("busy" if kind < 0.6 else "plain", SIDE, rng)
        return np.asarray(Image.fromarray(picture).convert("L"))
    # Noise in cells of several sizes; one cell is a picture of one colour.
    cells = int(rng.choice((1, 2, 4, 8, 16, 36, SIDE)))
    noise = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _shuffled(face: Pictures, rng: np.random.Generator) -> Pictures:
    """The tiles of a face in another order."""
    cells = int(rng.choice((2, 3, 4)))
    tiles = face.reshape(cells, SIDE // cells, cells, SIDE // cells).swapaxes(1, 2).reshape(cells**2, SIDE // cells, -1)
    order = np.roll(rng.permutation(cells**2), 1)
    return tiles[order].reshape(cells, cells, SIDE // cells, SIDE // cells).swapaxes(1, 2).reshape(SIDE, SIDE)
