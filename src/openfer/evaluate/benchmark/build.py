"""Finished trainings become a table. No model and no picture is needed."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from openfer import __version__
from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.evaluate.benchmark.record import Benchmark, Cost, DataFacts, Difference, Entry, Trained
from openfer.evaluate.comparison.match import Matched, match
from openfer.evaluate.intervals import DRAWS, Floats
from openfer.evaluate.paired import Resampled, holm, paired_bootstrap, percentiles, sign_flip

SCORES = {
    "accuracy": "accuracy",
    "mean_class_accuracy": "mean-class accuracy",
    "macro_f1": "macro F1",
    "negative_log_likelihood": "negative log likelihood",
}
"""Scores of a line, and what they are called."""
FEW_SEEDS = 5


def summarise(
    runs: Sequence[Trained], *, baseline: str | None = None, draws: int = DRAWS, seed: int = 0, command: str = ""
) -> Benchmark:
    """Scores of every recipe on every data set, and its difference to the baseline on the same rows.

    An interval covers other rows (people, clips) and other seeds: each resampled data set also draws, for each recipe,
    as many of its seeds as there are, with repetition. With S seeds their share of the variance comes out too small by
    a factor of (S - 1) / S; with one seed it is not in the interval at all.

    Args:
        runs: finished ones; lines come in the order of their first runs.
        baseline: name of the recipe that others are compared with; None for the first.
        draws: number of resampled data sets.
        seed: of the resampling.
        command: the command to be kept with the numbers.

    Raises:
        ConfigError: no runs, or no recipe of the baseline's name.
        DataError: runs of a data set judge different rows.
    """
    recipes, sets = _unique(run.recipe for run in runs), _unique(run.data for run in runs)
    if not recipes:
        raise ConfigError("benchmark: no finished runs")
    first = baseline or recipes[0]
    if first not in recipes:
        raise ConfigError(f"--baseline '{first}': not one of the recipes; {did_you_mean(first, recipes)}")
    tables = [_one_set([run for run in runs if run.data == name], first, draws, seed) for name in sets]
    return Benchmark(
        entries=tuple(entry for _, entries in tables for entry in entries),
        data=tuple(facts for facts, _ in tables),
        baseline=first,
        draws=draws,
        command=command,
        notes=tuple(_notes([entry for _, entries in tables for entry in entries])),
        versions={"openfer": __version__, "python": platform.python_version()},
    )


def _one_set(runs: Sequence[Trained], baseline: str, draws: int, seed: int) -> tuple[DataFacts, list[Entry]]:
    files = {f"{run.recipe}, seed {run.seed}": run.predictions for run in runs}
    if len(files) < len(runs):
        raise DataError(f"benchmark: {runs[0].data}: two runs of one recipe and seed")
    matched = match(files)
    resampled = paired_bootstrap(
        matched.truth, matched.probabilities, np.random.default_rng(seed), clusters=matched.clusters, draws=draws
    )
    places = {
        name: [place for place, run in enumerate(runs) if run.recipe == name]
        for name in _unique(run.recipe for run in runs)
    }
    entries = [_entry(runs, resampled, own, draws, seed) for own in places.values()]
    if baseline in places:
        entries = _with_differences(entries, runs, places, matched, resampled, baseline, seed)
    context = runs[0].predictions.context
    counts = np.bincount(matched.truth, minlength=len(matched.labels))
    facts = DataFacts(
        name=runs[0].data,
        rows=len(matched.truth),
        splits=matched.splits,
        resampled=matched.resampled,
        rule=context.rule,
        manifest=context.manifest,
        episodes="" if context.episodes is None else str(context.episodes),
        absent=tuple(name for name, count in zip(matched.labels, counts, strict=True) if not count),
    )
    return facts, entries


def _entry(runs: Sequence[Trained], resampled: Resampled, own: list[int], draws: int, seed: int) -> Entry:
    costs = [cost for place in own if (cost := runs[place].cost) is not None]
    return Entry(
        recipe=runs[own[0]].recipe,
        data=runs[own[0]].data,
        seeds=tuple(runs[place].seed for place in own),
        scores={
            name: percentiles(float(resampled.values[name][own].mean()), over_seeds(resampled.draws[name][own], seed))
            for name in SCORES
        },
        each={name: tuple(float(value) for value in resampled.values[name][own]) for name in SCORES},
        cost=_mean_cost(costs) if costs else None,
    )


def over_seeds(draws: Floats, seed: int) -> Floats:
    """A recipe's mean score on each resampled data set, its seeds drawn anew for each.

    Args:
        draws: [S, D] scores of S seeds on D resampled data sets.
        seed: of the drawing.

    Returns:
        [D].
    """
    picked = np.random.default_rng([seed, len(draws)]).integers(len(draws), size=draws.shape)
    return np.asarray(np.take_along_axis(draws, picked, axis=0).mean(axis=0))


def _with_differences(
    entries: Sequence[Entry],
    runs: Sequence[Trained],
    places: dict[str, list[int]],
    matched: Matched,
    resampled: Resampled,
    baseline: str,
    seed: int,
) -> list[Entry]:
    right = matched.probabilities.argmax(axis=2) == matched.truth
    clusters = np.arange(right.shape[1]) if matched.clusters is None else matched.clusters
    accuracy = resampled.draws["accuracy"]
    reference = places[baseline]
    # Seeds of two recipes have nothing in common, so theirs are drawn apart.
    base = over_seeds(accuracy[reference], seed + 1)
    found: dict[str, Difference] = {}
    for name, own in places.items():
        if name == baseline:
            continue
        value = float(resampled.values["accuracy"][own].mean() - resampled.values["accuracy"][reference].mean())
        shared = {runs[place].seed for place in own} & {runs[place].seed for place in reference}
        ours, theirs = ([place for place in side if runs[place].seed in shared] for side in (own, reference))
        gained = right[ours].sum(axis=0, dtype=np.int64) - right[theirs].sum(axis=0, dtype=np.int64)
        by_cluster = np.bincount(clusters, weights=gained).round().astype(np.int64)
        found[name] = Difference(
            accuracy=percentiles(value, over_seeds(accuracy[own], seed) - base),
            p=sign_flip(by_cluster) if shared else None,
        )
    tested = [name for name, difference in found.items() if difference.p is not None]
    corrected = holm(np.array([found[name].p for name in tested], dtype=np.float64))
    for name, p in zip(tested, corrected, strict=True):
        found[name] = replace(found[name], p_holm=float(p))
    return [replace(entry, difference=found.get(entry.recipe)) for entry in entries]


def _mean_cost(costs: Sequence[Cost]) -> Cost:
    """Means of the times; of sizes the largest, as that is what must fit."""
    times = {name: sum(getattr(cost, name) for cost in costs) / len(costs) for name in ("seconds", "cpu_seconds")}
    sizes = ("memory", "device_memory", "parameters", "model_bytes")
    return Cost(**times, **{name: max(getattr(cost, name) for cost in costs) for name in sizes})


def _notes(entries: Sequence[Entry]) -> Iterable[str]:
    fewest = min(len(entry.seeds) for entry in entries)
    if fewest < FEW_SEEDS:
        few = "one seed" if fewest == 1 else f"{fewest} seeds"
        yield f"Some recipe has {few}: how much seeds differ is known badly, and intervals are too narrow for it."
    if len({(entry.data, entry.seeds) for entry in entries}) > len({entry.data for entry in entries}):
        yield "Recipes have different seeds; p counts the shared ones."


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
