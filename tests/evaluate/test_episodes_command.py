"""`openfer evaluate --episodes` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from openfer.data.manifest import write_manifest
from openfer.evaluate.episodes.files import read_episodes
from openfer.evaluate.predictions import read_predictions
from openfer.evaluate.report.write import read_report
from tests.evaluate.drawn import FERPLUS, manifest_of
from tests.evaluate.test_evaluate_command import openfer


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of each class of FER+: four to train, two to validate."""
    rows = [
        (name, 10 * column + place, "train" if place < 4 else "validation")
        for column, name in enumerate(FERPLUS)
        for place in range(6)
    ]
    path = tmp_path_factory.mktemp("drawn") / "m.parquet"
    write_manifest(manifest_of(rows), path)
    return path


def test_episodes_are_drawn_judged_and_kept(bundle_folder: Path, manifest: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", bundle_folder, manifest, "--detector", "none", "--split", "all"]
    done = openfer(*arguments, "--episodes", "25", "--out", tmp_path / "first")
    assert (done.returncode, done.stderr) == (0, "")
    files = ["confusion.png", "episodes.parquet", "predictions.parquet", "report.html", "report.json"]
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == files
    report = read_report(tmp_path / "first" / "report.json")
    facts = report.context.episodes
    assert facts is not None
    assert (facts.count, facts.n_way, facts.k_shot, facts.n_query, facts.seed) == (25, 3, 3, 1, 0)
    assert (facts.splits, facts.pool) == (("train", "validation"), {"anger": 6, "disgust": 6, "fear": 6})
    accuracy = report.accuracy
    for text in (
        "25 episodes, 3-way 3-shot, 1 query a class; guessing reaches 33.3%",
        "answered by nearest centroid by cosine, on the model",
        f"{accuracy.value:.1%}",
        f"[{accuracy.low:.1%}, {accuracy.high:.1%}]",
        "75 of 75",
        "The model was trained on anger, disgust, fear",
    ):
        assert text in done.stdout
    page = (tmp_path / "first" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == len(report.errors + report.hardest)

    # The same episodes again, by their file, from another model.
    kept = tmp_path / "first" / "episodes.parquet"
    again = [*arguments, "--episodes", kept, "--classifier", "euclidean", "--out", tmp_path / "second", "--json"]
    second = openfer(*again)
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)["context"]["episodes"]
    assert (told["sha256"], told["scored_by"]) == (
        facts.sha256,
        "nearest centroid by Euclidean distance, on the model's embedding",
    )
    truths = [read_predictions(tmp_path / name / "predictions.parquet").truth for name in ("first", "second")]
    np.testing.assert_array_equal(*truths)
    assert read_episodes(tmp_path / "second" / "episodes.parquet").digest == facts.sha256

    import subprocess

    from tests.evaluate.test_evaluate_command import OPENFER

    folders = [str(tmp_path / name) for name in ("first", "second")]
    compared = subprocess.run([*OPENFER, "compare", *folders], capture_output=True, text=True, check=False, timeout=120)
    assert compared.returncode == 0, compared.stderr
    assert "75 rows of 25 episodes" in compared.stdout


def test_way_shot_query_and_classes(bundle_folder: Path, manifest: Path, tmp_path: Path) -> None:
    done = openfer(
        *("evaluate", bundle_folder, manifest, "--detector", "none", "--split", "train", "--out", tmp_path),
        *("--episodes", "7", "--n-way", "2", "--k-shot", "1", "--n-query", "3", "--seed", "5"),
        *("--classes", "neutral, happiness,sadness"),
    )
    assert done.returncode == 0, done.stderr
    episodes = read_episodes(tmp_path / "episodes.parquet")
    assert (episodes.classes, episodes.seed) == (("neutral", "happiness", "sadness"), 5)
    assert (episodes.ways.shape, episodes.support.shape, episodes.query.shape) == ((7, 2), (7, 2, 1), (7, 2, 3))
    assert "The split is `train`" not in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--episodes", "0"], "--episodes 0: expected 1 or more"),
        (["--episodes", "five"], "five: no such file of episodes"),
        (["--episodes", "5", "--k-shot", "9"], "class 'anger': 4 different pictures, an episode needs 10"),
        (["--episodes", "5", "--n-way", "5"], "--n-way 5: episodes are made of 3 classes (anger, disgust, fear)"),
        (["--episodes", "5", "--classes", "anger,angst"], "--classes 'angst': did you mean 'anger'"),
        (["--episodes", "5", "--classifier", "cosin"], "--classifier 'cosin': did you mean 'cosine'"),
        (["--episodes", "5", "--split", "test"], "split 'test': no rows"),
        (["--episodes", "5", "--coupled", "4"], "--coupled judges whole splits"),
    ],
)
def test_wrong_use_is_one_line(
    bundle_folder: Path, manifest: Path, tmp_path: Path, change: list[str], message: str
) -> None:
    fixed = ["evaluate", bundle_folder, manifest, "--detector", "none", "--split", "train", "--out", tmp_path / "out"]
    done = openfer(*fixed, *change)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
