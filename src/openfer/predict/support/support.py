"""A support: a few examples of each class of one's own, as features of one model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from openfer.bundle.card import Card
from openfer.bundle.load import WEIGHTS
from openfer.errors import ModelError
from openfer.labels import LabelSet
from openfer.predict.support.classifier import Classifier, fit, members, probabilities

Array = NDArray[np.float32]

COPIES = 2
"""Of each picture: as it is, and mirrored."""
SHORT = 8
"""Digits of a hash that people are shown."""


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Which model features come from.

    Args:
        name: as its card has it.
        sha256: of its graph (the weights for training further have no part in it) and of how faces are cut for it.
        output: the output that features are taken from.
    """

    name: str
    sha256: str
    output: str

    @classmethod
    def of(cls, card: Card) -> ModelKey:
        """A bundle's key."""
        files = sorted(f"{name} {digest}" for name, digest in card.graphs.items() if name != WEIGHTS)
        what = "\n".join([*files, card.input.model_dump_json(), *card.inputs])
        return cls(card.name, sha256(what.encode()).hexdigest(), card.compared_by)

    def __str__(self) -> str:
        return f"'{self.name}' ({self.sha256[:SHORT]})"


@dataclass(frozen=True, eq=False)
class Support:
    """Examples of each class. `openfer.predict.support.gather` makes it from pictures.

    Args:
        labels: the classes.
        features: float32 [m, 2, D], of each picture's face and of the same picture mirrored.
        truth: [m], each picture's class as its place in `labels`.
        pictures: where each came from, for people.
        model: whose features these are.
    """

    labels: LabelSet
    features: Array
    truth: NDArray[np.int64]
    pictures: tuple[str, ...]
    model: ModelKey

    def __post_init__(self) -> None:
        shape, known = self.features.shape, set(self.truth.tolist())
        if len(shape) != 3 or shape[1] != COPIES or not len(self.truth) == len(self.pictures) == shape[0]:
            raise ValueError(f"support: features {list(shape)} do not fit {len(self.truth)} pictures")
        if known != set(range(len(self.labels))) or len(known) < 2:
            raise ValueError("support: expected two classes or more, each with a picture")
        if not np.isfinite(self.features).all():
            raise ValueError("support: features that are no numbers")

    @cached_property
    def classifier(self) -> Classifier:
        """What the examples teach."""
        flat = self.features.reshape(-1, self.features.shape[2]).astype(np.float64)
        return fit(flat, members(self.truth, len(self.labels), COPIES))

    @property
    def digest(self) -> str:
        """A hash of all that its answers depend on."""
        parts = (repr(self.labels.names), repr(asdict(self.model)), self.truth.tobytes(), self.features.tobytes())
        return sha256(b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts)).hexdigest()

    def answer(self, features: Array) -> tuple[Array, Array]:
        """Probabilities of the classes [q, n], and the similarity to the most probable one [q], of features [q, D]."""
        wide = features.astype(np.float64)
        likely = probabilities(self.classifier.scores(wide))
        alike = self.classifier.similarities(wide)
        best = np.take_along_axis(alike, likely.argmax(-1)[:, None], axis=-1)[:, 0]
        return likely, best.astype(np.float32)

    def check_model(self, card: Card, *, name: str = "the support") -> None:
        """Raise `ModelError` where these are the features of another model.

        Args:
            card: of the model that is to be used.
            name: what to call the support.
        """
        key = ModelKey.of(card)
        if key != self.model:
            raise ModelError(
                f"{name}: made with the model {self.model}, this is {key}; use that model (--model), or build the "
                "support again with this one"
            )
