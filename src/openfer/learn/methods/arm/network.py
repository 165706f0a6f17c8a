"""A backbone whose global average pooling is replaced by ARM's head."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from openfer.learn.backbones import blank_map, build_feature_backbone, feature_map
from openfer.learn.heads.amending import Affinity, AmendingHead, amending_geometry, fold
from openfer.learn.method import Output, Task


class Amended(nn.Module):
    """Backbone and amending head.

    Args:
        task: labels and backbone.
        shuffle, kernel, stride: see `AmendingGeometry`; None for our rule.
        affinity, momentum, dropout: see `AmendingHead`.
    """

    def __init__(
        self,
        task: Task,
        *,
        shuffle: int | None,
        kernel: int | None,
        stride: int | None,
        affinity: Affinity,
        momentum: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.options = task.backbone
        self.backbone = build_feature_backbone(task.backbone)
        sizes = blank_map(self.backbone, task.backbone).shape[1:]
        geometry = amending_geometry(*sizes, shuffle=shuffle, kernel=kernel, stride=stride)
        self.head = AmendingHead(geometry, len(task.labels), affinity=affinity, momentum=momentum, dropout=dropout)

    def maps(self, image: Tensor) -> Tensor:
        """The last feature map: [B, 3, S, S] -> [B, C, h, w]."""
        return feature_map(self.backbone, image, self.options)

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K], embedding [B, D]."""
        logits, features = self.head(self.maps(image))
        return Output(logits=logits, embedding=features)

    @torch.no_grad()
    def calibrate(self, images: Iterable[Tensor]) -> None:
        """Set the generic feature to the mean over these normalised pictures, in batches [B, 3, S, S]."""
        self.eval()
        self.head.calibrate(self.maps(image) for image in images)


class Folded(nn.Module):
    """The network in use: the head is one affine map of the feature map, and nothing depends on the batch.

    Args:
        network: the trained one; its weights are shared, not changed.
    """

    def __init__(self, network: Amended) -> None:
        super().__init__()
        self.network = network
        self.classifier = fold(network.head)

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K], embedding [B, D]."""
        maps = self.network.maps(image)
        return Output(logits=self.classifier(maps).flatten(1), embedding=self.network.head.features(maps))
