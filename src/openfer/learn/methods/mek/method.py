"""The method `mek`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Lt
from numpy.typing import NDArray
from torch import Tensor, nn

from openfer.errors import DataError, ModelError
from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.backbones import blank_map, build_feature_backbone, normalisation
from openfer.learn.checkpoint import load_exactly
from openfer.learn.heads.class_maps import little_to_mirror
from openfer.learn.losses.cross_entropy import soft_cross_entropy
from openfer.learn.losses.rebalanced import pair_consistency, register_balance
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.methods.mek.network import ClassMapper
from openfer.learn.samplers import BalancedDraws, RepeatedList, Sampler, ShuffledBatches
from openfer.learn.swin import convert

CLASSES = LABEL_SETS["rafdb"]
"""In the order of the authors' classifier."""


@dataclass(frozen=True, kw_only=True)
class MekOptions:
    """Options of `mek`. With smoothing and consistency 0 it is cross-entropy on a backbone.

    Args:
        smoothing: share of a label that goes to the other classes, rare ones first. A perfect network answers with
            1 - smoothing at most, until its bundle is calibrated.
        consistency: weight of the flip consistency, in the scale of class weights 0.1 N / n_c, summed over the classes.
        soft_targets: learn from the votes where a row has them; without, and in `released`, from the row's label alone.
        draws: `shuffled` takes every picture once an epoch; `balanced` draws as many pictures, with replacement, every
            class as often as any other.
    """

    smoothing: Annotated[float, Ge(0), Lt(1)] = 0.3
    consistency: Annotated[float, Ge(0)] = 0.1
    soft_targets: bool = True
    draws: Literal["shuffled", "balanced"] = "shuffled"


@register("mek")
class Mek(Method):
    """Flip consistency and smooth labels, both re-balanced by the inverse class frequency.

    `fidelity: released` decays every parameter (Q12), starts from a new last normalisation (Q13) and draws from the
    list of pictures repeated to a million entries, which is then an epoch (Q14): give `optim.steps` with it.
    """

    Options = MekOptions
    source = "Zhang et al., Leave No Stone Unturned: Mine Extra Knowledge for Imbalanced FER, NeurIPS 2023"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        network = ClassMapper(
            build_feature_backbone(task.backbone),
            task.backbone,
            len(task.labels),
            twice=self.options.consistency > 0,
            new_norm=self.fidelity == "released",
        )
        register_balance(network, torch.as_tensor(task.class_counts), self.options.smoothing)
        return network

    def notes(self, network: nn.Module) -> list[str]:
        """See `Method.notes`."""
        assert isinstance(network, ClassMapper)
        return little_to_mirror(blank_map(network.backbone, network.options).shape[3]) if network.twice else []

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`. Labels are asked of the pictures alone, not of their mirror images (Q5)."""
        votes = self.options.soft_targets and self.fidelity == "intended"
        target = batch["target" if votes else "one_hot"] @ network.get_buffer("smoothing_matrix")
        terms = {"smooth_labels": soft_cross_entropy(output.logits.float(), target)}
        if self.options.consistency > 0:
            assert output.maps is not None
            terms["consistency"] = self.options.consistency * pair_consistency(network, output.maps)
        return terms

    def sampler(self, labels: NDArray[np.int64], batch: int, seed: int) -> Sampler:
        """See `Method.sampler`."""
        if self.options.draws == "balanced":
            return BalancedDraws(labels, batch, seed)
        return (RepeatedList if self.fidelity == "released" else ShuffledBatches)(len(labels), batch, seed)

    def import_weights(self, network: nn.Module, weights: Mapping[str, Tensor], labels: LabelSet) -> None:
        """See `Method.import_weights`. The authors' network is a Swin-T trained on RAF-DB."""
        assert isinstance(network, ClassMapper)
        if set(labels) != set(CLASSES):
            raise DataError(f"the authors' classes are {', '.join(CLASSES)}, the manifest's {', '.join(labels)}")
        mean, std = normalisation(network.options.name)
        swin = build_feature_backbone(network.options)
        tensors = convert(weights, swin, "the checkpoint", mean, std).tensors
        if {"head.weight", "head.bias"} - tensors.keys():
            raise ModelError("the checkpoint has no classifier: give an encoder alone to backbone.init, and train")
        rows = CLASSES.columns_for(labels)
        ours = {name: tensors.pop(name)[rows] for name in ("head.weight", "head.bias")}
        last = "norm." if isinstance(network.backbone.norm, nn.Identity) else "backbone.norm."
        ours |= {
            last + name.removeprefix("norm.") if name.startswith("norm.") else f"backbone.{name}": value
            for name, value in tensors.items()
        }
        load_exactly(network, ours)

    def param_groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """See `Method.param_groups`."""
        if self.fidelity == "released":
            return [{"params": [p for p in network.parameters() if p.requires_grad], "weight_decay": weight_decay}]
        groups = super().param_groups(network, weight_decay)
        tables = {id(p) for name, p in network.named_parameters() if name.endswith("relative_position_bias_table")}
        still = [p for p in groups[0]["params"] if id(p) in tables]  # biases, though of two axes
        groups[0]["params"] = [p for p in groups[0]["params"] if id(p) not in tables]
        groups[1]["params"] += still
        return groups
