"""Paired scores and tests against scikit-learn, SciPy, brute force and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from openfer.errors import DataError
from openfer.evaluate import metrics, paired
from openfer.evaluate.paired import Resampled, holm, losses, mcnemar, only_one, paired_bootstrap, resample, sign_flip

SCORES = ("accuracy", "mean_class_accuracy", "macro_f1", "negative_log_likelihood", "calibration_error")


def simulated(n: int, seed: int, *, m: int = 2, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Truth [n] and the probabilities [m, n, k] of m models that are right in about two of three rows."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    logits = rng.normal(0, 1, (m, n, k)) + 1.5 * np.eye(k)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)


def of(truth: np.ndarray, probabilities: np.ndarray, seed: int = 0, **options: object) -> Resampled:
    return paired_bootstrap(truth, probabilities, np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def certain(answers: np.ndarray, k: int = 2) -> np.ndarray:
    """Probabilities [M, N, K] of models that are sure of their answers [M, N]."""
    return np.eye(k)[answers]


def test_scores_and_differences_are_those_of_scikit_learn() -> None:
    truth, probabilities = simulated(300, 1, m=3)
    scores = of(truth, probabilities, draws=10)
    answers = probabilities.argmax(axis=2)
    expected = {
        "accuracy": [reference.accuracy_score(truth, answer) for answer in answers],
        "mean_class_accuracy": [reference.balanced_accuracy_score(truth, answer) for answer in answers],
        "macro_f1": [reference.f1_score(truth, answer, average="macro") for answer in answers],
        "negative_log_likelihood": [reference.log_loss(truth, p, labels=range(4)) for p in probabilities],
        "calibration_error": [metrics.expected_calibration_error(p, truth) for p in probabilities],
    }
    for name in SCORES:
        assert [scores.score(name, model).value for model in range(3)] == pytest.approx(expected[name])
        difference = scores.difference(name, 2, 0)
        assert difference.value == pytest.approx(expected[name][2] - expected[name][0])


def test_every_model_is_scored_on_the_same_resampled_rows() -> None:
    truth, probabilities = simulated(40, 2)
    clusters = np.arange(40) // 3
    scores = of(truth, probabilities, seed=5, clusters=clusters, draws=30)
    weights = np.concatenate(list(resample(40, np.random.default_rng(5), clusters=clusters, draws=30)))
    for draw in range(30):
        rows = np.repeat(np.arange(40), weights[draw].astype(int))
        for model in range(2):
            drawn, answers = probabilities[model, rows], probabilities[model, rows].argmax(axis=1)
            matrix = metrics.confusion(truth[rows], answers, 4)
            expected = (
                metrics.accuracy(matrix),
                metrics.mean_class_accuracy(matrix),
                metrics.macro_f1(matrix),
                metrics.negative_log_likelihood(drawn, truth[rows]),
                metrics.expected_calibration_error(drawn, truth[rows]),
            )
            np.testing.assert_allclose([scores.draws[name][model, draw] for name in SCORES], expected)


def test_rows_are_drawn_as_often_as_there_are_rows_and_clusters_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    weights = np.concatenate(list(resample(50, rng, draws=400)))
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    clusters = np.array([0, 1, 0, 2, 1, 0])
    first, second, third, fourth, fifth, sixth = np.concatenate(list(resample(6, rng, clusters=clusters, draws=20))).T
    assert (first == third).all()
    assert (first == sixth).all()
    assert (second == fifth).all()
    assert (first + second + fourth == 3).all()


def test_a_difference_of_equal_models_is_nothing_and_turns_with_the_models() -> None:
    truth, probabilities = simulated(60, 3)
    same = of(truth, probabilities[[0, 0]], draws=50)
    there, back = of(truth, probabilities, draws=50), of(truth, probabilities[::-1], draws=50)
    for name in SCORES:
        nothing = same.difference(name, 0, 1)
        assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
        one, other = there.difference(name, 0, 1), back.difference(name, 0, 1)
        assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_other_models_do_not_change_a_pair() -> None:
    truth, probabilities = simulated(60, 4, m=3)
    assert of(truth, probabilities, draws=50).difference("macro_f1", 0, 1) == of(
        truth, probabilities[:2], draws=50
    ).difference("macro_f1", 0, 1)


def test_memory_is_bounded_without_changing_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, probabilities = simulated(80, 5)
    at_once = of(truth, probabilities, draws=100)
    monkeypatch.setattr(paired, "CHUNK", 700)
    in_parts = of(truth, probabilities, draws=100)
    for name in SCORES:
        np.testing.assert_allclose(in_parts.draws[name], at_once.draws[name], atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_rows_of_a_single_class_have_scores(rows: int) -> None:
    scores = of(np.zeros(rows, dtype=np.int64), certain(np.array([[0] * rows, [1] * rows])), draws=20)
    assert scores.difference("accuracy", 0, 1).value == 1
    assert all(np.isfinite(scores.draws[name]).all() for name in SCORES)


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        of(np.empty(0, dtype=np.int64), np.empty((2, 0, 3)))


def test_losses_are_floored_like_the_likelihood() -> None:
    loss = losses(np.array([1, 0]), np.array([[[1.0, 0.0], [0.25, 0.75]]]))
    assert loss.tolist() == [[pytest.approx(52 * np.log(2)), pytest.approx(np.log(4))]]


def test_the_interval_of_a_difference_has_the_width_that_theory_gives() -> None:
    # Of 1000 rows the first model alone gets 150, the second alone 50: variance of the gain 0.2 - 0.1^2.
    truth = np.zeros(1000, dtype=np.int64)
    first = np.where(np.arange(1000) < 700, 0, 1)
    second = np.where((np.arange(1000) >= 150) & (np.arange(1000) < 750), 0, 1)
    gain = of(truth, certain(np.stack([first, second])), draws=6000).difference("accuracy", 0, 1)
    half = 1.96 * np.sqrt(0.19 / 1000)
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.1, 0.1 - half, 0.1 + half), abs=0.002)


def test_ninety_five_of_a_hundred_intervals_contain_the_true_difference() -> None:
    # Both models find a hard row or not together more often than apart: true accuracies 0.8 and 0.7.
    covered = {"accuracy": 0, "mean_class_accuracy": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth, hardness = rng.integers(0, 3, 250), rng.random(250)
        first = hardness < 0.8
        second = np.where(rng.random(250) < 0.5, hardness < 0.7, rng.random(250) < 0.7)
        answers = np.where(np.stack([first, second]), truth, (truth + 1) % 3)
        scores = of(truth, certain(answers, 3), seed=seed, draws=400)
        for name in covered:
            gain = scores.difference(name, 0, 1)
            covered[name] += gain.low <= 0.1 <= gain.high
    assert all(0.91 <= count / 200 <= 0.985 for count in covered.values()), covered


def test_intervals_of_the_calibration_error_keep_their_promise_where_percentiles_do_not() -> None:
    # Probabilities to the power 1, 1.3 and 3, renormalised: calibrated, a little and very boastful. True errors are
    # measured on two million rows.
    powers = {1.0: 0.0, 1.3: 0.0589, 3.0: 0.2475}
    covered, by_percentiles = dict.fromkeys(powers, 0), dict.fromkeys(powers, 0)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        honest = rng.dirichlet(np.ones(4), 200)
        truth = (honest.cumsum(axis=1) < rng.random((200, 1))).sum(axis=1)
        claimed = np.stack([honest**power for power in powers])
        scores = of(truth, claimed / claimed.sum(axis=2, keepdims=True), seed=seed, draws=200)
        for model, (power, true) in enumerate(powers.items()):
            score = scores.score("calibration_error", model)
            low, high = np.quantile(scores.draws["calibration_error"][model], (0.025, 0.975))
            assert 0 <= score.low <= score.value <= score.high
            assert score.high == pytest.approx(max(score.value, 2 * score.value - low))
            covered[power] += score.low <= true <= score.high
            by_percentiles[power] += low <= true <= high
    assert all(count >= 85 for count in covered.values()), covered
    assert by_percentiles[1.0] == 0
    assert by_percentiles[1.3] < 70


@settings(max_examples=100, deadline=None)
@given(first=st.integers(0, 400), second=st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(first, second) == mcnemar(second, first)


def test_mcnemar_takes_counts_of_any_size() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 1) == 1
    assert mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar(501_000, 499_000) == pytest.approx(stats.binomtest(501_000, 10**6).pvalue, rel=1e-6)
    assert 0 <= mcnemar(10**6, 0) < 1e-300


def test_rows_that_only_one_model_gets_right_are_counted() -> None:
    right = np.array([[True] * 9 + [False] * 3 + [True] * 5, [False] * 9 + [True] * 3 + [True] * 5])
    assert only_one(right) == (9, 3)
    assert only_one(right[::-1]) == (3, 9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-6, 6), max_size=10))
def test_the_sign_flip_test_counts_all_signs(differences: list[int]) -> None:
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(differences))]
    expected = np.mean(np.array(sums) >= abs(sum(differences)))
    assert sign_flip(np.array(differences, dtype=np.int64)) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(first=st.integers(0, 60), second=st.integers(0, 60))
def test_over_single_rows_the_sign_flip_test_is_mcnemars(first: int, second: int) -> None:
    differences = np.array([1] * first + [-1] * second + [0] * 7)
    assert sign_flip(differences) == pytest.approx(mcnemar(first, second), abs=1e-11)


def test_the_sign_flip_p_is_never_below_what_so_few_clusters_allow() -> None:
    assert sign_flip(np.array([30, 40, 20])) == pytest.approx(2 / 8)
    many = sign_flip(np.full(300, 2))
    assert 0 < many <= 1e-12


def test_clips_fool_mcnemars_test_but_not_the_sign_flip_test() -> None:
    # Two equal models that differ clip by clip: each of 40 clips has 10 rows that one of the two gets right.
    rng = np.random.default_rng(0)
    found = {"mcnemar": 0, "sign_flip": 0}
    for _ in range(300):
        clips = 10 * rng.choice([-1, 0, 1], 40)
        found["mcnemar"] += mcnemar(int(clips[clips > 0].sum()), -int(clips[clips < 0].sum())) < 0.05
        found["sign_flip"] += sign_flip(clips) < 0.05
    assert found["sign_flip"] <= 0.07 * 300
    assert found["mcnemar"] >= 0.3 * 300


def test_holm_of_a_worked_example() -> None:
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, then 0.04 x 1, which may not be below the one before it.
    corrected = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert corrected.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.03])).tolist() == [0.03]
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_no_correction_and_bonferroni(values: list[float]) -> None:
    p = np.array(values)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, len(p) * p)).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()
