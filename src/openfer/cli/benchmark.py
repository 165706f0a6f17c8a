"""`openfer benchmark`: recipes x data sets x seeds, trained, judged and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openfer.evaluate.benchmark.record import Benchmark


def benchmark(
    recipe: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Recipe files, or names of those included.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the runs and the table.")],
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each recipe: its own seed and the next ones.")] = 3,
    data: Annotated[
        list[str] | None, typer.Option(metavar="MANIFEST", help="What to learn and judge, several times for several.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Rows that are judged.")] = "validation",
    on: Annotated[
        str, typer.Option("--on", metavar="MANIFEST", help="Judge on this one; on what was learned by default.")
    ] = "",
    episodes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Few-shot: judge on these episodes, as `openfer evaluate --episodes` writes them."
        ),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A change of all recipes, such as optim.epochs=2."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="What the others are compared with; the first by default.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at once.")] = 1,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.md", help="Also fill the place '<!-- benchmark NAME -->' of this page; NAME is DIR's."
        ),
    ] = None,
    only_table: Annotated[
        bool, typer.Option("--only-table", help="Train nothing; write the table of what is there.")
    ] = False,
) -> None:
    """Train and judge recipes on data sets with several seeds: one table with intervals, paired tests and cost.

    A finished run is kept and a stopped one goes on: the command may be given again, with more seeds, and several
    times at once. Writes benchmark.md, benchmark.html and benchmark.parquet into DIR after every run.
    """
    from openfer.cli.common import command_line, console
    from openfer.cli.listing import recipe_path
    from openfer.errors import ConfigError
    from openfer.evaluate.benchmark.build import summarise
    from openfer.evaluate.benchmark.write import PAGE, markdown, write_benchmark, write_into
    from openfer.learn import require_torch
    from openfer.learn.recipe import load_recipe

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file of this name is there; expected a folder")
    names = [_short(name) for name in recipe]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"benchmark: the recipe '{max(names, key=names.count)}' is given twice, or two files have this name"
        )
    recipes = {name: load_recipe(recipe_path(path), change or []) for name, path in zip(names, recipe, strict=True)}
    first = _short(baseline) if baseline else names[0]
    require_torch()
    from openfer.learn.grid import Asked, finish_cells, finished, make_cells

    cells = make_cells(recipes, data or [], seeds, out)
    asked = Asked(split=split, manifest=on, episodes=episodes)
    command = command_line()

    def write_table() -> Benchmark:
        runs = finished(cells)
        there = {run.recipe for run in runs}
        table = summarise(runs, baseline=first if first in there or baseline else None, command=command)
        write_benchmark(table, out)
        return table

    screen = console()
    for cell, how in () if only_table else finish_cells(cells, asked, jobs=jobs):
        screen.print(f"{cell.title}: {how}", markup=False)
        if how == "done":
            write_table()
    table = write_table()
    if into is not None:
        write_into(table, into, out.resolve().name)
    screen.print(markdown(table), markup=False)
    screen.print(f"page: {out / PAGE}", markup=False)


def _short(recipe: str) -> str:
    """A recipe's name as a folder: that of its file, and `arm-cpu` for the included `arm/cpu`."""
    path = Path(recipe)
    if path.is_file() and path.parent.name != "recipes" and path.parent.parent.name != "recipes":
        return path.stem
    return path.with_suffix("").as_posix().removeprefix("recipes/").replace("/", "-")
