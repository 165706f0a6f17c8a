"""The training loop, over Accelerate: stages, epochs, checkpoints, resume.

Read it from `train` down. What is random depends on (seed, stage, epoch, step, sample) alone, and a checkpoint holds
the rest, so a run that was killed ends with the same bits as one that was not (on a CPU).
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from openfer.errors import ConfigError
from openfer.learn.backbones import check_size, load_initial, normalisation
from openfer.learn.batches import BatchMaker
from openfer.learn.checkpoint import BEST, Progress, read_checkpoint
from openfer.learn.convolutions import quicken
from openfer.learn.distillation import load_teachers
from openfer.learn.loop import Loop, Run
from openfer.learn.method import Method, Stage, Task, build_method
from openfer.learn.optimizers import KerasAdam
from openfer.learn.pictures import TrainingData, load_training_data
from openfer.learn.recipe import Recipe
from openfer.learn.record import Watch, begin_folder, check_folder, check_same_data, close_log, remove_leftovers


def train(recipe: Recipe, out: Path, *, resume: bool = False, watch: Watch | None = None) -> Progress:
    """Train a recipe.

    Args:
        recipe: what to train on what.
        out: the run's folder: `best.safetensors`, `last.safetensors`, `recipe.yaml`, `run.json`, `log.csv`, ...
        resume: go on from the folder's checkpoint; afresh where there is none.
        watch: is told of every step and epoch.

    Returns:
        the finished progress, its log included.

    Raises:
        ConfigError, DataError, ModelError: what the recipe names does not hold; `out` holds another run.
    """
    watch = watch or Watch()
    method = build_method(recipe.method)
    accelerator = make_accelerator(recipe)
    check_folder(out, resume)
    checkpoint = read_checkpoint(out, recipe.to_yaml()) if resume else None
    data = load_training_data(recipe.data, recipe.backbone.size, recipe.run.seed, watch.cut, method.inputs)
    teachers = load_teachers(recipe, data.labels)
    if teachers is not None:
        data = replace(data, facts={**data.facts, "teachers": teachers.names})
    if checkpoint is not None:
        check_same_data(out, data)
    network = build_network(recipe, method, data, fresh=checkpoint is None, note=watch.note)
    if accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16":
        quicken(network)
        if teachers is not None:
            quicken(teachers)
    run = Run(
        recipe=recipe,
        out=out,
        accelerator=accelerator,
        method=method,
        network=network,
        data=data,
        maker=make_batches(recipe, method, data, accelerator.device),
        watch=watch,
        teachers=None if teachers is None else teachers.to(accelerator.device),
    )
    accelerator.wait_for_everyone()  # nobody checks the folder when the first begins to write
    if accelerator.is_main_process:
        for note in method.notes(run.network):
            watch.note(note)
        remove_leftovers(out)
        if checkpoint is None:
            begin_folder(out, recipe, data)
    progress = Progress(**checkpoint["progress"]) if checkpoint else Progress()
    if not accelerator.is_main_process:
        progress.sums = {}  # those of a checkpoint are the first process's
    stages = method.stages()
    while progress.stage < len(stages):
        train_stage(run, stages[progress.stage], progress, checkpoint)
        checkpoint = None
        progress.stage, progress.epoch, progress.step = progress.stage + 1, 0, 0
        progress.sums, progress.best_score, progress.best_epoch = {}, None, None
    close_log(out)
    accelerator.wait_for_everyone()  # nobody leaves while another still writes
    return progress


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Devices, processes and precision."""
    cpu = recipe.run.device == "cpu" or not torch.cuda.is_available()
    wanted = recipe.run.precision
    if wanted == "auto":
        wanted = "bf16" if not cpu and torch.cuda.is_bf16_supported() else "fp32"
    try:
        accelerator = Accelerator(cpu=cpu, mixed_precision="no" if wanted == "fp32" else wanted)
    except ValueError as error:  # one process has one precision and one kind of device
        raise ConfigError(f"run.precision: {wanted} is not possible here ({error})") from error
    parts = accelerator.num_processes * recipe.optim.accumulate
    if recipe.optim.batch % parts:
        raise ConfigError(f"optim.batch: {recipe.optim.batch} pictures do not divide into {parts} equal parts")
    if accelerator.num_processes > 1:
        atexit.register(_leave_group)
    return accelerator


def _leave_group() -> None:
    # While Python still runs: threads of a group that is left to the interpreter's end may abort the process.
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def build_network(
    recipe: Recipe,
    method: Method,
    data: TrainingData,
    *,
    fresh: bool,
    note: Callable[[str], None] = lambda text: None,
) -> nn.Module:
    """The method's network, its weights from the seed and from `init` (not for a resumed run: they are on disk)."""
    torch.manual_seed(recipe.run.seed)
    counts = np.bincount(data.samples.labels[data.train], minlength=len(data.labels))
    backbone = recipe.backbone if fresh else replace(recipe.backbone, init="none")
    network = method.network(Task(labels=data.labels, backbone=backbone, class_counts=counts))
    if fresh:
        load_initial(network, recipe.backbone, data.labels, note)
    check_size(network, recipe.backbone)
    return network.to(memory_format=torch.channels_last)


def make_batches(recipe: Recipe, method: Method, data: TrainingData, device: torch.device) -> BatchMaker:
    """Samples -> the network's batches.

    Raises:
        ConfigError: random changes that move pictures and leave their landmarks behind.
    """
    if "landmarks" in method.inputs and (recipe.augment.randaugment[0] or recipe.augment.mixup):
        name, off = ("randaugment", "[0, 0, 0]") if recipe.augment.randaugment[0] else ("mixup", "0")
        raise ConfigError(
            f"augment.{name}: would change pictures without their landmarks, which '{method.name}' reads; set it to "
            f"{off} and use augment.affine"
        )
    mean, std = normalisation(recipe.backbone.name)
    return BatchMaker(
        samples=data.samples,
        augment=recipe.augment,
        mean=mean,
        std=std,
        inputs=method.inputs,
        device=device,
        seed=recipe.run.seed,
    )


def train_stage(run: Run, stage: Stage, progress: Progress, checkpoint: dict[str, Any] | None) -> None:
    """All epochs of a stage, from where `progress` stands."""
    recipe, accelerator = run.recipe, run.accelerator
    if progress.stage > 0 and checkpoint is None:
        accelerator.wait_for_everyone()  # until the best weights are written
        run.network.load_state_dict(load_file(run.out / BEST))
    if checkpoint is not None:
        run.network.load_state_dict(checkpoint["network"])
    freeze(run.network, stage)
    network, optimizer = accelerator.prepare(run.network, make_optimizer(run, stage))
    ema = make_ema(accelerator.unwrap_model(network), recipe)
    if checkpoint is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
        if ema is not None:
            ema.load_state_dict(checkpoint["ema"])
        if accelerator.scaler is not None and checkpoint["scaler"] is not None:
            accelerator.scaler.load_state_dict(checkpoint["scaler"])
    sampler = run.method.sampler(run.data.samples.labels[run.data.train], recipe.optim.batch, recipe.run.seed)
    steps = sampler.epoch(0)
    parts, fewest = accelerator.num_processes * recipe.optim.accumulate, min(map(len, steps))
    if fewest < parts:
        raise ConfigError(f"optim.accumulate: a step of {fewest} pictures does not divide into {parts} parts")
    epochs, total = length(recipe, stage, len(steps))
    loop = Loop(run, stage, progress, network, ema, optimizer, total)
    if checkpoint is None and progress.stage > 0:
        loop.save()  # from here on the weights of this stage are the ones to go on from
    while progress.epoch < epochs:
        loop.epoch(sampler.epoch(progress.epoch))


def length(recipe: Recipe, stage: Stage, steps_per_epoch: int) -> tuple[int, int]:
    """Epochs and steps of a stage."""
    if stage.epochs is None and recipe.optim.steps != "none":
        return ceil(recipe.optim.steps / steps_per_epoch), recipe.optim.steps
    epochs = recipe.optim.epochs if stage.epochs is None else stage.epochs
    return epochs, epochs * steps_per_epoch


def freeze(network: nn.Module, stage: Stage) -> None:
    """Let the parameters of a stage's frozen modules stand still, and all others move."""
    names = [name for name, _ in network.named_modules()]
    for prefix in stage.frozen:
        if prefix not in names:
            raise ConfigError(f"stage '{stage.name}': frozen module '{prefix}' does not exist in the network")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not any(name.startswith(f"{prefix}.") for prefix in stage.frozen))


def make_optimizer(run: Run, stage: Stage) -> torch.optim.Optimizer:
    """The optimiser over the method's groups; each group keeps its `lr_scale` and `clip`."""
    optim = run.recipe.optim
    groups = [group for group in run.method.param_groups(run.network, optim.weight_decay) if group["params"]]
    groups = [{"lr_scale": 1.0, "clip": 0.0, **group} for group in groups]
    for group in groups:
        group["lr_scale"] *= stage.lr_scale
    if optim.name == "sgd":
        return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum)
    if optim.name == "adam_keras":
        return KerasAdam(groups, lr=optim.lr)
    kind = torch.optim.AdamW if optim.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=optim.lr, fused=True)  # one pass over the weights: a fifth of the time on a CPU


def make_ema(network: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The moving average of weights and BatchNorm statistics, where the recipe wants one."""
    if recipe.run.ema == "none":
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.run.ema), use_buffers=True)  # type: ignore[no-untyped-call]
