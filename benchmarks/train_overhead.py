"""What the engine costs over a bare PyTorch loop: same network, optimiser and uint8 batches from memory.

    python benchmarks/train_overhead.py --backbone resnet18 --size 48 --batch 64

The engine runs `Loop.epoch` of the method `baseline`, random changes switched off; the end of an epoch (judgement and
checkpoint) is left out. The bare loop turns uint8 into normalised floats, then forward, cross-entropy, backward, AdamW.
The two take turns on the same machine in one run; the ratio of each pair is free of what slows both.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from openfer.labels import label_set
from openfer.learn.checkpoint import Progress
from openfer.learn.engine import build_network, make_accelerator, make_batches, make_optimizer
from openfer.learn.loop import Loop, Run
from openfer.learn.method import build_method
from openfer.learn.pictures import Samples, TrainingData
from openfer.learn.recipe import Recipe, parse_recipe
from openfer.learn.record import Watch

BAR = 1.05
"""The largest median ratio, engine to bare loop, that the project allows itself."""

Batches = Sequence[NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Seconds of the same steps, one pair an item."""

    engine: list[float]
    bare: list[float]

    @property
    def ratios(self) -> list[float]:
        """Engine to bare loop, pair by pair."""
        return [engine / bare for engine, bare in zip(self.engine, self.bare, strict=True)]


class Steps(Loop):
    """The engine's epoch without its end, which judges and writes instead of learning."""

    def finish_epoch(self, steps_done: int) -> None:
        """Go on to the next epoch."""
        self.progress.epoch, self.progress.step, self.progress.sums = self.progress.epoch + 1, 0, {}


def make_recipe(backbone: str, size: int, batch: int, precision: str) -> Recipe:
    """The method `baseline` with everything random switched off that changes pictures."""
    return parse_recipe(
        {
            "method": {"name": "baseline"},
            "backbone": {"name": backbone, "size": size},
            "data": {"manifest": "in memory", "colour": "grey"},
            "augment": {"flip": 0.0},
            "optim": {"name": "adamw", "batch": batch, "schedule": "constant"},
            "run": {"precision": precision, "tensorboard": False},
        },
        "benchmark",
    )


def make_data(count: int, size: int, seed: int = 0) -> TrainingData:
    """Random grey pictures with random labels of FER+, all for training."""
    rng = np.random.default_rng(seed)
    labels = label_set("ferplus")
    classes = rng.integers(0, len(labels), count)
    samples = Samples(
        pixels=rng.integers(0, 256, (count, size, size, 1), dtype=np.uint8),
        targets=np.eye(len(labels), dtype=np.float32)[classes],
        labels=classes,
        rows=np.arange(count),
    )
    return TrainingData(
        labels=labels, samples=samples, train=np.arange(count), holdout=np.arange(0), facts={"rows": count}
    )


def make_run(recipe: Recipe, data: TrainingData, out: Path) -> Run:
    """The pieces that the engine's `train` would put together."""
    method, accelerator = build_method(recipe.method), make_accelerator(recipe)
    return Run(
        recipe=recipe,
        out=out,
        accelerator=accelerator,
        method=method,
        network=build_network(recipe, method, data, fresh=True),
        data=data,
        maker=make_batches(recipe, method, data, accelerator.device),
        watch=Watch(),
    )


def engine_side(run: Run, steps_in_all: int) -> Callable[[Batches], None]:
    """The engine's loop, ready to be given batches."""
    stage = run.method.stages()[0]
    network, optimizer = run.accelerator.prepare(run.network, make_optimizer(run, stage))
    loop = Steps(run, stage, Progress(), network, None, optimizer, steps_in_all)
    return loop.epoch


def bare_side(run: Run, network: nn.Module) -> Callable[[Batches], None]:
    """What one would write by hand: the same pictures, the same network, nothing else."""
    device, optim = run.accelerator.device, run.recipe.optim
    pixels = torch.from_numpy(run.data.samples.pixels).permute(0, 3, 1, 2)  # [N, 1, S, S] uint8
    labels = torch.from_numpy(run.data.samples.labels)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (run.maker.mean, run.maker.std))
    network = network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=optim.lr, weight_decay=optim.weight_decay)
    half = run.accelerator.mixed_precision == "bf16"

    def image(chosen: Tensor) -> Tensor:
        scaled = pixels[chosen].to(device).float().div_(255)
        return ((scaled - mean) / std).contiguous(memory_format=torch.channels_last)

    def steps(batches: Batches) -> None:
        network.train()
        for batch in batches:
            chosen = torch.from_numpy(batch)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                logits = network(image(chosen)).logits
            loss = nn.functional.cross_entropy(logits.float(), labels[chosen].to(device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return steps


def batches_of(count: int, batch: int, steps: int) -> Iterator[Batches]:
    """Lists of `steps` batches, without end: numbers of samples in random order."""
    rng = np.random.default_rng(0)
    while True:
        yield [rng.choice(count, batch, replace=False) for _ in range(steps)]


def seconds(side: Callable[[Batches], None], batches: Batches) -> float:
    """How long a side takes for these batches, a GPU's unfinished work included."""
    start = time.perf_counter()
    side(batches)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(recipe: Recipe, *, pairs: int, steps: int, warmup: int = 5) -> Pair:
    """Time both sides in turns; who goes first changes from pair to pair.

    Args:
        recipe: what both sides train.
        pairs: how often each side has its turn.
        steps: updates a turn.
        warmup: updates of each side before the first turn.
    """
    batch, count = recipe.optim.batch, 32 * recipe.optim.batch
    result = Pair(engine=[], bare=[])
    with tempfile.TemporaryDirectory() as out:
        run = make_run(recipe, make_data(count, recipe.backbone.size), Path(out))
        # The copy is made before Accelerate wraps the network's `forward`.
        bare, engine = bare_side(run, copy.deepcopy(run.network)), engine_side(run, warmup + (pairs + 1) * steps)
        for side in (engine, bare):
            seconds(side, next(batches_of(count, batch, warmup)))
        for number, batches in zip(range(pairs), batches_of(count, batch, steps), strict=False):
            turns: list[tuple[Callable[[Batches], None], list[float]]] = [(engine, result.engine), (bare, result.bare)]
            for side, times in turns if number % 2 == 0 else reversed(turns):
                times.append(seconds(side, batches))
    return result


def show(pair: Pair, recipe: Recipe, steps: int) -> None:
    """Print the table."""
    batch, name = recipe.optim.batch, f"{recipe.backbone.name}, {recipe.backbone.size} px, batch {recipe.optim.batch}"
    table = Table(title=f"{name}: {len(pair.ratios)} pairs of {steps} steps, {torch.get_num_threads()} threads")
    for column in ("loop", "ms a step", "pictures/s", "ratio: median", "min", "max", f"at most {BAR}"):
        table.add_column(column, justify="left" if column == "loop" else "right")
    low, middle, high = min(pair.ratios), statistics.median(pair.ratios), max(pair.ratios)
    verdict = "yes" if middle <= BAR else "NO"
    tails: dict[str, list[Any]] = {"bare": ["", "", "", ""], "engine": [middle, low, high, verdict]}
    for side, times in (("bare", pair.bare), ("engine", pair.engine)):
        step = statistics.median(times) / steps
        tail = [value if isinstance(value, str) else f"{value:.3f}" for value in tails[side]]
        table.add_row(side, f"{1000 * step:.2f}", f"{batch / step:.0f}", *tail)
    Console(width=110).print(table)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18", help="any name that timm knows")
    parser.add_argument("--size", type=int, default=48, help="side of the pictures, pixels")
    parser.add_argument("--batch", type=int, default=64, help="pictures a step")
    parser.add_argument("--pairs", type=int, default=15, help="turns of each side")
    parser.add_argument("--steps", type=int, default=10, help="steps a turn")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of both sides")
    options = parser.parse_args()
    recipe = make_recipe(options.backbone, options.size, options.batch, options.precision)
    show(measure(recipe, pairs=options.pairs, steps=options.steps), recipe, options.steps)


if __name__ == "__main__":
    main()
