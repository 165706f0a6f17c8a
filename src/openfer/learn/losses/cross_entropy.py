"""Cross-entropy with soft targets, label smoothing and class weights."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_cross_entropy(
    logits: Tensor, target: Tensor, *, smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Mean over the batch of - sum_k w_k q_k log softmax(logits)_k, with q = (1 - s) target + s / K.

    Args:
        logits: [B, K].
        target: [B, K], sums to 1.
        smoothing: s, the share spread evenly over the classes, 0 to 1.
        class_weights: [K], w; None = all 1. The mean divides by B, not by the weights.

    Returns:
        scalar.
    """
    q = target * (1 - smoothing) + smoothing / logits.shape[1]
    if class_weights is not None:
        q = q * class_weights
    return -(q * torch.log_softmax(logits, dim=1)).sum(1).mean()


def balanced_weights(counts: Tensor, power: float) -> Tensor:
    """Class weights proportional to count ** -power, with mean 1 over the training rows; absent classes get 0.

    Args:
        counts: [K] training rows a class.
        power: 0 = none, 1 = every class weighs the same in all, 0.5 in between.
    """
    weights = torch.where(counts > 0, counts**-power, torch.zeros_like(counts))
    return weights * counts.sum() / (weights * counts).sum()
