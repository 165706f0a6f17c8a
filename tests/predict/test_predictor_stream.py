"""Any number of pictures: in their order, in little memory, by several threads, and stopped whenever one likes."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from openfer.errors import ConfigError
from openfer.predict.predictor import Predictor


class Picture(np.ndarray):  # type: ignore[type-arg]
    """An array that one can see go: plain arrays take weak references, views of them hide the owner."""


def grey_pictures(numbers: Iterator[int]) -> Iterator[np.ndarray]:
    for number in numbers:
        yield np.full((20, 20, 3), number % 256, dtype=np.uint8)


def load(bundle_folder: Path, threads: int) -> Predictor:
    return Predictor.load(bundle_folder, detector="none", threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 48, 100])
def test_every_picture_is_answered_once_in_its_order(bundle_folder: Path, threads: int, count: int) -> None:
    predictor = load(bundle_folder, threads)
    answers = list(predictor.iter_predict(grey_pictures(iter(range(count)))))
    assert len(answers) == count
    # Each shade of grey has its own answer, so a swapped row would show.
    alone = [predictor.predict([picture])[0][0] for picture in grey_pictures(iter(range(0, count, 7)))]
    for one, many in zip(alone, itertools.islice(answers, 0, None, 7), strict=True):
        assert one.probabilities == pytest.approx(many[0].probabilities, abs=1e-5)


@pytest.mark.parametrize(("threads", "ahead"), [(1, 16), (3, 48)])
def test_pictures_are_taken_as_they_are_needed(bundle_folder: Path, threads: int, ahead: int) -> None:
    taken = itertools.count()
    stream = load(bundle_folder, threads).iter_predict(grey_pictures(taken))
    assert len(list(itertools.islice(stream, 40))) == 40
    assert next(taken) <= 40 + ahead
    before = threading.active_count()
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= before - (threads if threads > 1 else 0)


def test_pictures_are_let_go_once_they_are_answered(bundle_folder: Path) -> None:
    alive: list[weakref.ref[Picture]] = []

    def pictures() -> Iterator[Picture]:
        for _ in range(200):
            picture = np.zeros((20, 20, 3), np.uint8).view(Picture)
            alive.append(weakref.ref(picture))
            yield picture

    most = 0
    for _ in load(bundle_folder, 2).iter_predict(pictures()):
        most = max(most, sum(reference() is not None for reference in alive))
    assert len(alive) == 200
    assert most <= 4 * 16


def test_with_a_chunk_of_one_each_picture_is_answered_before_the_next_is_taken(bundle_folder: Path) -> None:
    taken = itertools.count()
    stream = load(bundle_folder, 3).iter_predict(grey_pictures(taken), chunk=1)
    for number in range(1, 4):
        next(stream)
        assert next(taken) == 2 * number - 1
    with pytest.raises(ConfigError, match="chunk: expected 1 or more, got 0"):
        load(bundle_folder, 1).iter_predict([], chunk=0)


def test_an_error_of_the_source_reaches_the_caller_and_ends_the_threads(bundle_folder: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from grey_pictures(iter(range(20)))
        raise RuntimeError("the camera is gone")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the camera is gone"):
        list(load(bundle_folder, 2).iter_predict(broken()))
    assert threading.active_count() == before


def test_one_predictor_serves_several_threads(bundle_folder: Path) -> None:
    predictor = load(bundle_folder, 2)
    pictures = list(grey_pictures(iter(range(0, 250, 5))))
    wanted = [rows[0].probabilities for rows in predictor.predict(pictures)]
    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(predictor.predict, [pictures] * 8):
            for rows, probabilities in zip(answers, wanted, strict=True):
                assert rows[0].probabilities == pytest.approx(probabilities, abs=1e-5)
