"""The training of the landmark network: one loop, which a kill at any moment does not change."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from openfer.data.manifest import load_manifest
from openfer.files import write_text
from openfer.learn.backbones import read_weights
from openfer.learn.checkpoint import LAST, RECIPE, Progress, read_checkpoint, save_checkpoint, save_weights
from openfer.learn.holdout import partition
from openfer.learn.landmarks.faces import Faces, known, label
from openfer.learn.landmarks.judge import judge
from openfer.learn.landmarks.loss import losses
from openfer.learn.landmarks.network import LandmarkNet
from openfer.learn.landmarks.nonfaces import draw_nonfaces
from openfer.learn.landmarks.recipe import LandmarkRecipe
from openfer.learn.landmarks.teacher import Teacher
from openfer.learn.landmarks.views import make_views
from openfer.learn.schedule import lr_factor
from openfer.synth.sets import draw_set

LABELLED, DRAWN, LOG = "labelled.npz", "drawn.npz", "log.csv"
NONFACES, NONFACES_JUDGE = 6000, 600
"""Different pictures without a face; the first of them judge."""
JUDGE_EVERY = 500
"""Steps between two rows of the log."""
GENERATED_FIT = 0.02
"""What the quality is told of drawn faces, which no teacher has seen: a good fit, as the median of real faces."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Everything in memory.

    Args:
        pictures: uint8 [N, SIDE, SIDE]; points: float32 [N, 68, 2]; flip_errors: float32 [N].
        train: rows of these that train; holdout: rows of the labelled faces that are only judged on.
        nonfaces: uint8 [NONFACES, SIDE, SIDE].
        faces: the labelled faces, whose rows come first.
    """

    pictures: Tensor
    points: Tensor
    flip_errors: Tensor
    train: NDArray[np.int64]
    holdout: NDArray[np.int64]
    nonfaces: Tensor
    faces: Faces


def train(recipe: LandmarkRecipe, out: Path, *, say: Say = print) -> LandmarkNet:
    """Label, draw, train; goes on where a killed run stopped.

    Args:
        recipe: what and how.
        out: the run's folder: labels, checkpoint, log and the averaged weights.
        say: takes a line now and then.

    Returns:
        the network with the averaged weights, in evaluation mode.

    Raises:
        ModelError: `out` holds the checkpoint of another recipe.
    """
    out.mkdir(parents=True, exist_ok=True)
    material = prepare(recipe, out, say)
    write_text(out / RECIPE, recipe.to_yaml())
    torch.manual_seed(recipe.run.seed)
    network = LandmarkNet()
    if recipe.run.init != "none":
        network.load_state_dict(read_weights(Path(recipe.run.init)))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.run.ema), use_buffers=True)  # type: ignore[no-untyped-call]
    optimizer = torch.optim.AdamW(parameter_groups(network, recipe.optim.weight_decay), lr=recipe.optim.lr, fused=True)
    progress = Progress()
    stored = read_checkpoint(out, recipe.to_yaml())
    if stored is not None:
        progress = Progress(**stored["progress"])
        network.load_state_dict(stored["network"])
        average.load_state_dict(stored["ema"])
        optimizer.load_state_dict(stored["optimizer"])
    network.to(memory_format=torch.channels_last)
    real = recipe.optim.batch - round(recipe.data.nonfaces * recipe.optim.batch)
    per_epoch = len(material.train) // real
    total = recipe.optim.epochs * per_epoch if recipe.optim.steps == "none" else recipe.optim.steps
    saved = time.monotonic()
    while progress.step < total:
        network.train()
        rows = _rows(material.train, real, recipe.run.seed, progress.step)
        lr = recipe.optim.lr * lr_factor(recipe.optim, progress.step, total)
        terms = _step(network, optimizer, recipe, material, rows, progress.step, lr)
        average.update_parameters(network)
        progress.step += 1
        for name, value in terms.items():
            progress.sums[name] = progress.sums.get(name, 0.0) + value
        judged = progress.step % JUDGE_EVERY == 0 or progress.step == total
        if judged:
            since = progress.step - (progress.log[-1]["step"] if progress.log else 0)
            row = {"step": progress.step} | {name: value / since for name, value in progress.sums.items()}
            row |= judge(average.module, material.faces, material.holdout, material.nonfaces[:NONFACES_JUDGE])
            progress.log.append(row)
            progress.sums = {}
            _write_log(out / LOG, progress.log)
            save_weights(average.module, out / LAST)
        if judged or time.monotonic() - saved > recipe.run.checkpoint:
            save_checkpoint(
                out, progress, recipe.to_yaml(), network=network, ema=average, optimizer=optimizer, scaler=None
            )
            saved = time.monotonic()
        if judged:
            say("  ".join(f"{name} {value:.4g}" for name, value in progress.log[-1].items()))
    network.load_state_dict(average.module.state_dict())
    return network.eval()


def prepare(recipe: LandmarkRecipe, out: Path, say: Say) -> Material:
    """Label and draw the faces, or read what was labelled and drawn before, and split them."""
    faces = _kept(out / LABELLED, lambda: _label(recipe, say))
    drawn = None
    if recipe.data.generated:
        seed = recipe.run.seed
        drawn = _kept(out / DRAWN, lambda: known(draw_set(recipe.data.generated, seed, labels="aus")))
    split = partition(
        np.zeros(len(faces), dtype=np.int64),
        faces.splits.tolist(),
        list(faces.hashes),
        [None] * len(faces),
        split="train",
        share=recipe.data.holdout,
        seed=recipe.run.seed,
        drop_leaks=True,
    )
    say(f"{len(split.train)} faces train, {len(split.holdout)} are held out, {len(split.leaks)} stand elsewhere too")
    flips, rows = faces.flip_errors, split.train
    pictures, points = [faces.pictures], [faces.points]
    if drawn is not None:
        pictures.append(drawn.pictures)
        points.append(drawn.points)
        flips = np.concatenate([flips, np.full(len(drawn), GENERATED_FIT)])
        rows = np.concatenate([rows, len(faces) + np.arange(len(drawn))])
    rng = np.random.default_rng(recipe.run.seed)
    return Material(
        pictures=torch.from_numpy(np.concatenate(pictures)),
        points=torch.from_numpy(np.concatenate(points)),
        flip_errors=torch.from_numpy(flips.astype(np.float32)),
        train=rows,
        holdout=split.holdout,
        nonfaces=torch.from_numpy(draw_nonfaces(NONFACES, faces.pictures[split.train], rng)),
        faces=faces,
    )


def parameter_groups(network: LandmarkNet, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay, biases and normalisation do not."""
    large = [value for value in network.parameters() if value.ndim >= 2]
    small = [value for value in network.parameters() if value.ndim < 2]
    return [{"params": large, "weight_decay": weight_decay}, {"params": small, "weight_decay": 0.0}]


def _step(
    network: LandmarkNet,
    optimizer: torch.optim.Optimizer,
    recipe: LandmarkRecipe,
    material: Material,
    rows: NDArray[np.int64],
    number: int,
    lr: float,
) -> dict[str, float]:
    """One update; what is random in it depends on the seed and the step's number."""
    generator = torch.Generator().manual_seed(recipe.run.seed * 2**32 + number)
    beside = recipe.optim.batch - len(rows)
    others = torch.randint(NONFACES_JUDGE, NONFACES, (beside,), generator=generator)
    chosen = torch.from_numpy(rows)
    pictures = torch.cat([material.pictures[chosen], material.nonfaces[others]])
    nowhere = torch.zeros(beside, 68, 2)
    crops, labels = make_views(pictures, torch.cat([material.points[chosen], nowhere]), recipe.views, generator)
    flip_errors = torch.cat([material.flip_errors[chosen], torch.ones(beside)])
    is_face = torch.arange(len(pictures)) < len(rows)
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.run.precision == "bf16"):
        points, errors, flips = network(crops.contiguous(memory_format=torch.channels_last))
    terms = losses(points, errors, flips, labels, flip_errors, is_face)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {name: value.item() for name, value in terms.items()}


def _rows(rows: NDArray[np.int64], size: int, seed: int, step: int) -> NDArray[np.int64]:
    """The faces of a step: every epoch in an order of its own, what does not fill a batch is left for the next."""
    epoch, place = divmod(step, len(rows) // size)
    return rows[_order(len(rows), seed, epoch)[place * size : (place + 1) * size]]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _label(recipe: LandmarkRecipe, say: Say) -> Faces:
    manifest = load_manifest(Path(recipe.data.manifest))
    teacher = Teacher(Path(recipe.data.teacher))
    return label(manifest, teacher, progress=lambda done, count: say(f"labelled {done} of {count}"))


def _kept(path: Path, make: Callable[[], Faces]) -> Faces:
    if not path.is_file():
        make().save(path)
    return Faces.load(path)


def _write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
