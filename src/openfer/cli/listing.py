"""`openfer methods` and `openfer recipes`: what there is to train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from openfer.cli.common import console, print_json

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def methods(json: Json = False) -> None:
    """List the methods, their options and their papers."""
    from dataclasses import MISSING, fields

    from openfer.learn import require_torch

    require_torch()
    from openfer.learn.method import known_methods

    listed: list[dict[str, Any]] = [
        {
            "name": name,
            "source": method.source,
            "inputs": list(method.inputs),
            "batch_coupled": method.batch_coupled,
            "options": {
                item.name: None if item.default is MISSING else item.default for item in fields(method.Options)
            },
        }
        for name, method in sorted(known_methods().items())
    ]
    if json:
        print_json(listed)
        return
    for row in listed:
        options = ", ".join(f"{key}={value}" for key, value in row["options"].items())
        console().print(f"[bold]{row['name']}[/bold]  {row['source']}\n  {options}")


def recipes(json: Json = False) -> None:
    """List the recipes that come along."""
    listed = [
        {"name": name, "about": path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")}
        for name, path in known_recipes().items()
    ]
    if json:
        print_json(listed)
        return
    for row in listed:
        console().print(f"[bold]{row['name']}[/bold]  {row['about']}")


def recipes_folder() -> Path:
    """The recipes that come along: inside an installed package, or beside the sources of a checkout."""
    inside = Path(__file__).parents[1] / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "recipes"


def known_recipes() -> dict[str, Path]:
    """Recipes by name, `<method>/<what>`."""
    folder = recipes_folder()
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.glob("*/*.yaml"))}


def recipe_path(name: str) -> Path:
    """A recipe's file: a path, or the name of one that comes along.

    Raises:
        ConfigError: neither.
    """
    from openfer.errors import ConfigError, did_you_mean

    known = known_recipes()
    if Path(name).is_file():
        return Path(name)
    short = name.removeprefix("recipes/").removesuffix(".yaml")
    if short in known:
        return known[short]
    raise ConfigError(f"recipe '{name}': neither a file nor a recipe that comes along; {did_you_mean(short, known)}")
