"""Near copies are found whatever happened to them, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.data.audit import copies, hashes
from openfer.data.audit.copies import MAX_DISTANCE, correlations, near_pairs
from openfer.errors import DataError
from tests.data.auditing import CHANGES, scene, thumbs

SCENES = thumbs(*(scene(seed) for seed in range(60)))


def noise(seed: int, count: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32), dtype=np.uint8)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_mirrored_picture_has_the_mirrored_hash(seed: int) -> None:
    pictures = noise(seed)
    for window in (None, *hashes.WINDOWS):
        turned = window and (window[0], -window[1])
        expected = hashes.hashes(pictures[:, :, ::-1], window=turned)
        np.testing.assert_array_equal(hashes.mirrored(hashes.hashes(pictures, window=window)), expected)


def test_the_hash_is_the_signs_of_the_cosine_transform() -> None:
    picture = noise(3, 1)
    places = (np.arange(32) + 0.5) / 32
    signs = []
    for down, across in sorted(
        ((v, u) for v in range(32) for u in range(32)), key=lambda vu: (vu[0] ** 2 + vu[1] ** 2, vu[0], vu[1])
    )[1:129]:
        wave = np.outer(np.cos(np.pi * down * places), np.cos(np.pi * across * places))
        signs.append((picture[0] * wave).sum() > 0)
    assert hashes.hashes(picture).tobytes() == np.packbits(signs).tobytes()


def test_distances_count_bits() -> None:
    values = np.random.default_rng(0).integers(0, 2**64, (5, 2), dtype=np.uint64)
    slow = [[sum(bin(int(a ^ b)).count("1") for a, b in zip(x, y, strict=True)) for y in values] for x in values]
    np.testing.assert_array_equal(hashes.distances(values[:, None], values[None]), slow)
    np.testing.assert_array_equal(hashes._popcount_by_table(values), [[int(v).bit_count() for v in x] for x in values])


def test_the_hash_knows_neither_brightness_nor_contrast() -> None:
    changed = (SCENES.astype(float) * 0.5 + 40).round().astype(np.uint8)
    assert hashes.distances(hashes.hashes(SCENES), hashes.hashes(changed)).max() <= 8


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_changed_copies_are_found_and_only_they(change: str) -> None:
    count = 30
    changed = thumbs(*(CHANGES[change](scene(seed)) for seed in range(count)))
    found = near_pairs(np.concatenate([SCENES, changed]))
    np.testing.assert_array_equal(found.first, np.arange(count))
    np.testing.assert_array_equal(found.second, np.arange(count) + len(SCENES))
    assert found.distance.max() <= MAX_DISTANCE
    assert found.mirrored.all() if change == "mirrored" else not found.mirrored.any()


def test_correlation_is_that_of_a_slow_search() -> None:
    left = SCENES[:3]
    right = np.roll(left, (1, -2), axis=(1, 2))
    np.testing.assert_allclose(
        correlations(left, right), [slow_correlation(a, b) for a, b in zip(left, right, strict=True)], atol=1e-5
    )


def slow_correlation(left: np.ndarray, right: np.ndarray) -> float:
    def detail(picture: np.ndarray, share: float) -> np.ndarray:
        grid = np.clip((np.arange(32) - 15.5) * share + 15.5, 0, 31)
        low = np.minimum(np.floor(grid).astype(int), 30)
        part = grid - low
        rows = picture[low] * (1 - part)[:, None] + picture[low + 1] * part[:, None]
        zoomed = rows[:, low] * (1 - part) + rows[:, low + 1] * part
        padded = np.pad(zoomed, 3, mode="edge")
        mean = np.mean([padded[i : i + 32, j : j + 32] for i in range(7) for j in range(7)], axis=0)
        edge = np.minimum(np.minimum(np.arange(32), np.arange(31, -1, -1)), 6)
        fade = np.where(edge < 6, 0.5 - 0.5 * np.cos(np.pi * (edge + 0.5) / 6), 1)
        result = (zoomed - mean) * np.outer(fade, fade)
        result -= result.mean()
        return result / np.linalg.norm(result)

    best = -1.0
    for sizes in ((1.0, 1.0), (0.93, 1.0), (1.0, 0.93)):
        a, b = (detail(picture.astype(float), share) for picture, share in zip((left, right), sizes, strict=True))
        padded = np.pad(a, 2)
        for down in range(5):
            for across in range(5):
                best = max(best, float((padded[down : down + 32, across : across + 32] * b).sum()))
    return best


def test_threads_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.concatenate([SCENES, thumbs(*(CHANGES["jpeg"](scene(seed)) for seed in range(60)))])
    whole = near_pairs(pictures)
    monkeypatch.setattr(copies, "ROWS", 7)
    monkeypatch.setattr(copies, "COLUMNS", 11)
    done: list[int] = []
    parts = near_pairs(pictures, workers=3, progress=lambda rows, total: done.append(rows))
    for name in ("first", "second", "distance", "correlation", "mirrored"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert done[-1] == len(pictures)


def test_frames_of_a_film_are_compared_with_the_nearest_only() -> None:
    frames = np.repeat(SCENES[:1], 20, axis=0)
    film = np.array([[0, -1]] * 20)
    assert len(near_pairs(frames)) == 190
    assert len(near_pairs(frames, families=film)) == 4 * 16 + 3 + 2 + 1
    film[10:, 0] = 1  # two films: between them, all are compared
    assert len(near_pairs(frames, families=film)) == 2 * (4 * 6 + 3 + 2 + 1) + 100


def test_too_many_copies_are_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MAX_PAIRS", 10)
    with pytest.raises(DataError, match=r"more than 10 pairs .* `group`"):
        near_pairs(np.repeat(SCENES[:1], 20, axis=0))


def test_no_pictures_no_pairs() -> None:
    assert len(near_pairs(SCENES[:0])) == len(near_pairs(SCENES[:1])) == 0
    assert len(near_pairs(np.zeros((3, 32, 32), np.uint8))) == 0
