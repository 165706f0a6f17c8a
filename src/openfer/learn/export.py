"""A run becomes a bundle: graph, card and weights, with the graph's answers checked against PyTorch's."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from openfer.bundle.card import write_card
from openfer.bundle.load import CARD, GRAPH, WEIGHTS, Bundle, load_bundle, normalise
from openfer.errors import ModelError, reason
from openfer.files import sha256_of
from openfer.labels import LabelSet
from openfer.learn.backbones import read_weights
from openfer.learn.card import OUTPUTS, make_card, report_metrics
from openfer.learn.checkpoint import BEST, HOLDOUT, RECIPE
from openfer.learn.graph_file import write_graph
from openfer.learn.half import halve_initialisers
from openfer.learn.method import Method, Output, Task, build_method, in_use
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import Recipe, load_recipe
from openfer.learn.record import RUN, read_facts
from openfer.records import Box
from openfer.vision.align import Alignment, align, colour_of
from openfer.vision.detect import load_detector
from openfer.vision.image import Picture, read_image
from openfer.vision.landmarks import Landmarker, square_of_frame
from openfer.vision.portraits import portrait_paths

OPSET = 18
PARITY = 1e-3
"""Largest difference between the probabilities of PyTorch and of ONNX Runtime."""
EMBEDDING_PARITY = 1e-2
"""Largest length of the difference of two embeddings, as a share of the embedding's own length."""
BATCHES = (1, 3, 16)


def export(run: Path, out: Path, *, name: str | None = None, report: Path | None = None) -> Bundle:
    """Write a run's best weights as a bundle.

    Args:
        run: a folder that `openfer train` made.
        out: the bundle's folder; an older bundle there is replaced.
        name: the model's name; default the folder's.
        report: a `report.json` of this run's evaluation, whose scores go into the card.

    Returns:
        the bundle, opened and checked.

    Raises:
        ModelError: not a run, or the graph's answers differ from PyTorch's.
    """
    out = out.absolute()
    recipe, facts = read_run(run)
    method = build_method(recipe.method)
    labels = LabelSet(facts["label_set"], tuple(facts["labels"]))
    network = load_network(run, recipe, method, labels)
    exported = method.export_network(network).eval()
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / CARD).is_file())):
        raise ModelError(f"{out}: is there already and is not a bundle; choose another folder")
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
    except OSError as error:
        raise ModelError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        (beside / WEIGHTS).write_bytes(save(half_weights(network)))
        full = to_onnx(exported, recipe.backbone.size, in_use(method.inputs))
        outputs = [value.name for value in full.graph.output]
        # Half as large where that keeps the answers, else as exact as it gets.
        for last, graph in enumerate((halve_initialisers(full), full)):
            files = (*write_graph(graph, beside / GRAPH), WEIGHTS)
            graphs = {file: sha256_of(beside / file) for file in files}
            learned = method.learned(network)
            card = make_card(run / HOLDOUT, recipe, facts, method, labels, graphs, outputs, name or out.name, learned)
            write_card(card, beside / CARD)
            probabilities, embeddings = parity(exported, load_bundle(beside))
            if probabilities <= PARITY and embeddings <= EMBEDDING_PARITY:
                break
            if last:
                raise ModelError(
                    f"{run}: ONNX Runtime differs from PyTorch on real faces: probabilities by {probabilities:.2g} "
                    f"(limit {PARITY}), embeddings by {embeddings:.2g} (limit {EMBEDDING_PARITY}); "
                    "it cannot be exported"
                )
        if report is not None:
            write_card(card.model_copy(update={"metrics": card.metrics + report_metrics(report, card)}), beside / CARD)
        shutil.rmtree(out, ignore_errors=True)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return load_bundle(out)


def bundle_of_run(run: Path) -> Path:
    """The bundle of a run, in `RUN/bundle`: made when it is not there or older than the run's best weights."""
    out = run / "bundle"
    read_run(run)
    if not (out / CARD).is_file() or (out / CARD).stat().st_mtime < (run / BEST).stat().st_mtime:
        export(run, out, name=run.absolute().name)
    return out


def read_run(run: Path) -> tuple[Recipe, dict[str, Any]]:
    """A run's recipe and facts. Raises `ModelError` where the folder is not a run with at least one epoch."""
    for file in (RECIPE, RUN, BEST):
        if not (run / file).is_file():
            raise ModelError(f"{run}: no {file}; expected a folder of `openfer train` with at least one finished epoch")
    return load_recipe(run / RECIPE), read_facts(run)


def load_network(run: Path, recipe: Recipe, method: Method, labels: LabelSet) -> nn.Module:
    """The method's network with a run's best weights, in evaluation mode, on the CPU."""
    return filled_network(run / BEST, run / RECIPE, recipe.backbone, method, labels)


def filled_network(
    file: Path, described: Path, backbone: BackboneOptions, method: Method, labels: LabelSet
) -> nn.Module:
    """A method's network with the weights of a file, in evaluation mode, on the CPU.

    Raises:
        ModelError: the weights do not fit; the message names the file that describes the network.
    """
    counts = np.ones(len(labels), dtype=np.int64)  # only losses read them
    network = method.network(Task(labels=labels, backbone=replace(backbone, init="none"), class_counts=counts))
    weights = read_weights(file)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{file}: does not fit {described} ({reason(error)}); train or export it again") from error
    return network.eval()


class _Named(nn.Module):
    """The outputs that a bundle offers, as a tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, landmarks: Tensor | None = None) -> tuple[Tensor, ...]:
        given = {"image": image} if landmarks is None else {"image": image, "landmarks": landmarks}
        output: Output = self.network(**given)
        return tuple(offered(output).values())


def offered(output: Output) -> dict[str, Tensor]:
    """What a bundle offers of a network's answer, by name."""
    values = {name: getattr(output, name) for name in OUTPUTS}
    return {name: value for name, value in values.items() if value is not None}


def to_onnx(network: nn.Module, size: int, inputs: Sequence[str] = ("image",)) -> onnx.ModelProto:
    """The network as an ONNX graph with a free batch size.

    Args:
        network: of a method.
        size: of its pictures, pixels.
        inputs: what it is given in use.
    """
    wrapped = _Named(network).eval()
    examples = {"image": torch.zeros(2, 3, size, size), "landmarks": torch.full((2, 68, 2), 0.5)}
    examples = {name: examples[name] for name in inputs}
    with torch.no_grad():
        outputs = offered(network.eval()(**examples))
    return trace(wrapped, examples, list(outputs))


def trace(network: nn.Module, examples: Mapping[str, Tensor], outputs: Sequence[str]) -> onnx.ModelProto:
    """A network as an ONNX graph, the first axis of whose inputs is free.

    Args:
        network: in evaluation mode.
        examples: its inputs by name, in the order of `forward`'s arguments; two rows or more.
        outputs: names of what `forward` returns.
    """
    rows = torch.export.Dim("n", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            tuple(examples.values()),
            input_names=list(examples),
            output_names=outputs,
            dynamic_shapes={name: {0: rows} for name in examples},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]  # traces of this machine's source files
    return model


def half_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors, large ones (two axes or more) as float16 where their values allow it."""
    return {
        name: (value.half() if _fits_half(value) else value).contiguous()
        for name, value in network.state_dict().items()
    }


def _fits_half(value: Tensor) -> bool:
    return (
        value.dtype == torch.float32 and value.ndim >= 2 and bool(value.abs().amax() <= torch.finfo(torch.float16).max)
    )


def parity(network: nn.Module, bundle: Bundle) -> tuple[float, float]:
    """How far PyTorch and ONNX Runtime are apart on real faces, at worst, over several batch sizes.

    Returns:
        the difference of a probability, and the length of the difference of two embeddings, or of two faces' maps, as a
        share of their own length (0 where there are none).
    """
    faces = real_faces(bundle.card.input.alignment())
    landmarks = landmarks_of(faces) if "landmarks" in bundle.card.inputs else None
    given = (
        torch.from_numpy(normalise(faces, bundle.card)),
        None if landmarks is None else torch.from_numpy(landmarks),
    )
    with torch.no_grad():
        wanted = _Named(network)(*given)
    probabilities = embeddings = 0.0
    for batch in BATCHES:
        run = bundle.run(faces, landmarks=landmarks, outputs=bundle.card.outputs, batch=batch)
        got = [torch.from_numpy(values) for values in run]
        apart = (torch.softmax(wanted[0], 1) - torch.softmax(got[0], 1)).abs()
        probabilities = max(probabilities, float(apart.max()))
        for ours, theirs in zip(wanted[1:], got[1:], strict=True):
            if not torch.equal(ours.isnan(), theirs.isnan()):
                return probabilities, float("inf")
            ours, theirs = ours.nan_to_num().flatten(1), theirs.nan_to_num().flatten(1)
            share = (ours - theirs).norm(dim=1) / ours.norm(dim=1).clamp(min=1e-6)
            embeddings = max(embeddings, float(share.max()))
    return probabilities, embeddings


def landmarks_of(faces: Picture) -> NDArray[np.float32]:
    """Landmarks of cut faces uint8 [N, S, S, 3], shares of their side, [N, 68, 2]; NaN for the last, as if unknown."""
    side = faces.shape[1]
    square = square_of_frame(Box(x=0.0, y=0.0, w=side, h=side))
    landmarker = Landmarker.load()
    found = np.stack([landmarker.find(face, [square])[0].points for face in faces]) / np.float32(side)
    found[-1] = np.nan
    return found.astype(np.float32)


def real_faces(alignment: Alignment) -> Picture:
    """Faces of two public-domain portraits, upright, mirrored, darker and smaller: uint8 [16, S, S, 3]."""
    detector = load_detector("centerface")
    assert detector is not None
    faces: list[NDArray[np.uint8]] = []
    for path in portrait_paths().values():
        picture = read_image(path)
        for variant in (picture, picture[:, ::-1], picture // 2, picture[::2, ::2]):
            points5 = detector.find(np.ascontiguousarray(variant))[0].points5
            assert points5 is not None
            for size in (alignment.size, alignment.size // 2):
                face = align(np.ascontiguousarray(variant), points5, alignment.template, alignment.size, detail=size)
                faces.append(colour_of(face, alignment.colour))
    if not faces:
        raise ModelError("no portrait to check the exported graph on; install them with `pip install scikit-image`")
    return np.stack(faces)
