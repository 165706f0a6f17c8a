"""The relation network: how alike two feature maps are, 0 to 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.errors import ConfigError
from openfer.learn.fewshot.encoder import CHANNELS, block

HIDDEN = 8
PUBLISHED = 0.01
SMALLEST_PLAIN, SMALLEST = 10, 4
"""Sides of a map: from the first on no padding is needed, as published; below the second nothing would be left."""


class RelationNetwork(nn.Module):
    """Two convolution blocks on a support's and a query's map, two linear layers, a sigmoid.

    The layers' names are those of the published files. Maps under 10 cells are padded, so that other backbones fit.

    Args:
        channels: C of one map.
        height, width: of the maps, cells.
        spread: standard deviation of the linear layers' first weights. As published, 0.01 with biases of 1, all scores
            begin near sigmoid(1) and little is learned for hundreds of steps; larger ones begin with biases of 0.

    Raises:
        ConfigError: the maps are too small.

    Source: Kim et al., ICCE 2024; Sung et al., Learning to Compare, CVPR 2018.
    """

    def __init__(self, channels: int, height: int, width: int, spread: float = PUBLISHED) -> None:
        super().__init__()
        smallest = min(height, width)
        if smallest < SMALLEST:
            raise ConfigError(
                f"backbone: its map has {height} x {width} cells, the relation network needs {SMALLEST} x {SMALLEST}; "
                "choose a larger size or a smaller output_stride"
            )
        self.channels, padding = channels, int(smallest < SMALLEST_PLAIN)
        self.layer1 = block(2 * channels, padding=padding, pool=True)
        self.layer2 = block(CHANNELS, padding=padding, pool=True)
        left = [((side - 2 + 2 * padding) // 2 - 2 + 2 * padding) // 2 for side in (height, width)]
        self.fc1, self.fc2 = nn.Linear(CHANNELS * left[0] * left[1], HIDDEN), nn.Linear(HIDDEN, 1)
        for linear in (self.fc1, self.fc2):
            nn.init.normal_(linear.weight, 0.0, spread)
            nn.init.constant_(linear.bias, float(spread <= PUBLISHED))

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        """Every support with every query of its episode.

        The first convolution is linear in the pair, so each half is convolved once and the halves are added.

        Args:
            support: [b, m, C, h, w].
            query: [b, Q, C, h, w].

        Returns:
            [b, Q, m], 0 to 1.
        """
        convolution = self.layer1[0]
        assert isinstance(convolution, nn.Conv2d)
        kernel, padding = convolution.weight, convolution.padding
        one = F.conv2d(support.flatten(0, 1), kernel[:, : self.channels], padding=padding)
        other = F.conv2d(query.flatten(0, 1), kernel[:, self.channels :], convolution.bias, padding=padding)
        one, other = (half.view(*maps.shape[:2], *half.shape[1:]) for half, maps in ((one, support), (other, query)))
        pairs = other[:, :, None] + one[:, None]  # [b, Q, m, ...]
        return self.finish(pairs.flatten(0, 2)).view(pairs.shape[:3])

    def finish(self, convolved: Tensor) -> Tensor:
        """What follows the first convolution: [P, 64, ...] -> [P]."""
        features = self.layer2(self.layer1[1:](convolved)).flatten(1)
        with torch.autocast(features.device.type, enabled=False):  # scores with the digits of bfloat16 would often tie
            hidden = F.relu(self.fc1(features.to(self.fc1.weight.dtype)))
            return torch.sigmoid(self.fc2(hidden)).squeeze(1)
