"""The classifier of a support against slow, obvious versions of itself, and what must not change its answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.predict.support.classifier import RIDGE, fit, leave_one_out, members, probabilities
from openfer.predict.support.support import COPIES

SEEDS = st.integers(0, 2**32 - 1)


def examples(seed: int, counts: tuple[int, ...], width: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Features [m, 2, D] and classes [m]."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    features = rng.normal(0, 1, (len(truth), COPIES, width)) + 2 * rng.normal(0, 1, (len(counts), 1, width))[truth]
    return features, truth


def learn(features: np.ndarray, truth: np.ndarray):  # type: ignore[no-untyped-def]
    return fit(features.reshape(-1, features.shape[-1]), members(truth, truth.max() + 1, COPIES))


@given(SEEDS, st.lists(st.integers(1, 4), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None)
def test_it_is_ridge_regression_on_features_of_length_one(seed: int, counts: list[int]) -> None:
    features, truth = examples(seed, tuple(counts))
    rows, classes, n = features.reshape(-1, 7), np.repeat(truth, COPIES), len(counts)
    centres = np.array([rows[classes == c].mean(0) for c in range(n)])
    inputs = np.array([row / np.linalg.norm(row) for row in rows])
    wanted = np.full((len(rows), n), -1 / n)
    for row, c in enumerate(classes):
        wanted[row, c] += len(rows) / (n * (classes == c).sum())
    weights = np.linalg.inv(inputs.T @ inputs + RIDGE * np.eye(7)) @ inputs.T @ wanted
    query = np.random.default_rng(seed + 1).normal(0, 1, (5, 7))
    model = learn(features, truth)
    slow = np.array([one / np.linalg.norm(one) @ weights for one in query])
    assert model.scores(query) == pytest.approx(slow, abs=1e-9)
    cosines = [[one @ c / np.linalg.norm(one) / np.linalg.norm(c) for c in centres] for one in query]
    assert model.similarities(query) == pytest.approx(np.array(cosines), abs=1e-9)


@given(SEEDS, st.lists(st.integers(1, 3), min_size=2, max_size=3))
@settings(max_examples=15, deadline=None)
def test_leaving_out_is_learning_from_the_others(seed: int, counts: list[int]) -> None:
    features, truth = examples(seed, tuple(counts))
    scores, alike = leave_one_out(features, truth, len(counts))
    for number in range(len(truth)):
        others = np.arange(len(truth)) != number
        if counts[truth[number]] == 1:
            assert np.isnan(scores[number]).all()
            assert np.isnan(alike[number])
            continue
        model = learn(features[others], truth[others])
        assert scores[number] == pytest.approx(model.scores(features[number, :1])[0], abs=1e-9)
        assert alike[number] == pytest.approx(model.similarities(features[number, :1])[0, truth[number]], abs=1e-9)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_order_and_scale_do_not_matter(seed: int) -> None:
    features, truth = examples(seed, (2, 3, 1))
    query = np.random.default_rng(seed + 1).normal(0, 1, (4, 7))
    scores = learn(features, truth).scores(query)
    order = np.random.default_rng(seed).permutation(len(truth))
    assert learn(features[order], truth[order]).scores(query) == pytest.approx(scores, abs=1e-9)
    assert learn(features, 2 - truth).scores(query)[:, ::-1] == pytest.approx(scores, abs=1e-9)
    assert learn(3 * features, truth).scores(2 * query) == pytest.approx(scores, abs=1e-9)
    assert learn(features[:, ::-1], truth).scores(query) == pytest.approx(scores, abs=1e-9)


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_each_query_is_answered_alone_and_probabilities_sum_to_one(seed: int) -> None:
    features, truth = examples(seed, (2, 2))
    model, query = learn(features, truth), np.random.default_rng(seed).normal(0, 1, (6, 7))
    likely = probabilities(model.scores(query))
    assert likely.sum(1) == pytest.approx(1)
    assert likely.argmax(1).tolist() == model.scores(query).argmax(1).tolist()
    assert probabilities(model.scores(query[2:3]))[0] == pytest.approx(likely[2], abs=1e-6)


def test_features_that_are_all_alike_say_nothing() -> None:
    features, truth = np.ones((4, 2, 7)), np.array([0, 0, 1, 1])
    assert probabilities(learn(features, truth).scores(np.ones((1, 7)))).tolist() == [[0.5, 0.5]]
