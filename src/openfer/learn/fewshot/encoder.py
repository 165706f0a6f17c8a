"""The encoder of CSRN's authors, known to timm as `csrn_encoder`, so that any method may have it as its backbone.

Four blocks of convolution, BatchNorm and ReLU with 64 channels; the first two have no padding and end in max pooling.
64 px give a map of 14 x 14. Pictures are read as they are, 0 to 1. The layers' names are those of the published files.

Source: Kim et al., ICCE 2024, and its published code and weights; the same blocks as in Sung et al., Learning to
Compare, CVPR 2018.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from torch import Tensor, nn

CHANNELS = 64

default_cfgs = {"csrn_encoder": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "input_size": (3, 64, 64)}}
"""Read by timm when the name is registered."""


class Encoder(nn.Module):
    """Pictures [N, 3, S, S] -> the map's mean [N, 64]; the map itself by `forward_features`. S is 12 or more."""

    num_features = CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = block(3, padding=0, pool=True)
        self.layer2 = block(CHANNELS, padding=0, pool=True)
        self.layer3 = block(CHANNELS, padding=1, pool=False)
        self.layer4 = block(CHANNELS, padding=1, pool=False)

    def forward_features(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] -> [N, 64, h, w], h = ((S - 2) // 2 - 2) // 2."""
        features: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(image))))
        return features

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] -> [N, 64]."""
        return self.forward_features(image).mean((2, 3))


def block(channels: int, *, padding: int, pool: bool) -> nn.Sequential:
    """Convolution, BatchNorm, perhaps max pooling, and ReLU, to 64 channels; CSRN's relation network has them, too.

    Published with ReLU before the pooling; the numbers are the same, and a quarter of them goes through ReLU. Weights
    begin as the published initialiser sets them: normal, variance 2 / (9 * 64); biases 0.
    """
    convolution = nn.Conv2d(channels, CHANNELS, 3, padding=padding)
    nn.init.normal_(convolution.weight, 0.0, (2 / (9 * CHANNELS)) ** 0.5)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    pooling: list[nn.Module] = [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(convolution, nn.BatchNorm2d(CHANNELS), *pooling, nn.ReLU())


@register_model
def csrn_encoder(pretrained: bool = False, **arguments: Any) -> Encoder:
    """The entry that timm calls; it has no weights to fetch and takes no arguments."""
    if pretrained:
        raise RuntimeError("csrn_encoder has no published ImageNet weights; train with init: none")
    unknown = set(arguments) - {"num_classes", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
    if unknown:
        raise TypeError(f"csrn_encoder takes no '{min(unknown)}'")
    return Encoder()
