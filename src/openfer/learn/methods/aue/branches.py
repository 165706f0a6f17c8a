"""The parts of the network: the global branch, the decoder, the fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pairing = Literal["intended", "released"]
Attention = Literal["softmax", "sigmoid"]


def response_norm(x: Tensor) -> Tensor:
    """The published local response normalisation of neighbouring channels c - 1 and c: a sum, not a mean.

    y_c = x_c (1 + 1e-4 (x_(c-1)^2 + x_c^2))^(-0.75), [B, C, h, w] -> [B, C, h, w]. In single precision, as a power of a
    half would be too coarse.
    """
    return F.local_response_norm(x.float() if x.dtype != torch.float64 else x, 2, alpha=2e-4, beta=0.75, k=1.0)


class GlobalBranch(nn.Module):
    """All levels of the backbone, brought to the last one's size, to one feature of the face.

    Args:
        channels: of the four levels.
        width: of the feature.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.reduce = convolved(sum(channels), width)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels [B, C_l, h_l, w_l], fine to coarse, each half as large as the one before -> [B, width]."""
        last = levels[-1].shape[-1]
        pooled = [F.max_pool2d(level, level.shape[-1] // last) for level in levels]
        reduced: Tensor = self.reduce(response_norm(torch.cat(pooled, 1)))
        return reduced.mean((2, 3))


class Decoder(nn.Module):
    """From the coarsest level back to the finest: doubled by transposed convolutions, mixed with the backbone's levels.

    Args:
        channels: of the four levels.
        width: channels of the map.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        fine, middle, coarse, last = channels
        self.up = nn.ModuleList([doubled(last, coarse), doubled(coarse, middle), doubled(middle, fine)])
        self.mix = nn.ModuleList(
            [convolved(2 * coarse, coarse), convolved(2 * middle, middle), convolved(2 * fine, width)]
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels [B, C_l, h_l, w_l] -> [B, width, h, w] of the finest level's size."""
        x = levels[-1]
        for up, mix, level in zip(self.up, self.mix, reversed(levels[:-1]), strict=True):
            x = mix(torch.cat([level, up(x)], 1))
        return response_norm(x)


class Fusion(nn.Module):
    """Attention over action units, from how each one's feature agrees with the face's; their weighted sum joins it.

    Args:
        feature: width of the face's feature.
        window: W of a window's feature.
        width: D in which they are compared.
        units: A.
        classes: K.
        attention: `softmax` over the units, or `sigmoid` of each (compound expressions).
        pairing: which two windows make an action unit's feature: its own, or windows i and i + A as released (Q3).
        dropout: before the linear layers.
    """

    def __init__(
        self,
        *,
        feature: int,
        window: int,
        width: int,
        units: int,
        classes: int,
        attention: Attention,
        pairing: Pairing,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention, self.pairing, self.units = attention, pairing, units
        self.dropout = nn.Dropout(dropout)
        self.face, self.face_norm = nn.Linear(feature, width), nn.BatchNorm1d(width)
        self.weight = nn.Parameter(torch.empty(units, width, 2 * window))
        self.bias = nn.Parameter(torch.empty(units, width))
        self.unit_norm = nn.BatchNorm1d(units * width)
        self.agree = nn.Linear(width, 1)
        self.expression = nn.Linear(feature + 2 * window, classes)
        bound = (2 * window) ** -0.5  # as torch begins a linear layer
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        if pairing == "intended":
            # Q14: where all agreements begin below 0, ReLU leaves a uniform attention without any gradient.
            nn.init.ones_(self.agree.bias)

    def forward(self, feature: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        """feature [B, F], windows [B, 34, W] -> logits [B, K], attention [B, A]."""
        units = pair_windows(windows, self.pairing)
        face = torch.tanh(self.face_norm(self.face(self.dropout(feature))))
        each = torch.einsum("bai,aoi->bao", self.dropout(units), self.weight) + self.bias
        each = torch.tanh(self.unit_norm(each.flatten(1)).view(each.shape))
        agreement = F.relu(self.agree(face[:, None] * each)).squeeze(2)
        attention = agreement.softmax(1) if self.attention == "softmax" else agreement.sigmoid()
        weighted = (attention[:, :, None] * units).sum(1)
        return self.expression(torch.cat([feature, weighted], 1)), attention


def pair_windows(windows: Tensor, pairing: Pairing) -> Tensor:
    """[B, 2 A, W] -> features of the action units [B, A, 2 W]; windows 2 i and 2 i + 1 are those of unit i."""
    units = windows.shape[1] // 2
    if pairing == "intended":
        return windows.flatten(1).view(windows.shape[0], units, -1)  # not `len`, which an export would fix
    return torch.cat([windows[:, :units], windows[:, units:]], 2)


def convolved(channels: int, width: int) -> nn.Sequential:
    """3 x 3 convolution without bias, BatchNorm, ReLU."""
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())


def doubled(channels: int, width: int) -> nn.Sequential:
    """Transposed convolution that doubles the side, without bias, BatchNorm, ReLU."""
    up = nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(up, nn.BatchNorm2d(width), nn.ReLU())
