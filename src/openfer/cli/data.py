"""`openfer data`: data sets on disk become manifests, and manifests are checked, counted and prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openfer.cli.audit import audit
from openfer.cli.prepare import prepare

if TYPE_CHECKING:
    from rich.table import Table

    from openfer.data.check import CheckReport
    from openfer.data.scan import ScanReport
    from openfer.data.stats import StatsReport

app = typer.Typer(help="Bring data sets into one form, the manifest, and look at what is in it.", no_args_is_help=True)

EXAMPLES = 5
"""Bad rows and conflicts that are listed on a terminal; `--json` has all."""

Manifests = Annotated[
    list[Path],
    typer.Argument(
        metavar="MANIFEST...", help="One or several, read as one data set. `mini` is one that comes along: 1,400 faces."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


@app.command("scan")
def scan_command(
    layout: Annotated[
        str,
        typer.Argument(
            metavar="LAYOUT",
            help="rafdb, rafdb-compound, affectnet-csv, affectnet-npy, fer2013, ferplus, sfew, afew, expw, mmi, bp4d, "
            "disfa, ckplus, jaffe, kdef, caer-s, folder, or manifest (a csv or Parquet file of your own).",
        ),
    ],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Where the data set lies: a folder, or its csv file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="The manifest to write.")],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="folder, manifest: whose codes numbers are (rafdb, affectnet, ...), `own` to take names as they are, "
            "or a list a,b,c. AffectNet: affectnet (8 classes, default) or affectnet7.",
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="V",
            help="Which of several forms on disk, such as `aligned` or `original`; an unknown one lists them.",
        ),
    ] = None,
    votes: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="ferplus: majority (default), crossentropy, multi_target, argmax or plurality. rafdb: distribution.",
        ),
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Sets without an official split: the K-th of N parts, with whole subjects, becomes the test split.",
        ),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Decode every picture; damaged ones get a status.")] = False,
    json: Json = False,
) -> None:
    """Read a data set as it lies on disk and write its manifest: one row a picture.

    Rows that cannot be used stay, with the reason as their status. Exit status 1 where pictures are missing or damaged.
    """
    from openfer.cli.common import command_line, counting_bar, expect_parquet
    from openfer.data.scan import scan

    expect_parquet(out)
    with counting_bar("decoding") as progress:
        report = scan(
            layout, root, out, labels, variant, votes, verify, fold=fold, command=command_line(), progress=progress
        )
    if json:
        _print_record(report)
    else:
        _show_scan(report, out)
    if report.missing or report.unreadable:
        raise typer.Exit(1)


@app.command("check")
def check_command(manifests: Manifests, json: Json = False) -> None:
    """Look for missing, damaged and repeated pictures, and for repeats with different labels.

    Every picture is decoded; a duplicate has exactly the same pixels. Exit status 1 where pictures are missing or
    damaged.
    """
    from openfer.cli.common import counting_bar
    from openfer.data.check import check
    from openfer.data.manifest import load_manifest

    with counting_bar("decoding") as progress:
        report = check(load_manifest(*manifests), progress)
    if json:
        _print_record(report)
    else:
        _show_check(report)
    if not report.sound:
        raise typer.Exit(1)


@app.command("stats")
def stats_command(manifests: Manifests, json: Json = False) -> None:
    """Count rows by split and class, and say what is known of them."""
    from openfer.data.manifest import load_manifest
    from openfer.data.stats import stats

    report = stats(load_manifest(*manifests))
    if json:
        _print_record(report)
    else:
        _show_stats(report)


app.command("audit")(audit)
app.command("prepare")(prepare)


def _print_record(report: ScanReport | CheckReport | StatsReport) -> None:
    from dataclasses import asdict

    from openfer.cli.common import print_json

    print_json(asdict(report))


def _class_table(counts: Mapping[str, Mapping[str, int]], *, total: bool = True) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("label", *counts):
        table.add_column(name, justify="left" if name == "label" else "right")
    for label in next(iter(counts.values()), {}):
        table.add_row(label, *(f"{cells[label]:,}" for cells in counts.values()))
    if total:  # a face may show several action units, whose sum says nothing
        table.add_row("all", *(f"{sum(cells.values()):,}" for cells in counts.values()), style="bold")
    return table


def _say(lines: Sequence[str], most: int | None = None) -> None:
    """Lines as they are: names on disk may hold what rich takes for markup."""
    from openfer.cli.common import console

    screen = console()
    for line in lines[:most]:
        screen.print(line, markup=False)
    if most is not None and len(lines) > most:
        screen.print(f"  and {len(lines) - most} more (--json lists all)", markup=False)


def _skipped(counts: Mapping[str, int]) -> list[str]:
    return [f"left out: {', '.join(f'{count:,} {reason}' for reason, count in counts.items())}"] if counts else []


def _show_scan(report: ScanReport, out: Path) -> None:
    from openfer.cli.common import console
    from openfer.labels import LabelSet

    _say([f"{report.layout}: {report.rows:,} rows, labels of {report.label_set}, rule: {report.rule}"])
    units = LabelSet(report.label_set, report.labels).of_action_units
    console().print(_class_table(report.counts, total=not units))
    _say(_skipped(report.skipped))
    for split, cells in report.lost.items():
        _say([f"{split}: no picture for {', '.join(f'{count:,} {label}' for label, count in cells.items())}"])
    _say([f"missing: {name}" for name in report.missing], EXAMPLES)
    _say(report.unreadable, EXAMPLES)
    _say([f"note: {note}" for note in report.notes])
    _say([f"manifest: {out}"])


def _show_check(report: CheckReport) -> None:
    bad = (*report.missing, *report.unreadable)
    _say([f"{report.rows:,} rows: {len(report.missing)} missing, {len(report.unreadable)} unreadable"])
    _say([f"  row {row.row} {row.name}: {row.reason}" for row in bad], EXAMPLES)
    repeats = [f"{count:,} inside {split}" for split, count in report.inside.items()]
    repeats += [f"{count:,} of {pair.replace(' in ', ' also in ')}" for pair, count in report.across.items()]
    _say([f"exact duplicates: {', '.join(repeats) or 'none'}"])
    _say([f"label conflicts among duplicates: {len(report.conflicts)}"])
    _say(
        [
            "  " + ", ".join(f"row {row} {label}" for row, label in zip(one.rows, one.labels, strict=True))
            for one in report.conflicts
        ],
        EXAMPLES,
    )


def _show_stats(report: StatsReport) -> None:
    from openfer.cli.common import console

    console().print(_class_table(report.counts))
    _say([f"{report.rows:,} rows", *_skipped(report.skipped)])
    if report.sizes is not None:
        width, height = ("{} / {} / {}".format(*side) for side in (report.sizes.width, report.sizes.height))
        _say([f"pictures: width {width} px, height {height} px (smallest / median / largest)"])
    _say([f"votes: mean entropy in {split} {bits:.2f} bits" for split, bits in report.entropy.items()])
    known = ", ".join(f"{name} {share:.1%}" for name, share in report.coverage.items())
    _say([f"known of the rows: {known or 'labels only'}"])
    if report.subjects:
        _say([f"subjects: {report.subjects:,}"])
