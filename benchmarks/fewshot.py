"""Few-shot accuracy: models and classifiers on the same episodes, each one's difference to the first, and its time.

    python benchmarks/fewshot.py default default:ridge default:euclidean --manifest ferplus_plurality.parquet
    python benchmarks/fewshot.py runs/csrn runs/relation runs/prototypical --manifest ferplus_plurality.parquet

MODEL is a model's name, a bundle or a run, and after a colon the classifier that its embedding is compared by. An
episodic run without one answers by its own score.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from openfer.bundle.load import load_bundle
from openfer.cli.episodes import episode_model
from openfer.cli.models import resolve_model
from openfer.data.manifest import Manifest, load_manifest
from openfer.errors import OpenFERError
from openfer.evaluate.comparison.build import compare_predictions
from openfer.evaluate.comparison.record import Comparison
from openfer.evaluate.comparison.words import difference_cell, p_value, score_cell
from openfer.evaluate.episodes.classifiers import CLASSIFIERS
from openfer.evaluate.episodes.draw import NOVEL, draw, pool_of, split_names
from openfer.evaluate.episodes.files import read_episodes
from openfer.evaluate.episodes.record import Episodes
from openfer.evaluate.episodes.score import score_episodes
from openfer.evaluate.predictions import Predictions
from openfer.evaluate.report.build import evaluate_predictions
from openfer.vision.detect import Detector, load_detector

THOUSAND = 1000


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One model.

    Args:
        name: as it was asked for.
        predictions: its answers.
        recalls: class -> share of its queries that were found.
        seconds: for cutting, encoding and scoring, per 1,000 episodes of this kind.
    """

    name: str
    predictions: Predictions
    recalls: dict[str, float]
    seconds: float


def judge(
    name: str, manifest: Manifest, episodes: Episodes, detector: Detector | None, *, threads: int | None = None
) -> Judged:
    """A model's answers to the episodes, and how long it took on so many threads."""
    path, _, classifier = name.rpartition(":")
    if classifier not in CLASSIFIERS:
        path, classifier = name, ""
    model = episode_model(path, load_bundle(resolve_model(path), threads=threads), classifier)
    begun = time.perf_counter()
    predictions = score_episodes(model, manifest, episodes, detector=detector)
    seconds = (time.perf_counter() - begun) * THOUSAND / len(episodes)
    classes = evaluate_predictions(predictions, draws=100).classes
    return Judged(
        name=name,
        predictions=predictions,
        recalls={row.name: row.recall or 0.0 for row in classes},
        seconds=seconds,
    )


def compare(rows: Sequence[Judged]) -> Comparison:
    """All models with the first one."""
    return compare_predictions({row.name: row.predictions for row in rows}, baseline=rows[0].name)


def show(rows: Sequence[Judged], title: str) -> None:
    """Print the table."""
    table = Table(title=title)
    several = len(rows) > 1
    columns = ["accuracy", "95 %", *rows[0].recalls, "- first", "95 %", "p (Holm)", "s / 1,000 episodes"]
    table.add_column("model", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    comparison = compare(rows) if several else None
    for place, row in enumerate(rows):
        report = evaluate_predictions(row.predictions)
        cells = list(score_cell("accuracy", report.accuracy))
        cells += [f"{100 * recall:.1f} %" for recall in row.recalls.values()]
        if comparison is None or not place:
            cells += ["", "", ""]
        else:
            pair = comparison.pairs[place - 1]
            cells += [*difference_cell("accuracy", pair.differences["accuracy"]), p_value(pair.p_holm)]
        table.add_row(row.name, *(cell.replace("[", r"\[") for cell in cells), f"{row.seconds:.1f}")
    Console(width=190).print(table)


def main() -> None:
    """Read the arguments, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL[:CLASSIFIER]")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", default="train,validation", help="names with commas between, or all")
    parser.add_argument("--classes", default=",".join(NOVEL), help="names with commas between")
    parser.add_argument("--episodes", default="1000", help="how many, or a file of them")
    parser.add_argument("--n-way", type=int, default=3)
    parser.add_argument("--k-shot", type=int, default=3)
    parser.add_argument("--n-query", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detector", default="centerface", help="for rows without points: centerface or none")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if len(set(options.models)) < len(options.models):
        parser.error("a model is named twice")
    try:
        manifest = load_manifest(options.manifest)
        if options.episodes.isdigit():
            splits = split_names(options.split, manifest)
            episodes = draw(
                pool_of(manifest, options.classes.split(","), splits),
                episodes=int(options.episodes),
                n_way=options.n_way,
                k_shot=options.k_shot,
                n_query=options.n_query,
                seed=options.seed,
            )
        else:
            episodes = read_episodes(Path(options.episodes))
        detector = load_detector(options.detector, threads=1)
        rows = [judge(name, manifest, episodes, detector, threads=options.threads) for name in options.models]
    except OpenFERError as error:
        parser.error(str(error))
    show(rows, f"{len(episodes):,} episodes, {episodes.n_way}-way {episodes.k_shot}-shot, {options.manifest.name}")


if __name__ == "__main__":
    main()
