"""The FER+ vote rules against the original code's worked examples, its counts, and a slow loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openfer.data.votes import LABELS, RULES, apply_rule, describe_rule, rule_for, vote_fields
from openfer.errors import ConfigError, DataError
from tests.layouts import WORKED_VOTES

SHARED = Path(__file__).parents[3] / "shared" / "data"

# By row of WORKED_VOTES: what each rule keeps, as column -> share; None = dropped.
NEUTRAL, HAPPINESS, SURPRISE, SADNESS, ANGER, DISGUST, FEAR, CONTEMPT = range(8)
SOFT = [
    {NEUTRAL: 4 / 7, ANGER: 3 / 7},
    {NEUTRAL: 1},
    {NEUTRAL: 1 / 2, HAPPINESS: 1 / 2},
    {NEUTRAL: 1 / 3, HAPPINESS: 1 / 3, SURPRISE: 1 / 3},
    None,
    None,
    None,
    {HAPPINESS: 1},
    {SURPRISE: 4 / 7, FEAR: 3 / 7},
    None,
]
EXPECTED = {
    "majority": [None, {NEUTRAL: 1}, None, None, None, None, None, {HAPPINESS: 1}, None, None],
    "crossentropy": SOFT,
    "multi_target": [*SOFT[:6], {HAPPINESS: 1}, *SOFT[7:]],
    # 3 3 3 1 and 0 5 | 5 and ten single votes: the first of the largest.
    "argmax": [
        {NEUTRAL: 1},
        {NEUTRAL: 1},
        {NEUTRAL: 1},
        {NEUTRAL: 1},
        {NEUTRAL: 1},
        None,
        {HAPPINESS: 1},
        {HAPPINESS: 1},
        {SURPRISE: 1},
        {NEUTRAL: 1},
    ],
}
# Where one column alone has the most votes, both say the same.
EXPECTED["plurality"] = [
    shares if sum(count == max(votes) for count in votes) == 1 else None
    for votes, shares in zip(WORKED_VOTES, EXPECTED["argmax"], strict=True)
]


@pytest.mark.parametrize("rule", RULES)
def test_worked_examples(rule: str) -> None:
    distribution, status = apply_rule(np.array(WORKED_VOTES), rule)
    expected = np.zeros((len(WORKED_VOTES), 8))
    for row, shares in enumerate(EXPECTED[rule]):
        for column, share in (shares or {}).items():
            expected[row, column] = share
    np.testing.assert_allclose(distribution, expected, atol=1e-6)
    assert distribution.dtype == np.float32
    assert [reason == "ok" for reason in status] == [shares is not None for shares in EXPECTED[rule]]


def test_dropped_rows_say_why() -> None:
    counts = np.array([WORKED_VOTES[0], WORKED_VOTES[5], (0,) * 9 + (10,), WORKED_VOTES[9]])
    assert apply_rule(counts, "majority")[1].tolist() == ["no majority", "unknown", "not a face", "no majority"]


def test_ties_are_taken_whole_and_unknown_ends_the_walk() -> None:
    counts = np.array(
        [
            (5, 0, 0, 0, 0, 0, 0, 0, 2, 2),  # unknown ends it after 5 of 9
            (3, 0, 2, 2, 0, 0, 0, 0, 3, 0),  # unknown in the same tie: 3 of 10 is not enough
            (4, 2, 2, 2, 0, 0, 0, 0, 0, 0),  # a tie makes four columns: too many
            (6, 2, 2, 0, 0, 0, 0, 0, 0, 0),  # 6 of 10 is not 3/4: the tie comes along
            (8, 2, 0, 0, 0, 0, 0, 0, 0, 0),  # 8 of 10 is enough
        ]
    )
    distribution, status = apply_rule(counts, "crossentropy")
    assert status.tolist() == ["ok", "no majority", "no majority", "ok", "ok"]
    np.testing.assert_allclose(distribution[0, 0], 1)
    np.testing.assert_allclose(distribution[3, :3], (0.6, 0.2, 0.2), atol=1e-6)
    np.testing.assert_allclose(distribution[4, 0], 1)


def test_three_tenths_are_enough_for_multi_target() -> None:
    distribution, _ = apply_rule(
        np.array([(4, 3, 3, 0, 0, 0, 0, 0, 0, 0), (5, 2, 0, 0, 0, 0, 0, 0, 3, 0)]), "multi_target"
    )
    np.testing.assert_allclose(distribution[0, :3], (0.4, 0.3, 0.3), atol=1e-6)
    np.testing.assert_allclose(distribution[1], (1, 0, 0, 0, 0, 0, 0, 0))


def slow_crossentropy(row: list[int]) -> list[float]:
    """The walk as the original code does it, one row and one column at a time."""
    votes = [count if count > 1 else 0 for count in row]
    total, kept, taken, number, walking = sum(votes), [0] * 10, 0, 0, True
    while taken < 0.75 * total and number < 3 and walking:
        most = max(votes)
        for column in range(10):
            if votes[column] != most:
                continue
            kept[column], votes[column] = most, 0
            taken += most
            number += 1
            if column >= 8:
                walking = False
                if sum(kept) > most:
                    kept[column] = 0
                    number -= 1
                break
    if sum(kept) <= 0.5 * total or number > 3 or int(np.argmax(kept)) >= 8:
        return [0.0] * 8
    return [count / sum(kept[:8]) for count in kept[:8]]


@settings(max_examples=300, deadline=None)
@given(arrays(np.uint8, (4, 10), elements=st.integers(0, 6)))
def test_crossentropy_is_the_original_walk(counts: np.ndarray) -> None:
    distribution, _ = apply_rule(counts, "crossentropy")
    np.testing.assert_allclose(distribution, [slow_crossentropy(row) for row in counts.tolist()], atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(arrays(np.uint8, (5, 10), elements=st.integers(0, 10)), st.sampled_from(RULES))
def test_a_row_is_a_distribution_or_dropped_with_a_reason(counts: np.ndarray, rule: str) -> None:
    distribution, status = apply_rule(counts, rule)
    np.testing.assert_allclose(distribution.sum(axis=1), status == "ok", atol=1e-6)
    # A row does not depend on its neighbours.
    np.testing.assert_array_equal(distribution[2:3], apply_rule(counts[2:3], rule)[0])


def test_no_votes_at_all_is_no_neutral_face() -> None:
    for rule in RULES:
        assert apply_rule(np.zeros((1, 10), dtype=np.uint8), rule)[1].tolist() == ["no majority"]
        assert apply_rule(np.zeros((0, 10), dtype=np.uint8), rule)[0].shape == (0, 8)


def test_a_tie_has_no_plurality() -> None:
    counts = np.array([(5, 5) + (0,) * 8, (4, 3, 3) + (0,) * 7, (5, 0, 0, 0, 0, 0, 0, 0, 5, 0), (0,) * 8 + (6, 4)])
    distribution, status = apply_rule(counts, "plurality")
    assert status.tolist() == ["no majority", "ok", "no majority", "unknown"]
    np.testing.assert_array_equal(distribution[1], np.eye(8)[NEUTRAL])


def test_evaluation_is_by_majority_except_for_rules_of_raw_counts() -> None:
    assert rule_for("train", "crossentropy") == "crossentropy"
    assert rule_for("validation", "crossentropy") == "majority"
    assert rule_for("test", "argmax") == "argmax"
    assert describe_rule("crossentropy") == "crossentropy (train), majority (validation, test)"
    assert describe_rule("argmax") == "argmax"
    assert rule_for("validation", "plurality") == describe_rule("plurality") == "plurality"


def test_fields_of_one_hot_rules_have_no_votes() -> None:
    happy, dropped = np.array(WORKED_VOTES)[[7, 0]]
    majority = vote_fields(np.stack([happy, dropped]), "majority")
    assert majority[0] == {"label": "happiness", "votes": None, "status": "ok"}
    assert majority[1] == {"label": None, "votes": None, "status": "no majority"}
    soft = vote_fields(np.stack([dropped]), "crossentropy")[0]
    assert soft["label"] == "neutral"
    np.testing.assert_allclose(soft["votes"], [4 / 7, 0, 0, 0, 3 / 7, 0, 0, 0], atol=1e-6)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'majority'"):
        apply_rule(np.zeros((1, 10), dtype=int), "majorty")
    with pytest.raises(DataError, match=r"\[N, 10\], got \[1, 8\]"):
        apply_rule(np.zeros((1, 8), dtype=int), "majority")
    with pytest.raises(DataError, match="-1"):
        apply_rule(np.full((1, 10), -1), "majority")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development arrays are not here")
def test_counts_of_the_real_votes() -> None:
    """Kept rows of train and validation; three repeated pictures of fer2013new.csv count once in these arrays."""
    expected = {
        ("votes", "majority"): (25_045, 3_191),
        ("votes", "crossentropy"): (27_947, 3_508),
        ("votes", "multi_target"): (27_667, 3_472),
        ("votes", "argmax"): (28_385, 3_555),
        ("votes", "plurality"): (26_940, 3_396),
        ("votes_new", "majority"): (25_057, 3_199),
        ("votes_new", "crossentropy"): (27_956 - 3, 3_505),
        ("votes_new", "multi_target"): (27_671 - 3, 3_472),
        ("votes_new", "argmax"): (28_386, 3_553),
        ("votes_new", "plurality"): (26_937, 3_396),
    }
    files = [np.load(SHARED / name, allow_pickle=False) for name in ("ferplus_train.npz", "ferplus_valid.npz")]
    for (source, rule), counts in expected.items():
        assert tuple(int((apply_rule(file[source], rule)[1] == "ok").sum()) for file in files) == counts, (source, rule)
    labels = apply_rule(files[0]["votes"], "majority")[0].sum(axis=0).astype(int)
    assert labels.tolist() == [8733, 7284, 3136, 3022, 2098, 116, 536, 120]
    assert LABELS.names[7] == "contempt"
