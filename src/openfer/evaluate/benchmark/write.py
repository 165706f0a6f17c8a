"""A benchmark as files: `benchmark.md`, `benchmark.html` and `benchmark.parquet`."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openfer.errors import ConfigError, DataError
from openfer.evaluate.benchmark.build import SCORES
from openfer.evaluate.benchmark.record import Benchmark, Cost, DataFacts, Entry
from openfer.evaluate.comparison.record import KINDS
from openfer.evaluate.comparison.words import difference_cell, p_value, score_cell
from openfer.evaluate.intervals import LEVEL
from openfer.files import replacing, write_text
from openfer.pages.documents import environment

MARKDOWN, PAGE, TABLE = "benchmark.md", "benchmark.html", "benchmark.parquet"
SHOWN = ("accuracy", "mean_class_accuracy")
"""Scores that people see; the Parquet file has all."""
MIB = 1 << 20
HEADS = ("recipe", *(SCORES[name] for name in SHOWN), "accuracy: more than the baseline", "p (Holm)", "seed by seed")
COSTS = ("CPU minutes", "peak memory", "parameters", "model")


def write_benchmark(benchmark: Benchmark, folder: Path) -> None:
    """Write a benchmark's three files into a folder, each whole or not at all.

    Raises:
        DataError: the folder cannot be written to.
    """
    write_text(folder / MARKDOWN, markdown(benchmark) + "\n")
    template = environment("openfer.evaluate.benchmark").get_template("template.html")
    sections = [(facts, lines(benchmark, facts)) for facts in benchmark.data]
    page = template.render(benchmark=benchmark, sections=sections, heads=(*HEADS, *COSTS), about=about)
    write_text(folder / PAGE, page)
    with replacing(folder / TABLE) as beside:
        pq.write_table(table(benchmark), beside)


def write_into(benchmark: Benchmark, page: Path, name: str) -> None:
    """Put a benchmark's Markdown into a page; see `write_between`."""
    write_between(page, name, markdown(benchmark))


def write_between(page: Path, name: str, text: str) -> None:
    """Put Markdown between two comments of a page: `<!-- benchmark NAME -->`, `<!-- end NAME -->`.

    Raises:
        ConfigError: the page has no such comments.
        DataError: it cannot be read or written.
    """
    start, end = f"<!-- benchmark {name} -->", f"<!-- end {name} -->"
    try:
        whole = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{page}: cannot be read ({error})") from error
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(whole):
        raise ConfigError(f"{page}: expected a line '{start}' and, below it, '{end}'")
    filled = f"{start}\n{text}\n{end}"
    write_text(page, pattern.sub(lambda _: filled, whole, count=1))


def markdown(benchmark: Benchmark) -> str:
    """The table for people: a section a data set, and what its numbers are."""
    parts: list[str] = []
    for facts in benchmark.data:
        if len(benchmark.data) > 1:
            parts += [f"### {facts.name}", ""]
        heads = [*HEADS, *COSTS]
        parts += [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
        parts += [f"| {' | '.join(cells)} |" for cells in lines(benchmark, facts)]
        parts += ["", about(benchmark, facts), ""]
    parts += [f"- {note}" for note in benchmark.notes]
    if benchmark.command:
        parts += ["", f"Written by `{benchmark.command}`."]
    return "\n".join(parts).strip()


def about(benchmark: Benchmark, facts: DataFacts) -> str:
    """What the numbers of a data set are."""
    absent = f" No row of class {', '.join(facts.absent)}." if facts.absent else ""
    rows = f"{facts.rows:,} queries of {facts.episodes}" if facts.episodes else f"{facts.rows:,} rows"
    return (
        f"Trained on {facts.name}, judged on {rows} ({', '.join(facts.splits) or 'split unknown'}; "
        f"labels: {facts.rule or 'rule unknown'}; manifest {facts.manifest[:12] or 'unknown'}).{absent} In %, mean "
        f"over the seeds; in brackets {LEVEL:.0%} intervals over {KINDS[facts.resampled]} and seeds "
        f"({benchmark.draws:,} resampled data sets). The baseline is {benchmark.baseline}; p is that of the sign-flip "
        f"test over {KINDS[facts.resampled]}."
    )


def lines(benchmark: Benchmark, facts: DataFacts) -> list[list[str]]:
    """Cells of a data set's lines, in the order of `HEADS` and `COSTS`."""
    return [_cells(entry) for entry in benchmark.entries if entry.data == facts.name]


def _cells(entry: Entry) -> list[str]:
    scores = [" ".join(score_cell(name, entry.scores[name])).replace(" %", "") for name in SHOWN]
    more, p = "", ""
    if entry.difference is not None:
        more = " ".join(difference_cell("accuracy", entry.difference.accuracy))
        p = "" if entry.difference.p_holm is None else p_value(entry.difference.p_holm)
    each = ", ".join(f"{100 * value:.1f}" for value in entry.each["accuracy"])
    return [entry.recipe, *scores, more, p, each, *_costs(entry.cost)]


def _costs(cost: Cost | None) -> list[str]:
    if cost is None:
        return [""] * len(COSTS)
    memory = max(cost.memory, cost.device_memory) / MIB
    shown = (
        f"{cost.cpu_seconds / 60:.1f}",
        f"{memory:,.0f} MiB",
        f"{cost.parameters / 1e6:.2f} M",
        f"{cost.model_bytes / 1e6:.1f} MB",
    )
    known = (cost.cpu_seconds, memory, cost.parameters, cost.model_bytes)
    return [text if value else "" for text, value in zip(shown, known, strict=True)]


def table(benchmark: Benchmark) -> pa.Table:
    """All numbers: a row a recipe and data set; scores as `<name>`, `<name>_low`, `<name>_high`, `<name>_seeds`."""
    return pa.Table.from_pylist([_row(entry) for entry in benchmark.entries])


def _row(entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {"recipe": entry.recipe, "data": entry.data, "seeds": list(entry.seeds)}
    for name, score in entry.scores.items():
        row |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        row[f"{name}_seeds"] = list(entry.each[name])
    more = entry.difference
    row |= {
        "more": None if more is None else more.accuracy.value,
        "more_low": None if more is None else more.accuracy.low,
        "more_high": None if more is None else more.accuracy.high,
        "p": None if more is None else more.p,
        "p_holm": None if more is None else more.p_holm,
    }
    cost = entry.cost
    for name in Cost.__dataclass_fields__:
        row[name] = None if cost is None else getattr(cost, name)
    return row
