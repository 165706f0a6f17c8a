"""The method `csrn`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray
from torch import Tensor, nn

from openfer.labels import LabelSet
from openfer.learn.checkpoint import load_exactly
from openfer.learn.fewshot.holdout import judge_episodes
from openfer.learn.fewshot.sampler import EpisodeBatches, EpisodeShape, rare_classes
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.methods.csrn.network import ChannelSelectiveRelation
from openfer.learn.methods.csrn.prototypes import pair_targets, prototype_targets
from openfer.learn.methods.csrn.relation import PUBLISHED
from openfer.learn.methods.csrn.released import FirstClasses, matching_scores, matching_targets, our_names
from openfer.learn.samplers import Sampler

READOUT = ("readout.linear.weight", "readout.linear.bias")


@dataclass(frozen=True, kw_only=True)
class CsrnOptions:
    """Options of `csrn`; the defaults are the authors' (with `select` off it is their CRN+FEL, with both off CRN).

    Args:
        patches: compare eyes and mouth, too.
        select: put the class feature together from the shots' channels; else it is their mean.
        weight: lambda, of the class features in loss and score.
        side: of the pictures that the encoder reads, pixels.
        spread: of the first weights of the relation network's linear layers; the authors' 0.01 needs many steps.
        n_way: classes an episode.
        k_shot: supports a class.
        n_query: queries a class.
        clip: largest norm of the gradient, of encoder and relation network apart (Q7).
    """

    patches: bool = True
    select: bool = True
    weight: Annotated[float, Ge(0)] = 0.7
    side: Annotated[int, Ge(16), Le(512)] = 64
    spread: Annotated[float, Gt(0)] = PUBLISHED
    n_way: Annotated[int, Ge(2)] = 4
    k_shot: Annotated[int, Ge(1)] = 4
    n_query: Annotated[int, Ge(1)] = 1
    clip: Annotated[float, Ge(0)] = 0.5

    @property
    def shape(self) -> EpisodeShape:
        """Of the training episodes."""
        return EpisodeShape(n_way=self.n_way, k_shot=self.k_shot, n_query=self.n_query)


@register("csrn")
class Csrn(Method):
    """Squared errors of relation scores, over episodes of base classes. A `released` run is trained as published."""

    Options = CsrnOptions
    half_losses = True
    source = "Kim, Lee, Choi, Kang, Kim: Channel Selective Relation Network for Few-shot FER, ICCE 2024"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        options = self.options
        return ChannelSelectiveRelation(
            task,
            side=options.side,
            patches=options.patches,
            select=options.select,
            weight=options.weight,
            spread=options.spread,
            apart=options.shape if self.fidelity == "released" else None,
        )

    def notes(self, network: nn.Module) -> list[str]:
        """See `Method.notes`."""
        assert isinstance(network, ChannelSelectiveRelation)
        return rare_classes(network.task, self.options.shape)

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`. `readout` moves the read-out alone."""
        assert isinstance(network, ChannelSelectiveRelation)
        assert output.maps is not None
        support, query = self.options.shape.cut(output.maps)
        readout = F.cross_entropy(output.logits.float(), batch["label"])
        return {**self.episode_losses(network, support, query), "readout": readout}

    def episode_losses(self, network: ChannelSelectiveRelation, support: Tensor, query: Tensor) -> dict[str, Tensor]:
        """The method's own terms: one a branch, and lambda times that of the class features.

        Args:
            network: the network, in training mode.
            support: [b, n, k, V, C, h, w].
            query: [b, n q, V, C, h, w], class by class.

        Raises:
            ConfigError: released, and other than four ways or one query a class (Q1, Q2).
        """
        n_way, k_shot = support.shape[1:3]
        n_query = query.shape[1] // n_way
        targets = pair_targets(n_way, k_shot, n_query, query.device)
        pairs = network.pair_scores(support, query)
        terms = {name: squared_error(scores, targets) for name, scores in pairs.items()}
        if self.fidelity == "released":
            wanted = matching_targets(n_way, query.device)
            scores = [
                matching_scores(network.relation, prototypes, query[:, :, view])
                for view, prototypes in enumerate(self._all_prototypes(network, support))
            ]  # those of the patches move BatchNorm's running statistics and nothing else (Q6)
            terms["prototype"] = self.options.weight * squared_error(scores[0], wanted)
        else:
            wanted = prototype_targets(n_way, n_query, query.device)
            terms["prototype"] = self.options.weight * squared_error(network.prototype_scores(support, query), wanted)
        return terms

    def _all_prototypes(self, network: ChannelSelectiveRelation, support: Tensor) -> list[Tensor]:
        return [network.prototypes(support), *support[:, :, :, 1:].mean(2).unbind(2)]

    def sampler(self, labels: NDArray[np.int64], batch: int, seed: int) -> Sampler:
        """See `Method.sampler`."""
        kind = FirstClasses if self.fidelity == "released" else EpisodeBatches
        return kind(labels, batch, seed, self.options.shape)

    def param_groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """See `Method.param_groups`: encoder and relation network are clipped apart, each as a whole."""
        clips = {"backbone": self.options.clip, "relation": self.options.clip, "readout": 0.0}
        return [
            {"params": list(network.get_submodule(part).parameters()), "weight_decay": weight_decay, "clip": clip}
            for part, clip in clips.items()
        ]

    def validate(self, network: nn.Module, images: Callable[[], Any], stage: Stage) -> dict[str, float] | None:
        """See `Method.validate`: episodes of held out pictures."""
        assert isinstance(network, ChannelSelectiveRelation)
        return judge_episodes(network, images(), self.inputs, self.options.shape)

    def import_weights(self, network: nn.Module, weights: Mapping[str, Tensor], labels: LabelSet) -> None:
        """See `Method.import_weights`. The read-out of the base classes is ours: it answers every class alike."""
        assert isinstance(network, ChannelSelectiveRelation)
        load_exactly(network, our_names(weights), lacking=READOUT)
        for name in READOUT:
            torch.nn.init.zeros_(network.get_parameter(name))


def squared_error(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error; the targets of one episode [...] are those of all [b, ...]."""
    return F.mse_loss(scores.float() if scores.dtype != torch.float64 else scores, targets.to(scores).expand_as(scores))
