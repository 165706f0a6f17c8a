"""Which samples make which step. A sampler's answer depends on seed and epoch alone, never on processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray


class Sampler(Protocol):
    """What the engine asks of a sampler."""

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """The steps of an epoch: numbers of the samples of each global batch, in order."""
        ...


@dataclass(frozen=True)
class ShuffledBatches:
    """Every sample once an epoch, in random order; the last incomplete batch is left out where there is a whole one.

    A batch of one or two pictures would upset BatchNorm; which samples are left out changes with the epoch.
    """

    count: int
    batch: int
    seed: int

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """See `Sampler.epoch`."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        whole = self.count // self.batch * self.batch
        return np.split(order[:whole], max(1, whole // self.batch)) if whole else [order]


@dataclass(frozen=True)
class MinimalResampling:
    """As many samples of each class an epoch, drawn anew every time, none twice where there are enough of them.

    ARM's "minimal random resampling" as we read its name: as many as the rarest class has. No code of it was published.

    Args:
        labels: [N] columns of the samples' labels.
        batch: samples a step.
        seed: of the draws.
        cap: samples a class; 0 for as many as the rarest class has. A class with fewer is drawn whole, and what is
            missing once more at random.
    """

    labels: NDArray[np.int64]
    batch: int
    seed: int
    cap: int = 0

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """See `Sampler.epoch`."""
        rng = np.random.default_rng((self.seed, epoch))
        classes, counts = np.unique(self.labels, return_counts=True)
        wanted = self.cap or int(counts.min())
        # A random order in which every class's samples stand together, so that its first ones are a random draw.
        order = rng.permutation(len(self.labels))
        order = order[np.argsort(self.labels[order], kind="stable")]
        first = np.cumsum(counts) - counts
        place = np.broadcast_to(np.arange(wanted), (len(classes), wanted))
        again = rng.integers(0, counts[:, None], place.shape)
        chosen = rng.permutation(order[first[:, None] + np.where(place < counts[:, None], place, again)].ravel())
        steps = len(chosen) // self.batch
        return np.split(chosen[: steps * self.batch], steps) if steps else [chosen]


def balanced_chances(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Chance of each sample to be drawn, such that each class is drawn as often: [N], sums to 1."""
    chances = 1.0 / np.bincount(labels)[labels]
    return np.asarray(chances / chances.sum(), dtype=np.float64)


@dataclass(frozen=True)
class BalancedDraws:
    """As many draws an epoch as there are samples, with replacement, each class as often as any other."""

    labels: NDArray[np.int64]
    batch: int
    seed: int

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """See `Sampler.epoch`."""
        count = len(self.labels)
        order = np.random.default_rng((self.seed, epoch)).choice(count, count, p=balanced_chances(self.labels))
        whole = count // self.batch * self.batch
        return np.split(order[:whole], whole // self.batch) if whole else [order]


@dataclass(frozen=True)
class RepeatedList:
    """The list of samples, repeated to `total` entries and shuffled by PyTorch: an epoch of MEK's released code.

    The first samples occur once more often than the last, and a batch may hold a sample twice.
    """

    count: int
    batch: int
    seed: int
    total: int = 1_000_000

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """See `Sampler.epoch`."""
        total = max(self.total, self.count)
        order = torch.randperm(total, generator=torch.Generator().manual_seed(self.seed + epoch)).numpy() % self.count
        return np.split(order[: total // self.batch * self.batch], total // self.batch)
