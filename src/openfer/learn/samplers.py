"""Which samples make which step. A sampler's answer depends on seed and epoch alone, never on processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
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
