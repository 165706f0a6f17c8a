"""A grid of trainings, each in a folder and a process of its own: trained, judged, kept, gone on with after a kill."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from openfer.errors import ConfigError, DataError
from openfer.evaluate.benchmark.record import Cost, Trained
from openfer.evaluate.predictions import read_predictions, write_predictions
from openfer.files import open_locked, write_text
from openfer.learn.checkpoint import BEST, RECIPE
from openfer.learn.recipe import Recipe, load_recipe
from openfer.learn.record import Watch

if TYPE_CHECKING:
    from openfer.bundle.load import Bundle
    from openfer.evaluate.predictions import Predictions
    from openfer.learn.checkpoint import Progress

PREDICTIONS, COST, LOCK = "predictions.parquet", "cost.json", "lock"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training of the grid.

    Args:
        name: of the recipe, as the table shows it.
        data: name of the data set.
        recipe: with the data set and the seed filled in.
        folder: of the run.
    """

    name: str
    data: str
    recipe: Recipe
    folder: Path

    @property
    def title(self) -> str:
        """What a line about it begins with."""
        return f"{self.name}, {self.data}, seed {self.recipe.run.seed}"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What finished trainings are judged on.

    Args:
        split: rows that are judged.
        manifest: that they stand in; empty for what a run learns from.
        episodes: a file of few-shot episodes of that manifest, in place of a split. An episodic method answers by its
            own score, any other by the nearest class mean.
    """

    split: str = "validation"
    manifest: str = ""
    episodes: Path | None = None


def make_cells(recipes: dict[str, Recipe], manifests: Sequence[str], seeds: int, out: Path) -> list[Cell]:
    """All cells, seeds first: every recipe has as many of them at any time.

    Args:
        recipes: name -> recipe.
        manifests: what each of them learns; empty for their own.
        seeds: of each recipe: its own seed and the next ones.
        out: folder of all: `out/<name>/<data set>/seed<N>`.
    """
    cells = []
    for step in range(seeds):
        for name, recipe in recipes.items():
            for manifest in manifests or [recipe.data.manifest]:
                data, seed = data_name(manifest), recipe.run.seed + step
                own = replace(recipe, data=replace(recipe.data, manifest=manifest), run=replace(recipe.run, seed=seed))
                cells.append(Cell(name=name, data=data, recipe=own, folder=out / name / data / f"seed{seed}"))
    return cells


def data_name(manifest: str) -> str:
    """A data set's name: that of its manifest's files."""
    return "+".join(Path(part.strip()).name.removesuffix(".parquet").replace(":", "-") for part in manifest.split(","))


def finish_cells(cells: Sequence[Cell], asked: Asked, *, jobs: int) -> Iterator[tuple[Cell, str]]:
    """Train and judge what is not there yet, and say of each cell how it went.

    A cell that another program is training is left to it. A process a cell, so that the peak of memory is its own.

    Args:
        cells: of the grid.
        asked: what they are judged on.
        jobs: how many at once; they share the machine's threads.

    Yields:
        a cell, and `kept`, `done` or `busy`.

    Raises:
        ConfigError: a folder holds a finished run of another recipe; the grid's other cells are not begun then.
        OpenFERError: whatever training and judging may raise.
    """
    open_cells = []
    for cell in cells:
        if is_finished(cell):
            yield cell, "kept"
        else:
            open_cells.append(cell)
    if not open_cells:
        return
    check_asked(asked, open_cells)
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = {pool.submit(finish, cell, asked, threads): cell for cell in open_cells}
        try:
            for future in as_completed(waiting):
                yield waiting[future], "done" if future.result() else "busy"
        except BrokenProcessPool as error:
            raise ConfigError("a training was killed, maybe for memory; give the command again to go on") from error
        finally:
            pool.shutdown(cancel_futures=True)


def check_asked(asked: Asked, cells: Sequence[Cell]) -> None:
    """Open what cells will be judged on, before they train for hours.

    Raises:
        DataError: a manifest or the episodes cannot be read, or do not belong together.
    """
    from openfer.evaluate.episodes.files import read_episodes
    from openfer.evaluate.episodes.score import check_rows
    from openfer.learn.pictures import open_manifest

    if asked.episodes is not None:
        episodes = read_episodes(asked.episodes)
        for name in sorted({asked.manifest or cell.recipe.data.manifest for cell in cells}):
            check_rows(episodes, open_manifest(name))
    elif asked.manifest:
        open_manifest(asked.manifest)


def is_finished(cell: Cell) -> bool:
    """Is the cell's run there, judged? Its predictions are written last.

    Raises:
        ConfigError: it is a run of another recipe.
    """
    if not (cell.folder / PREDICTIONS).is_file():
        return False
    if load_recipe(cell.folder / RECIPE) != cell.recipe:
        raise ConfigError(f"{cell.folder}: holds a run of another recipe; choose another --out, or remove it")
    return True


def finish(cell: Cell, asked: Asked, threads: int | None = None) -> bool:
    """Train and judge a cell; False where another program is at it."""
    from openfer.bundle.load import load_bundle
    from openfer.learn.engine import train
    from openfer.learn.export import bundle_of_run

    if threads is not None:
        torch.set_num_threads(threads)
    cell.folder.mkdir(parents=True, exist_ok=True)
    try:
        held = open_locked(cell.folder / LOCK, cell.folder)
    except ConfigError:
        return False
    with held:
        if is_finished(cell):  # another program may have come first
            return True
        watch = CostWatch(cell.folder)
        train(cell.recipe, cell.folder, resume=True, watch=watch)
        bundle = load_bundle(bundle_of_run(cell.folder), threads=threads)
        predictions = judge(cell, bundle, asked)
        watch.keep(parameters=_parameters(cell.folder), model_bytes=bundle.graph_bytes)
        write_predictions(predictions, cell.folder / PREDICTIONS)
        (cell.folder / LOCK).unlink(missing_ok=True)
    return True


def judge(cell: Cell, bundle: Bundle, asked: Asked) -> Predictions:
    """A trained cell's answers."""
    from openfer.evaluate.episodes.files import read_episodes
    from openfer.evaluate.episodes.score import EmbeddingModel, score_episodes
    from openfer.evaluate.score import score_manifest
    from openfer.learn.fewshot.judge import episodic_model
    from openfer.learn.pictures import open_manifest
    from openfer.vision.detect import load_detector

    manifest = open_manifest(asked.manifest or cell.recipe.data.manifest)
    detector = load_detector("centerface", threads=1)  # for rows without points, as in `openfer evaluate`
    if asked.episodes is None:
        return score_manifest(bundle, manifest, asked.split, detector=detector)
    model = episodic_model(cell.folder, bundle) or EmbeddingModel(bundle)
    return score_episodes(model, manifest, read_episodes(asked.episodes), detector=detector)


def finished(cells: Iterable[Cell]) -> list[Trained]:
    """The cells that are there, with their answers."""
    return [
        Trained(
            recipe=cell.name,
            data=cell.data,
            seed=cell.recipe.run.seed,
            predictions=read_predictions(cell.folder / PREDICTIONS),
            cost=read_cost(cell.folder),
        )
        for cell in cells
        if is_finished(cell)
    ]


def read_cost(folder: Path) -> Cost | None:
    """What a run took; None where it is not known.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / COST
    if not path.is_file():
        return None
    try:
        return Cost(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); remove it") from error


class CostWatch(Watch):
    """Adds up what a run takes, after every epoch, over all the times that it was gone on with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = read_cost(folder) or Cost()
        self.start, self.cpu = time.monotonic(), time.process_time()

    def epoch(self, progress: Progress) -> None:
        """See `Watch.epoch`."""
        self.keep()

    def keep(self, **facts: int) -> None:
        """Write the cost so far, with further facts."""
        on_device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        now = replace(
            self.before,
            seconds=self.before.seconds + time.monotonic() - self.start,
            cpu_seconds=self.before.cpu_seconds + time.process_time() - self.cpu,
            memory=max(self.before.memory, peak_memory()),
            device_memory=max(self.before.device_memory, on_device),
            **facts,
        )
        write_text(self.folder / COST, json.dumps(asdict(now), indent=2) + "\n")


def peak_memory() -> int:
    """The largest memory that this process has held, bytes; 0 where the system does not say."""
    if os.name == "nt":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parameters(run: Path) -> int:
    from safetensors import safe_open

    statistics = ("running_mean", "running_var", "num_batches_tracked")
    with safe_open(run / BEST, framework="pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys() if not name.endswith(statistics)]  # noqa: SIM118
    return int(sum(torch.Size(shape).numel() for shape in shapes))
