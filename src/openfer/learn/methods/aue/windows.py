"""Windows of a feature map around the places of action units: all 34 in one gather, and a small network for each."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.errors import ConfigError
from openfer.vision.au_locations import PLACES, window_side

WINDOWS = len(PLACES)
WindowNet = Literal["full", "pooled"]


def au_centres(landmarks: Tensor, side: int) -> Tensor:
    """Cells around which the windows lie (see `openfer.vision.au_locations.window_centres`).

    Args:
        landmarks: [B, 68, 2] (x, y), shares of the picture's side; NaN goes to the middle.
        side: of the feature map, cells.

    Returns:
        int64 [B, 34, 2]; halves are rounded to even cells, and windows stay inside the map.
    """
    half = window_side(side) // 2
    places = torch.from_numpy(PLACES).to(landmarks.device)
    cells = (landmarks * side)[:, places].mean(2)  # in this order, so that halves are those of the published code
    return torch.nan_to_num(cells, nan=side / 2).round().clamp(half, side - half).long()


def cut_windows(maps: Tensor, centres: Tensor, size: int) -> Tensor:
    """Squares of a feature map; beyond its border they are 0.

    Args:
        maps: [B, C, m, m].
        centres: int64 [B, V, 2] (x, y); a window spans centre - size // 2 to centre + size // 2, the end not included.
        size: of the windows, cells, even.

    Returns:
        [B, V, C, size, size].
    """
    side = maps.shape[-1]
    steps = torch.arange(size, device=maps.device) - size // 2
    columns, rows = (centres[:, :, None, axis] + steps for axis in (0, 1))  # [B, V, size]
    inside_columns, inside_rows = ((line >= 0) & (line < side) for line in (columns, rows))
    cells = rows.clamp(0, side - 1)[:, :, :, None] * side + columns.clamp(0, side - 1)[:, :, None, :]
    inside = (inside_rows[:, :, :, None] & inside_columns[:, :, None, :]).to(maps.dtype)
    # All windows of a channel in a row: the gradient of a gather is as large as what it reads from.
    index = cells.flatten(1)[:, None].expand(-1, maps.shape[1], -1)
    windows = maps.flatten(2).gather(2, index).view(*maps.shape[:2], *cells.shape[1:])
    return windows.transpose(1, 2) * inside[:, :, None]


class WindowNetworks(nn.Module):
    """A network for each window, computed side by side: convolution, ReLU, linear layer, ReLU.

    Args:
        channels: C of the map.
        side: of the map, cells.
        width: W of a window's feature.
        kind: `full` reads every cell of a window, as published; `pooled` its mean over the cells, which takes away
            nearly all of the weights.
        dropout: after the last ReLU.

    Raises:
        ConfigError: the windows of such a map would have an odd side.
    """

    def __init__(self, channels: int, side: int, width: int, kind: WindowNet, dropout: float) -> None:
        super().__init__()
        self.size, self.side, self.kind = window_side(side), side, kind
        if not self.size or self.size % 2:
            raise ConfigError(
                f"backbone.size: a map of {side} cells has windows of {self.size}, expected an even number; 64, 96 and "
                "224 px do with most backbones"
            )
        cells = channels * (self.size**2 if kind == "full" else 1)
        self.convolution = nn.Conv2d(WINDOWS * channels, WINDOWS * channels, 3, padding=1, groups=WINDOWS)
        self.weight = nn.Parameter(torch.empty(WINDOWS, width, cells))
        self.bias = nn.Parameter(torch.empty(WINDOWS, width))
        self.dropout = nn.Dropout(dropout)
        bound = cells**-0.5  # as torch begins a linear layer
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, maps: Tensor, centres: Tensor) -> Tensor:
        """maps [B, C, m, m], centres int64 [B, 34, 2] -> [B, 34, W]."""
        windows = cut_windows(maps, centres, self.size)
        convolved = F.relu(self.convolution(windows.flatten(1, 2))).view(windows.shape)
        cells = convolved.flatten(2) if self.kind == "full" else convolved.mean((3, 4))
        features = torch.einsum("bvi,voi->bvo", cells, self.weight) + self.bias
        dropped: Tensor = self.dropout(F.relu(features))
        return dropped
