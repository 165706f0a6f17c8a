"""A run becomes a bundle that gives the same answers without PyTorch, and says how it was made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from openfer.bundle.card import read_card
from openfer.bundle.load import CARD, GRAPH, WEIGHTS, Bundle, load_bundle, normalise, softmax
from openfer.data.manifest import load_manifest
from openfer.data.scan import scan
from openfer.errors import ModelError
from openfer.evaluate.predictions import Context
from openfer.evaluate.report.build import evaluate_predictions
from openfer.evaluate.report.write import write_report
from openfer.evaluate.score import score_manifest
from openfer.files import sha256_of
from openfer.learn import export as export_room
from openfer.learn import graph_file
from openfer.learn.calibrate import fit_temperature
from openfer.learn.engine import train
from openfer.learn.export import bundle_of_run, export, half_weights, load_network, parity, read_run, real_faces
from openfer.learn.half import halve_initialisers
from openfer.learn.judge import Held, scores
from openfer.learn.method import build_method
from openfer.learn.pictures import load_training_data
from tests.layouts import save_face
from tests.learn.tiny import learning_recipe, tiny_recipe, weights


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    return shutil.copytree(trained, tmp_path / "copied")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, exported: Bundle) -> None:
    """The graph as it was exported before, in place of seconds of work; everything around it is real."""
    full = onnx.load(exported.path / GRAPH)
    monkeypatch.setattr(export_room, "to_onnx", lambda *_: full)


def pytorch(trained: Path, bundle: Bundle, faces: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Logits and embedding of the run's own network."""
    recipe, _ = read_run(trained)
    network = load_network(trained, recipe, build_method(recipe.method), bundle.card.label_names())
    with torch.no_grad():
        output = network(image=torch.from_numpy(normalise(faces, bundle.card)))
    return output.logits.numpy(), output.embedding.numpy()


@pytest.mark.parametrize("batch", [1, 5, 16])
def test_answers_are_pytorchs_on_real_faces_at_any_batch_size(trained: Path, exported: Bundle, batch: int) -> None:
    bundle = load_bundle(exported.path)
    faces = real_faces(bundle.card.input.alignment())
    assert faces.shape == (16, 32, 32, 3)
    assert len({face.tobytes() for face in faces}) == 16
    logits, embedding = pytorch(trained, bundle, faces)
    got = bundle.run(faces, outputs=("logits", "embedding"), batch=batch)
    assert np.abs(softmax(got[0]) - softmax(logits)).max() < 1e-3
    assert np.abs(got[1] - embedding).max() < 1e-2 * np.abs(embedding).max()
    assert np.ptp(softmax(logits), axis=0).max() > 0.05  # faces do get different answers
    np.testing.assert_allclose(bundle.probabilities(faces), softmax(logits / bundle.card.temperature), atol=1e-3)


def test_large_weights_are_half_as_big(exported: Bundle, trained: Path) -> None:
    full = (trained / "best.safetensors").stat().st_size
    for name in (GRAPH, WEIGHTS):
        assert 0.45 * full < (exported.path / name).stat().st_size < 0.62 * full
    assert {path.name for path in exported.path.iterdir()} == {CARD, GRAPH, WEIGHTS}


def test_kept_weights_are_the_best_epochs(exported: Bundle, trained: Path) -> None:
    kept, best = load_file(exported.path / WEIGHTS), weights(trained, "best")
    assert kept.keys() == best.keys()
    for name, value in best.items():
        assert kept[name].dtype == (torch.float16 if value.ndim >= 2 else value.dtype)
        torch.testing.assert_close(kept[name].to(value.dtype), value, rtol=1e-3, atol=1e-6)


def test_the_graph_tells_nothing_of_the_machine(exported: Bundle) -> None:
    content = (exported.path / GRAPH).read_bytes()
    for word in (str(Path(torch.__file__).parents[1]), str(Path(export_room.__file__).parent), "stack_trace"):
        assert word.encode() not in content


def test_the_card_says_what_the_run_was(exported: Bundle, trained: Path) -> None:
    card = read_card(exported.path / CARD)
    held = Held.read(trained / "holdout.npz")
    facts = json.loads((trained / "run.json").read_text())
    truth = held.targets.argmax(1)
    assert card.name == "drawn"
    assert card.labels == load_manifest("mini:7").labels.names
    assert (card.inputs, card.outputs) == (("image",), ("logits", "embedding", "features"))
    assert (card.input.size, card.input.colour, card.input.template) == (32, "grey", "fer2013")
    assert card.temperature == pytest.approx(fit_temperature(held.logits, truth))
    assert card.method.name == "baseline"
    assert (card.method.options["dropout"], card.method.backbone["name"]) == (0.0, "test_efficientnet")
    assert (card.training.manifest, card.training.rows) == (facts["data"]["manifest"], 301)
    assert card.training.selection == f"best loss on a holdout of {len(truth)} training rows"
    assert {metric.name: metric.value for metric in card.metrics} == {
        name: pytest.approx(value) for name, value in scores(held).items() if name != "loss"
    }
    for metric in card.metrics:
        assert metric.low <= metric.value <= metric.high
        assert metric.rows == len(truth)
    assert card.versions["torch"] == torch.__version__


def test_the_temperature_improves_the_holdout(exported: Bundle, trained: Path) -> None:
    held = Held.read(trained / "holdout.npz")
    cooled = replace(held, logits=held.logits / np.float32(exported.card.temperature))
    assert scores(cooled)["loss"] < scores(held)["loss"]
    assert scores(cooled)["accuracy"] == scores(held)["accuracy"]


def test_without_a_holdout_there_is_nothing_to_calibrate(run: Path, tmp_path: Path, quick: None) -> None:
    (run / "holdout.npz").unlink()
    card = export(run, tmp_path / "out", name="mine").card
    assert (card.name, card.temperature, card.metrics) == ("mine", 1.0, ())


@pytest.mark.parametrize("content", ["file", "folder with a file", "run"])
def test_only_a_bundle_is_replaced(trained: Path, tmp_path: Path, content: str, quick: None) -> None:
    out = tmp_path / "out"
    if content == "file":
        out.write_text("mine")
    elif content == "run":
        shutil.copytree(trained, out)
    else:
        (out / "deep").mkdir(parents=True)
        (out / "deep" / "diary.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ModelError, match="out: is there already and is not a bundle; choose another folder"):
        export(trained, out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_and_an_empty_folder_are_replaced(
    trained: Path, exported: Bundle, tmp_path: Path, quick: None
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(trained, out, name="first")
    (out / "old.txt").touch()
    export(trained, out, name="second")
    assert load_bundle(out).card.name == "second"
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name for path in out.iterdir()} == {CARD, GRAPH, WEIGHTS}


def test_the_current_folder_is_a_folder_too(
    trained: Path, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert export(trained, Path()).card.name == "here"
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"cannot be written .*; choose another folder"):
        export(trained, tmp_path / "file" / "out")


@pytest.mark.parametrize("missing", ["best.safetensors", "recipe.yaml", "run.json"])
def test_a_folder_without_a_finished_epoch_is_refused(run: Path, tmp_path: Path, missing: str) -> None:
    (run / missing).unlink()
    with pytest.raises(ModelError, match=rf"no {missing}; expected a folder of `openfer train` with at least one"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _another_network(run: Path) -> None:
    save_file({"head.weight": torch.zeros(7, 3)}, run / "best.safetensors")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda run: (run / "best.safetensors").write_bytes(b"rubbish"), "best.safetensors: weights cannot be read"),
        (_another_network, "best.safetensors: does not fit"),
        (lambda run: (run / "run.json").write_text("{"), "run.json: cannot be read"),
        (lambda run: (run / "holdout.npz").write_bytes(b"rubbish"), "holdout.npz: cannot be read"),
        (lambda run: (run / "holdout.npz").write_bytes(b"PK\x03\x04rubbish"), "holdout.npz: cannot be read"),
        (lambda run: np.savez(run / "holdout.npz", logits=np.zeros(3)), "holdout.npz: cannot be read"),
    ],
)
def test_a_damaged_run_is_one_line(
    run: Path, tmp_path: Path, quick: None, damage: Callable[[Path], object], says: str
) -> None:
    damage(run)
    with pytest.raises(ModelError) as caught:
        export(run, tmp_path / "out")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"copied"}


def other_answers(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with a bias of its last layer changed."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    bias = next(value for value in result.graph.initializer if value.name.endswith("head.bias"))
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.arange(7, dtype=np.float32), bias.name))
    return result


def test_a_graph_with_other_answers_is_refused(
    trained: Path, exported: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = other_answers(onnx.load(exported.path / GRAPH))
    monkeypatch.setattr(export_room, "to_onnx", lambda *_: wrong)
    with pytest.raises(ModelError, match=r"run: ONNX Runtime differs .*: probabilities by 0\.\d+ \(limit 0\.001\)"):
        export(trained, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_embedding_that_differs_is_refused_too(
    trained: Path, exported: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = onnx.load(exported.path / GRAPH)
    last = next(node for node in graph.graph.node if "embedding" in node.output)
    for node in graph.graph.node:  # the classifier still reads the embedding as it was
        node.input[:] = ["before" if name == "embedding" else name for name in node.input]
    last.output[:] = ["before" if name == "embedding" else name for name in last.output]
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(1.05), "more"))
    graph.graph.node.append(helper.make_node("Mul", ["before", "more"], ["embedding"]))
    monkeypatch.setattr(export_room, "to_onnx", lambda *_: graph)
    with pytest.raises(ModelError, match=r"embeddings by 0\.05\d* \(limit 0\.01\)"):
        export(trained, tmp_path / "out")


def test_where_half_precision_changes_answers_the_graph_stays_whole(
    trained: Path, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_room, "halve_initialisers", other_answers)
    bundle = export(trained, tmp_path / "out")
    recipe, _ = read_run(trained)
    network = load_network(trained, recipe, build_method(recipe.method), bundle.card.label_names())
    probabilities, embeddings = parity(network, bundle)
    assert probabilities < 1e-3
    assert embeddings < 1e-2


def test_halving_spares_small_and_huge_tensors() -> None:
    large = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    values = {"large": large, "huge": large * 1e6, "small": large[0], "whole": np.arange(4).reshape(2, 2)}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "large"], ["a"]), helper.make_node("Add", ["a", "small"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    before = model.SerializeToString()
    halved = halve_initialisers(model)
    assert model.SerializeToString() == before
    kinds = {value.name: value.data_type for value in halved.graph.initializer}
    assert kinds == {
        "large_half": TensorProto.FLOAT16,
        "huge": TensorProto.FLOAT,
        "small": TensorProto.FLOAT,
        "whole": TensorProto.INT64,
    }
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    (y,) = onnxruntime.InferenceSession(halved.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(y, x @ large + large[0], atol=1e-2)
    network = torch.nn.Linear(3, 4)
    with torch.no_grad():
        network.weight[0, 0] = 1e6
    assert half_weights(network)["weight"].dtype == torch.float32


def test_a_graph_too_large_for_one_file_lies_in_two(
    trained: Path, exported: Bundle, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_file, "LARGEST", 10_000)
    bundle = export(trained, tmp_path / "out")
    data = bundle.path / f"{GRAPH}.data"
    assert {path.name for path in bundle.path.iterdir()} == {CARD, GRAPH, WEIGHTS, data.name}
    assert set(bundle.card.graphs) == {GRAPH, WEIGHTS, data.name}
    faces = real_faces(bundle.card.input.alignment())
    np.testing.assert_array_equal(bundle.run(faces)[0], exported.run(faces)[0])
    assert bundle.graph_bytes == (bundle.path / GRAPH).stat().st_size + data.stat().st_size
    bundle.path.rename(tmp_path / "moved")
    np.testing.assert_array_equal(load_bundle(tmp_path / "moved").run(faces)[0], exported.run(faces)[0])
    changed = bytearray((tmp_path / "moved" / data.name).read_bytes())
    changed[5] ^= 1
    (tmp_path / "moved" / data.name).write_bytes(changed)
    with pytest.raises(ModelError, match=r"model\.onnx\.data: its bytes are not those"):
        load_bundle(tmp_path / "moved")


def test_two_graphs_in_two_files_have_two_hashes(
    exported: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_file, "LARGEST", 10_000)
    full = onnx.load(exported.path / GRAPH)
    for name, graph in {"one": full, "other": other_answers(full)}.items():
        (tmp_path / name).mkdir()
        assert graph_file.write_graph(graph, tmp_path / name / GRAPH) == (GRAPH, f"{GRAPH}.data")
    data, graphs = (
        {sha256_of(tmp_path / name / file) for name in ("one", "other")} for file in (f"{GRAPH}.data", GRAPH)
    )
    assert (len(data), len(graphs)) == (1, 2)  # a bias stays inside


def test_a_runs_own_bundle_is_made_anew_only_when_its_weights_are_newer(run: Path, quick: None) -> None:
    first = bundle_of_run(run)
    assert first == run / "bundle"
    assert load_bundle(first).card.name == "copied"
    stamp = (first / CARD).stat().st_mtime_ns
    assert (bundle_of_run(run) / CARD).stat().st_mtime_ns == stamp
    newer = (first / CARD).stat().st_mtime + 10
    os.utime(run / "best.safetensors", (newer, newer))
    assert (bundle_of_run(run) / CARD).stat().st_mtime_ns > stamp


def test_scores_of_an_evaluation_go_into_the_card(trained: Path, exported: Bundle, tmp_path: Path, quick: None) -> None:
    judged = score_manifest(exported, load_manifest("mini:84"), "test", detector=None)
    report = evaluate_predictions(judged)
    write_report(report, tmp_path / "report")
    card = export(trained, tmp_path / "out", report=tmp_path / "report" / "report.json").card
    added = card.metrics[len(exported.card.metrics) :]
    assert [metric.name for metric in added] == ["accuracy", "mean_class_accuracy"]
    assert added[0].value == report.accuracy.value
    assert added[0].rows == report.counts.counted
    assert "synth test" in added[0].protocol
    other = replace(judged, context=Context(model="another", model_sha256="0" * 64))
    write_report(evaluate_predictions(other), tmp_path / "other")
    with pytest.raises(ModelError, match="judges the model 'another', not this run"):
        export(trained, tmp_path / "out2", report=tmp_path / "other" / "report.json")
    assert not (tmp_path / "out2").exists()


def test_a_run_is_fine_tuned_to_classes_of_ones_own(exported: Bundle, tmp_path: Path) -> None:
    """A folder of pictures and a bundle are all it takes; the backbone begins where the bundle was."""
    for number in range(24):
        save_face(tmp_path / "pictures" / ("awake" if number % 2 else "tired") / f"{number}.png", number)
    scan("folder", tmp_path / "pictures", tmp_path / "own.parquet", labels="own")
    recipe = tiny_recipe(
        backbone={"init": str(exported.path)},
        data={"manifest": str(tmp_path / "own.parquet"), "cut": "frame"},
        optim={"lr": 1e-9, "batch": 6},
        run={"ema": 0.99},
    )
    data = load_training_data(recipe.data, 32, 0)
    assert data.labels.names == ("awake", "tired")
    train(recipe, tmp_path / "run")
    tuned, before = weights(tmp_path / "run"), load_file(exported.path / WEIGHTS)
    for name, value in tuned.items():
        if name.startswith("backbone.") and "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(value, before[name].to(value.dtype), rtol=0, atol=1e-6)
    assert tuned["head.weight"].shape == (2, before["head.weight"].shape[1])


def test_the_recipe_of_a_run_is_the_one_it_was_trained_with(trained: Path) -> None:
    assert read_run(trained)[0] == learning_recipe()
