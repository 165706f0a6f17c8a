"""`openfer support`: classes of one's own from a handful of pictures each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from openfer.predict.support.check import LeftOut
    from openfer.predict.support.gather import Gathered

app = typer.Typer(help="Classes of your own from a handful of pictures each, without training.", no_args_is_help=True)


@app.callback()
def _several() -> None:
    """Keeps `build` a command of its own, also while it is the only one."""


@app.command("build")
def build(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder for each class, with pictures of it: five make a start.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.npz", help="The file to write.")],
    model: Annotated[
        str, typer.Option(metavar="M", help="`default`, a model's name, a bundle folder or a run folder.")
    ] = "default",
    detector: Annotated[
        str, typer.Option(metavar="D", help="`centerface`, or `none` where every picture is a face already.")
    ] = "centerface",
    detect_size: Annotated[
        int,
        typer.Option(metavar="N", help="Long side, px, at which photos are searched; larger: smaller faces, slower."),
    ] = 480,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="Pictures with more pixels are refused, before they are decoded.")
    ] = 110_000_000,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Most threads to use.", show_default="all there are")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Keep the faces of a folder of examples as a small file for `openfer predict --support`.

    Says how well the pictures tell the classes apart: each is left out and named by the others.
    """
    from openfer.cli.common import counting_bar, print_json
    from openfer.cli.models import resolve_model
    from openfer.predict.predictor import Predictor
    from openfer.predict.support.check import leave_out
    from openfer.predict.support.file import check_name, save_support
    from openfer.predict.support.gather import gather

    check_name(out)
    predictor = Predictor.load(
        resolve_model(model_of(model)),
        detector=detector,
        detect_size=detect_size,
        max_pixels=max_pixels,
        threads=threads,
    )
    with counting_bar("Reading examples") as advance:
        gathered = gather(folder, predictor, progress=advance)
    left_out = leave_out(gathered.support)
    save_support(gathered.support, out)
    if json:
        print_json({"support": str(out), **_values(gathered, left_out)})
    else:
        _print_table(left_out)
        say_notes(gathered, left_out)
        _say_next(left_out, out)
    if gathered.failed:
        raise typer.Exit(1)


def model_of(model: str) -> str:
    """The model that a user means with a support: `default` is one of its own."""
    from openfer.bundle.load import DEFAULT
    from openfer.predict.support import SUPPORT_MODEL

    return SUPPORT_MODEL if model == DEFAULT else model


def say_notes(gathered: Gathered, left_out: LeftOut) -> None:
    """On standard error: what was left out of a support, and what it cannot do."""
    from openfer.predict.sinks.table import printable

    for note in gathered.notes:
        typer.echo(f"note: {printable(note)}", err=True)
    for warning in left_out.warnings:
        typer.echo(f"warning: {printable(warning)}", err=True)


def summary(left_out: LeftOut) -> str:
    """One line: how many classes and pictures, and how many were named right when left out."""
    from openfer.predict.sinks.table import percent

    low, high = map(percent, left_out.interval)
    pictures = sum(row.pictures for row in left_out.rows)
    tried = f"{left_out.right} of {left_out.tried} named right when left out (95 % interval {low} to {high})"
    said = tried if left_out.tried else "one picture each, so none could be left out"
    return f"support: {len(left_out.rows)} classes, {pictures} pictures; {said}"


def _print_table(left_out: LeftOut) -> None:
    from rich.markup import escape
    from rich.table import Table

    from openfer.cli.common import console
    from openfer.predict.sinks.table import percent, printable

    low, high = map(percent, left_out.interval)
    table = Table("class", "pictures", "named right when left out", "95 % interval", box=None, pad_edge=False)
    for row in left_out.rows:
        table.add_row(escape(printable(row.name)), str(row.pictures), _share(row.right, row.tried), "")
    pictures = sum(row.pictures for row in left_out.rows)
    interval = f"{low} to {high}" if left_out.tried else ""
    table.add_row("all", str(pictures), _share(left_out.right, left_out.tried), interval)
    console().print(table)


def _share(right: int, tried: int) -> str:
    from openfer.predict.sinks.table import percent

    return f"{right} of {tried}, {percent(right / tried)}" if tried else "cannot be tried"


def _say_next(left_out: LeftOut, out: Path) -> None:
    if left_out.similarity is not None:
        lowest, median = left_out.similarity
        typer.echo(
            f"Similarity of a left-out picture to its class: {lowest:.2f} at least, {median:.2f} in the middle; with "
            f"--min-similarity {left_out.passes:.2f} what is less alike becomes `none`."
        )
    typer.echo(f"Wrote {out} ({out.stat().st_size / 1000:.0f} kB).\nNext: openfer predict PHOTO --support {out}")


def _values(gathered: Gathered, left_out: LeftOut) -> dict[str, Any]:
    from dataclasses import asdict

    low, high = left_out.interval
    return {
        "model": asdict(gathered.support.model),
        "classes": [asdict(row) for row in left_out.rows],
        "left_out": {"tried": left_out.tried, "right": left_out.right, "low": low, "high": high},
        "similarity": left_out.similarity,
        "notes": gathered.notes,
        "warnings": left_out.warnings,
    }
