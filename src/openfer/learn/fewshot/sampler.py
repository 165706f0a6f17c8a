"""Episodes as training steps: which samples stand in which one, and where their supports and queries are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openfer.errors import ConfigError, DataError
from openfer.evaluate.episodes.draw import draw_places
from openfer.learn.method import Task


@dataclass(frozen=True, kw_only=True)
class EpisodeShape:
    """What an episode is made of.

    Args:
        n_way: classes.
        k_shot: supports a class.
        n_query: queries a class.
    """

    n_way: int
    k_shot: int
    n_query: int

    @property
    def each(self) -> int:
        """Pictures a class."""
        return self.k_shot + self.n_query

    @property
    def pictures(self) -> int:
        """Pictures an episode."""
        return self.n_way * self.each

    def cut(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """A step's values [b n (k + q), ...] as supports [b, n, k, ...] and queries [b, n q, ...], class by class.

        Raises:
            ConfigError: the step is not made of whole episodes.
        """
        if len(values) % self.pictures:
            raise ConfigError(
                f"optim.accumulate: {len(values)} pictures are not whole episodes of {self.pictures}; choose a batch "
                "whose parts are"
            )
        grid = values.reshape(-1, self.n_way, self.each, *values.shape[1:])
        return grid[:, :, : self.k_shot], grid[:, :, self.k_shot :].flatten(1, 2)

    def join(self, support: Tensor, query: Tensor) -> Tensor:
        """What `cut` took apart: [b, n, k, ...] and [b, n q, ...] -> [b n (k + q), ...]."""
        queries = query.reshape(-1, self.n_way, self.n_query, *query.shape[2:])
        return torch.cat([support, queries], 2).flatten(0, 2)


def rare_classes(task: Task, shape: EpisodeShape) -> list[str]:
    """Names the classes that no episode is made of, for `Method.notes`; nothing where there are none."""
    rare = [
        f"{name} ({count})" for name, count in zip(task.labels, task.class_counts, strict=True) if count < shape.each
    ]
    if not rare:
        return []
    return [
        f"never in an episode: {', '.join(rare)}; in brackets the training pictures, an episode takes {shape.each} of "
        "a class; leave these classes out with data.classes, or lower method.k_shot or method.n_query"
    ]


@dataclass(frozen=True)
class EpisodeBatches:
    """Steps of whole episodes, drawn anew every epoch; as many as the samples fill.

    A step's samples lie as [b, n, k + q]: episode, class, supports before queries. A class with fewer than k + q
    samples is never drawn. The classes of an episode stand in random order: in that of the labels, a learner that
    reads the supports one after the other (Matching Networks) would learn which place is which base class.

    Args:
        labels: [N] columns of the samples' labels.
        batch: samples a step at most: b = batch // (n (k + q)) episodes.
        seed: of the draws.
        shape: n, k and q.
    """

    labels: NDArray[np.int64]
    batch: int
    seed: int
    shape: EpisodeShape

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """See `Sampler.epoch`.

        Raises:
            ConfigError: a step is smaller than an episode.
            DataError: fewer than n classes have k + q samples.
        """
        shape = self.shape
        each_step = self.batch // shape.pictures
        if not each_step:
            raise ConfigError(f"optim.batch: {self.batch} pictures are less than an episode of {shape.pictures}")
        classes = drawable(self.labels, shape)
        if len(classes) < shape.n_way:
            raise DataError(
                f"method.n_way: {len(classes)} classes have the {shape.each} training pictures that an episode needs, "
                f"expected {shape.n_way}"
            )
        steps = max(1, len(self.labels) // self.batch)
        _, samples = draw_samples(self.labels, shape, episodes=steps * each_step, entropy=(self.seed, epoch))
        # The third number makes it another stream than that of the draws.
        ways = np.random.default_rng((self.seed, epoch, len(samples))).random(samples.shape[:2]).argsort(axis=1)
        return list(np.take_along_axis(samples, ways[:, :, None], axis=1).reshape(steps, -1))


def drawable(labels: NDArray[np.int64], shape: EpisodeShape) -> NDArray[np.int64]:
    """The classes of samples with labels [N] that have k + q of them."""
    return np.flatnonzero(np.bincount(labels) >= shape.each)


def draw_samples(
    labels: NDArray[np.int64], shape: EpisodeShape, *, episodes: int, entropy: int | tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Episodes of samples.

    Args:
        labels: [N] of the samples; n classes or more are `drawable`.
        shape: n, k and q.
        episodes: how many.
        entropy: of the draws.

    Returns:
        The episodes' classes [e, n], and their samples' numbers [e, n, k + q].
    """
    counts, classes = np.bincount(labels), drawable(labels, shape)
    ways, places = draw_places(counts[classes], episodes=episodes, n_way=shape.n_way, each=shape.each, entropy=entropy)
    starts = (np.cumsum(counts) - counts)[classes]
    samples = np.argsort(labels, kind="stable")[starts[ways][:, :, None] + places]
    return classes[ways], samples
