"""Opening a bundle: hashes and contract checked, pictures in, probabilities out. NumPy and ONNX Runtime only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openfer.bundle.card import Card, read_card
from openfer.errors import ModelError, did_you_mean
from openfer.files import sha256_of
from openfer.runtime import session
from openfer.vision.image import Picture

if TYPE_CHECKING:
    import onnxruntime

CARD = "card.json"
GRAPH = "model.onnx"
WEIGHTS = "model.safetensors"
MODELS = Path(__file__).parent.parent / "models"
"""Bundles that come with the package."""
DEFAULT = "default"
DEFAULT_NAME = "ferplus-lite0"
BATCH = 64

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Bundle:
    """A checked bundle. Safe to use from several threads.

    Args:
        path: its folder.
        card: what it says about itself.
        threads: upper bound of threads; None for all that this process may use.
    """

    path: Path
    card: Card
    threads: int | None = None

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        opened = session(self.path / GRAPH, threads=self.threads)
        names = {
            "input": [value.name for value in opened.get_inputs()],
            "output": [v.name for v in opened.get_outputs()],
        }
        promised = {"input": self.card.inputs, "output": self.card.outputs}
        for kind, wanted in promised.items():
            missing = sorted(set(wanted) - set(names[kind]))
            if missing:
                raise ModelError(
                    f"{self.path / GRAPH}: the card promises the {kind} '{missing[0]}', the graph lacks it"
                )
        size, classes = self.card.input.size, len(self.card.labels)
        _check_shape(self.path, opened.get_inputs(), "image", (None, 3, size, size))
        _check_shape(self.path, opened.get_outputs(), "logits", (None, classes))
        if "maps" in self.card.outputs:
            _check_shape(self.path, opened.get_outputs(), "maps", (None, classes, None, None))
        return opened

    @property
    def graph_bytes(self) -> int:
        """Size of the graph and its weights, which lie beside it where one file would be too large."""
        return sum((self.path / name).stat().st_size for name in self.card.graphs if name.startswith(GRAPH))

    def run(
        self,
        pictures: Picture,
        *,
        landmarks: Array | None = None,
        outputs: tuple[str, ...] = ("logits",),
        batch: int = BATCH,
    ) -> tuple[Array, ...]:
        """Outputs of the network.

        Args:
            pictures: uint8 [N, size, size, 3], cut by the card's alignment (its colour included).
            landmarks: float32 [N, 68, 2] (x, y), shares of the pictures' side, NaN where a face has none; None for no
                face. Only for a model whose card has this input.
            outputs: names of the card's outputs, such as `logits` [N, K] and `embedding` [N, D].
            batch: how many pictures the network gets at once; the answers do not depend on it.

        Returns:
            float32 arrays, one an output, rows in the order of `pictures`.

        Raises:
            ModelError: an output that the bundle does not have, or landmarks that it does not read.
        """
        for name in outputs:
            if name not in self.card.outputs:
                raise ModelError(f"{self.path}: no output '{name}'; {did_you_mean(name, self.card.outputs)}")
        wants = "landmarks" in self.card.inputs
        if landmarks is not None and not wants:
            raise ModelError(f"{self.path}: reads no landmarks")
        if landmarks is None and wants:
            landmarks = np.full((len(pictures), 68, 2), np.nan, dtype=np.float32)
        parts = []
        # An empty batch still goes through the graph, so that the shapes of the results are right.
        for start in range(0, max(1, len(pictures)), batch):
            given = {"image": normalise(pictures[start : start + batch], self.card)}
            if landmarks is not None:
                given["landmarks"] = np.asarray(landmarks[start : start + batch], dtype=np.float32)
            parts.append(self._session.run(outputs, given))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def probabilities(
        self, pictures: Picture, *, landmarks: Array | None = None, columns: Sequence[int] | None = None
    ) -> Array:
        """Calibrated probabilities of pictures uint8 [N, size, size, 3].

        Args:
            pictures: cut by the card's alignment.
            landmarks: see `run`.
            columns: the labels to choose among; the probabilities of these alone sum to 1. None for all.

        Returns:
            [N, K], or one column for each of `columns`.
        """
        return self.calibrated(self.run(pictures, landmarks=landmarks)[0], columns=columns)

    def calibrated(self, logits: Array, *, columns: Sequence[int] | None = None) -> Array:
        """As `probabilities`, of the network's logits [N, K]."""
        logits = logits / self.card.temperature
        return softmax(logits if columns is None else logits[:, list(columns)])


def _check_shape(path: Path, values: list[onnxruntime.NodeArg], name: str, promised: tuple[int | None, ...]) -> None:
    """Refuse a graph whose fixed sizes are not the card's; None and named dimensions may be anything."""
    shape = next(value.shape for value in values if value.name == name)
    fixed = [(is_, should) for is_, should in zip(shape, promised, strict=False) if isinstance(is_, int) and should]
    if len(shape) != len(promised) or any(is_ != should for is_, should in fixed):
        raise ModelError(f"{path / GRAPH}: '{name}' has the shape {shape}, the card promises {list(promised)}")


def normalise(pictures: Picture, card: Card) -> Array:
    """uint8 [N, S, S, 3] -> float32 [N, 3, S, S], (pixel / 255 - mean) / std per channel."""
    mean, std = (np.array(values, dtype=np.float32) for values in (card.input.mean, card.input.std))
    scaled = (pictures.astype(np.float32) / np.float32(255.0) - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def softmax(logits: Array) -> Array:
    """Softmax over the last axis, safe for large logits."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


def sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-x)), safe for large values; NaN stays NaN."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=np.float32)


def bundle_path(name_or_path: str | Path) -> Path:
    """The folder of a bundle: `default`, the name of a model in the package, or a path.

    Raises:
        ModelError: neither.
    """
    name = str(name_or_path)
    inside = MODELS / (DEFAULT_NAME if name == DEFAULT else name)
    # A bare word is a name first: a folder that happens to be called `default` must not shadow the default model.
    if "/" not in name and "\\" not in name and (inside / CARD).is_file():
        return inside
    if Path(name).is_dir():
        return Path(name)
    known = [DEFAULT, *(path.parent.name for path in sorted(MODELS.glob(f"*/{CARD}")))]
    raise ModelError(f"model '{name}': neither a folder nor a model in the package; {did_you_mean(name, known)}")


def load_bundle(name_or_path: str | Path, *, threads: int | None = None) -> Bundle:
    """Open a bundle and check it: the card's contract, and the SHA-256 of every file it names.

    Raises:
        ModelError: no bundle, a changed or missing file, or a card that breaks the contract; the message says which.
    """
    path = bundle_path(name_or_path)
    card = read_card(path / CARD)
    if GRAPH not in card.graphs:
        raise ModelError(f"{path / CARD}: field 'graphs': no entry for {GRAPH}; export the model again")
    for name, digest in card.graphs.items():
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise ModelError(f"{file}: the card names this file, it is not there; export the model again")
        if sha256_of(file) != digest:
            raise ModelError(f"{file}: its bytes are not those the card was written for; export the model again")
    return Bundle(path, card, threads)
