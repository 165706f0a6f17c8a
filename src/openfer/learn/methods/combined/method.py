"""The method `combined`."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from openfer.learn.backbones import blank_map
from openfer.learn.heads.amending import Affinity, narrowness
from openfer.learn.heads.class_maps import little_to_mirror
from openfer.learn.losses.cross_entropy import soft_cross_entropy
from openfer.learn.losses.rebalanced import pair_consistency, register_balance
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.methods.combined.network import Combined
from openfer.learn.methods.combined.options import CombinedOptions


@register("combined")
class CombinedMethod(Method):
    """ARM's head, MEK's consistency and targets, Ad-Corre's loss, or any of them.

    With one part it is that part's method, with none `baseline`. No program was published that has them together, so
    that `fidelity` changes nothing.
    """

    Options = CombinedOptions
    batch_coupled = True
    source = "the sources of arm, mek and adcorre; put together here"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        network = Combined(task, self.options)
        if self.options.mine:
            register_balance(network, torch.as_tensor(task.class_counts), self.options.smoothing)
        return network

    def notes(self, network: nn.Module) -> list[str]:
        """See `Method.notes`."""
        assert isinstance(network, Combined)
        if network.pool is not None:
            return narrowness(network.pool.geometry)
        return little_to_mirror(blank_map(network.backbone, network.task.backbone).shape[3]) if network.twice else []

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`.

        Ad-Corre's cross-entropy weighs `cross_entropy` / K. The consistency is multiplied by as much, so that it
        stays in the proportion to the cross-entropy that MEK gives it. With ARM it is divided by the number of places:
        each has a weight of its own, so that maps differ from place to place by that much more (in squares) than
        logits do, and undivided the term drowns the labels.
        """
        assert isinstance(network, Combined)
        options = self.options
        target = batch["target" if options.soft_targets else "one_hot"]
        if options.smoothing > 0:
            target = target @ network.get_buffer("smoothing_matrix")
        unit = 1.0
        if options.correlations:
            assert output.embedding is not None
            embeddings = output.embedding.view(-1, options.embeddings, options.width)
            terms = network.loss.terms(embeddings, output.logits, batch["label"], target)
            unit = options.cross_entropy / target.shape[1]
        else:
            terms = {"cross_entropy": soft_cross_entropy(output.logits.float(), target)}
        if options.consistency > 0:
            assert output.maps is not None
            places = network.pool.geometry.features if network.pool is not None else 1
            terms["consistency"] = unit * options.consistency / places * pair_consistency(network, output.maps)
        return terms

    def export_network(self, network: nn.Module) -> nn.Module:
        """See `Method.export_network`."""
        assert isinstance(network, Combined)
        return with_affinity(network, "running")

    def coupled_network(self, network: nn.Module) -> nn.Module:
        """See `Method.coupled_network`."""
        assert isinstance(network, Combined)
        if network.pool is None or network.pool.affinity == "off":
            return super().coupled_network(network)
        return with_affinity(network, "batch")


def with_affinity(network: Combined, affinity: Affinity) -> Combined:
    """A copy in evaluation mode whose generic feature, where it has one, is that of `affinity`."""
    used = copy.deepcopy(network).eval()
    if used.pool is not None and used.pool.affinity != "off":
        used.pool.affinity = affinity
    return used
