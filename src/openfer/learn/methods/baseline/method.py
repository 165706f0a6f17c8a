"""The method `baseline`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from openfer.learn.losses.cross_entropy import balanced_weights, soft_cross_entropy
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.methods.baseline.network import Classifier


@dataclass(frozen=True, kw_only=True)
class BaselineOptions:
    """Options of `baseline`.

    Args:
        smoothing: label smoothing, share spread evenly over the classes (Szegedy et al., CVPR 2016).
        balance: power of the inverse class frequency that weighs the classes: 0 = none, 1 = all alike.
        soft_targets: learn from the votes where a row has them; without, from the row's label alone.
        dropout: before the classifier.
    """

    smoothing: Annotated[float, Ge(0), Le(1)] = 0.0
    balance: Annotated[float, Ge(0), Le(1)] = 0.0
    soft_targets: bool = True
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2


@register("baseline")
class Baseline(Method):
    """Cross-entropy on a backbone."""

    Options = BaselineOptions
    source = "the field's common practice"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        network = Classifier(task, self.options.dropout)
        counts = torch.as_tensor(task.class_counts, dtype=torch.float32)
        network.register_buffer("class_weights", balanced_weights(counts, self.options.balance), persistent=False)
        return network

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`."""
        target = batch["target" if self.options.soft_targets else "one_hot"]
        weights = network.get_buffer("class_weights") if self.options.balance > 0 else None
        loss = soft_cross_entropy(
            output.logits.float(), target, smoothing=self.options.smoothing, class_weights=weights
        )
        return {"cross_entropy": loss}
