"""`openfer data audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openfer.data.audit.record import Audit, Leak

EXAMPLES = 5
"""Unreadable rows that are named on a terminal; audit.json has all."""
SHARED = {
    "exact": "exact copies of a picture",
    "near": "near copies of a picture",
    "subject": "a person",
    "clip": "a clip",
}


def audit(
    manifests: Annotated[
        list[Path], typer.Argument(metavar="MANIFEST...", help="One or several, read as one data set.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for audit.html and audit.json.")] = Path("audit"),
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 where splits share pictures, people or clips.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(metavar="OUT.parquet", help="Write a cleaned manifest, without the rows of --drop.")
    ] = None,
    drop: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="What it leaves out: unreadable, leaks (pictures), subjects, clips, conflicts, copies (inside train). "
            "By default all but copies; with `--keep train` also not conflicts.",
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            metavar="SIDE",
            help="What stays whole where splits share something: `evaluation` (rows of train go), or `train` (for a "
            "model that is trained already).",
        ),
    ] = "evaluation",
    near: Annotated[bool, typer.Option("--near/--no-near", help="Search for near copies, too.")] = True,
    threads: Annotated[int | None, typer.Option(help="Upper bound of threads; all that are there by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what audit.json holds instead of the summary.")] = False,
) -> None:
    """Find copies, near copies, contradictions, leaks between splits, and pictures of poor quality.

    Writes audit.html, with the pictures beside each other, and audit.json, with everything by row number. Exit status
    1 where pictures are missing or damaged, and with --strict where splits share something.
    """
    from openfer.cli.common import command_line, console, counting_bar, expect_parquet, print_json
    from openfer.data.audit.build import audit as run
    from openfer.data.audit.clean import left_out, parse_drops, parse_keep, without
    from openfer.data.audit.write import audit_values, write_audit
    from openfer.data.manifest import load_manifest, write_manifest
    from openfer.data.pictures import relocate
    from openfer.errors import ConfigError
    from openfer.runtime import thread_count

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file of this name is there; expected a folder")
    if write is not None:
        expect_parquet(write)
    elif drop is not None:
        raise ConfigError("--drop: there is nothing to leave it out of; add --write OUT.parquet")
    dropping, side = None if drop is None else parse_drops(drop), parse_keep(keep)
    workers = thread_count(threads)
    data = load_manifest(*manifests)
    found = run(data, near=near, workers=workers, bar=counting_bar)
    dropped = None
    if write is not None:
        dropped = left_out(data, found, drop=dropping, keep=side)
        write_manifest(relocate(without(data, dropped, keep=side), write.parent), write)
    command = command_line()
    write_audit(data, found, out, dropped=dropped, keep=side, command=command)
    if json:
        print_json(audit_values(data, found, dropped=dropped, keep=side, command=command))
    else:
        screen = console()
        for line in _summary(found):
            screen.print(line, markup=False)
        if dropped is not None:
            screen.print(f"left out: {len(dropped):,} of {found.rows:,} rows; manifest: {write}", markup=False)
        screen.print(f"report: {out / 'audit.html'}", markup=False)
    if found.bad or (strict and found.leaks):
        raise typer.Exit(1)


def _summary(found: Audit) -> list[str]:
    lines = [f"{found.rows:,} rows, {len(found.first):,} different pictures, {len(found.bad):,} missing or unreadable"]
    lines += [f"  row {one.row} {one.name}: {one.reason}" for one in found.bad[:EXAMPLES]]
    repeats = sum(len(group) - 1 for group in found.groups)
    near = f"{len(found.pairs):,} near pairs" if found.searched else "near copies not searched for"
    lines.append(f"copies: {repeats:,} exact, {near}; {len(found.contradictions):,} contradictions of labels")
    lines += [f"leak: {_leak(one)}" for one in found.leaks] or ["no leak between splits"]
    poor = [f"{len(rows):,} {name}" for name, rows in found.poor.items() if len(rows)]
    lines.append(f"poor pictures: {', '.join(poor) or 'none'}")
    return lines


def _leak(leak: Leak) -> str:
    usable = "" if leak.usable == len(leak.rows) else f" ({leak.usable:,} usable)"
    return f"{len(leak.rows):,} rows of {leak.later}{usable} share {SHARED[leak.kind]} with {leak.earlier}"
