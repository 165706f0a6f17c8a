"""What the published code computes where the paper intends something else (Q1, Q2, Q16), for comparison, and the names
in its weight files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openfer.errors import ConfigError, DataError, ModelError
from openfer.learn.fewshot.sampler import EpisodeShape
from openfer.learn.methods.csrn.relation import RelationNetwork

WAYS, NEVER = 4, 3
"""Q2: the published targets fit four ways alone, and the class at this position never has a positive one."""
PREFIXES = {"feature_embed_state_dict.": "backbone.", "Relation_score_state_dict.": "relation."}
"""Where the published files keep the two networks -> where ours are."""
FIRST = "backbone.layer1.0.weight"
"""The kernel that reads the pictures."""


def matching_scores(relation: RelationNetwork, prototypes: Tensor, query: Tensor) -> Tensor:
    """Q1: class feature i is compared with query i alone, and the score stands in every column.

    Args:
        relation: the network.
        prototypes: [b, n, C, h, w].
        query: [b, n, C, h, w], one a class.

    Returns:
        [b, n, n], entry [i, l] is that of class i and query i. Each pair goes through BatchNorm n times (Q6).
    """
    n_way = prototypes.shape[1]
    if query.shape[1] != n_way:
        raise ConfigError(
            f"method.n_query: the published pairing needs one query a class, got {query.shape[1] / n_way}"
        )
    pairs = torch.cat([prototypes, query], 2).repeat_interleave(n_way, 1).flatten(0, 1)
    convolved = relation.layer1[0](pairs)
    return relation.finish(convolved).view(len(prototypes), n_way, n_way)


def matching_targets(n_way: int, device: torch.device | None = None) -> Tensor:
    """Q2: [n, n], 1 on the diagonal but for the class at position 3.

    Raises:
        ConfigError: other than four ways.
    """
    if n_way != WAYS:
        raise ConfigError(f"method.n_way: the published targets are those of {WAYS} ways, got {n_way}")
    return torch.diag((torch.arange(n_way, device=device) != NEVER).float())


@dataclass(frozen=True)
class FirstClasses:
    """Q16: every episode is made of the first n classes, in order, drawn by NumPy's legacy generator.

    Args:
        labels: [N] columns of the samples' labels.
        batch: samples a step at most.
        seed: of the draws.
        shape: n, k and q.
    """

    labels: NDArray[np.int64]
    batch: int
    seed: int
    shape: EpisodeShape

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """See `Sampler.epoch`."""
        classes = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)[: self.shape.n_way]]
        short = min(map(len, classes))
        if len(classes) < self.shape.n_way or short < self.shape.each:
            raise DataError(
                f"method.n_way: expected {self.shape.n_way} classes of {self.shape.each} training pictures or more"
            )
        episodes = max(1, self.batch // self.shape.pictures)
        random = np.random.RandomState(np.random.SeedSequence((self.seed, epoch)).generate_state(4))
        sizes = [len(rows) for rows in classes]
        steps = max(1, len(self.labels) // self.batch)
        drawn = [draw_places(sizes, self.shape.each, episodes, random) for _ in range(steps)]
        return [
            np.stack([rows[places[:, way]] for way, rows in enumerate(classes)], axis=1).ravel() for places in drawn
        ]


def draw_places(sizes: list[int], each: int, episodes: int, random: np.random.RandomState) -> NDArray[np.int64]:
    """Places of an episode's pictures in their class: [episodes, n, k + q], in the published order of the draws."""
    drawn = np.empty((episodes, len(sizes), each), dtype=np.int64)
    for place in np.ndindex(drawn.shape[:2]):  # a legacy generator gives one draw after the other
        drawn[place] = random.choice(sizes[place[1]], each, replace=False)
        random.shuffle(drawn[place])
    return drawn


def our_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a published file by our network's names.

    The published networks read blue, green and red, by their first layer's statistics: skin is brightest in the last
    channel. Ours read red, green and blue, so the first kernel is turned.

    Raises:
        ModelError: it holds something else.
    """
    found = {
        ours + name.removeprefix(theirs): value
        for name, value in weights.items()
        for theirs, ours in PREFIXES.items()
        if name.startswith(theirs)
    }
    if not found:
        raise ModelError(f"expected the tensors of {' and '.join(part.rstrip('.') for part in PREFIXES)}")
    return {name: value.flip(1) if name == FIRST else value for name, value in found.items()}
