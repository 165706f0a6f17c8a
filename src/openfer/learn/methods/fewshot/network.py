"""A backbone, a classifier of easyfsl, and a linear read-out for the base classes."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from openfer.learn.backbones import blank_map, build_feature_backbone, feature_map
from openfer.learn.fewshot.easyfsl import EasyFSL
from openfer.learn.fewshot.readout import Readout
from openfer.learn.method import Output, Task

Learner = Literal["prototypical", "relation", "matching"]
MOMENTUM = 0.1
"""Of the relation module's running statistics. easyfsl's 1 would keep those of the last training episode alone."""


class FewShotNetwork(nn.Module):
    """An episodic network (see `EpisodicNetwork`) whose scores are those of an easyfsl classifier.

    `relation` compares feature maps, the others vectors: the map's means over `cells` x `cells` parts.

    Args:
        task: base labels and backbone.
        learner: which classifier.
        cells: parts of the map a side that a vector is made of.
    """

    def __init__(self, task: Task, learner: Learner, cells: int) -> None:
        super().__init__()
        self.task, self.options = task, task.backbone
        self.backbone = build_feature_backbone(task.backbone)
        channels = blank_map(self.backbone, task.backbone).shape[1]
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(cells), nn.Flatten())
        self.compares_maps = learner == "relation"
        self.learner = EasyFSL(make_classifier(learner, channels if self.compares_maps else channels * cells**2))
        self.readout = Readout(channels * cells**2, len(task.labels))

    def encode(self, image: Tensor) -> Tensor:
        """See `EpisodicNetwork`: image [N, 3, S, S] -> [N, C, h, w] for `relation`, else [N, D]."""
        maps = feature_map(self.backbone, image, self.options)
        return maps if self.compares_maps else self.pool(maps)

    def score(self, support: Tensor, query: Tensor) -> Tensor:
        """See `EpisodicNetwork`."""
        return self.learner.score(support, query)

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K] of the base classes, embedding [B, D]; in training `encode`'s as maps."""
        features = self.encode(image)
        embedding = self.pool(features) if self.compares_maps else features
        return Output(logits=self.readout(embedding), embedding=embedding, maps=features if self.training else None)


def make_classifier(learner: Learner, width: int) -> Any:
    """A classifier of easyfsl for features of `width` channels (`relation`) or numbers (the others)."""
    from easyfsl.methods import MatchingNetworks, PrototypicalNetworks, RelationNetworks

    if learner == "prototypical":
        return PrototypicalNetworks()
    if learner == "matching":
        return MatchingNetworks(feature_dimension=width)
    classifier = RelationNetworks(feature_dimension=width)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = MOMENTUM
    return classifier
