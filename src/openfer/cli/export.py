"""`openfer export`: a run becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openfer.cli.common import console, print_json


def export(
    run: Annotated[Path, typer.Argument(help="A folder of `openfer train`.")],
    out: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    name: Annotated[str | None, typer.Option("--name", help="The model's name; default the folder's.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="A report.json of this run; its scores go into the card.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Turn a run into a model that needs no PyTorch: model.onnx, card.json, model.safetensors."""
    from openfer.learn import require_torch

    require_torch()
    from openfer.learn.export import export as write_bundle

    bundle = write_bundle(run, out, name=name, report=report)
    if json:
        print_json(bundle.card.model_dump(mode="json"))
        return
    text = console()
    text.print(
        f"Wrote [bold]{out}[/bold]: {', '.join(bundle.card.labels)}; {bundle.graph_bytes / 1e6:.1f} MB, "
        f"temperature {bundle.card.temperature:.3f}, same answers as PyTorch on real faces."
    )
    text.print(f"Next: openfer predict PHOTO --model {out}")
