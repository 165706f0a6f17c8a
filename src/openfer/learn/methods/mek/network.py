"""A backbone whose last map is averaged and classified, and the map of each class behind the answer."""

from __future__ import annotations

import torch
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from openfer.learn.backbones import feature_map
from openfer.learn.heads.class_maps import class_maps
from openfer.learn.method import Output
from openfer.learn.options import BackboneOptions


class ClassMapper(nn.Module):
    """Backbone, mean over the places, linear layer; with the class activation maps.

    Args:
        backbone: of `build_feature_backbone`.
        options: the backbone's.
        classes: K.
        twice: whether training looks at the mirror images, too.
        new_norm: put a new last normalisation in the place of the backbone's, where that is a LayerNorm (Q13).
    """

    def __init__(
        self, backbone: nn.Module, options: BackboneOptions, classes: int, *, twice: bool = True, new_norm: bool = False
    ) -> None:
        super().__init__()
        self.backbone, self.options, self.twice = backbone, options, twice
        self.norm: nn.Module = nn.Identity()
        last = getattr(backbone, "norm", None)
        if new_norm and isinstance(last, nn.LayerNorm):
            self.norm = LayerNorm2d(last.normalized_shape[0], eps=last.eps)
            backbone.norm = nn.Identity()
        self.head = nn.Linear(int(backbone.num_features), classes)  # type: ignore[arg-type]

    def features(self, image: Tensor) -> Tensor:
        """image [B, 3, S, S] -> [B, D, h, w], whose mean over the places is classified."""
        features: Tensor = self.norm(feature_map(self.backbone, image, self.options))
        return features

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K], embedding [B, D], maps.

        Maps are [B, K, h, w]. In training they are [B, 2, K, h, w], of the pictures and of their mirror images. The
        network looks at one after the other: BatchNorm's statistics are those of a view, and dropped paths differ (Q7).
        """
        features = self.features(image)
        embedding = features.mean((2, 3))
        maps = class_maps(features, self.head.weight)
        if self.training and self.twice:
            maps = torch.stack([maps, class_maps(self.features(image.flip(-1)), self.head.weight)], 1)
        return Output(logits=self.head(embedding), embedding=embedding, maps=maps)
