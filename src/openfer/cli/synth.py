"""`openfer synth`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write manifest.parquet into; made where it is missing.")],
    count: Annotated[int, typer.Option("--count", "-n", help="How many pictures.")] = 700,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same pictures.")] = 0,
    size: Annotated[int, typer.Option("--size", help="Side of the pictures, pixels.")] = 96,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Draw simple faces with known expressions: a data set for trying things, where no real one is at hand."""
    from collections import Counter
    from dataclasses import replace

    from openfer.cli.common import command_line, console, print_json
    from openfer.data.manifest import SPLITS, write_manifest
    from openfer.synth import draw_faces

    manifest = draw_faces(count, seed, size)
    manifest = replace(manifest, origin=replace(manifest.origin, command=command_line()))
    path = out / "manifest.parquet"
    write_manifest(manifest, path)
    splits = Counter(manifest.column("split"))
    persons = len(set(manifest.column("subject")))
    if as_json:
        rows = {split: splits[split] for split in SPLITS}
        print_json({"manifest": str(path), "pictures": len(manifest), "persons": persons, "splits": rows})
        return
    shares = ", ".join(f"{splits[split]} {split}" for split in SPLITS)
    console().print(f"{path}: {len(manifest)} drawn faces of {persons} persons ({shares}), {size} px, {seed=}")
