"""A backbone, a pooling and a classifier, each of which comes from one of the methods or is the plain one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from openfer.learn.backbones import (
    blank_map,
    build_backbone,
    build_feature_backbone,
    embedding_width,
    feature_map,
)
from openfer.learn.heads.amending import AmendingPool, amending_geometry
from openfer.learn.heads.class_maps import class_maps, class_maps_of_places
from openfer.learn.heads.embeddings import ParallelEmbeddings
from openfer.learn.losses.adcorre import AdCorreLoss
from openfer.learn.method import Output, Task
from openfer.learn.methods.combined.options import CombinedOptions


class Combined(nn.Module):
    """Backbone, pooling, classifier; with Ad-Corre's loss, so that checkpoints hold its confusion matrix.

    The parts are made in the order in which the methods make them, so that a seed gives them the same numbers.

    Args:
        task: labels and backbone.
        options: which parts there are.
    """

    def __init__(self, task: Task, options: CombinedOptions) -> None:
        super().__init__()
        self.task, self.mapped, self.twice = task, options.mine, options.consistency > 0
        # Without maps the backbone pools as `baseline` and `adcorre` let it; a transformer does not take the mean.
        self.whole = not (options.amend or options.mine)
        self.backbone = build_backbone(task.backbone) if self.whole else build_feature_backbone(task.backbone)
        width = embedding_width(self.backbone) if self.whole else int(self.backbone.num_features)  # type: ignore[arg-type]
        self.pool: AmendingPool | None = None
        if options.amend:
            channels, *cells = blank_map(self.backbone, task.backbone).shape[1:]
            sizes = {name: getattr(options, name) for name in ("shuffle", "kernel", "stride")}
            sizes = {name: None if size == "none" else size for name, size in sizes.items()}
            geometry = amending_geometry(channels, *cells, **sizes)
            self.pool = AmendingPool(geometry, affinity=options.affinity, momentum=options.momentum)
            width = geometry.features
        classes = len(task.labels)
        self.dropout = nn.Dropout(options.dropout)
        self.head: nn.Linear | ParallelEmbeddings
        if options.correlations:
            self.head = ParallelEmbeddings(
                width, classes, embeddings=options.embeddings, width=options.width, dropout=options.dropout
            )
            self.loss = AdCorreLoss(
                classes,
                cross_entropy=options.cross_entropy,
                feature=options.feature,
                mean=options.mean,
                embedding=options.embedding,
                window=options.window,
                absent=options.absent,
            )
        else:
            self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K], embedding, maps.

        The embedding is what was pooled, [B, F], or Ad-Corre's [B, E D], the E of unit length, one after the other.
        Maps are there with a part of MEK: [B, K, h, w], in training of the pictures and of their mirror images
        [B, 2, K, h, w]. The network looks at one after the other.
        """
        features, pooled = self.look(image)
        with torch.autocast(image.device.type, enabled=False):  # sums over places, batch and pairs
            if isinstance(self.head, ParallelEmbeddings):
                logits, embeddings = self.head(pooled)
                embedding = embeddings.flatten(1)
            else:
                logits, embedding = self.head(self.dropout(pooled)), pooled
            maps = self.maps(features, pooled) if self.mapped else None
        if maps is not None and self.training and self.twice:
            features, pooled = self.look(image.flip(-1))
            with torch.autocast(image.device.type, enabled=False):
                maps = torch.stack([maps, self.maps(features, pooled)], 1)
        return Output(logits=logits, embedding=embedding, maps=maps)

    def look(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """image [B, 3, S, S] -> last feature map [B, C, h, w], and what is pooled of it [B, F]."""
        if self.whole:
            pooled = self.backbone(image).float()
            return pooled[:, :, None, None], pooled
        features = feature_map(self.backbone, image, self.task.backbone).float()
        if self.pool is None:
            return features, features.mean((2, 3))
        with torch.autocast(image.device.type, enabled=False):
            return features, self.pool.features(features)

    def maps(self, features: Tensor, pooled: Tensor) -> Tensor:
        """What each place says for each class: [B, K, h, w], whose mean plus a number a class is the logits.

        Args:
            features: [B, C, h, w].
            pooled: [B, F] of them.
        """
        weight = self.head.linear_part(pooled) if isinstance(self.head, ParallelEmbeddings) else self.head.weight
        if self.pool is None:
            return class_maps(features, weight)
        return class_maps_of_places(pooled.view(-1, *self.pool.geometry.output), weight)
