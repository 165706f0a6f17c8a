"""Everything a killed run needs to go on to the same bits: one file, written whole or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from openfer.errors import ModelError, reason
from openfer.files import replacing
from openfer.learn.recipe import same_recipe

CHECKPOINT = "checkpoint.pt"
BEST = "best.safetensors"
LAST = "last.safetensors"
RECIPE = "recipe.yaml"
HOLDOUT = "holdout.npz"


@dataclass
class Progress:
    """How far a run has come.

    Args:
        stage, epoch, step: the next step to take, counted from 0; step within its epoch.
        sums: of the running epoch: each loss term, right answers and pictures.
        best_score, best_epoch: of this stage; None before the first epoch ends.
        log: a row an epoch, what `log.csv` holds.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best_score: float | None = None
    best_epoch: int | None = None
    log: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    folder: Path,
    progress: Progress,
    recipe: str,
    *,
    network: nn.Module,
    ema: nn.Module | None,
    optimizer: Any,
    scaler: Any,
) -> None:
    """Write `checkpoint.pt`; a kill at any moment leaves the old one or the new one. `scaler` is fp16's, or None."""
    values = {
        "progress": asdict(progress),
        "recipe": recipe,
        "network": network.state_dict(),
        "ema": None if ema is None else ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
    }
    with replacing(folder / CHECKPOINT) as beside:
        torch.save(values, beside)


def read_checkpoint(folder: Path, recipe: str) -> dict[str, Any] | None:
    """The checkpoint of a run, or None where there is none.

    Raises:
        ModelError: damaged, or made by another recipe.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written_by = values["recipe"]
    except Exception as error:  # damaged files raise anything
        raise ModelError(f"{path}: cannot be read ({reason(error)}); remove it to start afresh") from error
    if not same_recipe(written_by, recipe):
        raise ModelError(
            f"{path}: was made by another recipe ({folder / RECIPE}); resume with that one, or choose another --out"
        )
    return values


def save_weights(network: nn.Module, path: Path) -> None:
    """A network's tensors as safetensors, without pickle."""
    tensors: dict[str, Tensor] = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    with replacing(path) as beside:
        beside.write_bytes(save(tensors))


def load_exactly(network: nn.Module, weights: Mapping[str, Tensor], *, lacking: tuple[str, ...] = ()) -> None:
    """Load all of a network's tensors.

    Args:
        network: gets them.
        weights: by the network's names.
        lacking: names that may be missing.

    Raises:
        ModelError: one is missing, unknown or of another shape.
    """
    own = network.state_dict()
    for name, value in own.items():
        if name not in weights and name not in lacking:
            raise ModelError(f"the checkpoint has no '{name}'; is it of this method and backbone?")
        if name in weights and weights[name].shape != value.shape:
            shapes = [list(one.shape) for one in (weights[name], value)]
            raise ModelError(f"the checkpoint's '{name}' has the shape {shapes[0]}, the recipe's network {shapes[1]}")
    unknown = [name for name in weights if name not in own]
    if unknown:
        raise ModelError(f"the checkpoint's '{unknown[0]}' has no place in this network")
    network.load_state_dict(dict(weights), strict=False)
