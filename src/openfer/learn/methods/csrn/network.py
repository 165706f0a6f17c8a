"""The network of `csrn`: one encoder and one relation network for face, eyes and mouth."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from openfer.learn.backbones import blank_map, build_feature_backbone, feature_map
from openfer.learn.fewshot.readout import Readout
from openfer.learn.fewshot.sampler import EpisodeShape
from openfer.learn.method import Output, Task
from openfer.learn.methods.csrn.prototypes import class_average, select_channels
from openfer.learn.methods.csrn.relation import RelationNetwork
from openfer.learn.methods.csrn.views import cut_views, view_names

BLOCK = 8
"""Episodes whose pairs are compared at once in use; bounds the memory."""


class ChannelSelectiveRelation(nn.Module):
    """An episodic network (see `EpisodicNetwork`); features are maps [N, V, C, h, w] of V branches.

    Args:
        task: base labels and backbone.
        side: of the pictures that the encoder reads, pixels.
        patches: with eyes and mouth, V = 3, else V = 1.
        select: class features of the face by channel selection, else by the mean.
        weight: lambda, of the class features' scores.
        spread: see `RelationNetwork`.
        apart: of the training episodes whose supports and queries go through the encoder one after the other, each with
            BatchNorm statistics of its own, as published (Q6); None for all at once.
    """

    def __init__(
        self,
        task: Task,
        *,
        side: int,
        patches: bool,
        select: bool,
        weight: float,
        spread: float,
        apart: EpisodeShape | None = None,
    ) -> None:
        super().__init__()
        self.task, self.apart = task, apart
        self.side, self.patches, self.select, self.weight = side, patches, select, weight
        self.options = replace(task.backbone, size=side)  # what the encoder reads, not what the network is given
        self.backbone = build_feature_backbone(self.options)
        _, channels, height, width = blank_map(self.backbone, self.options).shape
        self.relation = RelationNetwork(channels, height, width, spread)
        self.readout = Readout(channels * len(self.views), len(task.labels))

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the branches."""
        return view_names(self.patches)

    def encode(self, image: Tensor) -> Tensor:
        """See `EpisodicNetwork`: image [N, 3, S, S] -> [N, V, C, h, w]."""
        return self.encode_views(cut_views(image, self.side, patches=self.patches))

    def encode_views(self, views: Tensor) -> Tensor:
        """[V, N, 3, side, side] -> [N, V, C, h, w]. All branches go through the encoder as one batch."""
        maps = feature_map(self.backbone, views.flatten(0, 1), self.options)
        return maps.view(*views.shape[:2], *maps.shape[1:]).transpose(0, 1)

    def _encode_episodes(self, views: Tensor) -> Tensor:
        """[b, ..., V, 3, side, side] -> [b, ..., V, C, h, w]."""
        features = self.encode_views(views.flatten(0, -5).transpose(0, 1))
        return features.reshape(*views.shape[:-4], *features.shape[1:])

    def pair_scores(self, support: Tensor, query: Tensor) -> dict[str, Tensor]:
        """Each branch's scores of every query with every support: name -> [b, Q, n, k].

        Args:
            support: [b, n, k, V, C, h, w].
            query: [b, Q, V, C, h, w].
        """
        n_way, k_shot = support.shape[1:3]
        flat = support.flatten(1, 2)
        return {
            name: self.relation(flat[:, :, view], query[:, :, view]).view(*query.shape[:2], n_way, k_shot)
            for view, name in enumerate(self.views)
        }

    def prototypes(self, support: Tensor) -> Tensor:
        """Class features of the face: [b, n, k, V, C, h, w] -> [b, n, C, h, w]."""
        faces = support[:, :, :, 0]
        return select_channels(faces) if self.select else class_average(faces)

    def prototype_scores(self, support: Tensor, query: Tensor) -> Tensor:
        """Scores of every query's face with every class feature (Q1 as intended): [b, Q, n]."""
        scores: Tensor = self.relation(self.prototypes(support), query[:, :, 0])
        return scores

    def score(self, support: Tensor, query: Tensor) -> Tensor:
        """See `EpisodicNetwork`: the pairs' scores, summed over shots and branches, and lambda k times the class's."""
        if self.training or len(support) <= BLOCK:
            return self._score(support, query)
        blocks = zip(torch.split(support, BLOCK), torch.split(query, BLOCK), strict=True)
        return torch.cat([self._score(*block) for block in blocks])

    def _score(self, support: Tensor, query: Tensor) -> Tensor:
        pairs = torch.stack(list(self.pair_scores(support, query).values())).sum(0)
        return pairs.sum(3) + self.weight * support.shape[2] * self.prototype_scores(support, query)

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K] of the base classes, embedding [B, V C]; in training `encode` as maps."""
        views = cut_views(image, self.side, patches=self.patches)
        if self.apart is None or not self.training:
            features = self.encode_views(views)
        else:
            support, query = self.apart.cut(views.transpose(0, 1))
            features = self.apart.join(self._encode_episodes(support), self._encode_episodes(query))
        embedding = features.mean((-2, -1)).flatten(1)
        return Output(logits=self.readout(embedding), embedding=embedding, maps=features if self.training else None)
