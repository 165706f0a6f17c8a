"""Landmarks beside the picture, from a training to a photo: one frame everywhere, and NaN where a face has none."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tests.contract.toy_points  # noqa: F401  # registers the method
from openfer.bundle.load import Bundle, load_bundle, softmax
from openfer.data.manifest import Origin, build_manifest, load_manifest, write_manifest
from openfer.errors import ModelError
from openfer.evaluate.landmarks import row_landmarks
from openfer.evaluate.score import cut_row, score_manifest
from openfer.files import sha256_of
from openfer.labels import LABEL_SETS
from openfer.learn.engine import train
from openfer.learn.export import BATCHES, export, landmarks_of, real_faces
from openfer.learn.judge import Held
from openfer.learn.options import DataOptions
from openfer.learn.pictures import alignment_of, load_training_data
from openfer.learn.recipe import Recipe, parse_recipe
from openfer.predict.look import Eye, look
from openfer.records import NO_FACE, UNCERTAIN
from openfer.vision.cut import Cut
from openfer.vision.detect import load_detector
from openfer.vision.landmarks import Landmarker
from tests.learn.tiny import StopAfter, StoppedError, distance, weights

ROOT = Path(__file__).parents[2]
SIZE = 32


def points_recipe(manifest: Path, **run: object) -> Recipe:
    return parse_recipe(
        {
            "method": {"name": "toy_points"},
            "backbone": {"name": "test_efficientnet", "size": SIZE},
            "data": {"manifest": str(manifest), "holdout": 0.3, "colour": "grey"},
            "augment": {"flip": 0.5, "affine": [10, 0.1, 0.1]},
            "optim": {"name": "sgd", "momentum": 0.0, "lr": 0.1, "batch": 8, "epochs": 2, "schedule": "constant"},
            "run": {"tensorboard": False, "device": "cpu", **run},
        },
        "points",
    )


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """84 generated faces; the landmarks of every third cannot be used, every seventh has none."""
    manifest = load_manifest("mini:84")
    statuses: list[str | None] = [None] * len(manifest)
    statuses[::3] = [UNCERTAIN] * len(statuses[::3])
    statuses[::7] = [NO_FACE] * len(statuses[::7])
    points = [None if status == NO_FACE else manifest.value(row, "landmarks68") for row, status in enumerate(statuses)]
    path = tmp_path_factory.mktemp("faces") / "faces.parquet"
    write_manifest(manifest.with_column("landmarks_status", statuses).with_column("landmarks68", points), path)
    return path


@pytest.fixture(scope="module")
def run(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("points") / "run"
    train(points_recipe(faces), out)
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Exported; the graph's answers were compared with PyTorch's on real faces."""
    return export(run, tmp_path_factory.mktemp("bundles") / "points")


def test_the_card_names_what_goes_in_and_comes_out(bundle: Bundle) -> None:
    assert bundle.card.inputs == ("image", "landmarks")
    assert bundle.card.outputs == ("logits", "embedding", "aus", "attention")


def test_a_face_without_landmarks_is_answered_from_its_picture_alone(bundle: Bundle) -> None:
    pictures = real_faces(bundle.card.input.alignment())
    landmarks = landmarks_of(pictures)
    landmarks[[2, 5], [0, 40]] = np.nan  # one point is enough
    unknown = np.isnan(landmarks).any((1, 2))
    assert unknown.sum() == 3
    names = ("logits", "aus", "attention")
    logits, aus, attention = bundle.run(pictures, landmarks=landmarks, outputs=names)
    alone, nothing, _ = bundle.run(pictures, outputs=names)
    assert np.isfinite(logits).all()
    assert np.isnan(nothing).all()
    for values in (aus, attention):
        assert (np.isnan(values).all(1) == unknown).all()
        assert (np.isfinite(values).all(1) == ~unknown).all()
    np.testing.assert_allclose(logits[unknown], alone[unknown], atol=1e-6)
    assert (np.abs(logits - alone)[~unknown].max(1) > 1e-4).all()
    for batch in BATCHES:
        again = bundle.run(pictures, landmarks=landmarks, outputs=names, batch=batch)
        for ours, theirs in zip((logits, aus, attention), again, strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_no_landmarks_are_the_same_as_unknown_ones(bundle: Bundle) -> None:
    pictures = real_faces(bundle.card.input.alignment())[:3]
    nobody = np.full((3, 68, 2), np.nan, dtype=np.float32)
    np.testing.assert_array_equal(bundle.probabilities(pictures), bundle.probabilities(pictures, landmarks=nobody))
    known = bundle.probabilities(pictures, landmarks=landmarks_of(pictures))
    assert (known[:2] != bundle.probabilities(pictures)[:2]).any()


def test_a_model_of_pictures_alone_refuses_landmarks(bundle_folder: Path) -> None:
    plain = load_bundle(bundle_folder, threads=1)
    pictures = np.zeros((2, 48, 48, 3), dtype=np.uint8)
    landmarks = np.zeros((2, 68, 2), dtype=np.float32)
    for call in (plain.run, plain.probabilities):
        with pytest.raises(ModelError, match="reads no landmarks"):
            call(pictures, landmarks=landmarks)
        call(pictures)


def test_evaluation_answers_as_the_training_did(run: Path, bundle: Bundle, faces: Path) -> None:
    held = Held.read(run / "holdout.npz")
    data = load_training_data(points_recipe(faces).data, SIZE, 0, inputs=("image", "landmarks"))
    assert data.samples.landmarks is not None
    unknown = np.isnan(data.samples.landmarks[held.samples]).any((1, 2))
    statuses = load_manifest(faces).column("landmarks_status")
    assert unknown.tolist() == [statuses[row] is not None for row in data.samples.rows[held.samples]]
    assert 0 < np.count_nonzero(unknown) < len(held.samples)
    predictions = score_manifest(bundle, load_manifest(faces), "train", detector=None)
    places = {row: place for place, row in enumerate(predictions.column("row"))}
    mine = [places[int(row)] for row in data.samples.rows[held.samples]]
    columns = bundle.card.label_names().columns_for(predictions.labels)
    wanted = softmax(held.logits[:, list(columns)] / np.float32(bundle.card.temperature))
    np.testing.assert_allclose(predictions.probabilities[mine], wanted, atol=1e-3)  # weights of 16 bits
    units = np.array(predictions.column("au_12"), dtype=float)[mine]
    assert (np.isnan(units) == unknown).all()


@pytest.mark.parametrize("enlarged", [1, 4])
def test_training_evaluation_and_prediction_read_the_same_face_and_points(
    astronaut: Path, tmp_path: Path, enlarged: int
) -> None:
    """A large photo is a JPEG, which prediction decodes only as finely as it needs."""
    photo = Image.open(astronaut).convert("RGB")
    photo = photo.resize((photo.width * enlarged, photo.height * enlarged), Image.Resampling.BICUBIC)
    path = tmp_path / ("photo.jpg" if enlarged > 1 else "photo.png")
    photo.save(path)
    data = DataOptions(manifest=str(tmp_path / "m.parquet"), holdout=0.0)
    alignment = alignment_of(data, SIZE)
    landmarker = Landmarker.load()
    eye = Eye(
        detector=load_detector("centerface", threads=1),
        alignment=alignment,
        detect_size=512,
        max_pixels=10**8,
        order="rgb",
        landmarker=landmarker,
        show_landmarks=True,
        read_landmarks=True,
    )
    seen = look(path, eye)
    (row,), (pixels,), (marks,) = seen.rows, seen.pixels, seen.marks
    assert row.found is not None
    assert pixels is not None
    assert marks is not None
    brought = {"landmarks68": marks.points.points, "landmarks_status": "detected"}
    write_manifest(rows_of(path, row.found.points5, brought, {}), tmp_path / "m.parquet")
    samples = load_training_data(data, SIZE, 0, inputs=("image", "landmarks")).samples
    manifest = load_manifest(tmp_path / "m.parquet")
    cut, searched = (cut_row(manifest, place, alignment, None) for place in (0, 1))
    assert isinstance(cut, Cut)
    assert isinstance(searched, Cut)
    assert samples.landmarks is not None
    np.testing.assert_array_equal(samples.pixels[0], cut.pixels[:, :, : samples.pixels.shape[3]])
    np.testing.assert_allclose(samples.landmarks[0], marks.shares, atol=1e-5)
    np.testing.assert_allclose(row_landmarks(manifest, 0, cut, landmarker), marks.shares, atol=1e-5)
    assert np.isnan(samples.landmarks[1]).all()  # training does not search
    exact = enlarged == 1  # a JPEG that is decoded reduced has other pixels
    found = row_landmarks(manifest, 1, searched, landmarker)
    np.testing.assert_allclose(found, marks.shares, atol=1e-5 if exact else 0.01)
    apart = np.abs(cut.pixels.astype(int) - pixels)
    assert apart.max() == 0 if exact else apart.mean() < 2


def rows_of(photo: Path, points5: Any, *more: dict[str, Any]) -> Any:
    """The same photo once for each of `more`, in classes of their own."""
    stream = io.BytesIO()
    Image.open(photo).save(stream, "PNG")
    rows = [
        {"image": {"bytes": stream.getvalue(), "path": None}, "label": label, "split": "train"}
        | {"points5": points5, "points5_status": "given"}
        | values
        for label, values in zip(("fear", "anger"), more, strict=True)
    ]
    return build_manifest(rows, LABEL_SETS["basic7"], Origin(layout="own", reader="0", rule="r"), photo.parent)


def test_a_stopped_run_ends_with_the_same_bits(run: Path, faces: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(points_recipe(faces), tmp_path / "stopped", watch=StopAfter(1))
    train(points_recipe(faces), tmp_path / "stopped", resume=True)
    for file in ("best.safetensors", "last.safetensors", "holdout.npz"):
        assert sha256_of(tmp_path / "stopped" / file) == sha256_of(run / file), file


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch cannot use several processes")
def test_two_processes_train_as_one(run: Path, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(points_recipe(faces).to_yaml())
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, "--module", "tests.contract.toy_points", tmp_path / "recipe.yaml", tmp_path / "two"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert distance(weights(run), weights(tmp_path / "two")) < 1e-5
