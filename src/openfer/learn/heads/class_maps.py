"""A linear classifier on the mean of a feature map, and what each place of the map says for each class."""

from __future__ import annotations

import torch
from torch import Tensor


def class_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Class activation maps M[b, c, i, j] = sum_d A[c, d] F[b, d, i, j]: logits = mean over the places + bias.

    The classifier's weight is held constant: what is asked of the maps moves the features, not the classifier (Q3).

    Args:
        features: [B, D, h, w], whose mean over the places the classifier reads.
        weight: [K, D], A.

    Returns:
        [B, K, h, w].
    """
    return torch.einsum("bdij,cd->bcij", features, weight.detach())
