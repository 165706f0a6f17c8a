"""A small U-shaped residual network: 68 heat maps for where the points are, and a view of the whole face beside them.

A map says where a point is among its neighbours (soft-argmax: Luvizon et al., "2D/3D Pose Estimation and Action
Recognition using Multitask Deep Learning", CVPR 2018); the head that sees all cells at once moves it by what only the
whole face shows, and says how far it may be off.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.vision.landmarks import SIZE

POINTS = 68
OFFSET = 0.1
"""The head's shifts start small, and learn at a tenth of the speed of the maps."""

CLOSE, GOOD_FIT = 0.05, 0.1
"""What confidence and quality ask, as shares of the outer eye distance: is a point's error below the first, the face's
flip error below the second?"""
SPREAD = (0.34, 0.24)
"""Scales of the logistic curves by which predicted log errors of points and faces become probabilities; measured on
held-out training faces."""


class Block(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = convolution(width, width), convolution(width, width, active=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return F.relu(x + self.second(self.first(x)))


def convolution(inside: int, outside: int, *, kernel: int = 3, stride: int = 1, active: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation and, where `active`, ReLU."""
    layers = [
        nn.Conv2d(inside, outside, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if active else []))


class LandmarkNet(nn.Module):
    """Crops to points and expected errors.

    Args:
        widths: channels at 32, 16, 8 and 4 cells across.
        blocks: residual blocks at each of these.
        hidden: width of the head that sees the whole face.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int] = (24, 48, 64, 96),
        blocks: tuple[int, int, int, int] = (0, 1, 2, 2),
        hidden: int = 96,
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(convolution(inside, width, stride=2), *(Block(width) for _ in range(count)))
            for inside, width, count in zip((1, *widths), widths, blocks, strict=False)
        )
        _, fine, middle, coarse = widths
        self.rise8 = convolution(coarse, middle, kernel=1, active=False)
        self.merge8 = nn.Sequential(nn.ReLU(), Block(middle))
        self.rise16 = convolution(middle, fine, kernel=1, active=False)
        self.merge16 = nn.Sequential(nn.ReLU(), Block(fine))
        self.maps = nn.Parameter(torch.randn(POINTS, fine) / fine**0.5)
        cells = (SIZE // 16) ** 2
        self.whole = nn.Sequential(nn.Flatten(), nn.Linear(coarse * cells, hidden), nn.ReLU())
        self.offsets = nn.Linear(hidden, 2 * POINTS)
        self.errors = nn.Linear(hidden, POINTS + 1)
        side = SIZE // 4
        centres = (torch.arange(side) + 0.5) / side
        self.register_buffer("grid", torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1).view(-1, 2))
        self.grid: Tensor

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points and errors.

        Args:
            crops: float32 [B, 1, 64, 64], grey levels 0 to 255; contrast and brightness are taken out here.

        Returns:
            points [B, 68, 2], shares of the crop's side, 0 to 1 inside it; the logarithm of each point's expected error
            [B, 68] and of the face's flip error [B], both as shares of the outer eye distance.
        """
        x = standardised(crops)
        cells32 = self.levels[0](x)
        cells16 = self.levels[1](cells32)
        cells8 = self.levels[2](cells16)
        cells4 = self.levels[3](cells8)
        up8 = self.merge8(cells8 + twice(self.rise8(cells4)))
        up16 = self.merge16(cells16 + twice(self.rise16(up8)))
        whole = self.whole(cells4)
        with torch.autocast(crops.device.type, enabled=False):  # places need more digits than bf16 has
            shares = (self.maps @ up16.flatten(2).float()).softmax(-1)  # [B, 68, 256]
            points = shares @ self.grid + OFFSET * self.offsets(whole.float()).view(-1, POINTS, 2)
        errors = self.errors(whole).float()
        return points, errors[:, :POINTS], errors[:, POINTS]


def standardised(crops: Tensor) -> Tensor:
    """Each crop with mean 0 and standard deviation 1; a crop without contrast becomes 0: [B, 1, H, W]."""
    centred = crops - crops.mean((2, 3), keepdim=True)
    return centred / (centred.square().mean((2, 3), keepdim=True) + 1.0).sqrt()


def twice(x: Tensor) -> Tensor:
    """Each cell becomes four: [B, C, H, W] -> [B, C, 2 H, 2 W]."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Shipped(nn.Module):
    """The network in the contract of the package's graph: see `vision.landmarks.Landmarker`."""

    def __init__(self, network: LandmarkNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 [n, 64, 64] -> points [n, 68, 2] in pixels, confidence [n, 68] and quality [n], 0 to 1."""
        points, errors, flip = self.network(crops.float().unsqueeze(1))
        confidence = probability(errors, CLOSE, SPREAD[0])
        return points * SIZE, confidence, probability(flip, GOOD_FIT, SPREAD[1])


def probability(log_error: Tensor, limit: float, spread: float) -> Tensor:
    """How likely an error is below a limit, given the logarithm of what is expected."""
    return torch.sigmoid((torch.tensor(limit).log() - log_error) / spread)
