"""What stands for a class: the mean of its shots, or a face put together from their channels. Pure functions."""

from __future__ import annotations

import torch
from torch import Tensor


def class_average(support: Tensor) -> Tensor:
    """The mean over the shots, [..., k, C, h, w] -> [..., C, h, w]."""
    return support.mean(-4)


def channel_distances(support: Tensor) -> Tensor:
    """How far each shot's channels are from the class average, by their means over the map (Q3).

    Args:
        support: [..., k, C, h, w].

    Returns:
        [..., k, C], 0 or more.
    """
    means = support.mean((-2, -1))
    return (class_average(support).mean((-2, -1))[..., None, :] - means).abs()


def select_channels(support: Tensor) -> Tensor:
    """Each channel from the shot in which it is nearest to the class average; of equal ones the first (Q4).

    The gradient goes to the chosen channels; the choice itself has none. With two shots both are equally near, and
    rounding would choose (Q5): there the average is taken.

    Args:
        support: [..., k, C, h, w].

    Returns:
        [..., C, h, w].

    Source: Kim et al., ICCE 2024, abstract and published code.
    """
    if support.shape[-4] == 2:
        return class_average(support)
    chosen = channel_distances(support).argmin(-2)
    places = chosen[..., None, :, None, None].expand(*chosen.shape[:-1], 1, chosen.shape[-1], *support.shape[-2:])
    return support.gather(-4, places).squeeze(-4)


def pair_targets(n_way: int, k_shot: int, n_query: int, device: torch.device | None = None) -> Tensor:
    """Does a query belong to a support's class? [Q, n, k] of 0 and 1, Q = n q queries, class by class."""
    return prototype_targets(n_way, n_query, device)[:, :, None].expand(-1, -1, k_shot)


def prototype_targets(n_way: int, n_query: int, device: torch.device | None = None) -> Tensor:
    """Does a query belong to a class? [Q, n] of 0 and 1."""
    return torch.eye(n_way, device=device).repeat_interleave(n_query, 0)
