"""Bootstrap intervals: what they contain, how wide they are, and that they keep their promise on simulated data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.errors import DataError
from openfer.evaluate import intervals
from openfer.evaluate.intervals import Interval, bootstrap, cluster_numbers
from openfer.evaluate.metrics import accuracy, macro_f1, mean_class_accuracy

SCORES = {"accuracy": accuracy, "mean_class_accuracy": mean_class_accuracy}


def simulated(n: int, seed: int, *, share: float = 0.8, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Truth and answers of which a share is right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    wrong = (truth + rng.integers(1, k, n)) % k
    return truth, np.where(rng.random(n) < share, truth, wrong)


def of(truth: np.ndarray, predicted: np.ndarray, seed: int = 0, k: int = 4, **options: object) -> dict[str, Interval]:
    return bootstrap(truth, predicted, k, SCORES, np.random.default_rng(seed), **options)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_the_interval_contains_the_score(n: int, seed: int, share: float) -> None:
    for score in of(*simulated(n, seed, share=share), draws=400).values():
        assert 0 <= score.low <= score.value <= score.high <= 1


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    rows = simulated(100, 0)
    assert of(*rows, seed=5) == of(*rows, seed=5)
    assert of(*rows, seed=5) != of(*rows, seed=6)


def test_the_interval_shrinks_with_the_square_root_of_the_rows() -> None:
    small, large = (of(*simulated(n, 1))["accuracy"] for n in (400, 6400))
    assert (small.high - small.low) / (large.high - large.low) == pytest.approx(4, rel=0.15)


def test_the_interval_of_accuracy_is_that_of_a_binomial() -> None:
    truth = np.zeros(1000, dtype=np.int64)
    score = of(truth, np.where(np.arange(1000) < 700, 0, 1), draws=8000)["accuracy"]
    half = 1.96 * np.sqrt(0.7 * 0.3 / 1000)
    assert (score.low, score.high) == pytest.approx((0.7 - half, 0.7 + half), abs=0.002)


def test_another_level_gives_another_width() -> None:
    rows = simulated(300, 2)
    wide, narrow = of(*rows, level=0.99)["accuracy"], of(*rows, level=0.5)["accuracy"]
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_model_that_is_always_right_has_no_width() -> None:
    assert of(np.arange(4), np.arange(4))["accuracy"] == Interval(value=1.0, low=1.0, high=1.0)


def test_any_score_of_a_confusion_matrix_will_do() -> None:
    truth, predicted = simulated(200, 3)
    score = bootstrap(truth, predicted, 4, {"f1": macro_f1}, np.random.default_rng(0))["f1"]
    assert score.low < score.value < score.high


def test_ninety_five_of_a_hundred_intervals_contain_the_true_accuracy() -> None:
    scores = [of(*simulated(250, seed, share=0.8), seed=seed, draws=400) for seed in range(400)]
    for name in SCORES:
        covered = np.mean([score[name].low <= 0.8 <= score[name].high for score in scores])
        assert 0.92 <= covered <= 0.98, name


def alike_in_clips(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """60 clips of 12 frames; a clip's frames are all right or all wrong. True accuracy 0.8."""
    truth, predicted = (np.repeat(values, 12) for values in simulated(60, seed, share=0.8))
    return truth, predicted, np.repeat(np.arange(60), 12)


def test_clips_are_drawn_as_a_whole() -> None:
    truth, predicted, clips = alike_in_clips(0)
    frames, whole = of(truth, predicted), of(truth, predicted, clusters=clips)
    assert whole["accuracy"].value == frames["accuracy"].value
    widths = [score["accuracy"].high - score["accuracy"].low for score in (whole, frames)]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(12), rel=0.2)


def test_intervals_over_clips_keep_their_promise_where_intervals_over_frames_do_not() -> None:
    covered = {"clips": 0, "frames": 0}
    for seed in range(200):
        truth, predicted, clips = alike_in_clips(seed)
        for name, clusters in (("clips", clips), ("frames", None)):
            score = of(truth, predicted, seed=seed, draws=300, clusters=clusters)["accuracy"]
            covered[name] += score.low <= 0.8 <= score.high
    assert covered["clips"] >= 180
    assert covered["frames"] <= 120


def test_clusters_of_one_row_are_rows() -> None:
    truth, predicted = simulated(500, 4)
    rows, alone = of(truth, predicted, draws=6000), of(truth, predicted, draws=6000, clusters=np.arange(500))
    for name in SCORES:
        assert (alone[name].low, alone[name].high) == pytest.approx((rows[name].low, rows[name].high), abs=0.006)


@pytest.mark.parametrize("clusters", [None, np.arange(300) // 3])
def test_memory_is_bounded_without_changing_the_result(
    clusters: np.ndarray | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, predicted = simulated(300, 5)
    at_once = of(truth, predicted, clusters=clusters)
    monkeypatch.setattr(intervals, "CHUNK", 1000)
    assert of(truth, predicted, clusters=clusters) == at_once


def test_rows_without_a_name_are_clusters_of_their_own() -> None:
    numbers = cluster_numbers(["b", None, "a", "b", None])
    assert numbers[0] == numbers[3]
    assert len(set(numbers.tolist())) == 4
    assert sorted(set(numbers.tolist())) == [0, 1, 2, 3]
    assert cluster_numbers([None, None]).tolist() == [0, 1]


def test_no_rows_are_refused() -> None:
    empty = np.empty(0, dtype=np.int64)
    with pytest.raises(DataError, match="no rows"):
        of(empty, empty)
