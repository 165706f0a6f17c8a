"""`openfer compare`: several models on the same rows, and how sure their differences are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from openfer.evaluate.comparison.record import Comparison

WIDE = 1000
"""Columns where nothing shows how wide the reader's screen is; tables take only what they need."""


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Predictions files, or folders that `openfer evaluate` wrote."),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare every model with this one only: its name or its file."),
    ] = None,
    labels: Annotated[
        str, typer.Option(metavar="RULE", help="same: all files have the same names; intersection: shared ones.")
    ] = "same",
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    draws: Annotated[int, typer.Option(help="Resampled data sets for the intervals.")] = 2000,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for compare.html, compare.json and compare.png.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare models on the rows that all of them judge.

    Reads predictions files only, so any program's models can be compared. Prints each model's scores, the differences
    of each pair with intervals over the same resampled rows, and an exact test.
    """
    from openfer.cli.common import command_line, print_json, progress
    from openfer.cli.evaluate import PREDICTIONS
    from openfer.errors import ConfigError
    from openfer.evaluate.comparison.build import compare_predictions
    from openfer.evaluate.comparison.names import find_baseline, model_names, printable
    from openfer.evaluate.comparison.write import write_comparison
    from openfer.evaluate.predictions import read_predictions

    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file of this name is there; expected a folder")
    if len(files) < 2:
        raise ConfigError(f"compare: expected two or more predictions files, got {len(files)}")
    files = [path / PREDICTIONS if path.is_dir() else path for path in files]
    read = [read_predictions(path) for path in files]
    names = model_names(files, read)
    with progress() as bar:
        task = bar.add_task("resampling", total=None)
        comparison = compare_predictions(
            dict(zip(names, read, strict=True)),
            baseline=None if baseline is None else find_baseline(baseline, names, files, read),
            labels=labels,
            draws=draws,
            seed=seed,
            paths={name: printable(str(path)) for name, path in zip(names, files, strict=True)},
            command=printable(command_line()),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if out is not None:
        write_comparison(comparison, out)
    if json:
        print_json(comparison.to_dict())
    else:
        _print_comparison(comparison, out)


def _print_comparison(comparison: Comparison, out: Path | None) -> None:
    from rich.markup import escape

    from openfer.cli.common import console
    from openfer.evaluate.comparison.names import printable
    from openfer.evaluate.comparison.write import PAGE

    screen = console()
    if not screen.is_terminal:
        screen.width = WIDE
    of = f" of {', '.join(comparison.splits)}" if comparison.splits else ""
    adjusted = ", not adjusted for the number of pairs" if len(comparison.pairs) > 1 else ""
    screen.print(f"{len(comparison.models)} models on the same {comparison.used:,} rows{escape(of)}")
    screen.print(f"in brackets: 95 % intervals{adjusted}\n")
    screen.print(_models(comparison))
    screen.print()
    screen.print(_pairs(comparison))
    screen.print()
    for pair in comparison.pairs:
        screen.print(escape(pair.conclusion))
    for note in comparison.notes:
        screen.print(f"note: {escape(note)}")
    if out is not None:
        screen.print(f"report: {escape(printable(str(out / PAGE)))}")


def _models(comparison: Comparison) -> Table:
    from openfer.evaluate.comparison.words import TITLES, score_cell

    table = _table("model", TITLES.values())
    for model in comparison.models:
        _add_row(table, (model.name, ""), [score_cell(name, model.scores[name]) for name in TITLES])
    return table


def _pairs(comparison: Comparison) -> Table:
    """Differences in points and nats, and p: corrected ones below where there are several pairs."""
    from openfer.evaluate.comparison.record import SIGN_FLIP
    from openfer.evaluate.comparison.words import TITLES, difference_cell, p_value

    several = len(comparison.pairs) > 1
    test = "sign-flip p" if comparison.test == SIGN_FLIP else "McNemar p"
    scores = [TITLES[name] for name in comparison.pairs[0].differences]
    table = _table("first - second", [*scores, f"{test} (Holm)" if several else test])
    for pair in comparison.pairs:
        cells = [difference_cell(name, difference) for name, difference in pair.differences.items()]
        p = (p_value(pair.p), f"({p_value(pair.p_holm)})" if several else "")
        _add_row(table, (pair.first, f"- {pair.second}"), [*cells, p])
    return table


def _table(first: str, others: Iterable[str]) -> Table:
    """A table whose first column holds names and whose others hold numbers, each with its interval below."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, overflow="fold")
    for column in others:
        table.add_column("\n".join(column.rsplit(" ", 1)) if len(column) > 12 else column, justify="right")
    return table


def _add_row(table: Table, name: tuple[str, str], cells: Sequence[tuple[str, str]]) -> None:
    from rich.text import Text

    table.add_row(Text("\n".join(name)), *(Text.assemble(value, "\n", (below, "dim")) for value, below in cells))
