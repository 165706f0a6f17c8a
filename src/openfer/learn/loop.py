"""The inner loop of a stage: steps, epochs, their judgement, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel

from openfer.learn.batches import BatchMaker
from openfer.learn.chance import number
from openfer.learn.checkpoint import BEST, HOLDOUT, LAST, Progress, save_checkpoint, save_weights
from openfer.learn.distillation import Teachers
from openfer.learn.judge import BATCH, Held, answers, scores
from openfer.learn.method import Method, Stage, StepState
from openfer.learn.pictures import TrainingData
from openfer.learn.recipe import Recipe
from openfer.learn.record import Watch, write_log
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
    teachers: Teachers | None = None


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
            # BatchNorm statistics stand still, too.
            self.plain.get_submodule(prefix).train(prefix in self.stage.restless)
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
        reseed(number((run.recipe.run.seed, *key, accelerator.process_index)), accelerator.device)
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
                with self.precision():
                    terms = run.method.losses(self.plain, batch, output, self.stage)
                if run.teachers is not None:
                    with accelerator.autocast():
                        terms = {**terms, "distillation": run.teachers.loss(batch["image"], output.logits)}
                # Parts of a step that does not divide evenly count by their pictures.
                weight = len(batch["label"]) / share / optim.accumulate
                accelerator.backward(sum(terms.values()) * weight)
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

    def precision(self) -> AbstractContextManager[None]:
        """In which a method's losses are computed; its network has the recipe's anyway."""
        return self.run.accelerator.autocast() if self.run.method.half_losses else nullcontext()

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

    def all_sums(self) -> dict[str, float]:
        """The epoch's sums over all processes."""
        if self.run.accelerator.num_processes == 1:
            return self.progress.sums
        every = gather_object([self.progress.sums])
        return {name: sum(part.get(name, 0.0) for part in every) for name in every[0]}

    def finish_epoch(self, steps_done: int) -> None:
        """Judge the epoch, keep the weights if they are the best, write the log and a checkpoint."""
        run, progress = self.run, self.progress
        judged = self.plain if self.ema is None else self.ema.module
        held, answered = self.judge(judged)
        score = epoch_score(run.recipe.run.select, held)
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
        progress.sums = self.all_sums()
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
        with self.precision():
            own = run.method.validate(network, lambda: run.maker.judge(run.data.holdout, BATCH), self.stage)
        if own is not None:
            return own, None
        used = run.method.export_network(network)
        held = answers(used, run.maker, run.data.holdout, accelerator.process_index, accelerator.num_processes)
        return scores(held), held

    def save(self) -> None:
        """Write the checkpoint."""
        if self.run.accelerator.is_main_process:
            recipe = self.run.recipe.to_yaml()
            save_checkpoint(
                self.run.out,
                self.progress,
                recipe,
                network=self.plain,
                ema=self.ema,
                optimizer=self.optimizer,
                scaler=self.run.accelerator.scaler,
            )


def epoch_score(select: str, held: dict[str, float]) -> float:
    """What an epoch is chosen by, higher is better; 0 where nothing was measured or the last epoch counts anyway."""
    value = held.get(select, 0.0)
    return -value if select == "loss" else value


def reseed(seed: int, device: torch.device) -> None:
    """Seed what a step draws from, such as dropout: to the same numbers as `torch.manual_seed`, which takes 0.7 ms.

    It formats a stack trace for each kind of device that is absent.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


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
