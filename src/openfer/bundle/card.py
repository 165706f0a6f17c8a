"""`card.json`: everything that is needed to use a model, checked when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openfer.errors import ModelError
from openfer.files import write_text
from openfer.labels import LabelSet
from openfer.vision.align import Alignment

FORMAT = 1
"""Version of the contract between a bundle and its readers."""

OutputName = Literal["logits", "embedding", "maps", "aus", "attention", "features"]
"""What a graph may offer, in the order of its outputs."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputCard(_Strict):
    """What the graph's `image` input holds: float32 [N, 3, size, size], (pixel / 255 - mean) / std per channel."""

    size: Annotated[int, Field(ge=8)]
    colour: Literal["grey", "rgb"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    template: str
    margin: Annotated[float, Field(ge=0)] = 0.0
    detail: Annotated[int, Field(ge=0)] = 0

    def alignment(self) -> Alignment:
        """The aligner's settings."""
        return Alignment(
            template=self.template, size=self.size, colour=self.colour, margin=self.margin, detail=self.detail
        )


class MethodCard(_Strict):
    """What was trained: a method's name, its options, `intended` or `released` mathematics, and the backbone.

    `learned` is what a method tells of its trained network, such as the table of `aue`.
    """

    name: str
    options: dict[str, Any]
    fidelity: Literal["intended", "released"] = "intended"
    backbone: dict[str, Any]
    learned: dict[str, Any] = {}


class TrainingCard(_Strict):
    """What it was trained on: the manifest's hash, layout and label rule, rows used, and how the epoch was chosen.

    `teachers` are the models whose answers it learned beside the labels: what they have seen, it has heard of.
    """

    manifest: Sha256
    layout: str
    rule: str
    rows: Annotated[int, Field(ge=1)]
    holdout: Annotated[int, Field(ge=0)]
    selection: str
    teachers: tuple[str, ...] = ()


class MetricCard(_Strict):
    """A measured number with its 95 % interval and the protocol behind it."""

    name: str
    value: float
    low: float
    high: float
    rows: int
    protocol: str


class LicenceCard(_Strict):
    """Licences of code and weights, and the terms of the data."""

    code: str
    weights: str
    data: str


class Card(_Strict):
    """A bundle's card. Probabilities are softmax(logits / temperature), computed by the reader.

    `graphs` maps every file of the bundle to its SHA-256.
    """

    format: int
    name: str
    labels: tuple[str, ...]
    label_set: str
    graphs: dict[str, Sha256]
    inputs: tuple[Literal["image", "landmarks", "eye", "mouth"], ...]
    outputs: tuple[OutputName, ...]
    input: InputCard
    temperature: Annotated[float, Field(gt=0)]
    method: MethodCard
    training: TrainingCard
    metrics: tuple[MetricCard, ...] = ()
    intended_use: str
    limits: str
    licences: LicenceCard
    versions: dict[str, str] = {}

    @property
    def compared_by(self) -> OutputName:
        """The output that faces are compared by where classes come from a few examples."""
        order: tuple[OutputName, ...] = ("features", "embedding", "logits")
        return next(name for name in order if name in self.outputs)

    def label_names(self) -> LabelSet:
        """The label set in the order of the logits' columns."""
        return LabelSet(self.label_set, self.labels)


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises:
        ModelError: missing, of another contract version, or a field is missing, unknown or wrong; the message names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"{path}: no card ({error.strerror}); a bundle is a folder that `openfer export` made"
        ) from error
    _check_format(text, path)
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(f"{path}: field '{name}': {first['msg']}; export the model again") from error


def _check_format(text: str, path: Path) -> None:
    # Before the fields: another version has other fields, and its reader needs to know only that.
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); export the model again") from error
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT:
        raise ModelError(f"{path}: contract version {version}, this program reads {FORMAT}; export the model again")


def write_card(card: Card, path: Path) -> None:
    """Write a card whole or not at all."""
    write_text(path, card.model_dump_json(indent=2) + "\n")
