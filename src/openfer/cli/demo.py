"""`openfer demo`: the whole way from a photo to its faces' expressions, on portraits that are already here."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openfer.cli.common import console

PORTRAITS = {
    "Eileen Collins": ("skimage", "data/astronaut.png"),
    "Grace Hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
"""Public-domain photos (NASA, U.S. Navy) inside installed packages: who, package, file."""


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
    portraits = {who: _portrait(*place) for who, place in PORTRAITS.items()}
    for who, path in portraits.items():
        if path is None:
            say.print(f"{who}: no portrait ({PORTRAITS[who][0]} comes without its picture here); left out.")
    found = {who: path for who, path in portraits.items() if path is not None}
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


def _portrait(package: str, file: str) -> Path | None:
    spec = importlib.util.find_spec(package)  # finds the package without importing it
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    return path if path is not None and path.is_file() else None
