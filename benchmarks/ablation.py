"""Which part of `combined` does what: all eight combinations of its three parts, trained and judged, one table.

    python benchmarks/ablation.py combined/ablation --manifest ferplus_points.parquet --seeds 3 --out ablation

A run that is finished is kept, one that was stopped goes on from its checkpoint: the command may be given again until
all are there, with more seeds later, and several times at once with different `--only`. `DIR/ablation.md` is written
anew after every run. Seeds go first, so that each combination has as many of them at any time.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from openfer.bundle.load import load_bundle
from openfer.cli.listing import recipe_path
from openfer.data.manifest import load_manifest
from openfer.errors import ConfigError, OpenFERError
from openfer.evaluate.comparison.match import match
from openfer.evaluate.intervals import LEVEL, Interval
from openfer.evaluate.paired import Resampled, paired_bootstrap
from openfer.evaluate.predictions import Predictions, read_predictions, write_predictions
from openfer.evaluate.score import score_manifest
from openfer.files import replacing
from openfer.learn.checkpoint import RECIPE
from openfer.learn.engine import train
from openfer.learn.export import bundle_of_run
from openfer.learn.recipe import Recipe, load_recipe
from openfer.vision.detect import load_detector

OFF: dict[str, dict[str, bool | float]] = {
    "ARM": {"amend": False},
    "MEK": {"smoothing": 0.0, "consistency": 0.0},
    "Ad-Corre": {"correlations": False},
}
"""Part -> options that switch it off."""
PLAIN = "none"
"""The combination of no part: what the others are compared with."""
PREDICTIONS = "predictions.parquet"
TABLE = "ablation.md"
SCORES = {"accuracy": "accuracy", "mean_class_accuracy": "mean-class accuracy"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination.

    Args:
        parts: those that are on, of `OFF`.
    """

    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its folder."""
        return "+".join(self.parts).lower() or PLAIN

    def of(self, recipe: Recipe, seed: int) -> Recipe:
        """The recipe with the other parts switched off, and a seed."""
        off = {key: value for part, options in OFF.items() if part not in self.parts for key, value in options.items()}
        method = replace(recipe.method, options={**recipe.method.options, **off})
        return replace(recipe, method=method, run=replace(recipe.run, seed=seed))


CELLS = tuple(
    Cell(parts=tuple(part for part, on in zip(OFF, switches, strict=True) if on))
    for switches in product((False, True), repeat=len(OFF))
)


def finish(recipe: Recipe, folder: Path, split: str) -> None:
    """Train and judge what is not there yet.

    Args:
        recipe: of the run.
        folder: the run's; its `predictions.parquet` is written last and says that it is finished.
        split: rows of the recipe's manifest that are judged.

    Raises:
        ConfigError: the folder holds a finished run of another recipe.
    """
    if (folder / PREDICTIONS).is_file():
        if load_recipe(folder / RECIPE) != recipe:
            raise ConfigError(f"{folder}: holds a run of another recipe; choose another --out, or remove it")
        return
    train(recipe, folder, resume=True)
    manifest = load_manifest(Path(recipe.data.manifest))
    bundle = load_bundle(bundle_of_run(folder))
    detector = load_detector("centerface", threads=1)  # for rows without points, as in `openfer evaluate`
    write_predictions(score_manifest(bundle, manifest, split, detector=detector), folder / PREDICTIONS)


def finished(out: Path, seeds: int) -> dict[tuple[str, int], Predictions]:
    """(Combination, seed) -> its answers, of all runs that are there."""
    places = {(cell.name, seed): out / cell.name / f"seed{seed}" for cell in CELLS for seed in range(seeds)}
    return {
        key: read_predictions(folder / PREDICTIONS)
        for key, folder in places.items()
        if (folder / PREDICTIONS).is_file()
    }


def mean_score(resampled: Resampled, score: str, models: Sequence[int], minus: Sequence[int] = ()) -> Interval:
    """The mean score of some models, less that of others, on the rows as they are and on the resampled ones."""
    value, draws = (
        (numbers[score][[*models]].mean(0) - (numbers[score][[*minus]].mean(0) if minus else 0.0))
        for numbers in (resampled.values, resampled.draws)
    )
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(value=float(value), low=float(low), high=float(high))


def table(runs: Mapping[tuple[str, int], Predictions], title: str) -> str:
    """Markdown: a line a combination. Intervals are over rows, people or clips; seeds are averaged."""
    matched = match({f"{name} {seed}": predictions for (name, seed), predictions in runs.items()})
    resampled = paired_bootstrap(
        matched.truth, matched.probabilities, np.random.default_rng(0), clusters=matched.clusters
    )
    places = {cell.name: [place for place, (name, _) in enumerate(runs) if name == cell.name] for cell in CELLS}
    heads = [*OFF, "seeds", *SCORES.values(), "accuracy: more than with none", "accuracy of the seeds"]
    lines = [title, "", f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for cell in CELLS:
        models = places[cell.name]
        if not models:
            continue
        values = [_percent(mean_score(resampled, score, models)) for score in SCORES]
        more = ""
        if places[PLAIN] and cell.parts:
            more = _percent(mean_score(resampled, "accuracy", models, places[PLAIN]), "+")
        each = ", ".join(f"{100 * resampled.values['accuracy'][model]:.2f}" for model in models)
        switches = ["yes" if part in cell.parts else "" for part in OFF]
        lines.append(f"| {' | '.join([*switches, str(len(models)), *values, more, each])} |")
    count = f"{len(matched.truth)} faces ({', '.join(matched.splits)})"
    how = f"mean over the seeds, and its {LEVEL:.0%} bootstrap interval (by {matched.resampled})"
    lines += ["", f"In %, {count}: {how}."]
    return "\n".join(lines) + "\n"


def _percent(score: Interval, sign: str = "") -> str:
    return " ".join((f"{100 * score.value:{sign}.2f}", f"[{100 * score.low:{sign}.2f}, {100 * score.high:{sign}.2f}]"))


def main() -> None:
    """Read the arguments, finish the runs one after another, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="of the method `combined` with all parts on: a file or a name")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes of the recipe")
    parser.add_argument("--manifest", help="what to learn and judge; the recipe's own by default")
    parser.add_argument("--split", default="validation", help="rows to judge")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each combination")
    parser.add_argument("--only", nargs="+", choices=[cell.name for cell in CELLS], help="run these combinations")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and the table")
    options = parser.parse_intermixed_args()
    wanted = [cell for cell in CELLS if cell.name in (options.only or [cell.name])]
    try:
        given = [f"data.manifest={options.manifest}"] if options.manifest else []
        recipe = load_recipe(recipe_path(options.recipe), [*options.overrides, *given])
        if recipe.method.name != "combined":
            raise ConfigError(f"{options.recipe}: its method is '{recipe.method.name}'; expected 'combined'")
        for seed, cell in product(range(options.seeds), wanted):
            print(f"{cell.name}, seed {seed}", flush=True)
            finish(cell.of(recipe, seed), options.out / cell.name / f"seed{seed}", options.split)
            runs = finished(options.out, options.seeds)
            if len(runs) > 1:
                with replacing(options.out / TABLE) as beside:
                    beside.write_text(table(runs, f"`{options.recipe}`, {recipe.data.manifest}"), encoding="utf-8")
    except OpenFERError as error:
        parser.error(str(error))
    written = options.out / TABLE
    print(written.read_text(encoding="utf-8") if written.is_file() else "The table needs two combinations.")


if __name__ == "__main__":
    main()
