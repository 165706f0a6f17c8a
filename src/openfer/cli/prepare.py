"""`openfer data prepare`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from openfer.data.prepare import PrepareReport


def prepare(
    manifest: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST", help="As `openfer data scan` made it, or `mini`: faces that come along."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="The manifest to write.")],
    landmarks: Annotated[
        bool, typer.Option("--landmarks/--no-landmarks", help="68 landmarks, and the places of 17 action units.")
    ] = True,
    crops: Annotated[bool, typer.Option("--crops", help="The aligned face as a picture.")] = False,
    patches: Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            help="Eyes and mouth as pictures: by fixed `regions` of the aligned face, or moved to its `landmarks`.",
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write faces and patches as PNG files; without it they are embedded in the manifest."
        ),
    ] = None,
    cut: Annotated[
        str, typer.Option(metavar="WAY", help="The aligned face: by `points`, or the `frame` (box, whole picture).")
    ] = "points",
    size: Annotated[int, typer.Option(metavar="PX", help="Side of the aligned face.")] = 96,
    patch_size: Annotated[int, typer.Option(metavar="PX", help="Side of the patches.")] = 64,
    template: Annotated[str, typer.Option(metavar="NAME", help="Where the five points go: fer2013, arcface112.")] = (
        "fer2013"
    ),
    colour: Annotated[str, typer.Option(metavar="NAME", help="Of faces and patches: rgb or grey.")] = "rgb",
    report: Annotated[
        Path | None,
        typer.Option(metavar="F.html", help="The report to write; by default OUT.report.html beside the manifest."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Upper bound of threads; all that are there by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Find five points and 68 landmarks for every row, so that training cuts faces as prediction does.

    What a row has is kept, and no row is lost: where nothing is found a status says so, and the report shows the
    picture. A run that is interrupted goes on where it stopped when the same command is given again. Exit status 1
    where pictures cannot be read.
    """
    from dataclasses import asdict

    from openfer.cli.common import console, counting_bar, expect_parquet, print_json
    from openfer.cli.ends import stoppable
    from openfer.data.manifest import load_manifest
    from openfer.data.prepare import PrepareOptions
    from openfer.data.prepare import prepare as run
    from openfer.errors import ConfigError
    from openfer.runtime import thread_count
    from openfer.vision.align import Alignment
    from openfer.vision.detect import load_detector
    from openfer.vision.landmarks import Landmarker

    expect_parquet(out)
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{report}: expected the name of an .html file to write")
    given: dict[str, Any] = {"patches": patches, "cut": cut, "patch_side": patch_size}
    align: dict[str, Any] = {"template": template, "size": size, "colour": colour}
    options = PrepareOptions(landmarks=landmarks, crops=crops, align=Alignment(**align), **given)
    if files is not None and not options.pictures:
        raise ConfigError("--files: nothing to write there; ask for --crops or --patches")
    workers = thread_count(threads)
    data = load_manifest(manifest)
    # Several pictures at a time, a thread each, is quicker than several threads a picture.
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    landmarker = Landmarker.load(threads=1) if landmarks else None
    with stoppable(), counting_bar("preparing") as progress:
        found = run(
            data, detector, landmarker, out, options, files=files, page=report, progress=progress, workers=workers
        )
    page = report or out.with_suffix(".report.html")
    if json:
        print_json(asdict(found) | {"manifest": str(out), "report": str(page)})
    else:
        screen = console()
        for line in _summary(found):
            screen.print(line)
        screen.print(f"manifest: {out}", markup=False)
        screen.print(f"report: {page}", markup=False)
    if found.unreadable:
        raise typer.Exit(1)


def _summary(found: PrepareReport) -> list[str]:
    lines = [f"{found.rows:,} rows: five points of {_words(found.points5)}"]
    if found.landmarks:
        lines.append(f"68 landmarks of {_words(found.landmarks)}")
    if found.resumed:
        lines.append(f"{found.resumed:,} rows were prepared by the run that was interrupted")
    return lines


def _words(counts: Mapping[str, int]) -> str:
    names = {
        "detected": "found",
        "given": "given",
        "uncertain": "uncertain",
        "no_face": "without a face",
        "unreadable": "unreadable",
    }
    return ", ".join(f"{counts[status]:,} {name}" for status, name in names.items() if status in counts)
