"""A small real bundle, built without PyTorch: two linear layers on a shrunken picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from openfer.bundle.card import (
    FORMAT,
    Card,
    InputCard,
    LicenceCard,
    MethodCard,
    TrainingCard,
    write_card,
)
from openfer.bundle.load import CARD, GRAPH
from openfer.files import sha256_of
from openfer.labels import LABEL_SETS
from openfer.vision.au_locations import AUS


def make_bundle(
    folder: Path,
    *,
    label_set: str = "ferplus",
    size: int = 48,
    seed: int = 0,
    maps: bool = False,
    units: bool = False,
) -> Path:
    """Write a bundle whose answers depend on the picture: average pooling to 8 x 8, a hidden layer, logits.

    With `maps` also class maps of 8 x 8 cells: a linear layer on the pooled colours. With `units` landmarks are read,
    and give action units, their softmax as attention, and something to the logits where they are known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = LABEL_SETS[label_set]
    rng = np.random.default_rng(seed)
    pool = size // 8
    weights = {
        "w1": rng.normal(0, 0.2, (192, 16)).astype(np.float32),
        "w2": rng.normal(0, 1.0, (16, len(labels))).astype(np.float32),
    }
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[pool, pool], strides=[pool, pool]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w1"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "w2"], ["alone" if units else "logits"]),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size, size])]
    names = ["logits", "embedding", *(["maps"] if maps else []), *(["aus", "attention"] if units else [])]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(labels)]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 16]),
    ]
    if maps:
        weights["w3"] = rng.normal(0, 1.0, (len(labels), 3, 1, 1)).astype(np.float32)
        nodes.append(helper.make_node("Conv", ["pooled", "w3"], ["maps"]))
        outputs.append(helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", len(labels), 8, 8]))
    if units:
        weights["w4"] = rng.normal(0, 0.5, (136, len(AUS))).astype(np.float32)
        weights["w5"] = rng.normal(0, 0.5, (len(AUS), len(labels))).astype(np.float32)
        nodes += [
            helper.make_node("Flatten", ["landmarks"], ["points"]),
            helper.make_node("MatMul", ["points", "w4"], ["aus"]),
            helper.make_node("Softmax", ["aus"], ["attention"]),
            helper.make_node("MatMul", ["attention", "w5"], ["more"]),
            helper.make_node("Add", ["alone", "more"], ["fused"]),
            helper.make_node("IsNaN", ["fused"], ["unknown"]),
            helper.make_node("Where", ["unknown", "alone", "fused"], ["logits"]),
        ]
        inputs.append(helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["n", 68, 2]))
        outputs += [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", len(AUS)]) for n in ("aus", "attention")]
    graph = helper.make_graph(
        nodes,
        "toy",
        inputs,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / GRAPH))
    card = Card(
        format=FORMAT,
        name="toy",
        labels=labels.names,
        label_set=labels.name,
        graphs={GRAPH: sha256_of(folder / GRAPH)},
        inputs=tuple(value.name for value in inputs),
        outputs=tuple(names),
        input=InputCard(size=size, colour="grey", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), template="fer2013"),
        temperature=1.5,
        method=MethodCard(name="aue" if units else "mek" if maps else "baseline", options={}, backbone={"name": "toy"}),
        training=TrainingCard(
            manifest="0" * 64, layout="synth", rule="as given", rows=10, holdout=2, selection="last epoch"
        ),
        intended_use="tests",
        limits="knows nothing",
        licences=LicenceCard(code="Apache-2.0", weights="Apache-2.0", data="none"),
    )
    write_card(card, folder / CARD)
    return folder
