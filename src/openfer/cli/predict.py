"""`openfer predict`: the faces of photos, and what they express."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openfer.cli.common import console
from openfer.cli.ends import let_go, stoppable
from openfer.cli.photos import SMALL, Tally, photo_bar
from openfer.errors import ConfigError
from openfer.files import blaming

if TYPE_CHECKING:
    from openfer.predict.predictor import Predictor
    from openfer.predict.sources import Source
    from openfer.records import Prediction


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Photos, folders (searched in depth), quoted patterns ('**/*.jpg'), or `-`: "
            "a list of them on standard input, one a line or as `find -print0` writes it.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="F", help="Write the rows to F: .csv, .json, .jsonl or .parquet."),
    ] = None,
    append: Annotated[
        bool,
        typer.Option(
            "--append", help="Keep what F holds and add the photos that it lacks; goes on with a stopped run."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")] = False,
    draw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each photo, its faces marked, to DIR.")
    ] = None,
    cam: Annotated[
        bool, typer.Option("--cam", help="Show on the overlays of --draw where in the face each label comes from.")
    ] = False,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Add each face's 68 points to the rows, and draw them with --draw.")
    ] = False,
    aus: Annotated[
        bool,
        typer.Option(
            "--aus",
            help="Add each face's action units to the rows, and draw them with --draw; of models that have them.",
        ),
    ] = False,
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
    labels: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Choose among these only: a label set's name, or names with commas."),
    ] = None,
    support: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|F.npz",
            help="Classes of your own instead of the model's: a folder with a folder of pictures for each, or what "
            "`openfer support build` wrote.",
        ),
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(metavar="S", help="With --support: a face less like its class than S, -1 to 1, is `none`."),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(metavar="C", help="A label less probable than C, 0 to 1, is `uncertain`.")
    ] = 0.0,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="Pictures with more pixels are refused, before they are decoded.")
    ] = 110_000_000,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Most threads to use.", show_default="all there are")
    ] = None,
) -> None:
    """Find the faces in photos and read their expressions: one row a face.

    A photo without a face, or one that cannot be read, is a row too; its status says why.
    """
    from openfer.cli.models import resolve_model
    from openfer.cli.support import model_of
    from openfer.predict.predictor import Predictor
    from openfer.predict.sinks.output import open_output
    from openfer.predict.sinks.overlays import OverlayFolder
    from openfer.predict.sources import find_pictures
    from openfer.vision.au_locations import AUS

    if append and out is None:
        raise ConfigError("--append: to which file? Name it with --out F")
    if cam and draw is None:
        raise ConfigError("--cam: where to? Name a folder for the overlays with --draw DIR")
    if min_similarity is not None and support is None:
        raise ConfigError("--min-similarity: to what? Name the examples with --support DIR")
    begun, tally = time.perf_counter(), Tally()
    with ExitStack() as until_done:
        enter = until_done.enter_context
        enter(stoppable())
        predictor = Predictor.load(
            resolve_model(model if support is None else model_of(model)),
            detector=detector,
            detect_size=detect_size,
            labels=labels,
            min_confidence=min_confidence,
            max_pixels=max_pixels,
            threads=threads,
            maps=cam,
            landmarks=landmarks,
            aus=aus,
        )
        if support is not None:
            predictor = _with_support(predictor, support, min_similarity)
        names = predictor.labels.names
        extra: dict[str, Any] = {
            "landmarks": landmarks,
            "similarity": support is not None,
            "units": AUS if aus else (),
        }
        show = enter(
            _standard_output(
                names,
                json=json,
                extra=extra,
                table=out is None,
                needed=out is None and draw is None,
            )
        )
        overlays = OverlayFolder(draw, max_pixels=predictor.max_pixels) if draw is not None else None
        output = None
        if out is not None:
            settings = _settings(predictor, detector)
            output = enter(open_output(out, names, settings=settings, append=append, **extra))
        pictures: Iterable[Source] = find_pictures(sources, leave_out=draw)
        if output is not None:
            pictures = output.left(pictures)
            if overlays is not None:
                for name in output.pictures():
                    overlays.reserve(name)
        advance = enter(photo_bar(sources, leave_out=draw, hidden=json and sys.stdout.isatty()))
        for picture, rows in enter(closing(_read(predictor, pictures))):
            tally.add(picture, rows)
            if overlays is not None:
                overlays.write(picture, rows)
            if output is not None:  # after the overlay: a photo whose rows are kept is done altogether
                output.write(rows)
            show(rows)
            advance(output.skipped if output else 0)
    said = tally.line(time.perf_counter() - begun)
    said += f"; {output.skipped} were there already" if output and output.skipped else ""
    written = ", ".join(str(path) for path in (out, draw) if path is not None)
    _say(said + (f"; written: {written}" if written else ""))
    if detector != "none" and tally.mostly_small:
        _say(
            f"hint: most of these pictures are smaller than {SMALL} px and no face was found in them; "
            "if each is a face already, add `--detector none`"
        )
    if tally.failed or (output and output.skipped_failures):
        raise typer.Exit(1)


def _with_support(predictor: Predictor, source: Path, min_similarity: float | None) -> Predictor:
    """The predictor with classes of the user's own; a folder of them says how well they are told apart."""
    from openfer.cli.support import say_notes, summary
    from openfer.predict.support.check import leave_out
    from openfer.predict.support.gather import gather

    if not source.is_dir():
        return predictor.with_support(source, min_similarity=min_similarity)
    gathered = gather(source, predictor)
    left_out = leave_out(gathered.support)
    say_notes(gathered, left_out)
    _say(summary(left_out))
    return predictor.with_support(gathered.support, min_similarity=min_similarity)


def _settings(predictor: Predictor, detector: str) -> dict[str, Any]:
    """The options that change answers, as they are: an interrupted run is continued with the same alone."""
    card = predictor.bundle.card
    mine = predictor.support
    examples = {} if mine is None else {"--support": mine.digest, "--min-similarity": predictor.min_similarity}
    return examples | {
        "--model": [card.graphs, card.input.model_dump(mode="json"), card.temperature],
        "--detector": detector,
        "--detect-size": predictor.detect_size,
        "--labels": list(predictor.labels),
        "--min-confidence": predictor.min_confidence,
        "--max-pixels": predictor.max_pixels,
    }


def _read(predictor: Predictor, pictures: Iterable[Source]) -> Generator[tuple[Source, list[Prediction]]]:
    """Every picture with its rows."""
    taken, again = tee(pictures)
    yield from zip(again, predictor.iter_predict(taken), strict=True)


@contextmanager
def _standard_output(
    names: tuple[str, ...], *, json: bool, extra: Mapping[str, Any], table: bool, needed: bool
) -> Iterator[Callable[[Sequence[Prediction]], None]]:
    """What to call to show the rows of a photo: as JSON, in a table, or not at all.

    Args:
        names: label names.
        json: as one JSON document, which comes before the table.
        extra: further columns, in JSON: see `columns_of`.
        table: in a table.
        needed: whether the run has nothing else to do, so that it ends when nobody reads on.
    """
    from openfer.predict.sinks.rows import row_of
    from openfer.predict.sinks.table import table as table_on
    from openfer.predict.sinks.text import json_stream

    until_done, here = ExitStack(), Path("standard output")
    writes: list[Callable[[Prediction], None]] = []
    if json:
        dump = until_done.enter_context(json_stream(sys.stdout))
        writes.append(lambda row: dump(row_of(row, names, **extra)))
    elif table:
        writes.append(until_done.enter_context(table_on(console())))

    def show(rows: Sequence[Prediction]) -> None:
        try:
            with blaming(here):
                for write in writes:
                    for row in rows:
                        write(row)
                sys.stdout.flush()
        except BrokenPipeError:
            if needed:
                raise
            let_go(sys.stdout)

    yield show
    with blaming(here):
        until_done.close()  # only where all went well: a document that was cut off must not look whole
        sys.stdout.flush()


def _say(line: str) -> None:
    typer.echo(line, err=True)
