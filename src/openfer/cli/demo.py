"""`openfer demo`: the whole way from a photo to its faces' expressions, or from a data set to a judged model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openfer.cli.common import console, progress
from openfer.vision.portraits import PORTRAITS, portrait_paths

RECIPE = "baseline/demo"


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where what it makes goes.")] = Path("openfer_demo"),
    model: Annotated[str, typer.Option(metavar="M", help="As in `openfer predict`.")] = "default",
    train: Annotated[
        bool,
        typer.Option(
            "--train",
            help="Instead train a model on generated faces, a minute or two on two cores, and judge it on people that "
            "it has not seen.",
        ),
    ] = False,
) -> None:
    """Read the faces in two portraits that come with the installation; says what it found and what to try next."""
    if train:
        _train(out)
    else:
        _predict(out, model)


def _predict(out: Path, model: str) -> None:
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


def _train(out: Path) -> None:
    from openfer.cli.evaluate import evaluate
    from openfer.cli.listing import recipe_path
    from openfer.cli.train import make_watch
    from openfer.learn import require_torch
    from openfer.learn.recipe import load_recipe

    require_torch()
    from openfer.learn import engine

    recipe = load_recipe(recipe_path(RECIPE))
    run, report, faces = out / "run", out / "report", recipe.data.manifest
    say = console()
    say.print(f"Training {recipe.backbone.name} on generated faces, a minute or two on two cores.")
    with progress("{task.fields[facts]}") as bar:
        engine.train(recipe, run, resume=True, watch=make_watch(bar, quiet=False))
    say.print("On faces of people that it has not seen:")
    evaluate(str(run), Path(faces), report, detector="none")
    say.print(
        f"In [bold]{out}[/]: the run and its report; open report.html in a browser to see what it confuses.\n"
        "Next:\n"
        f"  openfer train {RECIPE} optim.epochs=15     longer, or with other options\n"
        f"  openfer export {run} my_model     a folder that needs no PyTorch\n"
        "  openfer data scan --help                        your own data set\n"
        "It was trained for generated faces; photos of people are for the default model."
    )
