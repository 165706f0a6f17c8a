"""The formulas of Ad-Corre: Pearson correlations between samples, class means and embeddings; two cross-entropies.

Shapes: B batch, E embeddings of a sample, D numbers in an embedding, K classes. Every function is vectorised, and
differentiable in its embeddings, logits or probabilities. Q-numbers are those of the page on the method.

Source: Fard and Mahoor, IEEE Access 10, 2022, doi 10.1109/ACCESS.2022.3156598, and its published program.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Absent = Literal["mask", "batch_mean"]
"""What becomes of a class without a sample in the batch: left out, or its mean is that of the batch (Q10)."""

OTHERS = 1e-7
"""Weight of a sample in the means of the classes that are not its own."""
FLOOR = 1e-7
"""The smallest probability that the released cross-entropy takes the logarithm of (Q7)."""
SHORTEST = 1e-6
"""The smallest norm that divides: a constant vector correlates with nothing, and its gradient is finite (Q11)."""


def correlation(vectors: Tensor) -> Tensor:
    """Pearson correlation of every pair of vectors, over their D numbers.

    r(u, v) = (u - mean u) . (v - mean v) / (|u - mean u| |v - mean v|)

    Args:
        vectors: [..., N, D].

    Returns:
        [..., N, N], -1 to 1; 0 with a constant vector.
    """
    centred = F.normalize(vectors - vectors.mean(-1, keepdim=True), dim=-1, eps=SHORTEST)
    return centred @ centred.transpose(-1, -2)


def pair_weights(labels: Tensor, confusion: Tensor, *, truncate: bool = False) -> Tensor:
    """How much a pair of samples counts: 1 + (1 - M[y_i, y_i]) + (1 - M[y_j, y_j]), and 0 for a sample with itself.

    Args:
        labels: [B] int64.
        confusion: [K, K], M, rows (the truth) sum to 1, or to 0 for a class not seen yet.
        truncate: round 1 - M[c, c] down to a whole number, as the published function does (Q3).

    Returns:
        [B, B], 0 to 3.
    """
    missed = 1 - confusion.diagonal()[labels]
    if truncate:
        missed = missed.trunc()
    return _off_diagonal(1 + missed[:, None] + missed[None, :])


def feature_discriminator(embeddings: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Samples of one class should correlate (+1), samples of two classes should not (-1).

    FD = mean over embeddings m and all pairs i, j of w_ij |O_ij - r(e_m,i, e_m,j)|, O_ij = +1 in a class, else -1

    Args:
        embeddings: [B, E, D].
        labels: [B] int64.
        weights: [B, B], w, from `pair_weights`; None = all 1.

    Returns:
        scalar, 0 to 2 without weights, up to 6 with them.
    """
    wanted = 2.0 * (labels[:, None] == labels[None, :]) - 1.0
    distance = (wanted - correlation(embeddings.transpose(0, 1))).abs()  # [E, B, B]
    return (distance if weights is None else distance * weights).mean()


def class_means(embeddings: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Weighted means of the embeddings: a sample weighs 1 in its own class, and `OTHERS` in all others.

    So the mean of a class that the batch lacks is the mean of the batch.

    Args:
        embeddings: [B, E, D].
        labels: [B] int64.
        classes: K.

    Returns:
        [E, K, D].
    """
    share = _members(labels, classes).to(embeddings.dtype).clamp(min=OTHERS)
    return torch.einsum("bk,bed->ekd", share / share.sum(0), embeddings)


def mean_discriminator(embeddings: Tensor, labels: Tensor, classes: int, absent: Absent = "mask") -> Tensor:
    """The means of two classes should not correlate.

    MD = 1 / (E P^2) sum over m and c != c' of (1 + r(mu_m,c, mu_m,c')), P classes

    Args:
        embeddings: [B, E, D].
        labels: [B] int64.
        classes: K.
        absent: `mask` takes the classes of the batch alone, `batch_mean` all K (Q10).

    Returns:
        scalar, 0 to 2 (P - 1) / P; 0 where there is but one class to take.
    """
    present = _members(labels, classes).any(0)
    if absent == "batch_mean":
        present = torch.ones_like(present)
    pairs = (present[:, None] & present[None, :]).to(embeddings.dtype)
    closeness = _off_diagonal(1 + correlation(class_means(embeddings, labels, classes)))  # [E, K, K]
    return (closeness * pairs).mean(0).sum() / pairs.sum()


def embedding_discriminator(embeddings: Tensor) -> Tensor:
    """The embeddings of a sample should not correlate with one another.

    ED = 1 / (B E^2) sum over i and m != n of (1 + r(e_m,i, e_n,i))

    Args:
        embeddings: [B, E, D].

    Returns:
        scalar, 0 to 2 (E - 1) / E.
    """
    return _off_diagonal(1 + correlation(embeddings)).mean()


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """- 1 / (B K) sum_i sum_c q_ic log softmax(logits_i)_c. The weight of 50 belongs to this division by K (Q6).

    Args:
        logits: [B, K].
        target: [B, K], q, sums to 1.

    Returns:
        scalar.
    """
    return -(target * torch.log_softmax(logits, dim=1)).mean()


def released_cross_entropy(probabilities: Tensor, labels: Tensor) -> Tensor:
    """- 1 / (B K) sum_i log max(p_i / sum p_i, 1e-7)_{y_i}; under that floor the gradient is 0 (Q7).

    Args:
        probabilities: [B, K], not negative; divided by their sums.
        labels: [B] int64.

    Returns:
        scalar.
    """
    share = (probabilities / probabilities.sum(1, keepdim=True)).clamp(min=FLOOR)
    return -share.gather(1, labels[:, None]).log().mean() / probabilities.shape[1]


def _members(labels: Tensor, classes: int) -> Tensor:
    """[B, K] bool: whether a sample is of a class."""
    return labels[:, None] == torch.arange(classes, device=labels.device)


def _off_diagonal(values: Tensor) -> Tensor:
    """Values [..., N, N] with zeros on the diagonal."""
    return values * (1 - torch.eye(values.shape[-1], dtype=values.dtype, device=values.device))
