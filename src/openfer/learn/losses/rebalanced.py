"""Losses that are re-balanced by the inverse class frequency: smooth labels, and the consistency of mirrored maps.

Source: Zhang, Li, Qin, Liu, Deng, Leave No Stone Unturned: Mine Extra Knowledge for Imbalanced Facial Expression
Recognition, NeurIPS 2023. Q-numbers are those of `docs/methods/mek.md`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from openfer.errors import ConfigError
from openfer.learn.losses.cross_entropy import soft_cross_entropy

SCALE = 0.1
"""w_c = SCALE N / n_c. The authors' weight of the consistency term, 0.1, belongs to this scale (Q2)."""


def class_weights(counts: Tensor) -> Tensor:
    """Inverse class frequencies w_c = 0.1 N / n_c; a class without rows weighs 0, so that nothing becomes infinite.

    Args:
        counts: [K] training rows a class, 0 or more.

    Returns:
        [K], in the type of `counts` if that is floating, else float32.

    Raises:
        ConfigError: fewer than two classes have rows: there is nothing to balance.
    """
    counts = counts if counts.is_floating_point() else counts.float()
    present = counts > 0
    if int(present.sum()) < 2:
        raise ConfigError(f"class counts: expected rows of two classes or more, got {counts.tolist()}")
    return torch.where(present, SCALE * counts.sum() / counts, torch.zeros_like(counts))


def smoothing_matrix(weights: Tensor, smoothing: float) -> Tensor:
    """Re-balanced smooth labels (RSL): the target distribution of each class, R [K, K], rows sum to 1.

    R[y, y] = 1 - smoothing; R[y, c] = smoothing w_c / sum_{k != y} w_k. Only ratios of the weights matter.

    Args:
        weights: [K], at least two above 0.
        smoothing: share of a label that goes to the other classes, 0 to below 1.
    """
    own = torch.eye(len(weights), dtype=weights.dtype, device=weights.device)
    others = weights * (1 - own)
    return (1 - smoothing) * own + smoothing * others / others.sum(1, keepdim=True)


def flip_error(maps: Tensor, mirrored: Tensor) -> Tensor:
    """Squared difference of a picture's maps and its mirror image's maps turned back, mean over the places.

    Args:
        maps: [B, K, h, w] of the pictures; mirrored: [B, K, h, w] of their mirror images.

    Returns:
        [B, K].
    """
    return (maps - mirrored.flip(-1)).square().mean((2, 3))


def flip_consistency(maps: Tensor, mirrored: Tensor, weights: Tensor) -> Tensor:
    """Re-balanced attention consistency (RAC): mean over the batch of sum_c w_c `flip_error`_c.

    Args:
        maps, mirrored: as in `flip_error`; the gradient goes into both (Q4).
        weights: [K].

    Returns:
        scalar.
    """
    return (flip_error(maps, mirrored) @ weights).mean()


def register_balance(network: nn.Module, class_counts: Tensor, smoothing: float) -> None:
    """Give a network the buffers `class_weights` [K] and `smoothing_matrix` [K, K], which no checkpoint keeps.

    Args:
        network: is given them; they follow it to its device.
        class_counts: [K] training rows a class.
        smoothing: as in `smoothing_matrix`.
    """
    weights = class_weights(class_counts.double())
    network.register_buffer("class_weights", weights.float(), persistent=False)
    network.register_buffer("smoothing_matrix", smoothing_matrix(weights, smoothing).float(), persistent=False)


def pair_consistency(network: nn.Module, maps: Tensor) -> Tensor:
    """`flip_consistency` of maps [B, 2, K, h, w], pictures and mirror images, by the network's `class_weights`."""
    pictures, mirrored = maps.float().unbind(1)
    return flip_consistency(pictures, mirrored, network.get_buffer("class_weights"))


class RebalancedSmoothLoss(nn.Module):
    """Cross-entropy with re-balanced smooth labels, for any training loop: `loss(logits, labels)`.

    Args:
        class_counts: [K] training rows a class.
        smoothing: share of a label that goes to the other classes, 0 to below 1.

    Raises:
        ConfigError: `smoothing` out of range, or fewer than two classes with rows.
    """

    matrix: Tensor

    def __init__(self, class_counts: Tensor, smoothing: float = 0.3) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ConfigError(f"smoothing: expected 0 to below 1, got {smoothing}")
        weights = class_weights(torch.as_tensor(class_counts))
        self.register_buffer("matrix", smoothing_matrix(weights, smoothing), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar mean over the batch.

        Args:
            logits: [B, K].
            labels: [B] int64, or [B, K] distributions (votes), whose smooth targets are the votes' mean of R's rows.

        Raises:
            ConfigError: shapes that do not fit.
        """
        classes = len(self.matrix)
        if logits.ndim != 2 or logits.shape[1] != classes:
            raise ConfigError(f"logits: expected [B, {classes}], got {list(logits.shape)}")
        if labels.shape not in (logits.shape[:1], logits.shape):
            raise ConfigError(f"labels: expected [{len(logits)}] or {list(logits.shape)}, got {list(labels.shape)}")
        target = self.matrix[labels] if labels.ndim == 1 else labels.to(self.matrix.dtype) @ self.matrix
        return soft_cross_entropy(logits, target)


class FlipConsistencyLoss(nn.Module):
    """Re-balanced attention consistency, for any training loop: `loss(maps, maps_of_the_mirror_images)`.

    Maps come from `heads.class_maps`. The loss is not yet weighted: the authors add it times 0.1.

    Args:
        class_counts: [K] training rows a class.

    Raises:
        ConfigError: fewer than two classes with rows.
    """

    weights: Tensor

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", class_weights(torch.as_tensor(class_counts)), persistent=False)

    def forward(self, maps: Tensor, mirrored: Tensor) -> Tensor:
        """Scalar mean over the batch; maps, mirrored: [B, K, h, w].

        Raises:
            ConfigError: shapes that do not fit.
        """
        classes = len(self.weights)
        if maps.ndim != 4 or maps.shape[1] != classes or maps.shape != mirrored.shape:
            raise ConfigError(
                f"maps: expected two of [B, {classes}, h, w], got {list(maps.shape)} and {list(mirrored.shape)}"
            )
        return flip_consistency(maps, mirrored, self.weights)
