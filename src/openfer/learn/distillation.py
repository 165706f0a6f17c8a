"""Knowledge distillation: trained models teach the one that is being trained, on the pictures that it learns from.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015. The teachers see the very pictures of
each step, random changes included (Beyer et al., CVPR 2022), and any method can be taught that gives a face's logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.bundle.load import CARD, GRAPH, WEIGHTS, Bundle, bundle_path, load_bundle
from openfer.errors import ConfigError, ModelError
from openfer.labels import LabelSet
from openfer.learn.backbones import normalisation
from openfer.learn.checkpoint import RECIPE
from openfer.learn.export import bundle_of_run, filled_network
from openfer.learn.method import Output, build_method
from openfer.learn.options import BackboneOptions, DataOptions, DistillationOptions
from openfer.learn.recipe import MethodChoice, Recipe, parse_options


class Teachers(nn.Module):
    """Trained networks that answer the pictures of another one, and do not learn themselves.

    Args:
        teachers: one or more.
        names: what they are, with the hashes of their graphs.
        options: how much their answers count.
    """

    def __init__(self, teachers: Sequence[Teacher], names: Sequence[str], options: DistillationOptions) -> None:
        super().__init__()
        self.teachers = nn.ModuleList(teachers)
        self.names = list(names)
        self.options = options

    def loss(self, image: Tensor, logits: Tensor) -> Tensor:
        """The term of a step.

        Args:
            image: [B, 3, S, S], normalised for the network that learns.
            logits: [B, K], its answer.
        """
        with torch.no_grad():
            answers = torch.stack([teacher(image) for teacher in self.teachers])
        return self.options.weight * distillation_loss(logits, answers, self.options.temperature)


def distillation_loss(logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """T^2 KL(p || softmax(logits / T)), mean over the batch; p is the mean of the teachers' softmax(answers / T).

    T^2 keeps the gradient's size when T changes (Hinton et al., section 2).

    Args:
        logits: [B, K] of the network that learns.
        answers: [N, B, K], logits of N teachers.
        temperature: T, above 0.

    Returns:
        scalar, 0 where the two agree.
    """
    taught = torch.softmax(answers.float() / temperature, dim=2).mean(0)
    own = torch.log_softmax(logits.float() / temperature, dim=1)
    return temperature**2 * F.kl_div(own, taught, reduction="batchmean")


class Teacher(nn.Module):
    """A trained network in use, and what its pictures are like beside those of the network that learns.

    Args:
        network: of a method, as it is used.
        size: side of its pictures, pixels.
        scale, shift: three numbers each; its picture is the learner's times `scale` plus `shift`, channel by channel.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, size: int, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.size = size
        self.register_buffer("scale", scale.view(1, 3, 1, 1))
        self.register_buffer("shift", shift.view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Picture [B, 3, S, S] of the learner -> logits [B, K] float32."""
        image = image * self.scale + self.shift
        if image.shape[-1] != self.size:
            image = F.interpolate(image, size=(self.size, self.size), mode="bilinear", antialias=True)
        output: Output = self.network(image=image.contiguous(memory_format=torch.channels_last))
        return output.logits.float()


def load_teachers(recipe: Recipe, labels: LabelSet) -> Teachers | None:
    """The teachers that a recipe names; None where it names none.

    Raises:
        ConfigError: a teacher has other classes, reads landmarks, or its faces are cut otherwise.
        ModelError: no such model, or a model without weights that PyTorch can read.
    """
    options = recipe.distillation
    if not options.teachers:
        return None
    mean, std = (torch.tensor(values) for values in normalisation(recipe.backbone.name))
    found, names = [], []
    for name in options.teachers:
        bundle = load_bundle(teacher_folder(name))
        check_teacher(name, bundle, recipe.data, labels)
        its_mean, its_std = torch.tensor(bundle.card.input.mean), torch.tensor(bundle.card.input.std)
        network = network_of(bundle)
        found.append(Teacher(network, bundle.card.input.size, std / its_std, (mean - its_mean) / its_std))
        names.append(f"{bundle.card.name}, sha256 {bundle.card.graphs[GRAPH]}")
    return Teachers(found, names, options)


def teacher_folder(name: str) -> Path:
    """The bundle's folder of a model's name, a bundle or a run; a run is exported first."""
    path = bundle_path(name)
    is_run = (path / RECIPE).is_file() and not (path / CARD).is_file()
    return bundle_of_run(path) if is_run else path


def check_teacher(name: str, bundle: Bundle, data: DataOptions, labels: LabelSet) -> None:
    """Refuse a model that cannot answer the pictures of this training.

    Raises:
        ConfigError: it has other classes, reads landmarks, or its faces are cut otherwise.
    """
    card, about = bundle.card, f"distillation.teachers: {name}"
    if card.labels != labels.names:
        raise ConfigError(f"{about} answers {', '.join(card.labels)}; the manifest has {', '.join(labels.names)}")
    if card.inputs != ("image",):
        raise ConfigError(f"{about} also reads landmarks; choose a model that sees the face alone")
    if card.input.template != data.align:
        raise ConfigError(f"{about} was trained with data.align {card.input.template}, this recipe has {data.align}")
    if card.input.colour != data.colour:
        raise ConfigError(f"{about} was trained with data.colour {card.input.colour}, this recipe has {data.colour}")


def network_of(bundle: Bundle) -> nn.Module:
    """A bundle's network in PyTorch, as it is used, on the CPU.

    Raises:
        ModelError: the bundle has no weights for PyTorch, or they do not fit what its card says.
    """
    card = bundle.card
    if WEIGHTS not in card.graphs:
        raise ModelError(f"{bundle.path}: comes without {WEIGHTS}; export it again with its weights")
    method = build_method(
        MethodChoice(name=card.method.name, fidelity=card.method.fidelity, options=card.method.options)
    )
    backbone = parse_options(BackboneOptions, card.method.backbone, f"{bundle.path}: backbone")
    network = filled_network(bundle.path / WEIGHTS, bundle.path / CARD, backbone, method, card.label_names())
    return method.export_network(network).eval()
