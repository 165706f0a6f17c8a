"""`openfer demo`: the whole way from a photo to its faces' expressions, on portraits that are already here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openfer.cli.common import console
from openfer.vision.portraits import PORTRAITS, portrait_paths


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where overlays and table go.")] = Path(
        "openfer_demo"
    ),
    model: Annotated[str, typer.Option(metavar="M", help="As in `openfer predict`.")] = "default",
) -> None:
    """Read the faces in two portraits that come with the installation; says what it found and what to try next."""
    from openfer.cli.models import resolve_model
    from openfer.errors import DataError
    from openfer.predict.predictor import Predictor
    from openfer.predict.sinks import open_sink
    from openfer.predict.sinks.overlays import OverlayFolder
    from openfer.predict.sinks.table import table

    say = console()
    found = portrait_paths()
    for who, (package, _) in PORTRAITS.items():
        if who not in found:
            say.print(f"{who}: no portrait ({package} comes without its picture here); left out.")
    if not found:
        raise DataError("no portrait is installed; try a photo of yours: openfer predict PHOTO.jpg --draw openfer_demo")

    predictor = Predictor.load(resolve_model(model))
    overlays = OverlayFolder(out)
    with open_sink(out / "faces.csv", predictor.labels.names) as sink, table(say) as show:
        for (who, path), rows in zip(found.items(), predictor.iter_predict(found.values()), strict=True):
            overlays.write(path, rows)
            for row in rows:
                sink.write(row)
                show(replace(row, path=who))
    say.print(
        f"In [bold]{out}[/]: the portraits with their faces marked (*-faces.*), and all numbers (faces.csv).\n"
        "Next:\n"
        "  openfer predict PHOTO.jpg --draw marked          your own photo\n"
        "  openfer predict PHOTOS --out faces.csv           a folder, one row a face\n"
        "  openfer predict FACES --detector none            pictures that are faces already\n"
        "  openfer --help                                   data sets, training, evaluation"
    )
