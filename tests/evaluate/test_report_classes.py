"""What a report says of single classes and single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.evaluate.predictions import Predictions, build_predictions
from openfer.evaluate.report.build import evaluate_predictions
from openfer.evaluate.report.classes import frequent_mistakes
from openfer.evaluate.report.examples import confident_errors, hardest_right
from openfer.evaluate.report.record import EvaluationReport
from openfer.labels import LabelSet

NAMES = ("calm", "cross", "glad", "bored")


def from_matrix(matrix: list[list[int]], columns: dict[str, Any] | None = None) -> EvaluationReport:
    """A report whose confusion matrix is this one."""
    counts = np.array(matrix)
    truth, answers = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
    names = NAMES[: len(counts)]
    labels = [names[index] for index in truth]
    return evaluate_predictions(
        build_predictions(LabelSet("own", names), np.eye(len(names))[answers], labels, columns=columns)
    )


def drawn(seed: int, n: int = 60) -> Predictions:
    """Random answers; some rows do not count."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(4, 0.5), n)
    truth = [None if rng.random() < 0.1 else NAMES[rng.choice(4, p=row)] for row in probabilities]
    status = ["unreadable" if rng.random() < 0.1 else "ok" for _ in range(n)]
    columns = {"status": status, "name": [f"{row}.png" for row in range(n)]}
    return build_predictions(LabelSet("own", NAMES), probabilities, truth, rows=np.arange(n) * 7, columns=columns)


def test_a_classs_intervals_are_as_wide_as_those_of_a_share_of_its_rows() -> None:
    calm = from_matrix([[140, 60, 0], [40, 260, 100], [0, 50, 350]]).classes[0]
    for share, interval, n in ((0.7, calm.recall_interval, 200), (140 / 180, calm.precision_interval, 180)):
        spread = 1.96 * np.sqrt(share * (1 - share) / n)
        assert interval == pytest.approx((share - spread, share + spread), abs=0.15 * spread)
    assert calm.f1 is not None
    assert calm.f1_interval is not None
    assert calm.f1_interval[0] < calm.f1 < calm.f1_interval[1]


def test_there_is_no_interval_where_resampling_says_nothing() -> None:
    calm, cross, glad, bored = from_matrix([[50, 0, 0, 1], [0, 40, 0, 0], [9, 0, 0, 0], [1, 0, 0, 1]]).classes
    assert calm.recall_interval is not None
    assert (cross.recall, cross.recall_interval, cross.precision_interval, cross.f1_interval) == (1.0, None, None, None)
    assert (glad.recall, glad.recall_interval) == (0.0, None)
    assert (glad.precision, glad.precision_interval) == (None, None)
    assert (bored.recall, bored.recall_interval) == (0.5, None), "two rows: many a resampled data set lacks them"


def test_people_and_clips_are_resampled_whole_for_classes_too() -> None:
    matrix = [[60, 20], [20, 60]]
    alone = from_matrix(matrix).classes[0].recall_interval
    # Rows 0 to 59 are hits of `calm`, 60 to 79 its misses: every clip is all right or all wrong.
    clips = [f"{row // 10}" for row in range(160)]
    grouped = from_matrix(matrix, {"group": clips}).classes[0].recall_interval
    assert alone is not None
    assert grouped is not None
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])


def test_the_most_frequent_mistakes_come_first() -> None:
    report = from_matrix([[9, 1, 0], [4, 3, 0], [0, 2, 5]])
    found = [(mistake.truth, mistake.answer, mistake.count, mistake.share) for mistake in frequent_mistakes(report)]
    assert found == [("cross", "calm", 4, 4 / 7), ("glad", "cross", 2, 2 / 7), ("calm", "cross", 1, 0.1)]
    assert len(frequent_mistakes(report, 2)) == 2
    assert frequent_mistakes(from_matrix([[3, 0], [0, 2]])) == ()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 80))
def test_examples_are_the_extreme_rows(seed: int, count: int) -> None:
    predictions = drawn(seed)
    rows = [row for row in predictions.table.to_pylist() if row["truth"] is not None and row["status"] == "ok"]
    best = [max(NAMES, key=lambda name, row=row: row[f"p_{name}"]) for row in rows]
    for chosen, right, sign in (
        (confident_errors(predictions, count), False, -1),
        (hardest_right(predictions, count), True, 1),
    ):
        expected = [
            (sign * row[f"p_{answer}"], row["row"], answer)
            for row, answer in zip(rows, best, strict=True)
            if (answer == row["truth"]) is right
        ]
        found = [(sign * example.confidence, example.row, example.answer) for example in chosen]
        assert found == sorted(expected)[:count]
        assert all((example.answer == example.truth) is right for example in chosen)


def test_an_example_says_where_to_find_it_and_what_was_thought() -> None:
    predictions = build_predictions(
        LabelSet("own", ("calm", "cross")),
        np.array([[0.9, 0.1], [0.25, 0.75], [0.4, 0.6]]),
        ["cross", "cross", "calm"],
        rows=np.array([5, 8, 11]),
        columns={"name": ["a.png", None, "c.png"], "way": ["frame", "points", None]},
    )
    first, second = confident_errors(predictions)
    assert (first.row, first.name, first.way) == (5, "a.png", "frame")
    assert (first.truth, first.answer, first.confidence, first.truth_probability) == ("cross", "calm", 0.9, 0.1)
    assert (second.row, second.truth, second.way) == (11, "calm", "")
    (only,) = hardest_right(predictions)
    assert (only.row, only.name, only.confidence, only.truth_probability) == (8, "", 0.75, 0.75)


def test_equally_sure_answers_come_in_the_order_of_the_rows() -> None:
    predictions = build_predictions(LabelSet("own", ("calm", "cross")), np.full((30, 2), 0.5), ["cross", "calm"] * 15)
    assert [example.row for example in confident_errors(predictions, 5)] == [0, 2, 4, 6, 8]
    assert [example.row for example in hardest_right(predictions, 5)] == [1, 3, 5, 7, 9]
