"""A toy model answers the rows of drawn data sets."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openfer.bundle.load import Bundle, load_bundle
from openfer.data.manifest import Manifest, Origin, build_manifest
from openfer.errors import ConfigError, DataError
from openfer.evaluate.score import cut_pictures, match_labels, score_manifest
from openfer.labels import LABEL_SETS, LabelSet
from openfer.vision.cut import cut_face
from openfer.vision.detect import load_detector

FERPLUS = LABEL_SETS["ferplus"]
POINTS = [[15.0, 19.4], [32.5, 19.4], [23.75, 28.9], [16.85, 36.3], [30.65, 36.3]]


def png(seed: int, side: int = 48) -> bytes:
    """A blurred picture of noise, another for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((side, side)).save(stream, "PNG")
    return stream.getvalue()


def drawn(n: int, labels: LabelSet = FERPLUS, changes: Sequence[dict[str, Any]] = ()) -> Manifest:
    """A manifest of n drawn pictures, all in the test split; `changes` replace values of its first rows."""
    rows = [
        {"image": {"bytes": png(i), "path": None}, "label": labels.names[i % len(labels)], "split": "test"}
        for i in range(n)
    ]
    for row, change in zip(rows, changes, strict=False):
        row |= change
    return build_manifest(rows, labels, Origin(layout="drawn", rule="as drawn"), Path())


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Bundle:
    return load_bundle(bundle_folder, threads=1)


def test_answers_are_the_models_answers(bundle: Bundle) -> None:
    manifest = drawn(3)
    answers = score_manifest(bundle, manifest, "test", detector=None)
    for row in range(3):
        cut = cut_face(manifest.picture(row), bundle.card.input.alignment())
        expected = bundle.probabilities(cut.pixels[None])[0]
        np.testing.assert_allclose(answers.probabilities[row], expected, atol=1e-6)
    assert answers.probabilities.std(axis=0).max() > 0.01, "a model that always says the same proves nothing"
    assert answers.labels == FERPLUS
    assert answers.truth.tolist() == [0, 1, 2]
    assert answers.column("way") == ["frame"] * 3


def test_permuting_the_rows_permutes_the_answers_and_the_batch_size_does_not_matter(bundle: Bundle) -> None:
    manifest = drawn(23, changes=[{"points5": POINTS}, {"image": {"bytes": b"broken", "path": None}}])
    whole = score_manifest(bundle, manifest, "test", detector=None)
    order = np.random.default_rng(0).permutation(23)
    for batch in (1, 5, 64):
        mixed = score_manifest(bundle, manifest.rows(order), "test", detector=None, batch=batch)
        np.testing.assert_allclose(mixed.probabilities, whole.probabilities[order], atol=1e-6)
        np.testing.assert_array_equal(mixed.truth, whole.truth[order])
        assert mixed.column("way") == [whole.column("way")[row] for row in order]


def test_a_row_is_cut_by_its_points_else_by_detection_else_by_its_frame(bundle: Bundle, astronaut: Path) -> None:
    portrait = astronaut.read_bytes()
    given = {"image": {"bytes": portrait, "path": None}, "box": [150.0, 10.0, 150.0, 200.0]}
    manifest = drawn(3, changes=[{"points5": POINTS}, given])
    answers = score_manifest(bundle, manifest, "test", detector=load_detector("centerface", threads=1))
    assert answers.column("way") == ["points", "detected", "frame"]
    assert answers.context.detector == "centerface"
    straight = score_manifest(bundle, manifest, "test", detector=None)
    assert straight.column("way") == ["points", "frame", "frame"]
    assert np.abs(straight.probabilities - answers.probabilities).max(axis=1).round(3).tolist()[0] == 0
    assert np.abs(straight.probabilities[1] - answers.probabilities[1]).max() > 1e-3


def test_rows_keep_their_number_and_other_splits_are_left_alone(bundle: Bundle) -> None:
    manifest = drawn(4, changes=[{"split": "train"}, {}, {"split": None}, {"group": "clip", "subject": "s"}])
    answers = score_manifest(bundle, manifest, "test", detector=None)
    assert answers.column("row") == [1, 3]
    assert answers.column("name") == ["1", "3"]
    assert answers.column("group") == [None, "clip"]
    assert answers.column("subject") == [None, "s"]


def test_a_row_that_cannot_be_used_says_why_and_costs_no_other(bundle: Bundle) -> None:
    changes: list[dict[str, Any]] = [
        {"image": {"bytes": png(0)[:60], "path": None}},
        {"image": {"bytes": None, "path": "gone.png"}},
        {"points5": [[5.0, 5.0]] * 5},
        {"points5": POINTS[:3]},
        {"box": [1.0, 2.0]},
        {"box": [0.0, 0.0, float("nan"), 5.0]},
        {"points5": [[float("nan")] * 2] * 5},
        {"status": "excluded: not a face"},
        {"label": None},
    ]
    answers = score_manifest(bundle, drawn(10, changes=changes), "test", detector=None, batch=4)
    statuses = answers.column("status")
    assert statuses[1] == "missing"
    others = [status.split(":")[0] for status in statuses[:1] + statuses[2:]]
    assert others == ["unreadable"] * 6 + ["excluded", "ok", "ok"]
    assert np.isnan(answers.probabilities[:8]).all()
    assert np.isfinite(answers.probabilities[8:]).all()
    assert answers.counted.tolist() == [False] * 9 + [True]


def test_labels_are_matched_by_name_not_by_number(bundle: Bundle) -> None:
    other = LabelSet("own", FERPLUS.names[::-1])
    answers = score_manifest(bundle, drawn(8, other), "test", detector=None)
    plain = score_manifest(bundle, drawn(8), "test", detector=None)
    assert answers.labels == other
    np.testing.assert_allclose(answers.probabilities[:, ::-1], plain.probabilities, atol=1e-6)
    assert answers.column("truth") == list(other.names)


def test_a_class_that_only_the_model_has_is_refused_or_left_out(bundle: Bundle) -> None:
    manifest = drawn(7, LABEL_SETS["basic7"])
    with pytest.raises(DataError, match=r"only the model has contempt; .*--labels intersection"):
        score_manifest(bundle, manifest, "test", detector=None)
    answers = score_manifest(bundle, manifest, "test", detector=None, labels="intersection")
    assert answers.labels.names == LABEL_SETS["basic7"].names
    assert (answers.context.labels, answers.context.left_out) == ("intersection", ("contempt",))
    assert answers.context.model_only == ("contempt",)
    whole = score_manifest(bundle, drawn(7), "test", detector=None).probabilities
    kept = whole[:, [FERPLUS.index(name) for name in answers.labels]]
    np.testing.assert_allclose(answers.probabilities, kept / kept.sum(axis=1, keepdims=True), atol=1e-6)
    assert answers.counted.all()


def test_rows_of_a_class_that_only_the_truth_has_do_not_count(bundle: Bundle) -> None:
    labels = LabelSet("own", ("anger", "boredom", "fear"))
    with pytest.raises(DataError, match="only the manifest has boredom"):
        score_manifest(bundle, drawn(6, labels), "test", detector=None)
    answers = score_manifest(bundle, drawn(6, labels), "test", detector=None, labels="intersection")
    assert answers.labels.names == ("anger", "fear")
    assert answers.column("status") == ["ok", "left_out: boredom", "ok"] * 2
    assert answers.column("truth") == ["anger", None, "fear"] * 2
    assert answers.counted.tolist() == [True, False, True] * 2
    assert "boredom" in answers.context.left_out
    assert set(answers.context.left_out) - set(answers.context.model_only) == {"boredom"}


def test_where_nothing_is_left_out_the_rule_for_labels_changes_nothing(bundle: Bundle) -> None:
    shared = score_manifest(bundle, drawn(8), "test", detector=None, labels="intersection")
    same = score_manifest(bundle, drawn(8), "test", detector=None)
    assert shared.table == same.table
    assert shared.context == same.context


def test_a_split_without_rows_labels_or_shared_classes_is_refused(bundle: Bundle) -> None:
    with pytest.raises(DataError, match="split 'validation': no rows"):
        score_manifest(bundle, drawn(2), "validation", detector=None)
    with pytest.raises(DataError, match="none of its 2 rows has a label"):
        score_manifest(bundle, drawn(2, changes=[{"label": None}] * 2), "test", detector=None)
    with pytest.raises(DataError, match="status other than 'ok'"):
        score_manifest(bundle, drawn(1, changes=[{"status": "excluded: tie"}]), "test", detector=None)
    with pytest.raises(DataError, match="share 1 names"):
        score_manifest(bundle, drawn(2, LabelSet("own", ("fear", "awe"))), "test", detector=None, labels="intersection")
    with pytest.raises(ConfigError, match="unknown rule 'intersect'; did you mean 'intersection'"):
        match_labels(FERPLUS, FERPLUS, "intersect")


def test_the_answers_say_how_they_came_about(bundle: Bundle) -> None:
    manifest = drawn(3, changes=[{"split": "train"}])
    seen: list[tuple[int, int]] = []
    answers = score_manifest(
        bundle, manifest, "test", detector=None, batch=1, progress=lambda *done: seen.append(done), command="openfer x"
    )
    context = answers.context
    assert seen == [(1, 2), (2, 2)]
    assert (context.model, context.model_sha256) == ("toy", bundle.card.graphs["model.onnx"])
    assert (context.manifest, context.rows_sha256) == (manifest.digest, manifest.select("test").digest)
    assert (context.layout, context.rule, context.split) == ("drawn", "as drawn", "test")
    assert (context.detector, context.selection, context.command) == ("none", "last epoch", "openfer x")
    assert {"openfer", "python", "numpy", "onnxruntime", "pillow"} <= set(context.versions)


def test_pictures_are_cut_as_they_were_for_scoring(bundle: Bundle, astronaut: Path) -> None:
    given = {"image": {"bytes": astronaut.read_bytes(), "path": None}, "box": [150.0, 10.0, 150.0, 200.0]}
    manifest = drawn(4, changes=[{"points5": POINTS}, given, {"image": {"bytes": b"broken", "path": None}}])
    detector = load_detector("centerface", threads=1)
    answers = score_manifest(bundle, manifest, "test", detector=detector)
    assert answers.column("way") == ["points", "detected", None, "frame"]
    pictures = cut_pictures(bundle, manifest, [3, 0, 1, 2], detector=detector)
    assert sorted(pictures) == [0, 1, 3]
    for row, picture in pictures.items():
        expected = bundle.probabilities(picture[None])[0]
        np.testing.assert_allclose(answers.probabilities[row], expected, atol=1e-6)
