"""The table of a benchmark: means over seeds, intervals over rows and seeds, differences to a baseline, costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from openfer.errors import ConfigError, DataError
from openfer.evaluate.benchmark.build import over_seeds, summarise
from openfer.evaluate.benchmark.record import Cost, Trained
from openfer.evaluate.benchmark.write import markdown, table
from openfer.evaluate.paired import mcnemar
from openfer.evaluate.predictions import Predictions, build_predictions
from openfer.labels import LabelSet

LABELS = LabelSet("two", ("yes", "no"))
ROWS = 200
TRUTH = np.arange(ROWS) % 2


def answers(wrong: Sequence[int], subjects: Sequence[str] | None = None) -> Predictions:
    """Right answers but for some rows."""
    answer = np.where(np.isin(np.arange(ROWS), wrong), 1 - TRUTH, TRUTH)
    columns = {} if subjects is None else {"subject": list(subjects)}
    return build_predictions(
        LABELS, np.eye(2)[answer] * 0.8 + 0.1, [LABELS.names[label] for label in TRUTH], columns=columns
    )


def run(recipe: str, seed: int, wrong: Sequence[int], cost: Cost | None = None, data: str = "faces") -> Trained:
    return Trained(recipe=recipe, data=data, seed=seed, predictions=answers(wrong), cost=cost)


def test_scores_are_means_over_the_seeds_and_differences_those_of_means() -> None:
    runs = [run("base", 0, range(20)), run("base", 1, range(40)), run("new", 0, range(10)), run("new", 1, range(10))]
    base, new = summarise(runs).entries
    assert base.scores["accuracy"].value == pytest.approx(0.85)
    assert base.each["accuracy"] == pytest.approx((0.9, 0.8))
    assert base.scores["accuracy"].low < 0.85 < base.scores["accuracy"].high
    assert base.difference is None
    assert new.difference is not None
    assert new.difference.accuracy.value == pytest.approx(0.1)
    assert 0 < new.difference.accuracy.low < 0.1 < new.difference.accuracy.high


def test_with_one_seed_the_test_is_mcnemars() -> None:
    _, new = summarise([run("base", 0, range(12)), run("new", 0, range(8, 13))]).entries
    assert new.difference is not None
    assert new.difference.p == pytest.approx(mcnemar(1, 8))
    assert new.difference.p_holm == new.difference.p


def test_p_is_corrected_for_all_recipes_that_are_compared() -> None:
    runs = [run("base", 0, range(12)), run("a", 0, range(8, 13)), run("b", 0, range(12)), run("c", 0, range(11))]
    entries = {entry.recipe: entry.difference for entry in summarise(runs).entries}
    assert entries["a"].p_holm == pytest.approx(min(1, 3 * entries["a"].p))  # type: ignore[union-attr]
    assert entries["b"].p_holm == 1  # type: ignore[union-attr]


def test_seeds_that_differ_widen_the_interval() -> None:
    alike = summarise([run("a", seed, range(40)) for seed in range(3)]).entries[0].scores["accuracy"]
    apart = summarise([run("a", seed, range(10 + 30 * seed)) for seed in range(3)]).entries[0].scores["accuracy"]
    assert alike.value == pytest.approx(apart.value)
    assert apart.high - apart.low > 1.5 * (alike.high - alike.low)


def test_only_shared_seeds_are_tested() -> None:
    runs = [run("base", 0, range(12)), run("new", 1, range(5)), run("more", 0, range(3)), run("more", 1, range(3))]
    benchmark = summarise(runs)
    entries = {entry.recipe: entry.difference for entry in benchmark.entries}
    assert entries["new"].p is None  # type: ignore[union-attr]
    assert entries["more"].p == pytest.approx(mcnemar(9, 0))  # type: ignore[union-attr]
    assert any("different seeds" in note for note in benchmark.notes)


def test_seeds_are_drawn_anew_for_each_resampled_data_set() -> None:
    draws = np.stack([np.zeros(4000), np.ones(4000)])
    mixed = over_seeds(draws, 0)
    assert set(mixed) == {0.0, 0.5, 1.0}
    assert mixed.mean() == pytest.approx(0.5, abs=0.02)
    assert over_seeds(draws[:1], 0) == pytest.approx(0)


def test_data_sets_have_tables_of_their_own_and_costs_are_told() -> None:
    cost = Cost(seconds=60, cpu_seconds=90, memory=2 << 20, parameters=3_000_000, model_bytes=6_000_000)
    runs = [run("base", 0, range(9), cost), run("base", 1, range(9), Cost(cpu_seconds=30, memory=1 << 20))]
    benchmark = summarise([*runs, run("base", 0, range(19), data="more faces")])
    text = markdown(benchmark)
    assert text.index("### faces") < text.index("### more faces")
    assert "| base | 95.5 [" in text
    assert "| 1.0 | 2 MiB | 3.00 M | 6.0 MB |" in text  # mean of the times, largest of what must fit
    rows = table(benchmark).to_pylist()
    assert [row["data"] for row in rows] == ["faces", "more faces"]
    assert rows[1]["cpu_seconds"] is None


def test_people_are_resampled_whole() -> None:
    subjects = [str(row // 20) for row in range(ROWS)]
    runs = [
        Trained(recipe=name, data="faces", seed=0, predictions=answers(wrong, subjects))
        for name, wrong in (("base", range(20)), ("new", []))
    ]
    benchmark = summarise(runs)
    assert "people" in markdown(benchmark)
    assert benchmark.entries[1].difference is not None
    assert benchmark.entries[1].difference.p == 1  # one person alone tells nothing: 2 ** (1 - 1)


def test_what_cannot_be_summarised_is_refused() -> None:
    with pytest.raises(ConfigError, match="no finished runs"):
        summarise([])
    with pytest.raises(ConfigError, match="--baseline 'bas': not one of the recipes; did you mean"):
        summarise([run("base", 0, [])], baseline="bas")
    with pytest.raises(DataError, match="two runs of one recipe and seed"):
        summarise([run("base", 0, []), run("base", 0, [])])
