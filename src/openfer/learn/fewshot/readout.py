"""Base classes read from an embedding that is learned by episodes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Readout(nn.Module):
    """A linear layer on the embedding, brought to mean 0 and variance 1. No gradient goes back: it is no part of the
    method, and lets a few-shot network answer the classes that it was trained on, too.

    Args:
        width: D of the embedding.
        classes: K.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, embedding: Tensor) -> Tensor:
        """[B, D] -> logits [B, K]."""
        logits: Tensor = self.linear(F.layer_norm(embedding.detach(), embedding.shape[1:]))
        return logits
