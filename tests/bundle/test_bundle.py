"""A bundle keeps its promises, or is refused with a line that says which it breaks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from openfer.bundle import load
from openfer.bundle.card import read_card, write_card
from openfer.bundle.load import bundle_path, load_bundle, normalise, softmax
from openfer.errors import ModelError
from openfer.files import sha256_of
from tests.bundles import make_bundle


def faces(count: int, size: int = 48) -> np.ndarray:
    # Smooth random pictures, so that the toy network's pooling does not make all of them alike.
    coarse = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(size // 8, axis=1).repeat(size // 8, axis=2)


@pytest.fixture
def own(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(bundle_folder, tmp_path / "own")


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "card.json").read_text())
    edit(values)
    (folder / "card.json").write_text(json.dumps(values))


def test_the_card_survives_writing_and_reading(bundle_folder: Path, tmp_path: Path) -> None:
    card = read_card(bundle_folder / "card.json")
    write_card(card, tmp_path / "card.json")
    assert read_card(tmp_path / "card.json") == card
    assert card.label_names().names[0] == "neutral"
    assert card.input.alignment().size == 48


def test_probabilities_are_the_calibrated_softmax_of_the_network(bundle_folder: Path) -> None:
    bundle, pictures = load_bundle(bundle_folder, threads=1), faces(5)
    weights = {
        part.name: numpy_helper.to_array(part) for part in onnx.load(bundle_folder / "model.onnx").graph.initializer
    }
    image = (pictures / 255.0 - 0.5) / 0.5
    pooled = image.reshape(5, 8, 6, 8, 6, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(5, -1)
    embedding = np.tanh(pooled @ weights["w1"])
    logits = embedding @ weights["w2"]
    powers = np.exp(logits / 1.5)
    np.testing.assert_allclose(
        bundle.probabilities(pictures), powers / powers.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )
    found_logits, found_embedding = bundle.run(pictures, outputs=("logits", "embedding"))
    np.testing.assert_allclose(found_logits, logits, atol=1e-4)
    np.testing.assert_allclose(found_embedding, embedding, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_face_has_the_same_answer_in_any_batch_and_order(bundle_folder: Path, batch: int) -> None:
    bundle, pictures = load_bundle(bundle_folder, threads=1), faces(7)
    together = bundle.run(pictures)[0]
    np.testing.assert_allclose(bundle.run(pictures, batch=batch)[0], together, atol=1e-5)
    order = np.random.default_rng(0).permutation(7)
    np.testing.assert_allclose(bundle.run(pictures[order], batch=batch)[0], together[order], atol=1e-5)
    assert np.ptp(together, axis=0).max() > 0.1  # the faces do differ


def test_no_faces_give_no_rows_of_the_right_width(bundle_folder: Path) -> None:
    logits, embedding = load_bundle(bundle_folder).run(faces(0), outputs=("logits", "embedding"))
    assert (logits.shape, embedding.shape) == ((0, 8), (0, 16))


def test_normalise_is_per_channel(bundle_folder: Path) -> None:
    card = read_card(bundle_folder / "card.json")
    card = card.model_copy(
        update={"input": card.input.model_copy(update={"mean": (0.0, 0.5, 1.0), "std": (1.0, 0.5, 2.0)})}
    )
    picture = np.zeros((1, 1, 2, 3), dtype=np.uint8)
    picture[0, 0, 1] = 255
    assert normalise(picture, card)[0, :, 0].tolist() == [[0.0, 1.0], [-1.0, 1.0], [-0.5, 0.0]]


def test_softmax_of_huge_logits() -> None:
    np.testing.assert_allclose(softmax(np.array([[1e4, 1e4, -1e4]], dtype=np.float32)), [[0.5, 0.5, 0.0]])


def test_a_changed_byte_is_refused(own: Path) -> None:
    data = bytearray((own / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (own / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.onnx: its bytes are not those"):
        load_bundle(own)


def test_a_missing_file_is_refused(own: Path) -> None:
    change(own, lambda card: card["graphs"].update({"model.onnx.data": "0" * 64}))
    with pytest.raises(ModelError, match=r"model\.onnx\.data: the card names this file, it is not there"):
        load_bundle(own)


def test_a_graph_without_a_hash_is_refused(own: Path) -> None:
    change(own, lambda card: card["graphs"].clear())
    with pytest.raises(ModelError, match=r"no entry for model\.onnx"):
        load_bundle(own)


@pytest.mark.parametrize("name", ["../toy/model.onnx", "sub/model.onnx", "/etc/hostname"])
def test_files_outside_the_bundle_are_refused_though_they_exist(own: Path, name: str) -> None:
    (own / "sub").mkdir()
    shutil.copytree(own, own.parent / "toy", dirs_exist_ok=True)
    shutil.copy(own / "model.onnx", own / "sub")
    path = own / name
    digest = sha256_of(path) if path.is_file() else "0" * 64
    change(own, lambda card: card["graphs"].update({name: digest}))
    with pytest.raises(ModelError, match="the card names this file"):
        load_bundle(own)


@pytest.mark.parametrize("field", ["labels", "temperature", "licences", "format"])
def test_a_missing_field_is_named(own: Path, field: str) -> None:
    change(own, lambda card: card.pop(field))
    with pytest.raises(ModelError, match="contract version None" if field == "format" else f"field '{field}'"):
        load_bundle(own)


def test_a_missing_nested_field_and_an_unknown_one_are_named(own: Path) -> None:
    change(own, lambda card: card["input"].update(colourspace="lab"))
    with pytest.raises(ModelError, match=r"field 'input\.colourspace'"):
        load_bundle(own)
    change(own, lambda card: (card["input"].pop("colourspace"), card["input"].pop("mean")))
    with pytest.raises(ModelError, match=r"field 'input\.mean'"):
        load_bundle(own)


@pytest.mark.parametrize(("field", "value"), [("temperature", 0), ("labels", "anger"), ("inputs", ["pixels"])])
def test_a_wrong_value_is_named(own: Path, field: str, value: object) -> None:
    change(own, lambda card: card.update({field: value}))
    with pytest.raises(ModelError, match=f"field '{field}"):
        load_bundle(own)


def test_another_contract_version_is_refused_before_its_fields_are_read(own: Path) -> None:
    (own / "card.json").write_text('{"format": 2, "something": "else"}')
    with pytest.raises(ModelError, match="contract version 2, this program reads 1"):
        load_bundle(own)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_card_that_is_no_json_object_is_refused(own: Path, text: str) -> None:
    (own / "card.json").write_text(text)
    with pytest.raises(ModelError, match=r"card\.json"):
        load_bundle(own)


def test_a_graph_that_is_no_graph_is_refused(own: Path) -> None:
    (own / "model.onnx").write_bytes(b"nonsense")
    change(own, lambda card: card["graphs"].update({"model.onnx": sha256_of(own / "model.onnx")}))
    with pytest.raises(ModelError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        load_bundle(own).probabilities(faces(1))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda card: card["outputs"].append("maps"), "promises the output 'maps'"),
        (lambda card: card["labels"].append("boredom"), r"'logits' has the shape \['n', 8\]"),
        (lambda card: card["input"].update(size=96), r"'image' has the shape \['n', 3, 48, 48\]"),
    ],
)
def test_a_graph_that_is_not_the_cards_is_refused(own: Path, edit: Callable[[Any], object], reason: str) -> None:
    change(own, edit)
    bundle = load_bundle(own)
    with pytest.raises(ModelError, match=reason):
        bundle.probabilities(faces(1))


def test_an_output_that_the_card_lacks_hints(bundle_folder: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'embedding'"):
        load_bundle(bundle_folder).run(faces(1), outputs=("embeding",))


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no card"):
        load_bundle(tmp_path)
    with pytest.raises(ModelError, match="neither a folder nor a model in the package"):
        load_bundle(tmp_path / "nothing")


def test_names_in_the_package_come_before_folders_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "MODELS", tmp_path / "models")
    make_bundle(tmp_path / "models" / load.DEFAULT_NAME)
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert bundle_path("default") == tmp_path / "models" / load.DEFAULT_NAME
    assert bundle_path("./default") == Path("default")
    with pytest.raises(ModelError, match="did you mean 'default'"):
        bundle_path("defualt")
