"""Answers to episodes: the arithmetic, what an answer depends on, and the file that the report reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.bundle.load import Bundle, load_bundle, softmax
from openfer.errors import ConfigError, DataError, ModelError
from openfer.evaluate.comparison.build import compare_predictions
from openfer.evaluate.episodes.classifiers import TEMPERATURE, classifier_scores
from openfer.evaluate.episodes.draw import draw, pool_of
from openfer.evaluate.episodes.record import Episodes
from openfer.evaluate.episodes.score import EmbeddingModel, score_episodes
from openfer.evaluate.predictions import read_predictions, write_predictions
from openfer.evaluate.report.build import evaluate_predictions
from openfer.evaluate.report.record import EvaluationReport
from openfer.evaluate.report.write import report_page
from openfer.labels import LabelSet
from openfer.predict.support.support import ModelKey, Support
from openfer.vision.cut import Cut
from tests.evaluate.drawn import manifest_of

CLASSES = ("anger", "disgust", "fear", "contempt")
ROWS = [(name, 100 * column + place, "train") for column, name in enumerate(CLASSES) for place in range(7)]
SEEDS = st.integers(0, 2**31)
NEAREST = ("cosine", "centred", "euclidean")


def slow_scores(support: np.ndarray, query: np.ndarray, distance: str) -> np.ndarray:
    """One query and one class after the other."""
    result = np.zeros((len(query), len(support)))
    centre = np.mean([row for shots in support for row in shots], axis=0) if distance == "centred" else 0.0
    for j, one in enumerate(query):
        for c, shots in enumerate(support):
            if distance == "euclidean":
                result[j, c] = -np.sum((one - np.mean(shots, axis=0)) ** 2) / len(one)
                continue
            units = [(shot - centre) / np.linalg.norm(shot - centre) for shot in shots]
            mean, vector = np.mean(units, axis=0), one - centre
            result[j, c] = mean @ vector / np.linalg.norm(mean) / np.linalg.norm(vector) / TEMPERATURE
    return result


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 5), st.integers(1, 4), st.sampled_from(NEAREST))
def test_classifier_scores_equal_the_slow_ones(seed: int, n: int, k: int, distance: str) -> None:
    rng = np.random.default_rng(seed)
    support, query = rng.normal(size=(3, n, k, 6)), rng.normal(size=(3, 5, 6))
    got = classifier_scores(support, query, distance)
    wanted = np.stack([slow_scores(*pair, distance) for pair in zip(support, query, strict=True)])
    # Squared distances lack what all classes share.
    apart = got - wanted if distance != "euclidean" else np.diff(got, axis=2) - np.diff(wanted, axis=2)
    np.testing.assert_allclose(apart, 0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from(NEAREST))
def test_scores_follow_the_classes_and_forget_the_order_of_shots(seed: int, distance: str) -> None:
    rng = np.random.default_rng(seed)
    support, query = rng.normal(size=(4, 3, 6)), rng.normal(size=(5, 6))
    ways, shots = rng.permutation(4), rng.permutation(3)
    plain = classifier_scores(support, query, distance)
    np.testing.assert_allclose(classifier_scores(support[ways][:, shots], query, distance), plain[:, ways], atol=1e-9)


def test_ridge_is_what_predict_support_computes() -> None:
    from openfer.predict.support.classifier import fit, members, probabilities

    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(2, 3, 4, 6)), rng.normal(size=(2, 5, 6))
    got = classifier_scores(support, query, "ridge")
    for one, shots, asked in zip(got, support, query, strict=True):
        fitted = fit(shots.reshape(12, 6), members(np.repeat(np.arange(3), 4), 3))
        shares = np.exp(one) / np.exp(one).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, probabilities(fitted.scores(asked)), rtol=1e-5)


def test_an_unknown_classifier_is_one_line() -> None:
    with pytest.raises(ConfigError, match="--classifier 'cosin': did you mean 'cosine'"):
        classifier_scores(np.ones((2, 1, 3)), np.ones((1, 3)), "cosin")


@dataclass
class Telling:
    """A model whose feature is the class of the face's row, and the row's number; right for all but some rows."""

    bundle: Bundle
    features: dict[bytes, tuple[int, int]]
    scored_by: str = "a test"
    encoded: int = 0

    def encode(self, cuts: Sequence[Cut]) -> np.ndarray:
        self.encoded += len(cuts)
        return np.array([self.features[cut.pixels.tobytes()] for cut in cuts], dtype=np.float64)

    def score(self, support: np.ndarray, query: np.ndarray) -> np.ndarray:
        return -np.abs(support[:, None, :, :, 0].mean(axis=3) - query[:, :, None, 0] + 0.01)  # without ties


@pytest.fixture(scope="module")
def model(bundle_folder: Path) -> EmbeddingModel:
    return EmbeddingModel(load_bundle(bundle_folder, threads=1))


def episodes_of(count: int = 6, **numbers: int) -> Episodes:
    return draw(pool_of(manifest_of(ROWS), CLASSES, ("train",)), episodes=count, **{"n_query": 2, **numbers})


def telling(bundle: Bundle, wrong: Sequence[int] = ()) -> Telling:
    """Knows the class of every row but of the wrong ones, which it takes for the next class."""
    from openfer.evaluate.score import cut_row

    manifest = manifest_of(ROWS)
    alignment = bundle.card.input.alignment()
    cuts = [cut_row(manifest, row, alignment, None) for row in range(len(manifest))]
    labels = [(CLASSES.index(name) + (row in wrong)) % 4 for row, (name, *_) in enumerate(ROWS)]
    known = {cut.pixels.tobytes(): (label, row) for row, (cut, label) in enumerate(zip(cuts, labels, strict=True))}
    return Telling(bundle, known)


def test_each_row_is_encoded_once_and_each_query_answered(model: EmbeddingModel) -> None:
    episodes = episodes_of(30)
    knows = telling(model.bundle)
    found = score_episodes(knows, manifest_of(ROWS), episodes, detector=None)
    used = np.unique(np.concatenate([episodes.support.ravel(), episodes.query.ravel()]))
    assert knows.encoded == len(used)
    assert len(found) == 30 * 3 * 2
    assert found.labels.names == CLASSES
    assert (found.probabilities.argmax(axis=1) == found.truth).all()
    np.testing.assert_array_equal(found.truth, np.repeat(episodes.ways.ravel(), 2))
    # Classes outside an episode have no share.
    asked = np.repeat(np.isin(np.arange(4), episodes.ways[0])[None], 6, axis=0)
    np.testing.assert_array_equal(found.probabilities[:6] > 0, asked)
    assert found.column("group")[:7] == ["episode 0"] * 6 + ["episode 1"]
    assert found.column("name")[0] == str(ROWS[episodes.query[0, 0, 0]][1])
    facts = found.context.episodes
    assert facts is not None
    assert (facts.count, facts.n_way, facts.k_shot, facts.n_query, facts.rows) == (30, 3, 3, 2, len(used))
    assert str(facts) == "30 episodes, 3-way 3-shot, 2 queries a class"
    assert found.context.rows_sha256 == facts.sha256 == episodes.digest


def test_ridge_episodes_are_answered_as_a_support_answers(bundle_folder: Path) -> None:
    """Mirrored copies of the examples included."""
    model = EmbeddingModel(load_bundle(bundle_folder, threads=1), "ridge")
    rng = np.random.default_rng(3)
    faces = rng.integers(0, 256, (8, 48, 48, 3), dtype=np.uint8)
    features = model.encode([Cut(pixels=face, way="frame", points5=None, square=(1, 0)) for face in faces])
    truth = np.repeat([0, 1], 3)
    support = Support(
        labels=LabelSet("own", ("a", "b")),
        features=features[:6].astype(np.float32),
        truth=truth,
        pictures=tuple("abcdef"),
        model=ModelKey.of(model.bundle.card),
    )
    scores = model.score(features[:6].reshape(1, 2, 3, *features.shape[1:]), features[None, 6:])[0]
    np.testing.assert_allclose(softmax(scores), support.answer(features[6:, 0].astype(np.float32))[0], rtol=1e-3)


def test_mistakes_are_counted_where_they_are(model: EmbeddingModel) -> None:
    episodes = episodes_of(40, n_way=4, k_shot=1)
    lost = [0, 8]  # of anger and of disgust
    found = score_episodes(telling(model.bundle, lost), manifest_of(ROWS), episodes, detector=None)
    report = evaluate_predictions(found, draws=200)
    clean = ~np.isin(np.concatenate([episodes.support, episodes.query], axis=2), lost).any(axis=(1, 2))
    right = (found.probabilities.argmax(axis=1) == found.truth).reshape(40, 8)
    assert right[clean].all()
    assert not right[~clean].all(axis=1).any()
    assert report.accuracy.value == pytest.approx(right.mean())
    assert (report.resampled, report.clusters) == ("episode", 40)
    means = right.mean(axis=1)
    half = 1.96 * means.std(ddof=1) / np.sqrt(40)
    assert report.accuracy.high - report.accuracy.low == pytest.approx(2 * half, rel=0.25)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_an_answer_depends_on_its_own_episode_alone(model: EmbeddingModel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    episodes = episodes_of(8)
    chosen = rng.permutation(8)[:3]
    part = replace(episodes, ways=episodes.ways[chosen], support=episodes.support[chosen], query=episodes.query[chosen])
    whole = score_episodes(model, manifest_of(ROWS), episodes, detector=None).probabilities.reshape(8, 6, 4)
    alone = score_episodes(model, manifest_of(ROWS), part, detector=None).probabilities.reshape(3, 6, 4)
    np.testing.assert_allclose(alone, whole[chosen], rtol=1e-4, atol=1e-6)


def test_blocks_change_nothing(model: EmbeddingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = episodes_of(9)
    whole = score_episodes(model, manifest_of(ROWS), episodes, detector=None)
    monkeypatch.setattr("openfer.evaluate.episodes.score.NUMBERS", 1)
    single = score_episodes(model, manifest_of(ROWS), episodes, detector=None)
    np.testing.assert_allclose(single.probabilities, whole.probabilities, rtol=1e-5, atol=1e-7)


def test_the_file_and_the_report_come_back(model: EmbeddingModel, tmp_path: Path) -> None:
    found = score_episodes(model, manifest_of(ROWS), episodes_of(30), detector=None)
    write_predictions(found, tmp_path / "p.parquet")
    back = read_predictions(tmp_path / "p.parquet")
    assert back.context == found.context
    report = evaluate_predictions(back, card=model.bundle.card, draws=100)
    assert EvaluationReport.from_dict(report.to_dict()) == report
    assert report.warnings[0].startswith("The model was trained on anger, disgust, fear, contempt")
    page = report_page(report)
    for text in (
        "30 episodes, 3-way 3-shot",
        "nearest centroid by cosine, on the model",
        "33.3 %",
        "draws of 30 episodes",
    ):
        assert text in page


def test_two_models_are_compared_on_the_same_episodes(model: EmbeddingModel) -> None:
    manifest, episodes = manifest_of(ROWS), episodes_of(40, n_way=4)
    good = score_episodes(telling(model.bundle), manifest, episodes, detector=None)
    poor = score_episodes(telling(model.bundle, [0, 1, 8, 9]), manifest, episodes, detector=None)
    comparison = compare_predictions({"good": good, "poor": poor}, draws=1000)
    pair = comparison.pairs[0]
    assert (comparison.resampled, comparison.clusters, comparison.used) == ("episode", 40, 320)
    assert pair.better == "good"
    means = [(file.probabilities.argmax(axis=1) == file.truth).mean() for file in (good, poor)]
    assert pair.differences["accuracy"].value == pytest.approx(means[0] - means[1])
    assert pair.sign_flip is not None
    assert any("320 rows of 40 episodes (column 'group')" in note for note in comparison.notes)
    other = score_episodes(telling(model.bundle), manifest, episodes_of(40, n_way=4, seed=1), detector=None)
    with pytest.raises(DataError, match=r"poor: judged on other episodes .*--episodes FILE"):
        compare_predictions({"good": good, "poor": other}, draws=1000)


def test_episodes_of_other_rows_are_refused(model: EmbeddingModel) -> None:
    episodes = episodes_of()
    with pytest.raises(DataError, match="drawn from another manifest"):
        score_episodes(model, manifest_of(ROWS[:-1]), episodes, detector=None)
    unknown = replace(episodes, manifest="")
    with pytest.raises(DataError, match=r"episodes: row \d+ is not in this manifest"):
        score_episodes(model, manifest_of(ROWS[:3]), unknown, detector=None)
    with pytest.raises(DataError, match=r"episodes: row \d+ is '\w+' in this manifest, '\w+' in episode \d+"):
        score_episodes(model, manifest_of(ROWS[::-1]), unknown, detector=None)


def test_a_row_that_cannot_be_cut_is_named(model: EmbeddingModel) -> None:
    manifest = manifest_of(ROWS)
    episodes = replace(episodes_of(1), manifest="")
    row = int(episodes.query[0, 0, 0])
    images = manifest.column("image")
    images[row] = {"bytes": b"no picture", "path": None}
    with pytest.raises(DataError, match=rf"row {row} \(.*\): unreadable: .*draw again"):
        score_episodes(model, manifest.with_column("image", images), episodes, detector=None)


def test_a_bundle_without_an_embedding_is_refused(model: EmbeddingModel) -> None:
    card = model.bundle.card.model_copy(update={"outputs": ("logits",)})
    with pytest.raises(ModelError, match="no output 'embedding'"):
        EmbeddingModel(replace(model.bundle, card=card))
    with pytest.raises(ConfigError, match="--classifier 'euclid'"):
        EmbeddingModel(model.bundle, "euclid")
