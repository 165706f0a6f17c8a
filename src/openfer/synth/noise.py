"""Smooth random textures: skin mottle, hair strands, cloth. One tile for all pictures; each samples it elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

SIDE = 256
Kind = Literal["soft", "fine", "strands"]
_BLUR = {"soft": (3.0, 3.0), "fine": (0.8, 0.8), "strands": (14.0, 0.75)}  # sigma along, across, in cells


@lru_cache(maxsize=4)
def tile(kind: Kind) -> Array:
    """[256, 256] standard normal values that repeat seamlessly; `strands` run along the first axis."""
    white = np.random.default_rng(list(_BLUR).index(kind)).standard_normal((SIDE, SIDE))
    along, across = _BLUR[kind]
    frequency = 2 * np.pi * np.fft.fftfreq(SIDE)
    response = np.exp(-0.5 * (frequency[:, None] * along) ** 2 - 0.5 * (frequency[None, :] * across) ** 2)
    smooth = np.fft.ifft2(np.fft.fft2(white) * response).real
    result: Array = ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)
    result.setflags(write=False)
    return result


def sample(kind: Kind, along: NDArray[np.floating], across: NDArray[np.floating]) -> Array:
    """The tile's values at places given in cells, any shape, between cells by linear interpolation."""
    values = tile(kind).ravel()
    floor_a, floor_b = np.floor(along), np.floor(across)
    wa, wb = (along - floor_a).astype(np.float32), (across - floor_b).astype(np.float32)
    i, j = floor_a.astype(np.int32) & (SIDE - 1), floor_b.astype(np.int32) & (SIDE - 1)
    row, below, right = i * SIDE, ((i + 1) & (SIDE - 1)) * SIDE, (j + 1) & (SIDE - 1)
    upper: Array = values.take(row + j)
    lower = values.take(below + j)
    upper += wb * (values.take(row + right) - upper)
    lower += wb * (values.take(below + right) - lower)
    upper += wa * (lower - upper)
    return upper
