"""Options of the method `combined`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from openfer.learn.heads.amending import Affinity
from openfer.learn.losses.correlations import Absent
from openfer.learn.options import Count, Word


@dataclass(frozen=True, kw_only=True)
class CombinedOptions:
    """Options of `combined`: a switch for each part, then those of the parts by the names that they have alone.

    Args:
        amend: ARM's pooling in the place of the plain average.
        correlations: Ad-Corre's parallel embeddings and its loss.
        smoothing: MEK's share of a label that goes to the other classes, rare ones first; 0 switches it off.
        consistency: MEK's weight of the flip consistency, beside a cross-entropy of weight 1; 0 switches it off.
        soft_targets: learn from the votes where a row has them; without, from the row's label alone.
        dropout: before the classifier.
        affinity: ARM's generic feature in evaluation: `running`, `batch` (never used to predict) or `off`.
        momentum: of its moving average.
        shuffle, kernel, stride: ARM's sizes; `none` leaves them to our rule.
        embeddings: of Ad-Corre, side by side.
        width: numbers in one of them.
        cross_entropy, feature, mean, embedding: weights of Ad-Corre's terms; the cross-entropy is divided by the
            number of classes, too.
        window: batches of a process that Ad-Corre's confusion matrix counts.
        absent: what its Mean Discriminator does with classes that a batch lacks.
    """

    amend: bool = True
    correlations: bool = True
    smoothing: Annotated[float, Ge(0), Lt(1)] = 0.3
    consistency: Annotated[float, Ge(0)] = 0.1
    soft_targets: bool = True
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    affinity: Affinity = "running"
    momentum: Annotated[float, Gt(0), Le(1)] = 0.1
    shuffle: Count | Word = "none"
    kernel: Count | Word = "none"
    stride: Count | Word = "none"
    embeddings: Annotated[int, Ge(1)] = 7
    width: Annotated[int, Ge(2)] = 256
    cross_entropy: Annotated[float, Gt(0)] = 50.0
    feature: Annotated[float, Ge(0)] = 1.0
    mean: Annotated[float, Ge(0)] = 1.0
    embedding: Annotated[float, Ge(0)] = 1.0
    window: Annotated[int, Ge(1)] = 20
    absent: Absent = "mask"

    @property
    def mine(self) -> bool:
        """Whether any part of MEK is on."""
        return self.smoothing > 0 or self.consistency > 0
