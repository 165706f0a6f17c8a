"""A patch embedding made for other patches or another normalisation: its first layer rewritten, its answers kept.

Both are exact, because patches do not overlap and nothing is padded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from openfer.errors import ConfigError

Channels = Sequence[float]


def fold_kernel(weight: Tensor, patch: int) -> Tensor:
    """The kernel for smaller patches: sums of its blocks.

    On a picture it answers as the old kernel does on the picture enlarged by repeating pixels.

    Args:
        weight: [D, C, P, P].
        patch: p, divides P.

    Returns:
        [D, C, p, p].

    Raises:
        ConfigError: p does not divide P.
    """
    old = weight.shape[-1]
    if patch < 1 or old % patch:
        raise ConfigError(f"backbone.patch: {patch} px do not divide the {old} px that the weights were made for")
    rows, channels = weight.shape[:2]
    return weight.reshape(rows, channels, patch, old // patch, patch, old // patch).sum((3, 5))


def fold_normalisation(
    weight: Tensor, bias: Tensor, *, mean: Channels, std: Channels, new_mean: Channels, new_std: Channels
) -> tuple[Tensor, Tensor]:
    """Kernel and bias for pictures normalised by new_mean and new_std, which answer as the old ones do by mean and std.

    Args:
        weight: [D, C, P, P]; bias: [D].
        mean, std, new_mean, new_std: C numbers each, of pixels 0 to 1.

    Returns:
        weight [D, C, P, P] and bias [D].
    """
    old_mean, old_std, to_mean, to_std = (
        torch.as_tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (mean, std, new_mean, new_std)
    )
    kernel = weight.double()
    moved = bias.double() + (kernel * (to_mean - old_mean) / old_std).sum((1, 2, 3))
    return (kernel * to_std / old_std).to(weight.dtype), moved.to(bias.dtype)
