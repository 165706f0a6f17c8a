"""What a method costs over `baseline`: a training step with the same backbone and as many views, all in one run.

    python benchmarks/method_overhead.py arm adcorre mek --backbone resnet18 --size 48 --output-stride 8

Every side runs the engine's own epoch without its end. How many views a method has is counted: the pictures that its
first layer sees in a step. `baseline` then gets as many pictures a step. The sides take turns; the ratio of each round
is free of what slows both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from train_overhead import Batches, engine_side, make_data, make_run, seconds

from openfer.learn.recipe import Recipe, parse_recipe

BAR = 1.25
"""The largest median ratio, method to baseline, that the project allows itself."""
BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True)
class Side:
    """A method at work.

    Args:
        name: of the method.
        views: of each picture that its network sees in a step.
        steps: runs batches of sample numbers.
        times: seconds of each turn.
    """

    name: str
    views: int
    steps: Callable[[Batches], None]
    times: list[float] = field(default_factory=list)


def make_recipe(method: str, backbone: str, size: int, output_stride: int, batch: int, precision: str) -> Recipe:
    """A method with its own options, and nothing random that changes pictures."""
    network = {"name": backbone, "size": size} | ({"output_stride": output_stride} if output_stride else {})
    return parse_recipe(
        {
            "method": {"name": method},
            "backbone": network,
            "data": {"manifest": "in memory", "colour": "grey"},
            "augment": {"flip": 0.0},
            "optim": {"name": "adamw", "batch": batch, "schedule": "constant"},
            "run": {"precision": precision, "tensorboard": False},
        },
        "benchmark",
    )


def make_side(recipe: Recipe, name: str, count: int, out: Path) -> Side:
    """A method's loop, warmed up, its views counted."""
    run = make_run(recipe, make_data(count, recipe.backbone.size), out)
    steps = engine_side(run, 1_000_000)
    first = next(module for module in run.network.modules() if isinstance(module, nn.Conv2d))
    seen: list[int] = []

    def count_pictures(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(len(inputs[0]))

    hook = first.register_forward_pre_hook(count_pictures)
    steps([np.arange(recipe.optim.batch)])
    hook.remove()
    return Side(name=name, views=round(sum(seen) / recipe.optim.batch), steps=steps)


def measure(
    methods: Sequence[str], recipe_of: Callable[[str, int], Recipe], batch: int, *, rounds: int, steps: int
) -> list[Side]:
    """Time all sides in turns.

    Args:
        methods: names.
        recipe_of: method and pictures a step -> recipe.
        batch: pictures a step of a method.
        rounds: turns of each side.
        steps: updates a turn.

    Returns:
        the methods, and before them a `baseline` for each number of views that they have.
    """
    count = 32 * batch
    with tempfile.TemporaryDirectory() as out:
        sides = [make_side(recipe_of(name, batch), name, count, Path(out)) for name in methods]
        views = sorted({side.views for side in sides} | {1})
        plain = [make_side(recipe_of(BASELINE, batch * number), BASELINE, count, Path(out)) for number in views]
        plain = [Side(name=BASELINE, views=number, steps=side.steps) for side, number in zip(plain, views, strict=True)]
        rng = np.random.default_rng(0)
        everyone = plain + sides
        for turn in range(rounds + 1):  # the first one warms up
            for side in everyone if turn % 2 else reversed(everyone):
                wide = batch * side.views if side.name == BASELINE else batch
                batches = [rng.choice(count, wide, replace=False) for _ in range(steps)]
                taken = cost(side.steps, batches)
                if turn:
                    side.times.append(taken)
    return everyone


def cost(steps: Callable[[Batches], None], batches: Batches) -> float:
    """Seconds of these batches: the clock's with a GPU, else the processor's, which other programs hardly change."""
    if torch.cuda.is_available():
        return seconds(steps, batches)
    begun = time.process_time()
    steps(batches)
    return time.process_time() - begun


def ratios(side: Side, sides: Sequence[Side]) -> list[float]:
    """A method to the baseline with as many views, round by round."""
    plain = next(other for other in sides if other.name == BASELINE and other.views == side.views)
    return [own / other for own, other in zip(side.times, plain.times, strict=True)]


def show(sides: Sequence[Side], title: str, steps: int) -> None:
    """Print the table."""
    table = Table(title=title)
    for column in (
        "method",
        "views",
        "ms a step" if torch.cuda.is_available() else "CPU ms a step",
        "ratio: median",
        "min",
        "max",
        f"at most {BAR}",
    ):
        table.add_column(column, justify="left" if column == "method" else "right")
    for side in sides:
        step = statistics.median(side.times) / steps
        tail = [""] * 4
        if side.name != BASELINE:
            got = ratios(side, sides)
            middle = statistics.median(got)
            tail = [f"{value:.3f}" for value in (middle, min(got), max(got))] + ["yes" if middle <= BAR else "NO"]
        table.add_row(side.name, str(side.views), f"{1000 * step:.1f}", *tail)
    Console(width=100).print(table)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", help="names, such as arm")
    parser.add_argument("--backbone", default="resnet18", help="any name that timm knows")
    parser.add_argument("--size", type=int, default=48, help="side of the pictures, pixels")
    parser.add_argument("--output-stride", type=int, default=8, help="pixels per cell of the last map; 0 = its own")
    parser.add_argument("--batch", type=int, default=64, help="pictures a step")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side")
    parser.add_argument("--steps", type=int, default=3, help="steps a turn")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of all sides")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0 = its own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    def recipe_of(method: str, batch: int) -> Recipe:
        return make_recipe(method, options.backbone, options.size, options.output_stride, batch, options.precision)

    sides = measure(options.methods, recipe_of, options.batch, rounds=options.rounds, steps=options.steps)
    where = f"{options.backbone}, {options.size} px, output stride {options.output_stride or 'its own'}"
    title = f"{where}, batch {options.batch}: {options.rounds} rounds of {options.steps} steps"
    show(sides, f"{title}, {torch.get_num_threads()} threads", options.steps)


if __name__ == "__main__":
    main()
