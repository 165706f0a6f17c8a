"""Trains the toy method, for tests that kill the process: `python -m tests.contract.train_toy OUT [SEED]`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import tests.contract.toy_method  # noqa: F401  # registers the method
from openfer.learn.engine import train
from openfer.learn.recipe import Recipe, parse_recipe


def toy_recipe(**run: object) -> Recipe:
    """84 generated faces, 16 px, a checkpoint after every step."""
    return parse_recipe(
        {
            "method": {"name": "toy"},
            "backbone": {"name": "resnet10t", "size": 16},
            "data": {"manifest": "mini:84", "holdout": 0.25},
            "augment": {"flip": 0.5, "affine": [10, 0.1, 0.1], "blur": 20, "erase": 0.3, "mixup": 0.2},
            "optim": {"lr": 1e-3, "batch": 12, "epochs": 4, "schedule": "onecycle"},
            "run": {"ema": 0.9, "checkpoint": 0, "tensorboard": False, **run},
        },
        "toy",
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(toy_recipe(), Path(sys.argv[1]), resume=True)
