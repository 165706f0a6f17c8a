"""`openfer synth`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STRIP = "strip"
SHEET = 56
"""Pictures on a contact sheet, at most."""
COLUMNS = 8


def synth(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT|strip",
            help="Folder to write manifest.parquet into; made where it is missing. The word `strip` draws each action "
            "unit from 0 to 1 instead (a folder of that name: ./strip).",
        ),
    ],
    picture: Annotated[Path, typer.Argument(metavar="[F.png]", help="With `strip`: the picture to write.")] = Path(
        "strip.png"
    ),
    count: Annotated[int, typer.Option("--count", "-n", help="How many pictures.")] = 700,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same pictures.")] = 0,
    size: Annotated[int, typer.Option("--size", help="Side of the pictures, pixels.")] = 96,
    labels: Annotated[
        str,
        typer.Option(help="A label set's name, names with commas, or `aus`: action units drawn freely, no expression."),
    ] = "basic7",
    contact_sheet: Annotated[
        Path | None, typer.Option(metavar="F.png", help=f"Also draw the first {SHEET} on one sheet.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Most processes to use.", show_default="all there are")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Generate faces whose expression, action units, landmarks and pose are known.

    They are rendered from published anatomy: no photo, no scan, nobody's face.
    """
    from collections import Counter

    import pyarrow.parquet as pq

    from openfer.cli.common import command_line, console, print_json, progress
    from openfer.data.manifest import SPLITS
    from openfer.errors import ConfigError
    from openfer.runtime import thread_count
    from openfer.synth import strip, write_set

    if contact_sheet is not None:
        _check_picture(contact_sheet, "--contact-sheet")
    if str(out) == STRIP:
        _check_picture(picture, STRIP)
        _save(strip(size=size), picture)
        console().print(f"{picture}: each action unit from 0 to 1")
        return
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: a file of this name is there; expected a folder")
    path = out / "manifest.parquet"
    with progress() as bar:
        task = bar.add_task("Drawing", total=count)
        write_set(
            path,
            count,
            seed,
            size=size,
            labels=labels,
            command=command_line(),
            workers=thread_count(threads),
            progress=lambda done: bar.update(task, completed=done),
        )
    if contact_sheet is not None:
        _save_sheet(path, contact_sheet)
    written = pq.read_table(path, columns=["split", "subject"])  # not the pictures, of which there may be very many
    splits = Counter(written["split"].to_pylist())
    persons = len(written["subject"].unique())
    if as_json:
        rows = {split: splits[split] for split in SPLITS}
        print_json({"manifest": str(path), "pictures": count, "persons": persons, "splits": rows})
        return
    shares = ", ".join(f"{splits[split]} {split}" for split in SPLITS)
    console().print(f"{path}: {count} generated faces of {persons} persons ({shares}), {size} px, {seed=}")


def _check_picture(path: Path, name: str) -> None:
    from PIL import Image

    from openfer.errors import ConfigError

    if path.suffix.lower() not in Image.registered_extensions():
        raise ConfigError(f"{name} '{path}': unknown ending '{path.suffix}'; use .png")


def _save_sheet(manifest: Path, path: Path) -> None:
    import pyarrow.parquet as pq

    from openfer.synth import contact_sheet
    from openfer.vision.image import read_image

    first = next(pq.ParquetFile(manifest).iter_batches(SHEET, columns=["image", "label"])).to_pylist()
    pictures = [read_image(row["image"]["bytes"]) for row in first]
    _save(contact_sheet(pictures, [row["label"] or "action units" for row in first], COLUMNS), path)


def _save(image: object, path: Path) -> None:
    from PIL import Image

    from openfer.files import replacing

    assert isinstance(image, Image.Image)
    with replacing(path) as beside:
        image.save(beside, format=Image.registered_extensions()[path.suffix.lower()])
