"""A whole manifest is prepared: block by block, by several threads, and from where an interrupted run stopped."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openfer import __version__
from openfer.data.columns import column_of
from openfer.data.manifest import SCHEMA, Manifest, write_manifest
from openfer.data.pictures import Progress, relative_path, relocate
from openfer.data.prepare.options import PrepareOptions
from openfer.data.prepare.page import prepare_page
from openfer.data.prepare.parts import open_parts
from openfer.data.prepare.report import PrepareReport, count_rows, words
from openfer.data.prepare.row import Values, prepare_row
from openfer.errors import ConfigError, DataError
from openfer.files import remove_leftovers, replacing, sha256_of, write_text
from openfer.vision.detect import Detector
from openfer.vision.landmarks import Landmarker

BLOCK = 128
"""Rows that a thread prepares before it writes them; a kill costs no more than that for each thread."""
FOLDERS = {"face": "images", "eyes": "images_eye", "mouth": "images_lip"}
"""Where pictures go that are written as files: the names that CSRN's code reads."""


def prepare(
    manifest: Manifest,
    detector: Detector,
    landmarker: Landmarker | None,
    out: Path,
    options: PrepareOptions | None = None,
    *,
    files: Path | None = None,
    page: Path | None = None,
    progress: Progress | None = None,
    workers: int = 1,
) -> PrepareReport:
    """Find points and landmarks for every row that has none, cut what was asked for, and write the manifest with it.

    Rows keep their order and everything they know. `points5_status` becomes `given`, `detected`, `no_face` or
    `unreadable`. `landmarks_status` may also be `uncertain`: these landmarks are kept, but the places of action units
    and patches by landmarks are those of the mean face, as they are where there are no landmarks. A row that was `ok`
    but cannot be read gets the reason as its `status`. Rows without a label are prepared too: another rule may give
    them one.

    A run that was interrupted or killed goes on where it stopped when it is called again with the same arguments, and
    writes the same bytes.

    Args:
        manifest: what to prepare.
        detector: searches each row's frame: its box, else the whole picture.
        landmarker: finds the landmarks; None only where the options ask for none.
        out: the manifest to write; paths of pictures become relative to its folder.
        options: what to make; by default landmarks and the places of action units.
        files: a folder for aligned faces and patches, named by `out` and their row; by default they are embedded.
        page: the report to write, HTML; by default `<name>.report.html` beside `out`.
        progress: called with rows done and all rows.
        workers: blocks that are prepared at a time; give detector and landmarker one thread if this is more than one.

    Raises:
        ConfigError: landmarks without a landmarker; another run writes `out`, or an interrupted one had other options.
        DataError: there is no row, or something cannot be written.
    """
    options = options or PrepareOptions()
    if options.landmarks and landmarker is None:
        raise ConfigError("landmarks: no landmarker was given; load one, or ask for no landmarks")
    if not len(manifest):
        raise DataError("the manifest has no rows to prepare")
    page = page or out.with_suffix(".report.html")
    out = Path(os.path.realpath(out)) if out.is_symlink() else out  # a link stays one
    settings = {
        "program": __version__,
        "manifest": _hash(manifest),
        "landmarker": sha256_of(landmarker.path) if landmarker else None,
        **asdict(options),
        "files": str(files.absolute()) if files else None,
    }
    with open_parts(out, settings, len(manifest), BLOCK) as parts:
        _remove_half_written(out, page, files)

        def work(block: range) -> int:
            rows = [prepare_row(manifest, row, detector, landmarker, options) for row in block]
            names = [f"{out.stem}-{row:07d}.png" for row in block]
            parts.add(block, _as_table(rows, options, manifest.root, files, names))
            return len(block)

        left = parts.left()
        _in_threads(work, left, workers, lambda done: progress and progress(parts.kept + done, len(manifest)))
        prepared, table = manifest, parts.table()
        for column in options.columns:
            prepared = prepared.with_column(column, table[column])
        report = count_rows(prepared, landmarks=options.landmarks, resumed=parts.kept)
        text = prepare_page(prepared, report, options)
        notes = (*prepared.origin.notes, _note(report, options))
        write_manifest(relocate(replace(prepared, origin=replace(prepared.origin, notes=notes)), out.parent), out)
        write_text(page, text)
    return report


def _remove_half_written(out: Path, page: Path, files: Path | None) -> None:
    for path in (out, page):
        remove_leftovers(path.parent, glob.escape(path.name))
    if files is not None:
        for folder in FOLDERS.values():
            remove_leftovers(files / folder, f"{glob.escape(out.stem)}-*.png")


def _in_threads(
    work: Callable[[range], int], blocks: Sequence[range], workers: int, progress: Callable[[int], object]
) -> None:
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            for block in as_completed([pool.submit(work, block) for block in blocks]):
                done += block.result()
                progress(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _as_table(
    rows: Sequence[Values], options: PrepareOptions, root: Path, files: Path | None, names: Sequence[str]
) -> pa.Table:
    """Rows as columns of the manifest in `root`; pictures are embedded, or written below `files` under their names."""
    columns = {}
    for column in options.columns:
        values = [row[column] for row in rows]
        if column in options.pictures:
            values = [
                content and _picture(content, files and files / FOLDERS[column] / name, root)
                for content, name in zip(values, names, strict=True)
            ]
        columns[column] = column_of(values, SCHEMA.field(column).type)
    return pa.table(columns)


def _picture(content: bytes, path: Path | None, root: Path) -> dict[str, bytes | str | None]:
    if path is None:
        return {"bytes": content, "path": None}
    with replacing(path) as beside:
        beside.write_bytes(content)
    return {"bytes": None, "path": relative_path(os.path.realpath(path.parent), path.name, os.path.realpath(root))}


def _hash(manifest: Manifest) -> str:
    """SHA-256 of all that a manifest's rows hold, and of where its pictures lie."""
    sink = pa.BufferOutputStream()
    pq.write_table(manifest.table.replace_schema_metadata(None), sink)
    result = hashlib.sha256(sink.getvalue())
    result.update(os.fsencode(os.path.realpath(manifest.root)))
    return result.hexdigest()


def _note(report: PrepareReport, options: PrepareOptions) -> str:
    note = f"points5: {words(report.points5)}"
    if options.landmarks:
        note += f"; landmarks: {words(report.landmarks)}"
    if options.landmarks or options.pictures:
        align = options.align
        note += f"; face cut by {options.cut}, template {align.template}, margin {align.margin:g}"
    return note
