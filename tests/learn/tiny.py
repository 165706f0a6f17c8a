"""Trainings that take a second: a network of timm's own tests, 32 px, a few generated faces."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from openfer.learn.checkpoint import Progress
from openfer.learn.recipe import Recipe, parse_recipe
from openfer.learn.record import Watch

SECTIONS: dict[str, dict[str, Any]] = {
    "method": {"name": "baseline", "dropout": 0.0},
    "backbone": {"name": "test_efficientnet", "size": 32},
    "data": {"manifest": "mini:84", "holdout": 0.25, "colour": "grey"},
    "augment": {"flip": 0.5, "affine": [10, 0.1, 0.1]},
    "optim": {"lr": 3e-3, "batch": 14, "epochs": 1, "schedule": "constant", "weight_decay": 0.0},
    "run": {"tensorboard": False},
}


def tiny_recipe(**changes: dict[str, Any]) -> Recipe:
    """The recipe above; a section's keys are changed by `section={"key": value}`."""
    return parse_recipe(
        {name: {**SECTIONS.get(name, {}), **changes.get(name, {})} for name in SECTIONS | changes}, "tiny"
    )


def learning_recipe() -> Recipe:
    """Learns by heart, and overdoes it: the holdout prefers an epoch in the middle. 301 rows train, 98 are held out."""
    return tiny_recipe(
        data={"manifest": "mini:560"},
        augment={"flip": 0.0, "affine": [0, 0, 0]},
        optim={"lr": 1e-3, "batch": 28, "epochs": 8},
        run={"select": "loss", "tensorboard": True},
    )


def weights(run: Path, which: str = "last") -> dict[str, Tensor]:
    """A run's tensors by name."""
    return load_file(run / f"{which}.safetensors")


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference between two networks' numbers."""
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def rows_of(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log."""
    return list(csv.DictReader((run / "log.csv").read_text().splitlines()))


class StoppedError(Exception):
    """Stands for whatever ends a run."""


class StopAfter(Watch):
    """Ends a run after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def epoch(self, progress: Progress) -> None:
        if len(progress.log) == self.epochs:
            raise StoppedError
