"""The method `fewshot`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor, nn

from openfer.learn.fewshot.holdout import judge_episodes
from openfer.learn.fewshot.sampler import EpisodeBatches, EpisodeShape, rare_classes
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.methods.fewshot.network import FewShotNetwork, Learner
from openfer.learn.samplers import Sampler


@dataclass(frozen=True, kw_only=True)
class FewShotOptions:
    """Options of `fewshot`.

    Args:
        learner: `prototypical` (distance to the mean of a class's supports; Snell et al., NeurIPS 2017), `relation` (a
            small network compares feature maps; Sung et al., CVPR 2018) or `matching` (attention over the supports;
            Vinyals et al., NeurIPS 2016).
        cells: parts of the feature map a side whose means make the vector that is compared; not for `relation`.
        n_way: classes an episode.
        k_shot: supports a class.
        n_query: queries a class.
    """

    learner: Learner = "prototypical"
    cells: Annotated[int, Ge(1)] = 1
    n_way: Annotated[int, Ge(2)] = 4
    k_shot: Annotated[int, Ge(1)] = 4
    n_query: Annotated[int, Ge(1)] = 1

    @property
    def shape(self) -> EpisodeShape:
        """Of the training episodes."""
        return EpisodeShape(n_way=self.n_way, k_shot=self.k_shot, n_query=self.n_query)


@register("fewshot")
class FewShot(Method):
    """Episodic training of a classifier of easyfsl."""

    Options = FewShotOptions
    half_losses = True
    source = "Snell et al. 2017, Sung et al. 2018, Vinyals et al. 2016; the library easyfsl"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        return FewShotNetwork(task, self.options.learner, self.options.cells)

    def notes(self, network: nn.Module) -> list[str]:
        """See `Method.notes`."""
        assert isinstance(network, FewShotNetwork)
        return rare_classes(network.task, self.options.shape)

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`: the learner's own over the queries; the read-out's, which moves the read-out alone."""
        shape: EpisodeShape = self.options.shape
        assert output.maps is not None
        assert isinstance(network, FewShotNetwork)
        scores = network.score(*shape.cut(output.maps)).flatten(0, 1).float()
        way = torch.arange(shape.n_way, device=scores.device).repeat_interleave(shape.n_query)
        way = way.repeat(len(scores) // len(way))
        readout = F.cross_entropy(output.logits.float(), batch["label"])
        return {self.options.learner: _LOSSES[self.options.learner](scores, way), "readout": readout}

    def sampler(self, labels: NDArray[np.int64], batch: int, seed: int) -> Sampler:
        """See `Method.sampler`."""
        return EpisodeBatches(labels, batch, seed, self.options.shape)

    def validate(self, network: nn.Module, images: Callable[[], Any], stage: Stage) -> dict[str, float] | None:
        """See `Method.validate`: episodes of held out pictures."""
        assert isinstance(network, FewShotNetwork)
        return judge_episodes(network, images(), self.inputs, self.options.shape)


def _squared_error(scores: Tensor, way: Tensor) -> Tensor:
    """Sung et al. fit relation scores to 1 for the right class and 0 for the others."""
    return F.mse_loss(scores, F.one_hot(way, scores.shape[1]).to(scores.dtype))


_LOSSES: dict[Learner, Callable[[Tensor, Tensor], Tensor]] = {
    "prototypical": F.cross_entropy,
    "matching": F.nll_loss,  # its scores are logarithms of probabilities
    "relation": _squared_error,
}
