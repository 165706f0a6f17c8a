"""`openfer import`: a checkpoint of the authors' own program becomes a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openfer.cli.common import console, progress


def import_(
    recipe: Annotated[str, typer.Argument(help="The recipe that it belongs to, such as arm/rafdb.")],
    file: Annotated[Path, typer.Argument(help="The checkpoint, as torch.save wrote it.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as data.manifest=FILE.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder.")] = Path("run"),
) -> None:
    """Make a run of a published checkpoint. What it lacks is computed from the recipe's training pictures."""
    from openfer.cli.listing import recipe_path
    from openfer.cli.train import make_watch
    from openfer.learn import require_torch
    from openfer.learn.recipe import load_recipe

    loaded = load_recipe(recipe_path(recipe), overrides or [])
    require_torch()
    from openfer.learn.importing import import_checkpoint

    with progress("{task.fields[facts]}") as bar:
        count = import_checkpoint(loaded, file, out, make_watch(bar, quiet=True))
    text = console()
    text.print(f"Wrote [bold]{out}[/bold]: {count} tensors of {file.name}, all in their place.")
    text.print(f"Next: openfer evaluate {out} MANIFEST --split test --out report   or   openfer export {out} my_model")
