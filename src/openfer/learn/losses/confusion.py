"""Which classes a network currently confuses: counts of its last training answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConfusionHistory(nn.Module):
    """A confusion matrix over the last batches, kept in buffers, so that a checkpoint holds it.

    It runs on over the epochs. With several processes, each batch's counts are summed over all of them, so that all
    know the same. `window` batches of B samples are what the published program keeps as a list: it drops the oldest
    batch where the list has 1000 entries or more, so W = ceil(1000 / B).

    Args:
        classes: K.
        window: W, batches that count, the latest included.

    Buffers:
        counts: int64 [K, K, W]: truth, answer, batch.
        seen: int64 scalar, batches so far.
    """

    counts: Tensor
    seen: Tensor

    def __init__(self, classes: int, window: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(classes, classes, window, dtype=torch.int64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, labels: Tensor, answers: Tensor) -> None:
        """Add a batch, and forget the oldest where the window is full.

        Args:
            labels: [B] int64, the truth.
            answers: [B] int64.
        """
        classes, _, window = self.counts.shape
        # `bincount` would make a GPU wait.
        batch = torch.zeros(classes * classes, dtype=torch.int64, device=labels.device)
        batch.index_add_(0, labels * classes + answers, torch.ones_like(labels))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(batch)
        self.counts.index_copy_(2, (self.seen % window).view(1), batch.view(classes, classes, 1))
        self.seen += 1

    def matrix(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The confusion matrix [K, K], rows (the truth) divided by their sums; a class without a sample has zeros."""
        counts = self.counts.sum(2).to(dtype)
        return counts / counts.sum(1, keepdim=True).clamp(min=1)
