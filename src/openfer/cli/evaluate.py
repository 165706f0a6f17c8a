"""`openfer evaluate`: a model, the rows of a split, a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openfer.bundle.load import Bundle
    from openfer.evaluate.predictions import Predictions
    from openfer.evaluate.report.record import EvaluationReport

PREDICTIONS = "predictions.parquet"


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="`default`, a name, a bundle folder or a run folder.")],
    manifest: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST", help="As `openfer data scan` made it, or `mini`: faces that come along."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the report; its old report is replaced.")],
    split: Annotated[str, typer.Option(metavar="NAME", help="train, validation or test.")] = "test",
    labels: Annotated[
        str,
        typer.Option(metavar="RULE", help="same: model and data must have the same names; intersection: shared ones."),
    ] = "same",
    detector: Annotated[
        str, typer.Option(metavar="NAME", help="Finds faces in rows without points: centerface or none.")
    ] = "centerface",
    coupled: Annotated[
        int, typer.Option(min=0, metavar="N", help="Judge a run whose method couples a batch as published, N at once.")
    ] = 0,
    threads: Annotated[int | None, typer.Option(help="Upper bound of threads; all that are there by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Judge a model on the rows of a split.

    Writes report.html, report.json, confusion.png and predictions.parquet into DIR.
    """
    from openfer.bundle.load import BATCH, load_bundle
    from openfer.cli.common import command_line, print_json, progress
    from openfer.cli.models import resolve_model
    from openfer.data.manifest import load_manifest
    from openfer.errors import ConfigError
    from openfer.evaluate.predictions import write_predictions
    from openfer.evaluate.report.build import evaluate_predictions
    from openfer.evaluate.report.write import write_report
    from openfer.evaluate.score import cut_pictures, score_manifest
    from openfer.vision.detect import load_detector

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file of this name is there; expected a folder")
    # Rows are cut side by side, so one thread for each call of the detector.
    finder = load_detector(detector, threads=1)
    data = load_manifest(manifest)
    bundle = _coupled(Path(model)) if coupled else load_bundle(resolve_model(model), threads=threads)
    with progress() as bar:
        task = bar.add_task(split, total=None)
        predictions = score_manifest(
            bundle,
            data,
            split,
            detector=finder,
            labels=labels,
            batch=coupled or BATCH,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            command=command_line(),
        )
    if coupled:
        predictions = _flagged(predictions, coupled)
    # First of all: where no row can be judged, this file says why.
    write_predictions(predictions, out / PREDICTIONS)
    report = evaluate_predictions(predictions, card=bundle.card)
    shown = [example.row for example in report.errors + report.hardest]
    write_report(report, out, pictures=cut_pictures(bundle, data, shown, detector=finder))
    if json:
        print_json(report.to_dict())
    else:
        _print_report(report, out)
    if report.counts.unreadable:
        raise typer.Exit(1)


def _coupled(run: Path) -> Bundle:
    from openfer.learn import require_torch

    require_torch()
    from openfer.learn.coupled import coupled_model

    return coupled_model(run)


def _flagged(predictions: Predictions, batch: int) -> Predictions:
    from openfer.learn.coupled import flagged

    return flagged(predictions, batch)


def _print_report(report: EvaluationReport, out: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from openfer.cli.common import console
    from openfer.evaluate.report.write import PAGE

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, score in (("accuracy", report.accuracy), ("mean-class accuracy", report.mean_class_accuracy)):
        table.add_row(name, f"{score.value:.1%}", f"[{score.low:.1%}, {score.high:.1%}]".replace("[", "\\["))
    counts = report.counts
    rows = ", ".join(f"{rows} {way}" for way, rows in report.ways.items() if rows)
    table.add_row("rows", f"{counts.counted} of {counts.rows}", f"cut by: {rows}")
    screen = console()
    screen.print(table)
    for warning in report.warnings:
        screen.print(f"note: {escape(warning)}")
    for failure in report.failures[:5]:
        screen.print(f"row {failure.row}: {escape(failure.status)}")
    screen.print(f"report: {escape(str(out / PAGE))}")
