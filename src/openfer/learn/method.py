"""The contract of a method: what a researcher writes to add an idea.

A method is a class with a frozen dataclass of `Options`, a network, losses, and hooks that all have defaults. It is
registered under one name by `@register("name")`, from inside the project or through the entry-point group
`openfer.methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openfer.errors import ConfigError, did_you_mean
from openfer.labels import LabelSet
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import Fidelity, MethodChoice, parse_options
from openfer.learn.samplers import Sampler, ShuffledBatches

Batch = Mapping[str, Tensor]
"""Named tensors of one step: `image` [B, 3, S, S] (normalised), `target` [B, K] (votes, sums to 1), `label` [B] (int64,
the votes' largest column), `one_hot` [B, K] (of the label), `row` [B] (int64, number of the training sample), and what
else the method's `inputs` name: `image2` [B, 3, S, S], a second view of the same pictures with its own random changes;
`landmarks` [B, 68, 2] (x, y), shares of the side of `image`, changed with it, NaN where a face has none. Under mixup,
pictures, `target` and `one_hot` are mixed; `label` and `row` stay those of the first picture."""

INPUTS = ("image", "image2", "landmarks")
TRAINING_ONLY = ("image2",)
"""Inputs that a network in use does without."""


class Output(NamedTuple):
    """What a network answers.

    Args:
        logits: [B, K].
        embedding: [B, D], what the classifier reads.
        maps: [B, K, h, w], what each place says for each class: a bundle offers them, `predict --cam` shows them. In
            training whatever the losses read.
        aus: [B, A] action unit logits.
        attention: [B, ...].
        features: [B, F], what faces are compared by where classes come from a few examples (`predict --support`); the
            embedding where there are none.
    """

    logits: Tensor
    embedding: Tensor | None = None
    maps: Tensor | None = None
    aus: Tensor | None = None
    attention: Tensor | None = None
    features: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network is built for: the labels, the backbone, and how many training rows each class has."""

    labels: LabelSet
    backbone: BackboneOptions
    class_counts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a training, with optimiser and schedule of its own. It starts from the best of the stage before.

    Args:
        name: shown in the log.
        epochs: None takes the recipe's.
        lr_scale: of the recipe's learning rate.
        frozen: prefixes of module names that stand still in this stage, BatchNorm statistics included.
        restless: those of them whose statistics and dropout go on as in training all the same.
    """

    name: str = "train"
    epochs: int | None = None
    lr_scale: float = 1.0
    frozen: tuple[str, ...] = ()
    restless: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepState:
    """What `after_step` sees once the weights have moved."""

    network: nn.Module
    batch: Batch
    output: Output
    stage: Stage
    epoch: int
    step: int


class Method:
    """Base of the methods: the facts, the required parts, and hooks with defaults.

    Facts:
        batch_coupled: does an answer depend on the rest of the batch? Then the exported network must not.
        inputs: names of the tensors that `forward` takes, of `INPUTS`.
        source: the paper.
        half_losses: do `losses` and `validate` run networks, so that the recipe's precision counts there, too? Sums
            that need more digits then ask for them.
    """

    name: ClassVar[str] = ""
    batch_coupled: ClassVar[bool] = False
    half_losses: ClassVar[bool] = False
    inputs: ClassVar[tuple[str, ...]] = ("image",)
    source: ClassVar[str] = ""
    Options: ClassVar[type[Any]]

    def __init__(self, options: Any, fidelity: Fidelity = "intended") -> None:
        self.options = options
        self.fidelity: Fidelity = fidelity

    def network(self, task: Task) -> nn.Module:
        """The network; its `forward` takes the tensors of `inputs` by name and returns an `Output`.

        In use it is called without those of `TRAINING_ONLY`, and `landmarks` may be missing for all faces (None).
        """
        raise NotImplementedError

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """Named scalar terms, already weighted; the engine sums and logs them."""
        raise NotImplementedError

    def notes(self, network: nn.Module) -> list[str]:
        """What somebody should know before this network is trained, a sentence each."""
        return []

    def stages(self) -> Sequence[Stage]:
        """The parts of a training, in order."""
        return (Stage(),)

    def sampler(self, labels: NDArray[np.int64], batch: int, seed: int) -> Sampler:
        """Which training samples make which step; `labels` [N] are those of the training samples."""
        return ShuffledBatches(len(labels), batch, seed)

    def param_groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """Groups of parameters: `params`, and optionally `weight_decay`, `lr_scale` and `clip` (norm of its own)."""
        named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
        # Decay pulls weights towards 0; for biases and normalisation 0 means nothing.
        return [
            {"params": [parameter for _, parameter in named if parameter.ndim > 1], "weight_decay": weight_decay},
            {"params": [parameter for _, parameter in named if parameter.ndim <= 1], "weight_decay": 0.0},
        ]

    def after_step(self, state: StepState) -> None:
        """Rolling statistics; kept in buffers of the network, so that a checkpoint holds them."""

    def validate(self, network: nn.Module, images: Callable[[], Any], stage: Stage) -> dict[str, float] | None:
        """Scores of the holdout in place of the engine's own, higher is better under `accuracy`; None for those.

        Args:
            network: the network to judge, in evaluation mode.
            images: gives an iterator over holdout batches.
            stage: that is being trained.
        """
        return None

    def export_network(self, network: nn.Module) -> nn.Module:
        """The network to use: folds what can fold, and drops what only training needs; the given one stays as it is.

        The holdout judges this one. A face's answer must not depend on the rest of the batch.
        """
        return network

    def learned(self, network: nn.Module) -> dict[str, Any]:
        """What the card tells of a trained network beside its scores: plain JSON values."""
        return {}

    def coupled_network(self, network: nn.Module) -> nn.Module:
        """The published form whose answers depend on the batch: to be judged for comparison, never to predict with.

        Raises:
            ConfigError: the method has no such form.
        """
        raise ConfigError(f"method '{self.name}': no answer depends on its batch here; evaluate without --coupled")

    def import_weights(self, network: nn.Module, weights: Mapping[str, Tensor], labels: LabelSet) -> None:
        """Load a checkpoint of the authors' code into a network of this method.

        Args:
            network: gets the tensors.
            weights: by the authors' names.
            labels: the classes that the network is used for.

        Raises:
            ConfigError: the method knows no such checkpoints.
            ModelError: a tensor is missing, unknown or of another shape.
            DataError: the authors' classes are others.
        """
        raise ConfigError(f"method '{self.name}': has no published checkpoints to import")

    def calibrate(self, network: nn.Module, images: Iterable[Tensor]) -> None:
        """Set statistics that imported weights lack, from normalised training pictures in batches [B, 3, S, S]."""


METHODS: dict[str, type[Method]] = {}


def register(name: str) -> Callable[[type[Method]], type[Method]]:
    """Class decorator that makes a method known under a name. A name that is taken is an error naming both places."""

    def add(method: type[Method]) -> type[Method]:
        other = METHODS.get(name)
        if other is not None and other is not method:
            raise ConfigError(f"method '{name}' is registered twice: by {other.__module__} and {method.__module__}")
        method.name = name
        METHODS[name] = method
        return method

    return add


def known_methods() -> dict[str, type[Method]]:
    """Every method by name: the project's own, and those of installed packages."""
    import openfer.learn.methods  # noqa: F401  # registers the project's own

    for entry in entry_points(group="openfer.methods"):
        if entry.name not in METHODS:
            entry.load()
    return METHODS


def build_method(choice: MethodChoice) -> Method:
    """The method that a recipe names, its options checked.

    Raises:
        ConfigError: an unknown method, or an option that it does not have or does not allow.
    """
    methods = known_methods()
    if choice.name not in methods:
        raise ConfigError(f"unknown method '{choice.name}'; {did_you_mean(choice.name, methods)}")
    kind = methods[choice.name]
    return kind(parse_options(kind.Options, choice.options, "method"), choice.fidelity)


def in_use(inputs: Sequence[str]) -> tuple[str, ...]:
    """What of a method's inputs a network is given when it is used."""
    return tuple(name for name in inputs if name not in TRAINING_ONLY)


def predict_logits(network: nn.Module, batch: Batch, inputs: Sequence[str] = ("image",)) -> Tensor:
    """Logits [B, K] float32 of a batch, without gradients."""
    with torch.no_grad():
        output: Output = network(**{name: batch[name] for name in inputs})
        return output.logits.float()
