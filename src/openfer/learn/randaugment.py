"""RandAugment on batches of tensors: each picture gets its own operations, strengths and signs.

Source: Cubuk et al., RandAugment, NeurIPS 2020, with the operations and ranges of timm's `rand-m9-mstd0.5-inc1`, which
MEK trains with. Strengths go from 0 to 10.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as vision  # type: ignore[import-untyped]

NUMBERS = 4
"""Uniform numbers that one operation on one picture uses."""
FILL = 128 / 255
"""Beyond the picture."""

Operation = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Pictures [N, C, S, S] of 0, 1/255 to 1, strengths [N] and signs [N] -> pictures, not yet clipped or rounded."""


def randaugment(x: Tensor, u: Tensor, magnitude: float, deviation: float) -> Tensor:
    """One operation of `OPERATIONS` on each picture, with probability one half.

    Args:
        x: [B, C, S, S], 0 to 1.
        u: [B, NUMBERS] uniform: which operation, whether, how strong, which sign.
        magnitude, deviation: mean and standard deviation of the strength, which is clipped to 0 to 10.
    """
    which = (u[:, 0] * len(OPERATIONS)).long()
    # A uniform number of 24 bits; the half keeps the normal one finite.
    normal = torch.erfinv((2 * u[:, 2] - 1).clamp(-1 + 1e-7, 1 - 1e-7)) * 2**0.5
    strength = (magnitude + deviation * normal).clamp(0, 10)
    sign = torch.where(u[:, 3] < 0.5, -1.0, 1.0)
    x = (x * 255).round() / 255
    result = x.clone()
    for index, operation in enumerate(OPERATIONS.values()):
        chosen = torch.nonzero((which == index) & (u[:, 1] < 0.5)).squeeze(1)
        if len(chosen):
            changed = operation(x[chosen], strength[chosen], sign[chosen])
            result[chosen] = (changed.clamp(0, 1) * 255).round() / 255
    return result


def _per_picture(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _grey(x: Tensor) -> Tensor:
    """Luma [N, 1, S, S] in whole grey levels, as Pillow's mode L; a grey picture is its own."""
    if x.shape[1] == 1:
        return x
    return (torch.einsum("ncij,c->nij", x, x.new_tensor([0.299, 0.587, 0.114])) * 255).round().unsqueeze(1) / 255


def _blended(other: Callable[[Tensor], Tensor]) -> Operation:
    """Away from or towards another picture, by a factor of 1 +- 0.09 strength, at least 0.1."""

    def operation(x: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
        factor = _per_picture((1 + 0.09 * strength * sign).clamp(min=0.1))
        return other(x) + factor * (x - other(x))

    return operation


def _smooth(x: Tensor) -> Tensor:
    """A 3 x 3 mean that weighs the middle five times; the border stays."""
    kernel = x.new_tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    channels = x.shape[1]
    inner = F.conv2d(x, kernel.expand(channels, 1, 3, 3), groups=channels)
    result = x.clone()
    result[..., 1:-1, 1:-1] = (inner * 255).round() / 255
    return result


def _equalize(x: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    levels: Tensor = vision.equalize((x * 255).round().to(torch.uint8))
    return levels.to(x.dtype) / 255


def _autocontrast(x: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    stretched: Tensor = vision.autocontrast(x)
    return stretched


def _posterize(x: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Keep 4 - int(0.4 strength) bits; at least one, where the release asks for none at the full strength (Q19)."""
    step = _per_picture(2 ** (8 - (4 - (0.4 * strength).floor()).clamp(min=1)))
    return ((x * 255).round() / step).floor() * step / 255


def _solarize(x: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    threshold = _per_picture(256 - (25.6 * strength).floor())
    return torch.where((x * 255).round() < threshold, x, 1 - x)


def _solarize_add(x: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    return torch.where((x * 255).round() < 128, x + _per_picture((11 * strength).floor()) / 255, x)


def _moved(rows: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Operation:
    """A bicubic resampling; `rows` gives the matrix [N, 2, 2] and shift [N, 2] of where each place looks."""

    def operation(x: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
        matrix, shift = rows(strength * sign)
        grid = F.affine_grid(torch.cat([matrix, shift.unsqueeze(2)], 2), list(x.shape), align_corners=False)
        moved = F.grid_sample(x - FILL, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
        return moved + FILL

    return operation


def _matrix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return torch.stack([torch.stack([a, b], 1), torch.stack([c, d], 1)], 1)


def _rotation(amount: Tensor) -> tuple[Tensor, Tensor]:
    angle = 3 * amount * pi / 180
    cos, sin = torch.cos(angle), torch.sin(angle)
    return _matrix(cos, -sin, sin, cos), amount.new_zeros(len(amount), 2)


def _shear(axis: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def rows(amount: Tensor) -> tuple[Tensor, Tensor]:
        one, zero, slope = torch.ones_like(amount), torch.zeros_like(amount), 0.03 * amount
        shift = amount.new_zeros(len(amount), 2)
        shift[:, axis] = slope  # the first row or column stays in its place
        return _matrix(one, *((slope, zero) if axis == 0 else (zero, slope)), one), shift

    return rows


def _translation(axis: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def rows(amount: Tensor) -> tuple[Tensor, Tensor]:
        shift = amount.new_zeros(len(amount), 2)
        shift[:, axis] = 2 * 0.045 * amount  # the grid spans -1 to 1: twice a share
        one, zero = torch.ones_like(amount), torch.zeros_like(amount)
        return _matrix(one, zero, zero, one), shift

    return rows


OPERATIONS: dict[str, Operation] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": lambda x, strength, sign: 1 - x,
    "rotate": _moved(_rotation),
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
    "colour": _blended(_grey),
    "contrast": _blended(lambda x: (_grey(x).mean((1, 2, 3), keepdim=True) * 255 + 0.5).floor() / 255),
    "brightness": _blended(torch.zeros_like),
    "sharpness": _blended(_smooth),
    "shear_x": _moved(_shear(0)),
    "shear_y": _moved(_shear(1)),
    "translate_x": _moved(_translation(0)),
    "translate_y": _moved(_translation(1)),
}
