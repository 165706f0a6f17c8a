"""Ad-Corre's head: several embeddings of a face side by side, and a classifier that reads all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHORTEST = 1e-6
"""The smallest length that divides."""


class ParallelEmbeddings(nn.Module):
    """E linear embeddings, each scaled to unit length, and a linear classifier of their concatenation.

    e_m = h_m / |h_m|, h_m = A_m g + a_m; logits = W dropout([e_1 ... e_E]) + w

    The E maps are one layer, so that nothing loops over embeddings. Weights begin Glorot-uniform, map by map, biases 0.

    Args:
        features: numbers in g, what the backbone gives.
        classes: K.
        embeddings: E.
        width: D, numbers in an embedding.
        dropout: share of the E D numbers that the classifier does not see in a training step, 0 to 1.

    Source: the published program (`cnn_model.py`).
    """

    def __init__(self, features: int, classes: int, *, embeddings: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.embed = nn.Linear(features, embeddings * width)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(embeddings * width, classes)
        bound = (6 / (features + width)) ** 0.5  # of one map, not of all together
        nn.init.uniform_(self.embed.weight, -bound, bound)
        nn.init.xavier_uniform_(self.classify.weight)
        nn.init.zeros_(self.embed.bias)
        nn.init.zeros_(self.classify.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """features [B, F] -> logits [B, K], embeddings [B, E, D] of unit length, before dropout."""
        embeddings = F.normalize(self.embed(features).unflatten(1, (self.embeddings, -1)), dim=2, eps=SHORTEST)
        return self.classify(self.dropout(embeddings.flatten(1))), embeddings

    def linear_part(self, features: Tensor) -> Tensor:
        """What multiplies a face's own features: logits = V_b g_b + a number a class, the embeddings' lengths held.

        V_b = sum_m W_m A_m / |h_m|

        Args:
            features: [B, F], g.

        Returns:
            [B, K, F].
        """
        lengths = self.embed(features).unflatten(1, (self.embeddings, -1)).norm(dim=2).clamp(min=SHORTEST)
        classify = self.classify.weight.view(len(self.classify.weight), self.embeddings, -1)
        embed = self.embed.weight.view(self.embeddings, -1, features.shape[1])
        return torch.einsum("be,ekf->bkf", 1 / lengths, torch.einsum("ked,edf->ekf", classify, embed))
