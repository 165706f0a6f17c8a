"""The method `adcorre`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Lt
from torch import Tensor, nn

from openfer.learn.losses.adcorre import AdCorreLoss
from openfer.learn.losses.correlations import Absent
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.methods.adcorre.network import AdCorreNetwork


@dataclass(frozen=True, kw_only=True)
class AdCorreOptions:
    """Options of `adcorre`.

    Args:
        embeddings: parallel embeddings of a face (Q4).
        width: numbers in an embedding.
        dropout: share of the embeddings' numbers that the classifier does not see in a training step.
        cross_entropy, feature, mean, embedding: weights of the cross-entropy (over batch and classes: Q6) and of the
            Feature, Mean and Embedding Discriminators.
        window: batches of a process that the confusion matrix counts; the authors' 1000 pictures are 20 of 50.
        absent: what the Mean Discriminator does with classes that a batch lacks: leave them out (`mask`), or take the
            mean of the batch for theirs (`batch_mean`, and always so in `released`).
        soft_targets: the cross-entropy learns from the votes where a row has them; never in `released`.
    """

    embeddings: Annotated[int, Ge(1)] = 7
    width: Annotated[int, Ge(2)] = 256
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5
    cross_entropy: Annotated[float, Ge(0)] = 50.0
    feature: Annotated[float, Ge(0)] = 1.0
    mean: Annotated[float, Ge(0)] = 1.0
    embedding: Annotated[float, Ge(0)] = 1.0
    window: Annotated[int, Ge(1)] = 20
    absent: Absent = "mask"
    soft_targets: bool = True


@register("adcorre")
class AdCorre(Method):
    """Parallel embeddings that three correlations keep apart.

    The Feature and Mean Discriminators couple the samples of a batch while training, each process its own; an answer
    depends on its picture alone.
    """

    Options = AdCorreOptions
    source = "Fard and Mahoor, Ad-Corre, IEEE Access 10, 2022, doi 10.1109/ACCESS.2022.3156598"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        options = self.options
        loss = AdCorreLoss(
            len(task.labels),
            cross_entropy=options.cross_entropy,
            feature=options.feature,
            mean=options.mean,
            embedding=options.embedding,
            window=options.window,
            absent=options.absent,
            fidelity=self.fidelity,
        )
        return AdCorreNetwork(
            task,
            loss,
            embeddings=options.embeddings,
            width=options.width,
            dropout=options.dropout,
            unit_range=self.fidelity == "released",
        )

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`."""
        loss = network.get_submodule("loss")
        assert isinstance(loss, AdCorreLoss)
        assert output.embedding is not None
        embeddings = output.embedding.view(-1, self.options.embeddings, self.options.width)
        target = batch["target" if self.options.soft_targets else "one_hot"]
        return loss.terms(embeddings, output.logits, batch["label"], target)
