"""A backbone with the head and the loss of Ad-Corre; the Xception of Keras."""

from __future__ import annotations

import torch
from timm.layers.pool2d_same import MaxPool2dSame
from timm.models.xception import Xception
from torch import Tensor, nn

from openfer.learn.backbones import build_backbone, embedding_width, normalisation
from openfer.learn.heads.embeddings import ParallelEmbeddings
from openfer.learn.losses.adcorre import AdCorreLoss
from openfer.learn.method import Output, Task


class AdCorreNetwork(nn.Module):
    """Backbone and `ParallelEmbeddings`; the loss is a part of it, so that checkpoints hold its confusion matrix.

    Args:
        task: labels and backbone; an Xception of timm is brought into the form of Keras (`as_keras`).
        loss: what it learns from.
        embeddings, width, dropout: of the head.
        unit_range: the backbone sees pixels of 0 to 1, whatever range it was made for (Q5).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, task: Task, loss: AdCorreLoss, *, embeddings: int, width: int, dropout: float, unit_range: bool
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(task.backbone)
        if isinstance(self.backbone, Xception):
            as_keras(self.backbone)
        self.head = ParallelEmbeddings(
            embedding_width(self.backbone), len(task.labels), embeddings=embeddings, width=width, dropout=dropout
        )
        self.loss = loss
        self.unit_range = unit_range
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(task.backbone.name))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, image: Tensor) -> Output:
        """image [B, 3, S, S] -> logits [B, K], embedding [B, E D]: the E of unit length, one after the other."""
        if self.unit_range:
            image = image * self.std + self.mean
        logits, embeddings = self.head(self.backbone(image))
        return Output(logits=logits, embedding=embeddings.flatten(1))


def as_keras(network: nn.Module) -> None:
    """Give timm's Xception the pooling and normalisation of Keras's, whose ImageNet weights it carries.

    TensorFlow pads nothing before and one cell after a map of even size, PyTorch one on both sides (Q24): at 224 px
    blocks 4 and 13 differ. BatchNorm of Keras has eps 1e-3 and momentum 0.01 in PyTorch's terms.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = 1e-3, 0.01
    pools = [name for name, module in network.named_modules() if isinstance(module, nn.MaxPool2d)]
    for name in pools:
        network.set_submodule(name, MaxPool2dSame(3, stride=2))
