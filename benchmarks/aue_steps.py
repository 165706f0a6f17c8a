"""What a training step of each stage of `aue` costs beside the backbone's own, and whether the published size fits.

    python benchmarks/aue_steps.py aue/cpu
    python benchmarks/aue_steps.py --published

The first trains a recipe's network with the engine's own epochs, without their ends, on random pictures whose landmarks
are those of the mean face; `baseline` with the same backbone, pictures and optimiser is the backbone's own step. The
sides take turns. The second builds the 478 million parameters of `aue/rafdb`, does a step of each stage, and writes and
opens the graph. Peak memory is the process's, PyTorch included.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from method_overhead import BASELINE, cost
from rich.console import Console
from rich.table import Table
from torch import nn
from train_overhead import Batches, Steps, make_data, make_run

from openfer.cli.listing import recipe_path
from openfer.learn.checkpoint import Progress
from openfer.learn.engine import freeze, make_optimizer
from openfer.learn.export import to_onnx
from openfer.learn.graph_file import write_graph
from openfer.learn.half import halve_initialisers
from openfer.learn.loop import Run
from openfer.learn.method import Output, Stage
from openfer.learn.pictures import TrainingData
from openfer.learn.recipe import MethodChoice, Recipe, load_recipe
from openfer.runtime import session
from openfer.vision.mean_face import mean_face

PUBLISHED = "aue/rafdb"
LIMIT = 20
"""GB of memory that the published network may take for a step of each stage and its export."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A stage at work.

    Args:
        name: of the stage, or `baseline`.
        learning: parameters that move.
        steps: runs batches of sample numbers.
        times: seconds of each turn.
    """

    name: str
    learning: int
    steps: Callable[[Batches], None]
    times: list[float] = field(default_factory=list)


def bare(recipe: Recipe, batch: int) -> Recipe:
    """A recipe without what is not measured: weights from elsewhere, moving averages, half precision."""
    return replace(
        recipe,
        backbone=replace(recipe.backbone, init="none"),
        optim=replace(recipe.optim, batch=batch, schedule="constant"),
        run=replace(recipe.run, ema="none", precision="fp32", tensorboard=False),
    )


def data_of(recipe: Recipe, count: int) -> TrainingData:
    """Random pictures, each with the mean face's landmarks a little moved."""
    data = make_data(count, recipe.backbone.size)
    moved = mean_face("fer2013") + np.random.default_rng(0).normal(0, 0.02, (count, 68, 2))
    return replace(data, samples=replace(data.samples, landmarks=moved.astype(np.float32)))


def side_of(run: Run, stage: Stage, name: str) -> Side:
    """A stage of a run, ready to be given batches."""
    freeze(run.network, stage)
    network, optimizer = run.accelerator.prepare(run.network, make_optimizer(run, stage))
    loop = Steps(run, stage, Progress(), network, None, optimizer, 1_000_000)
    return Side(name=name, learning=size_of(run.network, learning=True), steps=loop.epoch)


def size_of(network: nn.Module, *, learning: bool = False) -> int:
    """Parameters, or those that move."""
    return sum(value.numel() for value in network.parameters() if value.requires_grad or not learning)


def measure(recipe: Recipe, *, rounds: int, steps: int) -> list[Side]:
    """Time `baseline` and every stage in turns.

    Args:
        recipe: of `aue`, made `bare`.
        rounds: turns of each side.
        steps: updates a turn.
    """
    batch, count = recipe.optim.batch, 8 * recipe.optim.batch
    data = data_of(recipe, count)
    with tempfile.TemporaryDirectory() as out:
        plain = make_run(replace(recipe, method=MethodChoice(name=BASELINE)), data, Path(out))
        sides = [side_of(plain, Stage(), BASELINE)]
        for number in range(len(make_run(recipe, data, Path(out)).method.stages())):
            run = make_run(recipe, data, Path(out))  # one for each stage: each freezes other parts
            stage = run.method.stages()[number]
            sides.append(side_of(run, stage, stage.name))
        rng = np.random.default_rng(0)
        for turn in range(rounds + 1):  # the first one warms up
            for side in sides if turn % 2 else reversed(sides):
                taken = cost(side.steps, [rng.choice(count, batch, replace=False) for _ in range(steps)])
                if turn:
                    side.times.append(taken)
    return sides


def show(sides: Sequence[Side], title: str, steps: int) -> None:
    """Print the table."""
    table = Table(title=title)
    timed = "ms a step" if torch.cuda.is_available() else "CPU ms a step"
    for column in ("stage", "parameters that learn", timed, "to the backbone: median", "min", "max"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for side in sides:
        ratios = [own / plain for own, plain in zip(side.times, sides[0].times, strict=True)]
        step = statistics.median(side.times) / steps
        tail = [f"{value:.2f}" for value in (statistics.median(ratios), min(ratios), max(ratios))]
        table.add_row(side.name, f"{side.learning:,}", f"{1000 * step:.1f}", *tail)
    Console(width=110).print(table)


def peak() -> float:
    """GB of memory that this process has taken at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def published(batch: int) -> bool:
    """Build the published network, do a step of each stage, write and open its graph; within the limit?"""
    recipe = bare(load_recipe(recipe_path(PUBLISHED)), batch)
    data = data_of(recipe, batch)
    table = Table(title=f"{PUBLISHED}: {recipe.backbone.name}, {recipe.backbone.size} px, batch {batch}")
    for column in ("what", "parameters", "seconds", "peak memory, GB"):
        table.add_column(column, justify="left" if column == "what" else "right")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        run = make_run(recipe, data, Path(folder))
        table.add_row("build", f"{size_of(run.network):,}", f"{time.monotonic() - begun:.1f}", f"{peak():.1f}")
        for stage in run.method.stages():
            begun = time.monotonic()
            side = side_of(run, stage, stage.name)
            side.steps([np.arange(batch)])
            table.add_row(stage.name, f"{side.learning:,}", f"{time.monotonic() - begun:.1f}", f"{peak():.1f}")
            del side
            run.accelerator.free_memory()  # it holds the optimiser
        begun = time.monotonic()
        apart, size = exported(run.network, recipe.backbone.size, data, Path(folder) / "model.onnx")
        text = f"graph, {size / 1e9:.2f} GB, answers {apart:.1g} apart"
        table.add_row(text, "", f"{time.monotonic() - begun:.1f}", f"{peak():.1f}")
    Console(width=110).print(table)
    print(f"at most {LIMIT} GB: {'yes' if peak() <= LIMIT else 'NO'}")
    return peak() <= LIMIT


def exported(network: nn.Module, size: int, data: TrainingData, path: Path) -> tuple[float, int]:
    """Write the graph at half size and run it: largest difference of a probability on two faces, and bytes."""
    landmarks = data.samples.landmarks
    assert landmarks is not None
    image = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    given = {"image": image, "landmarks": torch.from_numpy(landmarks[:2])}
    with torch.no_grad():
        wanted: Output = network.eval()(**given)
    files = write_graph(halve_initialisers(to_onnx(network, size, tuple(given))), path)
    (logits,) = session(path).run(["logits"], {name: value.numpy() for name, value in given.items()})
    apart = (wanted.logits.softmax(1) - torch.from_numpy(logits).softmax(1)).abs().max()
    return float(apart), sum(path.with_name(file).stat().st_size for file in files)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="aue/cpu", help="a recipe of `aue`")
    parser.add_argument("--published", action="store_true", help="one step of each stage and the export of aue/rafdb")
    parser.add_argument("--batch", type=int, default=0, help="pictures a step; 0 = 64, or 2 with --published")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side")
    parser.add_argument("--steps", type=int, default=2, help="steps a turn")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0 = its own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.published:
        raise SystemExit(0 if published(options.batch or 2) else 1)
    recipe = bare(load_recipe(recipe_path(options.recipe)), options.batch or 64)
    if recipe.method.name != "aue":
        parser.error(f"{options.recipe}: its method is '{recipe.method.name}'; expected 'aue'")
    sides = measure(recipe, rounds=options.rounds, steps=options.steps)
    where = f"{options.recipe}: {recipe.backbone.name}, {recipe.backbone.size} px, batch {recipe.optim.batch}"
    rounds = f"{options.rounds} rounds of {options.steps} steps, {torch.get_num_threads()} threads"
    show(sides, f"{where}, {rounds}", options.steps)


if __name__ == "__main__":
    main()
