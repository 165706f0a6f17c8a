"""The training loop, over Accelerate: stages, epochs, checkpoints, resume.

Read it from `train` down. What is random depends on (seed, stage, epoch, step, sample) alone, and a checkpoint holds
the rest, so a run that was killed ends with the same bits as one that was not (on a CPU).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from openfer.errors import ConfigError
from openfer.learn.backbones import load_initial, normalisation
from openfer.learn.chance import number
from openfer.learn.checkpoint import BEST, HOLDOUT, LAST, Progress, read_checkpoint, save_checkpoint, save_weights
from openfer.learn.judge import BATCH, Held, answers, scores
from openfer.learn.method import Method, Stage, StepState, Task, build_method
from openfer.learn.pictures import BatchMaker, TrainingData, load_training_data
from openfer.learn.recipe import Recipe
from openfer.learn.record import Watch, close_log, open_log, prepare_folder, write_log
from openfer.learn.schedule import lr_factor


@dataclass(frozen=True, kw_only=True)
class Run:
    """The pieces of one training; what moves is in `network` and `Progress`."""

    recipe: Recipe
    out: Path
    accelerator: Accelerator
    method: Method
    network: nn.Module
    data: TrainingData
    maker: BatchMaker
    watch: Watch


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
    prepare_folder(out, recipe, resume)
    checkpoint = read_checkpoint(out, recipe.to_yaml()) if resume else None
    data = load_training_data(recipe.data, recipe.backbone.size, recipe.run.seed, watch.cut)
    if checkpoint is None and accelerator.is_main_process:
        open_log(out, recipe, data)
    run = Run(
        recipe=recipe,
        out=out,
        accelerator=accelerator,
        method=method,
        network=build_network(recipe, method, data, fresh=checkpoint is None),
        data=data,
        maker=make_batches(recipe, method, data, accelerator.device),
        watch=watch,
    )
    progress = Progress(**checkpoint["progress"]) if checkpoint else Progress()
    stages = method.stages()
    while progress.stage < len(stages):
        train_stage(run, stages[progress.stage], progress, checkpoint)
        checkpoint = None
        progress.stage, progress.epoch, progress.step = progress.stage + 1, 0, 0
        progress.sums, progress.best_score, progress.best_epoch = {}, None, None
    close_log(out)
    return progress


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Devices, processes and precision."""
    cpu = recipe.run.device == "cpu" or not torch.cuda.is_available()
    wanted = recipe.run.precision
    if wanted == "auto":
        wanted = "bf16" if not cpu and torch.cuda.is_bf16_supported() else "fp32"
    accelerator = Accelerator(cpu=cpu, mixed_precision="no" if wanted == "fp32" else wanted)
    parts = accelerator.num_processes * recipe.optim.accumulate
    if recipe.optim.batch % parts:
        raise ConfigError(f"optim.batch: {recipe.optim.batch} pictures do not divide into {parts} equal parts")
    return accelerator


def build_network(recipe: Recipe, method: Method, data: TrainingData, *, fresh: bool) -> nn.Module:
    """The method's network, its weights from the seed and from `init` (not for a resumed run: they are on disk)."""
    torch.manual_seed(recipe.run.seed)
    counts = np.bincount(data.samples.labels[data.train], minlength=len(data.labels))
    backbone = recipe.backbone if fresh else replace(recipe.backbone, init="none")
    network = method.network(Task(labels=data.labels, backbone=backbone, class_counts=counts))
    if fresh:
        load_initial(network, recipe.backbone)
    return network.to(memory_format=torch.channels_last)


def make_batches(recipe: Recipe, method: Method, data: TrainingData, device: torch.device) -> BatchMaker:
    """Samples -> the network's batches."""
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
    sampler = run.method.sampler(run.data.samples.labels[run.data.train], recipe.optim.batch, recipe.run.seed)
    epochs, total = length(recipe, stage, len(sampler.epoch(0)))
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
    kind = torch.optim.AdamW if optim.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=optim.lr)


def make_ema(network: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The moving average of weights and BatchNorm statistics, where the recipe wants one."""
    if recipe.run.ema == "none":
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.run.ema), use_buffers=True)  # type: ignore[no-untyped-call]


@dataclass
class Loop:
    """The inner loop of one stage: epochs and steps over what `accelerator.prepare` returned."""

    run: Run
    stage: Stage
    progress: Progress
    network: nn.Module
    ema: AveragedModel | None
    optimizer: Any
    total: int

    def epoch(self, batches: Sequence[NDArray[np.int64]]) -> None:
        """The rest of an epoch, then its judgement and a checkpoint."""
        progress, run = self.progress, self.run
        self.network.train()
        for prefix in self.stage.frozen:
            self.plain.get_submodule(prefix).eval()  # BatchNorm statistics stand still, too
        done = progress.epoch * len(batches)
        saved = time.monotonic()
        sums: dict[str, torch.Tensor] = {}
        for index in range(progress.step, min(len(batches), self.total - done)):
            self.step(run.data.train[batches[index]], done + index, sums)
            progress.step = index + 1
            due = time.monotonic() - saved > run.recipe.run.checkpoint
            if due or progress.step % 10 == 0:
                self.collect(sums)
                run.watch.step(progress, len(batches), self.total)
            if due:
                self.save()
                saved = time.monotonic()
        self.collect(sums)
        self.finish_epoch(done + progress.step)

    def step(self, chosen: NDArray[np.int64], number_of_step: int, sums: dict[str, torch.Tensor]) -> None:
        """One update of the weights."""
        run, progress = self.run, self.progress
        accelerator, optim = run.accelerator, run.recipe.optim
        key = (progress.stage, progress.epoch, number_of_step)
        torch.manual_seed(number((run.recipe.run.seed, *key, accelerator.process_index)))
        factor = lr_factor(optim, number_of_step, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = optim.lr * group["lr_scale"] * factor
        share = len(chosen) / accelerator.num_processes / optim.accumulate
        first = accelerator.process_index * optim.accumulate
        for part in range(optim.accumulate):
            piece = slice(round((first + part) * share), round((first + part + 1) * share))
            batch = run.maker.train(chosen, key, piece)
            last = part == optim.accumulate - 1
            with nullcontext() if last else accelerator.no_sync(self.network):
                output = self.network(**{name: batch[name] for name in run.method.inputs})
                terms = run.method.losses(self.plain, batch, output, self.stage)
                accelerator.backward(sum(terms.values()) / optim.accumulate)
            add_sums(sums, terms, output.logits, batch["label"])
        self.clip()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state = StepState(
            network=self.plain, batch=batch, output=output, stage=self.stage, epoch=progress.epoch, step=number_of_step
        )
        run.method.after_step(state)
        if self.ema is not None:
            self.ema.update_parameters(self.plain)

    @property
    def plain(self) -> nn.Module:
        """The method's own network, without what `accelerator.prepare` wrapped around it."""
        return self.run.network

    def clip(self) -> None:
        """Bound the gradients: each group by its own `clip`, else all by the recipe's."""
        limits = [group["clip"] or self.run.recipe.optim.clip for group in self.optimizer.param_groups]
        if not any(limits):
            return
        self.run.accelerator.unscale_gradients(self.optimizer)
        own = [group for group in self.optimizer.param_groups if group["clip"]]
        rest = [p for group in self.optimizer.param_groups if not group["clip"] for p in group["params"]]
        for group in own:
            nn.utils.clip_grad_norm_(group["params"], group["clip"])
        if self.run.recipe.optim.clip and rest:
            nn.utils.clip_grad_norm_(rest, self.run.recipe.optim.clip)

    def collect(self, sums: dict[str, torch.Tensor]) -> None:
        """Move what the device has summed into the progress; the only place where a step waits for the device."""
        for name, value in sums.items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + float(value)
        sums.clear()

    def finish_epoch(self, steps_done: int) -> None:
        """Judge the epoch, keep the weights if they are the best, write the log and a checkpoint."""
        run, progress = self.run, self.progress
        judged = self.plain if self.ema is None else self.ema.module
        held, answered = self.judge(judged)
        score = {"loss": -held.get("loss", 0.0), "last": 0.0}.get(run.recipe.run.select)
        score = held.get(run.recipe.run.select, 0.0) if score is None else score
        lead = run.accelerator.is_main_process
        # Without a holdout, or by wish, the last epoch counts; otherwise the first of equals.
        if progress.best_score is None or score > progress.best_score or not held or run.recipe.run.select == "last":
            progress.best_score, progress.best_epoch = score, progress.epoch
            if lead:
                save_weights(judged, run.out / BEST)
                if answered is not None:
                    answered.save(run.out / HOLDOUT)
        if lead:
            save_weights(judged, run.out / LAST)
        progress.log.append(epoch_row(progress, self.stage, steps_done, held, self.optimizer))
        progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, {}
        if lead:
            write_log(run.out, progress.log, run.recipe.run.tensorboard)
        self.save()
        run.watch.epoch(progress)

    def judge(self, network: nn.Module) -> tuple[dict[str, float], Held | None]:
        """Scores of the holdout (empty without one), and the answers behind them where the engine made them."""
        run, accelerator = self.run, self.run.accelerator
        if not len(run.data.holdout):
            return {}, None
        network.eval()
        own = run.method.validate(network, lambda: run.maker.judge(run.data.holdout, BATCH))
        if own is not None:
            return own, None
        held = answers(network, run.maker, run.data.holdout, accelerator.process_index, accelerator.num_processes)
        return scores(held), held

    def save(self) -> None:
        """Write the checkpoint."""
        if self.run.accelerator.is_main_process:
            recipe = self.run.recipe.to_yaml()
            save_checkpoint(self.run.out, self.progress, recipe, self.plain, self.ema, self.optimizer)


def add_sums(
    sums: dict[str, torch.Tensor], terms: dict[str, torch.Tensor], logits: torch.Tensor, label: torch.Tensor
) -> None:
    """Add a part's loss terms (weighted by its pictures), right answers and pictures, without waiting for them."""
    count = len(label)
    values = {f"loss_{name}": value.detach().double() * count for name, value in terms.items()}
    values["right"] = (logits.detach().argmax(1) == label).sum()
    values["count"] = torch.tensor(count)
    for name, value in values.items():
        sums[name] = sums[name] + value if name in sums else value


def epoch_row(
    progress: Progress, stage: Stage, steps_done: int, held: dict[str, float], optimizer: Any
) -> dict[str, Any]:
    """A row of `log.csv`."""
    sums = progress.sums
    count = max(1.0, sums.get("count", 0.0))
    row: dict[str, Any] = {"stage": stage.name, "epoch": progress.epoch + 1, "steps": steps_done}
    row["lr"] = max(group["lr"] for group in optimizer.param_groups)
    row |= {f"train_{name}": value / count for name, value in sums.items() if name.startswith("loss_")}
    row["train_accuracy"] = sums.get("right", 0.0) / count
    row |= {f"holdout_{name}": value for name, value in held.items()}
    row["best_epoch"] = (progress.best_epoch or 0) + 1
    return row
