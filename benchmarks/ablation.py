"""Which part of `combined` does what: all eight combinations of its three parts, trained and judged, one table.

    python benchmarks/ablation.py combined/ablation --manifest ferplus_points.parquet --seeds 3 --out ablation

It is `openfer benchmark` with the combinations as recipes: a finished run is kept, one that was stopped goes on, and
the command may be given again, with more seeds, and several times at once with different `--only`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

from openfer.cli.listing import recipe_path
from openfer.errors import ConfigError, OpenFERError
from openfer.evaluate.benchmark.build import summarise
from openfer.evaluate.benchmark.write import markdown, write_benchmark
from openfer.learn.grid import Asked, finish_cells, finished, make_cells
from openfer.learn.recipe import Recipe, load_recipe

OFF: dict[str, dict[str, bool | float]] = {
    "arm": {"amend": False},
    "mek": {"smoothing": 0.0, "consistency": 0.0},
    "ad-corre": {"correlations": False},
}
"""Part -> options that switch it off."""
PLAIN = "none"
"""The combination of no part: what the others are compared with."""


def combinations(recipe: Recipe) -> dict[str, Recipe]:
    """Name of a combination (its parts with `+` between them) -> the recipe with the other parts switched off."""
    found = {}
    for switches in product((False, True), repeat=len(OFF)):
        parts = [part for part, on in zip(OFF, switches, strict=True) if on]
        off = {key: value for part, options in OFF.items() if part not in parts for key, value in options.items()}
        method = replace(recipe.method, options={**recipe.method.options, **off})
        found["+".join(parts) or PLAIN] = replace(recipe, method=method)
    return found


def main() -> None:
    """Read the arguments, finish the runs, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="of the method `combined` with all parts on: a file or a name")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes of the recipe")
    parser.add_argument("--manifest", help="what to learn and judge; the recipe's own by default")
    parser.add_argument("--split", default="validation", help="rows to judge")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each combination")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these combinations, such as none or arm+mek")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and the table")
    options = parser.parse_intermixed_args()
    try:
        recipe = load_recipe(recipe_path(options.recipe), options.overrides)
        if recipe.method.name != "combined":
            raise ConfigError(f"{options.recipe}: its method is '{recipe.method.name}'; expected 'combined'")
        all_of_them = combinations(recipe)
        if unknown := set(options.only or ()) - set(all_of_them):
            raise ConfigError(f"--only {min(unknown)}: not one of {', '.join(all_of_them)}")
        cells = make_cells(all_of_them, [options.manifest] if options.manifest else [], options.seeds, options.out)
        wanted = [cell for cell in cells if cell.name in (options.only or all_of_them)]
        for cell, how in finish_cells(wanted, Asked(split=options.split), jobs=options.jobs):
            print(f"{cell.title}: {how}", flush=True)
        runs = finished(cells)
        table = summarise(runs, baseline=PLAIN if PLAIN in {run.recipe for run in runs} else None)
        write_benchmark(table, options.out)
        print(markdown(table))
    except OpenFERError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
