"""A network's answers to held out pictures, and the few numbers that choose an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor, nn

from openfer.errors import ModelError, reason
from openfer.evaluate.metrics import accuracy, confusion, mean_class_accuracy
from openfer.files import replacing
from openfer.learn.batches import BatchMaker
from openfer.learn.method import in_use, predict_logits

BATCH = 128


def logits_of(
    network: nn.Module, batches: Iterable[Mapping[str, Tensor]], inputs: Sequence[str] = ("image",)
) -> NDArray[np.float32]:
    """Logits [N, K] of a network in evaluation mode, rows in the order of the batches."""
    network.eval()
    return np.concatenate([predict_logits(network, batch, inputs).cpu().numpy() for batch in batches])


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a network said of held out samples: logits [N, K], targets [N, K] and sample numbers [N]."""

    logits: NDArray[np.float32]
    targets: NDArray[np.float32]
    samples: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write as npz."""
        with replacing(path) as beside, beside.open("wb") as stream:
            np.savez(stream, logits=self.logits, targets=self.targets, samples=self.samples)

    @classmethod
    def read(cls, path: Path) -> Held:
        """Read what `save` wrote. Raises `ModelError` where it cannot be read."""
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as values:
                return cls(logits=values["logits"], targets=values["targets"], samples=values["samples"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ModelError(f"{path}: cannot be read ({reason(error)}); train again") from error


def answers(network: nn.Module, maker: BatchMaker, chosen: NDArray[np.int64], rank: int, world: int) -> Held:
    """A network's answers to these samples. Every process answers its share; all get the same rows."""
    mine = chosen[rank::world]
    inputs = in_use(maker.inputs)
    parts = [(mine, logits_of(network, maker.judge(mine, BATCH), inputs) if len(mine) else None)]
    parts = [part for part in (gather_object(parts) if world > 1 else parts) if part[1] is not None]
    samples = np.concatenate([part[0] for part in parts])
    logits = np.concatenate([part[1] for part in parts])
    order = np.argsort(samples, kind="stable")
    return Held(logits=logits[order], targets=maker.samples.targets[samples[order]], samples=samples[order])


def scores(held: Held) -> dict[str, float]:
    """Accuracy, mean-class accuracy and cross-entropy with the targets; the truth is a target's largest column."""
    logits, targets = held.logits, held.targets
    counts = confusion(targets.argmax(1), logits.argmax(1), logits.shape[1])
    log_p = torch.log_softmax(torch.from_numpy(logits).double(), 1).numpy()
    return {
        "accuracy": float(accuracy(counts)),
        "mean_class_accuracy": float(mean_class_accuracy(counts)),
        "loss": float(-(targets * log_p).sum(1).mean()),
    }
