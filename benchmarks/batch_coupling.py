"""What a batch-coupled evaluation does to a score: the same weights and faces, other batches, other accuracy.

    openfer train arm/cpu --out runs/arm
    python benchmarks/batch_coupling.py runs/arm ferplus_points.parquet --split validation

ARM's published program adds the mean feature of the batch at hand to every face, in the test too. A list that is sorted
by class then tells it the truth. The table judges one run both ways: as published, and as it is used here, with the
running mean of training.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from openfer.data.check import content_hashes
from openfer.data.manifest import load_manifest
from openfer.errors import OpenFERError
from openfer.evaluate.intervals import Interval, Statistic, bootstrap
from openfer.evaluate.metrics import accuracy, mean_class_accuracy
from openfer.labels import LabelSet
from openfer.learn.batches import BatchMaker
from openfer.learn.engine import make_batches
from openfer.learn.export import load_network, read_run
from openfer.learn.judge import logits_of
from openfer.learn.method import Method, build_method
from openfer.learn.pictures import Samples, TrainingData, alignment_of, cut_all

Order = NDArray[np.int64]
Numbers = dict[str, Interval]
STATISTICS: dict[str, Statistic] = {"accuracy": accuracy, "mean_class_accuracy": mean_class_accuracy}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One way to put the faces into batches.

    Args:
        name: of the network's form and the order.
        size: faces a batch.
        scores: accuracy and mean-class accuracy.
        changed: share of faces whose answer is not that of the first row.
    """

    name: str
    size: int
    scores: Numbers
    changed: float


def orders(truth: Order, seed: int) -> dict[str, Order]:
    """Faces sorted by class, and in random order."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(truth))
    return {"sorted by class": shuffled[np.argsort(truth[shuffled], kind="stable")], "shuffled": shuffled}


def answers(network: nn.Module, maker: BatchMaker, order: Order, size: int) -> Order:
    """Answered columns [N], in the order of the samples."""
    result = np.empty(len(order), dtype=np.int64)
    result[order] = logits_of(network, maker.judge(order, size)).argmax(1)
    return result


def compare(method: Method, network: nn.Module, maker: BatchMaker, sizes: Sequence[int], seed: int) -> list[Judged]:
    """Judge the form that is used, and the published one, in every order and batch size."""
    truth, classes = maker.samples.labels, maker.samples.targets.shape[1]
    forms = {
        "running mean": method.export_network(network).eval(),
        "batch mean, as published": method.coupled_network(network).eval(),
    }
    rows: list[Judged] = []
    first: Order | None = None
    for form, used in forms.items():
        for name, order in orders(truth, seed).items():
            for size in sizes:
                got = answers(used, maker, order, size)
                first = got if first is None else first
                rng = np.random.default_rng(seed)
                scores = bootstrap(truth, got, classes, STATISTICS, rng)
                changed = float((got != first).mean())
                rows.append(Judged(name=f"{form}, {name}", size=size, scores=scores, changed=changed))
    return rows


def load(run: Path, manifest: Path, split: str) -> tuple[Method, nn.Module, BatchMaker]:
    """A run's method and network, and the rows of a split as batches."""
    recipe, facts = read_run(run)
    method = build_method(recipe.method)
    labels = LabelSet(facts["label_set"], tuple(facts["labels"]))
    network = load_network(run, recipe, method, labels)
    table = load_manifest(manifest).select(split)
    rows = np.flatnonzero(table.label_indices() >= 0)
    chosen = table.rows(rows)
    hashes = [str(value) for value in content_hashes(chosen)]
    cut = cut_all(chosen, hashes, alignment_of(recipe.data, recipe.backbone.size), recipe.data.cut)
    targets = chosen.targets()[:, chosen.labels.columns_for(labels)]
    samples = Samples(pixels=cut.pixels, targets=targets, labels=targets.argmax(1), rows=rows)
    everything = np.arange(len(rows))
    data = TrainingData(labels=labels, samples=samples, train=everything, holdout=everything[:0], facts={})
    return method, network, make_batches(recipe, method, data, torch.device("cpu"))


def show(rows: Sequence[Judged], title: str) -> None:
    """Print the table."""
    table = Table(title=title)
    for column in ("generic feature, order", "batch", "accuracy", "mean-class", "other answers"):
        table.add_column(column, justify="left" if column.startswith("generic") else "right")
    for row in rows:
        texts = [rf"{score.value:.2%} \[{score.low:.2%}, {score.high:.2%}]" for score in row.scores.values()]
        table.add_row(row.name, str(row.size), *texts, f"{row.changed:.1%}")
    Console(width=130).print(table)


def main() -> None:
    """Read the arguments, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a folder of `openfer train` with a method that couples a batch")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="validation", help="rows to judge")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256], help="faces a batch; the authors: 64")
    parser.add_argument("--seed", type=int, default=0, help="of the random order and the intervals")
    options = parser.parse_args()
    try:
        method, network, maker = load(options.run, options.manifest, options.split)
        rows = compare(method, network, maker, options.batches, options.seed)
    except OpenFERError as error:
        parser.error(str(error))
    show(rows, f"{options.run}, {len(maker.samples)} faces of {options.manifest.name} {options.split}")


if __name__ == "__main__":
    main()
