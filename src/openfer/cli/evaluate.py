"""`openfer evaluate`: a model, the rows of a split, a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from openfer.bundle.load import Bundle
    from openfer.data.manifest import Manifest
    from openfer.evaluate.action_units.record import ActionUnitReport
    from openfer.evaluate.predictions import Predictions
    from openfer.evaluate.report.record import EvaluationReport
    from openfer.vision.detect import Detector

PREDICTIONS = "predictions.parquet"


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="`default`, a name, a bundle folder or a run folder.")],
    manifest: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST", help="As `openfer data scan` made it, or `mini`: faces that come along."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the report; its old report is replaced.")],
    split: Annotated[
        str,
        typer.Option(metavar="NAME", help="train, validation or test; with --episodes also several (a,b), or all."),
    ] = "test",
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
    episodes: Annotated[
        str,
        typer.Option(
            metavar="N|FILE",
            help="Few-shot: judge N episodes drawn from the rows, or those of a file.",
            show_default=False,
        ),
    ] = "",
    n_way: Annotated[int, typer.Option(metavar="N", help="Few-shot: classes an episode.")] = 3,
    k_shot: Annotated[int, typer.Option(metavar="K", help="Few-shot: pictures of each class that are shown.")] = 3,
    n_query: Annotated[int, typer.Option(metavar="Q", help="Few-shot: pictures of each class that are asked.")] = 1,
    classes: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Few-shot: what episodes are made of; default anger,disgust,fear, or what the model has not learned.",
            show_default=False,
        ),
    ] = "",
    classifier: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Few-shot: cosine, centred, euclidean (nearest centroid) or ridge (as predict --support); default an "
            "episodic run's own score, else cosine.",
            show_default=False,
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Few-shot: of the drawing.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Upper bound of threads; all that are there by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Judge a model on the rows of a split, or on few-shot episodes drawn from them.

    Writes report.html, report.json, confusion.png and predictions.parquet into DIR; for episodes also
    episodes.parquet, so that another model can be judged on the same ones.
    """
    from openfer.bundle.load import BATCH, load_bundle
    from openfer.cli.common import command_line, counting_bar, print_json
    from openfer.cli.episodes import Wanted, answer_episodes, episode_model
    from openfer.cli.models import resolve_model
    from openfer.data.manifest import load_manifest
    from openfer.errors import ConfigError
    from openfer.evaluate.score import score_manifest
    from openfer.vision.detect import load_detector

    if episodes and coupled:
        raise ConfigError("--coupled judges whole splits; leave it out, or --episodes")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file of this name is there; expected a folder")
    # Rows are cut side by side, so one thread for each call of the detector.
    finder = load_detector(detector, threads=1)
    data = load_manifest(manifest)
    bundle = _coupled(Path(model)) if coupled else load_bundle(resolve_model(model), threads=threads)
    queries = None
    with counting_bar(split) as advance:
        if episodes:
            wanted = Wanted(
                episodes=episodes, n_way=n_way, k_shot=k_shot, n_query=n_query, seed=seed, classes=classes, split=split
            )
            how = episode_model(model, bundle, classifier)
            predictions, queries = answer_episodes(how, data, wanted, out, detector=finder, progress=advance)
        else:
            predictions = score_manifest(
                bundle,
                data,
                split,
                detector=finder,
                labels=labels,
                batch=coupled or BATCH,
                progress=advance,
                command=command_line(),
            )
    if data.labels.of_action_units and not episodes:
        _report_units(predictions, bundle, out, json=json)
        return
    if coupled:
        predictions = _flagged(predictions, coupled)
    report = _write(predictions, bundle, data, finder, out, queries)
    if json:
        print_json(report.to_dict())
    else:
        _print_report(report, out)
    if report.counts.unreadable:
        raise typer.Exit(1)


def _write(
    predictions: Predictions,
    bundle: Bundle,
    data: Manifest,
    detector: Detector | None,
    out: Path,
    queries: Sequence[int] | None,
) -> EvaluationReport:
    """Predictions and report as files; `queries` are the manifest's rows of an episode's queries."""
    from openfer.evaluate.predictions import write_predictions
    from openfer.evaluate.report.build import evaluate_predictions
    from openfer.evaluate.report.write import write_report
    from openfer.evaluate.score import cut_pictures

    # First of all: where no row can be judged, this file says why.
    write_predictions(predictions, out / PREDICTIONS)
    report = evaluate_predictions(predictions, card=bundle.card)
    shown = [example.row for example in report.errors + report.hardest]
    rows = {row: row if queries is None else queries[row] for row in shown}
    cut = cut_pictures(bundle, data, rows.values(), detector=detector)
    write_report(report, out, pictures={shown: cut[row] for shown, row in rows.items() if row in cut})
    return report


def _report_units(predictions: Predictions, bundle: Bundle, out: Path, *, json: bool) -> None:
    """Of a data set without expressions: action units alone."""
    from dataclasses import asdict

    from openfer.cli.common import console, print_json
    from openfer.evaluate.action_units.columns import unit_report
    from openfer.evaluate.action_units.write import PAGE, write_unit_report
    from openfer.evaluate.predictions import write_predictions

    write_predictions(predictions, out / PREDICTIONS)
    report = unit_report(predictions)
    write_unit_report(report, predictions.context, bundle.card, out)
    if json:
        print_json(asdict(report))
        return
    table = _table()
    table.add_row("faces", f"{report.faces}", f"{report.unanswered} more without an answer")
    _add_units(table, report)
    console().print(table)
    console().print(f"report: {out / PAGE}", markup=False)


def _table() -> Table:
    from rich.table import Table

    return Table(box=None, show_header=False, pad_edge=False)


def _add_units(table: Table, report: ActionUnitReport) -> None:
    """Lines of the means over the action units."""
    for name, word in (("auc", "AUC"), ("auc_within", "AUC within expressions")):
        if mean := report.means.get(name):
            ends = mean.score.interval
            between = f"\\[{ends[0]:.3f}, {ends[1]:.3f}], " if ends else ""
            table.add_row(f"action units, {word}", f"{mean.score.value:.3f}", f"{between}mean of {mean.units}")


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

    from openfer.cli.common import console
    from openfer.evaluate.report.write import PAGE

    table = _table()
    for name, score in (("accuracy", report.accuracy), ("mean-class accuracy", report.mean_class_accuracy)):
        table.add_row(name, f"{score.value:.1%}", f"[{score.low:.1%}, {score.high:.1%}]".replace("[", "\\["))
    counts = report.counts
    rows = ", ".join(f"{rows} {way}" for way, rows in report.ways.items() if rows)
    facts = report.context.episodes
    table.add_row("queries" if facts else "rows", f"{counts.counted} of {counts.rows}", f"cut by: {rows}")
    if facts:
        for row in report.classes:
            table.add_row(escape(row.name), f"{row.recall or 0:.1%}", f"of {row.support:,} queries")
    screen = console()
    if facts:
        screen.print(f"{facts}; guessing reaches {1 / facts.n_way:.1%}\nanswered by {facts.scored_by}")
    if report.action_units:
        _add_units(table, report.action_units)
    screen.print(table)
    for warning in report.warnings:
        screen.print(f"note: {escape(warning)}")
    for failure in report.failures[:5]:
        screen.print(f"row {failure.row}: {escape(failure.status)}")
    screen.print(f"report: {escape(str(out / PAGE))}")
