"""Ad-Corre's loss as a module that works in any training loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from openfer.errors import ConfigError
from openfer.learn.losses.confusion import ConfusionHistory
from openfer.learn.losses.correlations import (
    Absent,
    cross_entropy,
    embedding_discriminator,
    feature_discriminator,
    mean_discriminator,
    pair_weights,
    released_cross_entropy,
)
from openfer.learn.recipe import Fidelity


class AdCorreLoss(nn.Module):
    """Cross-entropy plus the Feature, Mean and Embedding Discriminators.

    L = 50 CE + FD + MD + ED, CE divided by the number of classes as well as by the batch

    In training mode each call adds the batch's answers to a rolling confusion matrix, which then weighs FD's pairs: the
    worse a class is recognised, the more its pairs count. The matrix is constant for the gradient, and lives in
    buffers: save the loss with the network, and move it to the same device. FD and MD couple the samples of the batch
    that they are given; with several processes that is each process's own, while the matrix counts all.

        loss = AdCorreLoss(classes=7)
        loss(embeddings, logits, labels).backward()

    Args:
        classes: K.
        cross_entropy: weight of CE.
        feature: weight of FD.
        mean: weight of MD.
        embedding: weight of ED.
        window: batches that the confusion matrix counts, the latest included.
        absent: what MD does with classes that the batch lacks: `mask` or `batch_mean`.
        fidelity: `released` gives the values of the published program: FD without weights, MD over all classes, a
            probability clipped before its logarithm; its three terms are shown but have no gradient.

    Source: Fard and Mahoor, IEEE Access 10, 2022, doi 10.1109/ACCESS.2022.3156598.
    """

    def __init__(
        self,
        classes: int,
        *,
        cross_entropy: float = 50.0,
        feature: float = 1.0,
        mean: float = 1.0,
        embedding: float = 1.0,
        window: int = 20,
        absent: Absent = "mask",
        fidelity: Fidelity = "intended",
    ) -> None:
        super().__init__()
        if classes < 2 or window < 1:
            raise ConfigError(
                f"AdCorreLoss: expected 2 classes or more and a window of 1 or more, got {classes}, {window}"
            )
        self.classes = classes
        self.weights = {"cross_entropy": cross_entropy, "feature": feature, "mean": mean, "embedding": embedding}
        self.absent: Absent = absent
        self.fidelity: Fidelity = fidelity
        self.history = ConfusionHistory(classes, window)

    def forward(self, embeddings: Tensor, logits: Tensor, labels: Tensor, target: Tensor | None = None) -> Tensor:
        """The sum of `terms`, a scalar."""
        return torch.stack(list(self.terms(embeddings, logits, labels, target).values())).sum()

    def terms(
        self, embeddings: Tensor, logits: Tensor, labels: Tensor, target: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The four terms by name, weighted, each a scalar: `cross_entropy`, `feature`, `mean`, `embedding`.

        Args:
            embeddings: [B, E, D], E embeddings of each sample; [B, D] is read as one.
            logits: [B, K].
            labels: [B] int64, 0 to K - 1 (the range is checked on a CPU only: a GPU would have to wait).
            target: [B, K], sums to 1, what the cross-entropy learns from; None = the labels. `released` takes labels.

        Raises:
            ConfigError: a shape or a type is not what was expected.
        """
        if embeddings.ndim == 2:
            embeddings = embeddings[:, None]
        check(embeddings, logits, labels, target, self.classes)
        # Correlations of half precision would be noise, whatever autocast the caller is in.
        with torch.autocast(logits.device.type, enabled=False):
            embeddings, logits = _at_least_single(embeddings), _at_least_single(logits)
            if self.training:
                self.history.update(labels, logits.argmax(1))
            if self.fidelity == "released":
                values = self._released(embeddings, logits, labels)
            else:
                values = self._intended(embeddings, logits, labels, target)
        return {name: self.weights[name] * value for name, value in values.items()}

    def _intended(self, embeddings: Tensor, logits: Tensor, labels: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        if target is None:
            target = nn.functional.one_hot(labels, self.classes)
        weights = pair_weights(labels, self.history.matrix(embeddings.dtype))
        return {
            "cross_entropy": cross_entropy(logits, target),
            "feature": feature_discriminator(embeddings, labels, weights),
            "mean": mean_discriminator(embeddings, labels, self.classes, self.absent),
            "embedding": embedding_discriminator(embeddings),
        }

    def _released(self, embeddings: Tensor, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        embeddings = embeddings.detach()  # the published terms leave the graph (Q1)
        return {
            "cross_entropy": released_cross_entropy(torch.softmax(logits, dim=1), labels),
            "feature": feature_discriminator(embeddings, labels),
            "mean": mean_discriminator(embeddings, labels, self.classes, "batch_mean"),
            "embedding": embedding_discriminator(embeddings),
        }


def check(embeddings: Tensor, logits: Tensor, labels: Tensor, target: Tensor | None, classes: int) -> None:
    """Compare shapes and types with what `AdCorreLoss.terms` expects. Raises `ConfigError` where they differ."""
    batch = len(labels)
    if labels.ndim != 1 or batch == 0 or labels.dtype != torch.int64:
        raise ConfigError(f"labels: expected int64 [B] with B of 1 or more, got {labels.dtype} {list(labels.shape)}")
    if embeddings.ndim != 3 or len(embeddings) != batch:
        raise ConfigError(f"embeddings: expected [B, E, D] or [B, D] with B = {batch}, got {list(embeddings.shape)}")
    for name, value in (("logits", logits), ("target", target)):
        if value is not None and value.shape != (batch, classes):
            raise ConfigError(f"{name}: expected [B, K] = [{batch}, {classes}], got {list(value.shape)}")
    if labels.device.type == "cpu" and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ConfigError(f"labels: expected 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")


def _at_least_single(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
