"""What the network is asked for: points near the teacher's where the teacher can be trusted, and honest errors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from openfer.learn.landmarks.network import GOOD_FIT

TRUST = 0.03
"""A label with this flip error weighs half."""
LEAST, MOST = 0.003, 1.0
"""Errors are told apart between these shares of the outer eye distance; what is no face has the largest."""
ERROR_WEIGHT = 0.05
NARROWEST = 0.15
"""Least outer eye distance that errors are measured in, as a share of the crop: of profiles it says little."""


def trust(flip_errors: Tensor) -> Tensor:
    """Weights of labels, 0 to 1, by the teacher's flip errors [B]; 0 for bad fits."""
    return torch.where(flip_errors > GOOD_FIT, 0.0, TRUST / (TRUST + flip_errors))


def distances(points: Tensor, labels: Tensor) -> Tensor:
    """Distance of every point from its label, in outer eye distances of the label: [B, 68]."""
    eyes = (labels[:, 45] - labels[:, 36]).norm(dim=-1).clamp(min=NARROWEST)
    apart: Tensor = ((points - labels).square().sum(-1) + 1e-8).sqrt() / eyes[:, None]
    return apart


def losses(
    points: Tensor, errors: Tensor, flips: Tensor, labels: Tensor, flip_errors: Tensor, is_face: Tensor
) -> dict[str, Tensor]:
    """Named terms, already weighted.

    Args:
        points, errors, flips: the network's answers, [B, 68, 2], [B, 68] and [B].
        labels: [B, 68, 2], shares of the crop's side; anything where there is no face.
        flip_errors: the teacher's, [B].
        is_face: bool [B].
    """
    weights = trust(flip_errors) * is_face
    total = weights.sum().clamp(min=1.0)
    apart = distances(points, labels)
    own = apart.detach().clamp(LEAST, MOST).log()
    fits = torch.where(is_face, flip_errors.clamp(LEAST, MOST), MOST).log()
    return {
        "points": (apart.mean(1) * weights).sum() / total,
        "errors": ERROR_WEIGHT * (F.smooth_l1_loss(errors, own, reduction="none").mean(1) * weights).sum() / total,
        "quality": ERROR_WEIGHT * F.smooth_l1_loss(flips, fits),
    }
