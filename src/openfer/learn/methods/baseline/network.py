"""A backbone and a linear classifier."""

from __future__ import annotations

from torch import Tensor, nn

from openfer.learn.backbones import build_backbone, embed, embedding_width
from openfer.learn.method import Output, Task


class Classifier(nn.Module):
    """Backbone, dropout, linear layer.

    Args:
        task: labels and backbone.
        dropout: share of the embedding's numbers that a training step leaves out, 0 to 1.
    """

    def __init__(self, task: Task, dropout: float) -> None:
        super().__init__()
        self.backbone = build_backbone(task.backbone)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(embedding_width(self.backbone), len(task.labels))

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K], embedding [B, D], and in use features [B, F]."""
        embedding, features = (self.backbone(image), None) if self.training else embed(self.backbone, image)
        return Output(logits=self.head(self.dropout(embedding)), embedding=embedding, features=features)
