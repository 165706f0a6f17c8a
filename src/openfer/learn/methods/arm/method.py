"""The method `arm`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from torch import Tensor, nn

from openfer.errors import DataError
from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.checkpoint import load_exactly
from openfer.learn.heads.amending import Affinity, narrowness
from openfer.learn.losses.cross_entropy import soft_cross_entropy
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.methods.arm.network import Amended, Folded
from openfer.learn.methods.arm.released import our_names
from openfer.learn.options import Count, Word
from openfer.learn.samplers import MinimalResampling, Sampler

CLASSES = LABEL_SETS["rafdb"]
"""Of the authors' checkpoints, in column order."""


@dataclass(frozen=True, kw_only=True)
class ArmOptions:
    """Options of `arm`.

    Args:
        affinity: the generic feature in evaluation: `running` is a moving average of the training batches' means,
            `batch` the mean of the batch at hand, as released (evaluation only, never used to predict), `off` shares
            nothing, in training neither.
        momentum: of the moving average.
        shuffle: r, channels per block of the arrangement, squared; `none` is the largest power of two up to 32 whose
            square divides the channels at least twice.
        kernel: side of the de-albino kernel, pixels of a plane; `none` is two blocks.
        stride: its step; `none` is half a block.
        dropout: before the classifier.
        soft_targets: learn from the votes where a row has them; the authors' data have labels alone.
        resample: minimal random resampling: as many samples of each class an epoch, drawn anew.
        cap: samples a class an epoch then; 0 is as many as the rarest class has.
        decay_all: weight decay also for biases, normalisation and alpha, as the authors'.
    """

    affinity: Affinity = "running"
    momentum: Annotated[float, Gt(0), Le(1)] = 0.1
    shuffle: Count | Word = "none"
    kernel: Count | Word = "none"
    stride: Count | Word = "none"
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    soft_targets: bool = True
    resample: bool = False
    cap: Annotated[int, Ge(0)] = 0
    decay_all: bool = False


@register("arm")
class Arm(Method):
    """Cross-entropy on a backbone with an amending head. `fidelity: released` is `affinity: batch`."""

    Options = ArmOptions
    batch_coupled = True
    source = "Shi, Zhu, Liang: Learning to Amend Facial Expression Representation via De-albino and Affinity, 2021"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        options = self.options
        sizes = {name: getattr(options, name) for name in ("shuffle", "kernel", "stride")}
        return Amended(
            task,
            **{name: None if size == "none" else size for name, size in sizes.items()},
            affinity="batch" if self.fidelity == "released" and options.affinity == "running" else options.affinity,
            momentum=options.momentum,
            dropout=options.dropout,
        )

    def notes(self, network: nn.Module) -> list[str]:
        """See `Method.notes`."""
        assert isinstance(network, Amended)
        return narrowness(network.head.geometry)

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`."""
        target = batch["target" if self.options.soft_targets else "one_hot"]
        return {"cross_entropy": soft_cross_entropy(output.logits.float(), target)}

    def sampler(self, labels: NDArray[np.int64], batch: int, seed: int) -> Sampler:
        """See `Method.sampler`."""
        if self.options.resample:
            return MinimalResampling(labels, batch, seed, self.options.cap)
        return super().sampler(labels, batch, seed)

    def param_groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """See `Method.param_groups`."""
        if not self.options.decay_all:
            return super().param_groups(network, weight_decay)
        moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return [{"params": moving, "weight_decay": weight_decay}]

    def export_network(self, network: nn.Module) -> nn.Module:
        """See `Method.export_network`."""
        assert isinstance(network, Amended)
        used = copy.deepcopy(network)
        used.head.affinity = "off" if network.head.affinity == "off" else "running"
        return Folded(used.eval())

    def coupled_network(self, network: nn.Module) -> nn.Module:
        """See `Method.coupled_network`."""
        assert isinstance(network, Amended)
        if network.head.affinity == "off":
            return super().coupled_network(network)
        used = copy.deepcopy(network)
        used.head.affinity = "batch"
        return used.eval()

    def import_weights(self, network: nn.Module, weights: Mapping[str, Tensor], labels: LabelSet) -> None:
        """See `Method.import_weights`. All that the authors published was trained on RAF-DB."""
        if labels.names != CLASSES.names:
            raise DataError(f"the authors' classes are {', '.join(CLASSES)}, the manifest's {', '.join(labels)}")
        load_exactly(network, our_names(weights), lacking=("head.generic", "head.batches"))

    def calibrate(self, network: nn.Module, images: Iterable[Tensor]) -> None:
        """See `Method.calibrate`."""
        assert isinstance(network, Amended)
        network.calibrate(images)
