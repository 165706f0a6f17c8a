"""`openfer predict`: the faces of photos, and what they express."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openfer.cli.common import console, progress

if TYPE_CHECKING:
    from openfer.predict.predictor import Predictor
    from openfer.predict.sources import Source
    from openfer.records import Prediction

SMALL = 128
"""Pictures with a shorter long side, pixels, are probably faces cut out already."""


@dataclass
class Tally:
    """What went through, for the last line and the exit status."""

    photos: int = 0
    faces: int = 0
    faceless: int = 0
    unreadable: int = 0
    small: int = 0

    def add(self, picture: Source, rows: Sequence[Prediction]) -> None:
        """Count one photo."""
        from openfer.records import NO_FACE, UNREADABLE

        self.photos += 1
        self.faces += sum(row.label is not None for row in rows)
        self.unreadable += any(row.status.startswith(UNREADABLE) for row in rows)
        if rows[0].status == NO_FACE:
            self.faceless += 1
            self.small += _is_small(picture)

    def line(self, seconds: float) -> str:
        """One line for people."""
        parts = [_count(self.photos, "photo"), _count(self.faces, "face")]
        parts += [f"{self.faceless} without a face"] if self.faceless else []
        parts += [f"{self.unreadable} with something unreadable"] if self.unreadable else []
        return f"{', '.join(parts)} in {seconds:.1f} s"


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Photos, folders (searched in depth) or quoted patterns ('**/*.jpg')."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="F", help="Write the rows to F: .csv, .json, .jsonl or .parquet."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")] = False,
    draw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each photo, its faces marked, to DIR.")
    ] = None,
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
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Most threads to use.", show_default="all there are")
    ] = None,
) -> None:
    """Find the faces in photos and read their expressions: one row a face.

    A photo without a face, or one that cannot be read, is a row too; its status says why.
    """
    from openfer.cli.models import resolve_model
    from openfer.predict.predictor import Predictor
    from openfer.predict.sinks import open_sink
    from openfer.predict.sinks.overlays import OverlayFolder
    from openfer.predict.sinks.table import table
    from openfer.predict.sinks.text import json_stream

    begun = time.perf_counter()
    predictor = Predictor.load(resolve_model(model), detector=detector, detect_size=detect_size, threads=threads)
    names, tally = predictor.labels.names, Tally()
    with ExitStack() as until_done:
        writes: list[Callable[[Prediction], None]] = []
        if out is not None:
            writes.append(until_done.enter_context(open_sink(out, names)).write)
        if json:
            writes.append(until_done.enter_context(json_stream(sys.stdout, names)))
        elif out is None:
            writes.append(until_done.enter_context(table(console())))
        overlays = OverlayFolder(draw) if draw is not None else None
        for picture, rows in _read(predictor, sources, draw):
            tally.add(picture, rows)
            for write in writes:
                for row in rows:
                    write(row)
            if overlays is not None and isinstance(picture, Path):
                overlays.write(picture, rows)
    _say(tally, time.perf_counter() - begun, [str(path) for path in (out, draw) if path is not None], detector)
    if tally.unreadable:
        raise typer.Exit(1)


def _read(predictor: Predictor, sources: Sequence[str], draw: Path | None) -> Iterator[tuple[Source, list[Prediction]]]:
    """Every picture with its rows, under a progress bar."""
    from openfer.predict.sources import find_pictures

    pictures, again = tee(find_pictures(sources, leave_out=draw))
    with progress() as bar:
        # Counting walks the folders once more, which only somebody who watches the bar needs.
        total = None if bar.disable else sum(1 for _ in find_pictures(sources, leave_out=draw))
        task = bar.add_task("Reading faces", total=total)
        for picture, rows in zip(again, predictor.iter_predict(pictures), strict=True):
            yield picture, rows
            bar.advance(task)


def _say(tally: Tally, seconds: float, written: list[str], detector: str) -> None:
    said = tally.line(seconds) + (f"; written: {', '.join(written)}" if written else "")
    sys.stdout.flush()  # the table first, where both go to one place
    typer.echo(said, err=True)
    if detector != "none" and tally.small * 2 > tally.photos:
        typer.echo(
            f"hint: most of these pictures are smaller than {SMALL} px and no face was found in them; "
            "if each is a face already, add `--detector none`",
            err=True,
        )


def _is_small(picture: Source) -> bool:
    from PIL import Image

    try:
        with Image.open(str(picture)) as image:
            return max(image.size) < SMALL
    except (OSError, ValueError):
        return False


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
