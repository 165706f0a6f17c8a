"""A linear classifier on the mean of a feature map, and what each place of the map says for each class."""

from __future__ import annotations

import torch
from torch import Tensor

FEWEST_COLUMNS = 4
"""Below so many columns a mirrored map is nearly the same map."""


def class_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Class activation maps M[b, c, i, j] = sum_d A[c, d] F[b, d, i, j]: logits = mean over the places + bias.

    The classifier's weight is held constant: what is asked of the maps moves the features, not the classifier (Q3).

    Args:
        features: [B, D, h, w], whose mean over the places the classifier reads.
        weight: [K, D], A; or [B, K, D], one for each face.

    Returns:
        [B, K, h, w].
    """
    return torch.einsum("bdij,cd->bcij" if weight.ndim == 2 else "bdij,bcd->bcij", features, weight.detach())


def class_maps_of_places(features: Tensor, weight: Tensor) -> Tensor:
    """The same where the classifier reads every place by itself: M[b, c, i, j] = h w A[c, i w + j] f[b, i, j].

    Args:
        features: [B, h, w], as after ARM's pooling.
        weight: [K, h w], A; or [B, K, h w], one for each face. Held constant, too.

    Returns:
        [B, K, h, w], whose mean over the places plus the bias is the logits.
    """
    _, height, width = features.shape
    places = weight.detach().view(*weight.shape[:-1], height, width)
    return height * width * places * features[:, None]


def little_to_mirror(width: int) -> list[str]:
    """What one should know before maps of so many columns are compared with mirrored ones: a sentence, or nothing."""
    if width >= FEWEST_COLUMNS:
        return []
    return [
        f"the last feature map is {width} cell{'s' * (width != 1)} wide, so that there is little to mirror: set "
        "backbone.output_stride=8 or 16, or enlarge backbone.size"
    ]
