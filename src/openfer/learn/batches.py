"""Samples become a network's batches: changed at random for training, normalised, on the device that trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from openfer.learn.augment import COUNT, augment, mixup, warp_landmarks
from openfer.learn.chance import number, uniforms
from openfer.learn.options import AugmentOptions
from openfer.learn.pictures import Samples

MIXUP = 99
"""Part of the key of mixup's random numbers, apart from those of the views."""


@dataclass(frozen=True, kw_only=True)
class BatchMaker:
    """Samples become the batches of a network: on its device, changed at random for training, normalised.

    Args:
        samples: pictures and targets.
        augment: the recipe's section.
        mean, std: per channel, of pixels 0 to 1.
        inputs: the method's; `landmarks` among them needs samples that have some.
        device: where the network is.
        seed: of the random changes.
    """

    samples: Samples
    augment: AugmentOptions
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    inputs: tuple[str, ...]
    device: torch.device
    seed: int

    def train(self, chosen: NDArray[np.int64], key: tuple[int, ...], part: slice = slice(None)) -> dict[str, Tensor]:
        """A training batch.

        Args:
            chosen: [B] sample numbers of the whole step, over all processes.
            key: what the random changes depend on: stage, epoch, step.
            part: what of `chosen` this process computes; the random changes are the same however it is cut.
        """
        batch = self._changed(chosen[part], key)
        if self.augment.mixup > 0:
            # Partners come from the whole step, so that they are the same however many processes share it.
            rng = np.random.default_rng(number((self.seed, *key, MIXUP)))
            weight = float(rng.beta(self.augment.mixup, self.augment.mixup))
            partner = self._changed(rng.permutation(chosen)[part], key)
            for name in (*self._views, "target", "one_hot"):
                batch[name] = mixup(batch[name], partner[name], weight)
        return self._normalised(batch)

    @property
    def _views(self) -> tuple[str, ...]:
        return tuple(name for name in ("image", "image2") if name in self.inputs)

    def _changed(self, chosen: NDArray[np.int64], key: tuple[int, ...]) -> dict[str, Tensor]:
        batch = self.plain(chosen)
        pixels = batch["image"]
        for view, name in enumerate(self._views):
            u = torch.from_numpy(uniforms((self.seed, *key, view), chosen, COUNT)).to(self.device)
            batch[name] = augment(pixels, u, self.augment, self.mean, self.std)
            if name == "image" and "landmarks" in batch:
                batch["landmarks"] = warp_landmarks(batch["landmarks"], u, self.augment.flip, self.augment.affine)
        return batch

    def judge(self, chosen: NDArray[np.int64], size: int) -> Iterator[dict[str, Tensor]]:
        """Batches of these samples in order, without random changes."""
        for start in range(0, len(chosen), size):
            yield self._normalised(self.plain(chosen[start : start + size]))

    def plain(self, chosen: NDArray[np.int64]) -> dict[str, Tensor]:
        """Tensors of these samples, `image` [B, C, S, S] float, 0 to 1, nothing changed."""
        part = self.samples[chosen]
        image = torch.from_numpy(np.ascontiguousarray(part.pixels)).to(self.device)
        label = torch.from_numpy(part.labels).to(self.device)
        more = {}
        if "landmarks" in self.inputs:
            assert part.landmarks is not None
            more["landmarks"] = torch.from_numpy(part.landmarks).to(self.device)
        return {
            **more,
            "image": image.permute(0, 3, 1, 2).float().div_(255),
            "target": torch.from_numpy(part.targets).to(self.device),
            "label": label,
            "one_hot": F.one_hot(label, part.targets.shape[1]).float(),
            "row": torch.from_numpy(chosen).to(self.device),
        }

    @cached_property
    def _scale(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return mean, std

    def _normalised(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mean, std = self._scale
        for name in (name for name in ("image", "image2") if name in batch):
            # A grey picture's one channel becomes three by broadcasting.
            batch[name] = ((batch[name] - mean) / std).contiguous(memory_format=torch.channels_last)
        return batch
