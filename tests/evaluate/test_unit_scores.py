"""Scores of action units: exact on small arrays, against scikit-learn, and blind to the expression within one."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openfer.errors import DataError
from openfer.evaluate.action_units.build import Judged, score_action_units
from openfer.evaluate.action_units.record import ActionUnitReport
from openfer.evaluate.action_units.statistics import Faces, auc, best_thresholds, correlations, f1, pcc

sklearn_metrics = pytest.importorskip("sklearn.metrics")


def made(probabilities: np.ndarray, values: np.ndarray, clusters: np.ndarray | None = None) -> Faces:
    numbers = np.arange(len(values)) if clusters is None else clusters
    return Faces(probabilities=probabilities, values=values, present=values >= 0.2, clusters=numbers)


def drawn(seed: int, faces: int = 60, units: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities with ties, true intensities, and expressions."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.uniform(size=(faces, units)) < 0.4, rng.uniform(0.2, 1, (faces, units)), 0.0)
    probabilities = np.round(np.clip(0.6 * values + rng.uniform(0, 0.5, (faces, units)), 0, 1), 1)
    return probabilities, values, rng.integers(0, 3, faces)


@pytest.mark.parametrize("seed", range(3))
def test_all_faces_as_scikit_learn_has_it(seed: int) -> None:
    probabilities, values, _ = drawn(seed)
    faces, once, together = made(probabilities, values), np.ones((1, 60)), np.zeros(60, dtype=np.int64)
    for unit in range(3):
        truth, score = values[:, unit] >= 0.2, probabilities[:, unit]
        assert auc(faces, once, together)[0, unit] == pytest.approx(sklearn_metrics.roc_auc_score(truth, score))
        assert f1(faces, once, np.full(3, 0.5))[0, unit] == pytest.approx(sklearn_metrics.f1_score(truth, score >= 0.5))
        assert pcc(faces, once, together)[0, unit] == pytest.approx(np.corrcoef(score, values[:, unit])[0, 1])


def test_a_resampled_data_set_counts_as_its_rows_written_out() -> None:
    probabilities, values, strata = drawn(4)
    clusters = np.arange(60) // 4
    picks = np.random.default_rng(0).multinomial(15, np.full(15, 1 / 15), size=5).astype(np.float64)
    faces = made(probabilities, values, clusters)
    found = [auc(faces, picks, strata), pcc(faces, picks, strata), f1(faces, picks, np.full(3, 0.4))]
    for draw, pick in enumerate(picks):
        rows = np.repeat(np.arange(60), pick[clusters].astype(int))
        again, once = made(probabilities[rows], values[rows]), np.ones((1, len(rows)))
        written = [auc(again, once, strata[rows]), pcc(again, once, strata[rows]), f1(again, once, np.full(3, 0.4))]
        for ours, theirs in zip(found, written, strict=True):
            np.testing.assert_allclose(ours[draw], theirs[0], atol=1e-9)


def test_within_expressions_is_a_mean_over_them_by_their_pairs() -> None:
    probabilities, values, strata = drawn(5)
    faces, once = made(probabilities, values), np.ones((1, 60))
    for unit in range(3):
        parts = [(values[strata == k, unit], probabilities[strata == k, unit]) for k in range(3)]
        aucs = [sklearn_metrics.roc_auc_score(truth >= 0.2, score) for truth, score in parts]
        pairs = [(truth >= 0.2).sum() * (truth < 0.2).sum() for truth, _ in parts]
        assert auc(faces, once, strata)[0, unit] == pytest.approx(np.average(aucs, weights=pairs))
        rs = [np.corrcoef(score, truth)[0, 1] for truth, score in parts]
        sizes = [len(truth) * (len(truth) - 1) / 2 for truth, _ in parts]
        assert pcc(faces, once, strata)[0, unit] == pytest.approx(np.average(rs, weights=sizes))


@given(
    level=arrays(np.float64, (3, 2), elements=st.floats(0, 1)),
    values=arrays(np.float64, (40, 2), elements=st.floats(0, 1)),
    strata=arrays(np.int64, 40, elements=st.integers(0, 2)),
)
def test_what_the_expression_alone_says_is_worth_nothing_within_it(
    level: np.ndarray, values: np.ndarray, strata: np.ndarray
) -> None:
    picks = np.random.default_rng(1).multinomial(40, np.full(40, 1 / 40), size=4).astype(np.float64)
    faces = made(level[strata], values)
    within = auc(faces, picks, strata)
    assert (within[np.isfinite(within)] == 0.5).all()
    r = pcc(faces, picks, strata)
    assert (r[np.isfinite(r)] == 0.0).all()


@given(st.integers(0, 1000))
def test_auc_is_turned_round_with_the_answers_and_blind_to_their_scale(seed: int) -> None:
    probabilities, values, strata = drawn(seed, faces=30)
    once = np.ones((1, 30))
    plain = auc(made(probabilities, values), once, strata)
    np.testing.assert_allclose(auc(made(1 - probabilities, values), once, strata), 1 - plain)
    np.testing.assert_allclose(auc(made(probabilities**3 / 7, values), once, strata), plain)


@given(st.integers(0, 1000))
def test_no_threshold_has_a_higher_f1_than_the_best_one(seed: int) -> None:
    probabilities, values, _ = drawn(seed, faces=20)
    faces, once = made(probabilities, values), np.ones((1, 20))
    best = f1(faces, once, best_thresholds(probabilities, values >= 0.2))
    others = np.stack([f1(faces, once, np.full(3, t))[0] for t in np.linspace(0, 1.01, 40)])
    assert (np.nan_to_num(best[0], nan=1.0) >= np.nan_to_num(others, nan=0.0).max(axis=0) - 1e-12).all()


def test_unknown_truth_counts_nowhere() -> None:
    probabilities, values, strata = drawn(6)
    gone = values.copy()
    gone[:20, 1] = np.nan
    once = np.ones((1, 60))
    part, whole = made(probabilities[20:], values[20:]), made(probabilities, gone)
    for ours, theirs in (
        (auc(whole, once, strata), auc(part, once[:, 20:], strata[20:])),
        (pcc(whole, once, strata), pcc(part, once[:, 20:], strata[20:])),
        (f1(whole, once, np.full(3, 0.5)), f1(part, once[:, 20:], np.full(3, 0.5))),
    ):
        assert ours[0, 1] == pytest.approx(theirs[0, 1])


def test_an_expression_in_which_nothing_varies_is_left_out() -> None:
    probabilities, values, strata = drawn(7)
    values[strata == 1, 0] = 0.0
    faces, once = made(probabilities, values), np.ones((1, 60))
    rest = strata != 1
    kept = made(probabilities[rest], values[rest])
    assert np.isnan(correlations(faces, once, strata)[0][0, 1, 0])
    for score in (auc, pcc):
        expected = score(kept, np.ones((1, rest.sum())), strata[rest])[0, 0]
        assert score(faces, once, strata)[0, 0] == pytest.approx(expected)


def judged(seed: int = 8, **changes: object) -> Judged:
    probabilities, values, strata = drawn(seed)
    given = {
        "units": (1, 12, 25),
        "probabilities": probabilities,
        "values": values,
        "present_from": 0.2,
        "expressions": [("fear", "anger", "joy")[k] for k in strata],
        "clusters": np.arange(60) // 4,
        "resampled": "subject",
    }
    return Judged(**(given | changes))  # type: ignore[arg-type]


def test_a_report_holds_every_score_with_its_interval_and_survives_json() -> None:
    probabilities, values, _ = drawn(9)
    report = score_action_units(judged(), holdout=(probabilities, values), draws=200)
    assert [line.unit for line in report.units] == [1, 12, 25]
    assert (report.faces, report.clusters, report.resampled) == (60, 15, "subject")
    assert set(report.expressions) == {"fear", "anger", "joy"}
    for line in report.units:
        assert set(line.scores) == {"f1", "f1_best", "auc", "auc_within", "pcc", "pcc_within"}
        for score in line.scores.values():
            assert score.interval
            assert score.interval[0] <= score.value <= score.interval[1]
    assert report.means["auc"].score.value == pytest.approx(np.mean([u.scores["auc"].value for u in report.units]))
    assert ActionUnitReport.from_dict(json.loads(json.dumps(asdict(report), allow_nan=False))) == report


def test_what_cannot_be_scored_is_left_out_and_counted() -> None:
    probabilities, values, _ = drawn(8)
    values[:, 0] = 0.0
    probabilities[:5] = np.nan
    report = score_action_units(judged(probabilities=probabilities, values=values), draws=50)
    never, sometimes, _ = report.units
    assert report.unanswered == 5
    assert report.faces == 55
    assert never.present == 0
    assert never.expressions == 0
    assert set(never.scores) <= {"f1"}
    assert set(sometimes.scores) == {"f1", "auc", "auc_within", "pcc", "pcc_within"}
    assert report.means["auc"].units == 2


def test_faces_without_expressions_have_no_scores_within_them() -> None:
    report = score_action_units(judged(expressions=[None] * 60), draws=20)
    assert report.expressions == ()
    assert set(report.means) == {"f1", "auc", "pcc"}


def test_nothing_to_judge_is_an_error() -> None:
    with pytest.raises(DataError, match="no face"):
        score_action_units(judged(probabilities=np.full((60, 3), np.nan)))
