"""A perceptual hash: 128 signs of a small picture's cosine transform, which most changes of a file leave alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 32
"""Side of the small grey pictures, pixels."""
BITS = 128
INNER = 0.93
"""Share of the side that an inner hash sees: it meets the whole hash of a picture whose border was cut off."""
WINDOWS = ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Where the inner hashes look, down and across: in the middle, and into the four corners."""
CHUNK = 4096

Thumbs = NDArray[np.uint8]
"""Small grey pictures, [N, SIDE, SIDE]."""
Hashes = NDArray[np.uint64]
"""[N, 2], 128 bits each."""


def hashes(thumbs: Thumbs, *, window: tuple[int, int] | None = None) -> Hashes:
    """Signs of the 128 lowest frequencies of the type-II cosine transform, without the constant one, [N, 2].

    A sign does not change with brightness and contrast, and hardly with size and compression. The first bit is the
    highest of the first byte; frequencies are in the order of their distance from zero, equal ones by the vertical
    one first.

    Args:
        thumbs: small grey pictures.
        window: one of `WINDOWS`: of the `INNER` of the side there, enlarged to the whole; None for the whole picture.
    """
    basis = _basis()
    if window is not None:
        basis = basis @ np.kron(zoom(INNER, window[0]), zoom(INNER, window[1]))
    flat = thumbs.reshape(len(thumbs), SIDE * SIDE)
    parts = [flat[at : at + CHUNK].astype(np.float64) @ basis.T > 0 for at in range(0, len(flat), CHUNK)]
    signs = np.concatenate(parts) if parts else np.zeros((0, BITS), dtype=bool)
    return np.packbits(signs, axis=1).view(np.uint64)


def mirrored(hashed: Hashes) -> Hashes:
    """The hashes of the mirrored pictures: the sign of every odd horizontal frequency turns."""
    odd = _frequencies()[:, 1] % 2 == 1
    return hashed ^ np.packbits(odd).view(np.uint64)


def distances(first: Hashes, second: Hashes) -> NDArray[np.uint8]:
    """Number of bits in which hashes differ, 0 to 128: [..., 2] and [..., 2], broadcast, to [...]."""
    counts = _popcount(first[..., 0] ^ second[..., 0]) + _popcount(first[..., 1] ^ second[..., 1])
    result: NDArray[np.uint8] = counts.astype(np.uint8, copy=False)
    return result


def zoom(share: float, end: int = 0) -> NDArray[np.float64]:
    """The linear interpolation that enlarges a `share` of a line of SIDE pixels to the whole, [SIDE, SIDE].

    Args:
        share: of the line, 0 to 1.
        end: -1 for that at the line's start, 0 in its middle, 1 at its end.
    """
    start = (1 - share) * SIDE * (end + 1) / 2
    place = np.clip((np.arange(SIDE) + 0.5) * share - 0.5 + start, 0, SIDE - 1)
    left = np.minimum(np.floor(place).astype(np.int64), SIDE - 2)
    matrix = np.zeros((SIDE, SIDE))
    matrix[np.arange(SIDE), left] = 1 - (place - left)
    matrix[np.arange(SIDE), left + 1] = place - left
    return matrix


@cache
def _frequencies() -> NDArray[np.int64]:
    """The frequencies of the bits, [BITS, 2]: vertical, horizontal; in half waves a side."""
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), axis=-1).reshape(-1, 2)
    order = np.lexsort((grid[:, 1], grid[:, 0], (grid**2).sum(axis=1)))
    return grid[order[1 : BITS + 1]]


@cache
def _basis() -> NDArray[np.float64]:
    """The waves, [BITS, SIDE * SIDE]."""
    places = (np.arange(SIDE) + 0.5) / SIDE
    waves = np.cos(np.pi * np.arange(SIDE)[:, None] * places)
    down, across = _frequencies().T
    basis: NDArray[np.float64] = (waves[down][:, :, None] * waves[across][:, None, :]).reshape(BITS, SIDE * SIDE)
    return basis


@cache
def _bits_of_words() -> NDArray[np.uint8]:
    words = np.arange(1 << 16, dtype=np.uint16)
    counts: NDArray[np.uint8] = np.unpackbits(words.view(np.uint8).reshape(-1, 2), axis=1).sum(axis=1, dtype=np.uint8)
    return counts


def _popcount_by_table(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    words = np.ascontiguousarray(values)[..., None].view(np.uint16)
    counts: NDArray[np.uint8] = _bits_of_words()[words].sum(axis=-1, dtype=np.uint8)
    return counts


_popcount: Callable[[Any], Any] = getattr(np, "bitwise_count", _popcount_by_table)  # numpy 2 has its own
