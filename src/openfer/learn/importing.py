"""Checkpoints of the authors' own programs become runs that can be evaluated and exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from openfer.files import sha256_of
from openfer.learn.checkpoint import BEST, save_weights
from openfer.learn.engine import build_network, make_batches
from openfer.learn.judge import BATCH
from openfer.learn.method import build_method
from openfer.learn.pictures import load_training_data
from openfer.learn.published import read_published
from openfer.learn.recipe import Recipe
from openfer.learn.record import Watch, begin_folder, check_folder


def import_checkpoint(recipe: Recipe, file: Path, out: Path, watch: Watch | None = None) -> int:
    """Make a run of a published checkpoint; what it lacks is computed from the recipe's training pictures.

    Args:
        recipe: method, backbone and data that belong to it.
        file: the checkpoint, as `torch.save` wrote it; nothing but tensors and plain values is read.
        out: the run's folder.
        watch: is told how far the cutting is.

    Returns:
        how many tensors were taken.

    Raises:
        ConfigError: the method has no published checkpoints, or `out` holds a run.
        ModelError: the file cannot be read, or its tensors are not this network's.
        DataError: no training pictures, or other classes.
    """
    method = build_method(recipe.method)
    check_folder(out, resume=False)
    weights = read_published(file)
    # Nothing is chosen here, and every training row is one that the checkpoint may have seen.
    recipe = replace(
        recipe,
        backbone=replace(recipe.backbone, init="none"),
        data=replace(recipe.data, holdout=0.0),
        run=replace(recipe.run, select="last"),
    )
    data = load_training_data(recipe.data, recipe.backbone.size, recipe.run.seed, (watch or Watch()).cut)
    network = build_network(recipe, method, data, fresh=False)
    method.import_weights(network, weights, data.labels)
    maker = make_batches(recipe, method, data, torch.device("cpu"))
    method.calibrate(network, (batch["image"] for batch in maker.judge(data.train, BATCH)))
    data = replace(data, facts={**data.facts, "imported": f"{file.name}, sha256 {sha256_of(file)}"})
    begin_folder(out, recipe, data)
    save_weights(network, out / BEST)
    return len(weights)
