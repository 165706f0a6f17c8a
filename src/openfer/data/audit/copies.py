"""Near copies: hashes say which pairs of pictures may be one, their pixels say which are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from openfer.data.audit.hashes import INNER, SIDE, WINDOWS, Hashes, Thumbs, distances, hashes, mirrored, zoom
from openfer.data.pictures import Progress
from openfer.errors import DataError

MAX_DISTANCE = 30
"""Bits of 128: one pair in 41,000 of different FER+ pictures comes so near, and nearly every altered copy
(docs/guides/audit.md)."""
MIN_CORRELATION = 0.8
"""Of detail at the best place (see `correlations`): one or two in 400 million pairs of different FER+ pictures."""
MAX_SHIFT = 2
"""Small pixels of 32: how far two copies are moved against each other, at most."""
HOPELESS = 0.3
"""Pairs whose correlation at equal size is below this are not compared at other sizes."""
NEAREST = 4
"""Each picture is compared with so many later ones of its own family (frames of a film, say): those of nearest hash."""
MAX_PAIRS = 2_000_000
"""More near copies than this are refused: they are frames of films, or one picture many times."""
ROWS, COLUMNS = 32, 4096
"""A worker compares so many rows at a time with so many others: what fits into the processor's cache."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures that are near copies of each other, P of them, first before second, in this order.

    Args:
        first, second: numbers of the pictures, int64 [P].
        distance: bits in which their hashes differ, uint8 [P].
        correlation: of their detail, float32 [P], `MIN_CORRELATION` to 1.
        mirrored: whether one is the other's mirror image, bool [P].
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.uint8]
    correlation: NDArray[np.float32]
    mirrored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, places: NDArray[np.int64]) -> Pairs:
        """The pairs at these places, in this order."""
        return Pairs(
            self.first[places],
            self.second[places],
            self.distance[places],
            self.correlation[places],
            self.mirrored[places],
        )

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """The pairs of which this is true, bool [P]."""
        return self.take(np.flatnonzero(mask))


def near_pairs(
    thumbs: Thumbs,
    *,
    families: NDArray[np.int64] | None = None,
    max_distance: int = MAX_DISTANCE,
    min_correlation: float = MIN_CORRELATION,
    workers: int = 1,
    progress: Progress | None = None,
) -> Pairs:
    """All pairs of pictures of which one was made from the other, or both from a third.

    Every pair is compared by hash: whole with whole, and whole with each window into the other, each as it is and
    mirrored; the smallest distance counts. Those within `max_distance` are compared pixel by pixel.

    Args:
        thumbs: small grey pictures, uint8 [N, 32, 32], with something to see on each.
        families: int64 [N, F]; pictures that share a number in any column resemble each other by nature, as the frames
            of a film do, and each is compared with its `NEAREST` only. -1 for no family.
        max_distance: bits of 128.
        min_correlation: see `correlations`.
        workers: threads.
        progress: called with the number of pictures that were compared with all later ones.

    Raises:
        DataError: more than `MAX_PAIRS` pairs.
    """
    whole, inner = hashes(thumbs), [hashes(thumbs, window=window) for window in WINDOWS]

    def search(start: int) -> Pairs:
        rows = slice(start, min(start + ROWS, len(thumbs)))
        found = _candidates(whole, inner, rows, max_distance)
        if families is not None:
            found = found.where(_few_of_a_family(found, families))
        return _confirmed(found, thumbs, min_correlation)

    parts, pairs = [], 0
    with ThreadPoolExecutor(workers) as pool:
        for start, part in zip(range(0, len(thumbs), ROWS), pool.map(search, range(0, len(thumbs), ROWS)), strict=True):
            parts.append(part)
            pairs += len(part)
            if pairs > MAX_PAIRS:
                pool.shutdown(cancel_futures=True)
                raise DataError(
                    f"more than {MAX_PAIRS:,} pairs of near copies: these look like frames of films. Name each film "
                    "in the manifest's column `group`, or search for exact copies only (--no-near)"
                )
            if progress is not None:
                progress(min(start + ROWS, len(thumbs)), len(thumbs))
    return _joined(parts)


def correlations(first: Thumbs, second: Thumbs) -> NDArray[np.float32]:
    """How alike pairs of small pictures are in their detail, float32 [P], -1 to 1.

    Detail is a picture minus its mean over 7 x 7 pixels, faded out over the outer 6 pixels, minus its mean, divided by
    its norm: what is left knows neither brightness nor contrast nor slow shades, in which most portraits are alike.
    The number is the largest inner product over all shifts of up to `MAX_SHIFT` pixels down and across, of both at
    equal size and with either one's middle `INNER` enlarged to the whole.

    Args:
        first, second: uint8 [P, 32, 32].
    """
    plain, other = _detail(first, 1.0), _detail(second, 1.0)
    result = _best_shift(plain, other)
    rows = np.flatnonzero(result >= HOPELESS)
    for left, right in (
        (_detail(first[rows], INNER), other[rows]),
        (plain[rows], _detail(second[rows], INNER)),
    ):
        result[rows] = np.maximum(result[rows], _best_shift(left, right))
    return result


def _candidates(whole: Hashes, inner: Sequence[Hashes], rows: slice, limit: int) -> Pairs:
    """Pairs of these rows with later ones whose hashes are near; the correlation is still missing."""
    found = []
    for at in range(rows.start, len(whole), COLUMNS):
        others = slice(at, min(at + COLUMNS, len(whole)))
        for flip in (False, True):
            nearest = distances(_turned(whole[rows], flip)[:, None], whole[None, others])
            for left, right in [pair for part in inner for pair in ((whole, part), (part, whole))]:
                np.minimum(nearest, distances(_turned(left[rows], flip)[:, None], right[None, others]), out=nearest)
            first, second = np.nonzero(nearest <= limit)
            later = first + rows.start < second + at
            first, second = first[later], second[later]
            found.append(
                Pairs(
                    first + rows.start,
                    second + at,
                    nearest[first, second],
                    np.zeros(len(first), dtype=np.float32),
                    np.full(len(first), flip),
                )
            )
    return _joined(found)


def _few_of_a_family(pairs: Pairs, families: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs to keep, bool [P]: all of different families, and each picture's nearest of its own."""
    left, right = families[pairs.first], families[pairs.second]
    own = np.flatnonzero(((left == right) & (left >= 0)).any(axis=1))
    order = own[np.lexsort((pairs.distance[own], pairs.first[own]))]
    starts = np.flatnonzero(np.diff(pairs.first[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    keep = np.ones(len(pairs), dtype=bool)
    keep[order[rank >= NEAREST]] = False
    return keep


def _turned(hashed: Hashes, flip: bool) -> Hashes:
    return mirrored(hashed) if flip else hashed


def _confirmed(pairs: Pairs, thumbs: Thumbs, minimum: float) -> Pairs:
    """The pairs whose pixels agree; one that agrees both as it is and mirrored stays once, the better way."""
    values = np.zeros(len(pairs), dtype=np.float32)
    for chunk in _chunks(len(pairs)):
        left = thumbs[pairs.first[chunk]]
        left = np.where(pairs.mirrored[chunk, None, None], left[:, :, ::-1], left)
        values[chunk] = correlations(left, thumbs[pairs.second[chunk]])
    order = np.lexsort((-values, pairs.second, pairs.first))
    ordered = replace(pairs, correlation=values).take(order)
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(ordered.first) != 0) | (np.diff(ordered.second) != 0)
    return ordered.where(new & (ordered.correlation >= minimum))


def _chunks(count: int, size: int = 256) -> Iterator[slice]:
    return (slice(at, at + size) for at in range(0, count, size))


def no_pairs() -> Pairs:
    """None at all."""
    rows, bits = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    return Pairs(rows, rows, bits, np.zeros(0, dtype=np.float32), np.zeros(0, dtype=bool))


def _joined(parts: list[Pairs]) -> Pairs:
    if not parts:
        return no_pairs()
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.correlation for part in parts]),
        np.concatenate([part.mirrored for part in parts]),
    )


def _detail(thumbs: Thumbs, share: float) -> NDArray[np.float32]:
    """The detail of the middle `share` of each picture, [P, 32, 32], norm 1; 0 where there is none."""
    size, mean, fade = _operators(share)
    values = thumbs.astype(np.float32)
    detail = np.asarray((size @ values @ size.T - mean @ values @ mean.T) * fade, dtype=np.float32)
    detail -= detail.mean(axis=(1, 2), keepdims=True)
    norm = np.sqrt(np.einsum("nij,nij->n", detail, detail))[:, None, None]
    result = np.zeros(detail.shape, dtype=np.float32)
    np.divide(detail, norm, out=result, where=norm > 1e-3)
    return result


@cache
def _operators(share: float) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Matrices that enlarge and that enlarge and take local means, [32, 32], and the fading border."""
    reach = np.clip(np.arange(SIDE)[:, None] + np.arange(-3, 4), 0, SIDE - 1)
    local = np.zeros((SIDE, SIDE))
    np.add.at(local, (np.arange(SIDE)[:, None], reach), 1 / 7)
    edge = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1])
    line = np.where(edge < 6, 0.5 - 0.5 * np.cos(np.pi * (edge + 0.5) / 6), 1.0)
    size = zoom(share) if share != 1 else np.eye(SIDE)
    matrices = (size, local @ size, np.outer(line, line))
    return tuple(matrix.astype(np.float32) for matrix in matrices)  # type: ignore[return-value]


def _best_shift(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest inner product over all shifts, [P]."""
    steps = range(-MAX_SHIFT, MAX_SHIFT + 1)
    products = [
        np.einsum("nij,nij->n", first[:, _part(down), _part(across)], second[:, _part(-down), _part(-across)])
        for down in steps
        for across in steps
    ]
    return np.max(products, axis=0)  # type: ignore[no-any-return]


def _part(shift: int) -> slice:
    return slice(max(shift, 0), SIDE + min(shift, 0))
