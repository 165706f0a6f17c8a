"""Five points for every row of a manifest, so that training cuts faces as prediction will."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from openfer.data.manifest import Manifest, write_manifest
from openfer.data.pictures import Progress, decode, relocate
from openfer.errors import DataError
from openfer.records import NO_FACE, OK, UNREADABLE, Points5
from openfer.vision.cut import find_in_frame
from openfer.vision.detect import Detector

GIVEN, DETECTED = "given", "detected"
CHUNK = 256
"""Rows that are handed to the workers at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareReport:
    """Rows by what became of their five points; the four counts add up to `rows`."""

    rows: int
    given: int
    detected: int
    no_face: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class _Row:
    points5: Points5 | None
    points5_status: str
    status: str


def prepare(
    manifest: Manifest, detector: Detector, out: Path, progress: Progress | None = None, *, workers: int = 1
) -> PrepareReport:
    """Find five points for every row that has none, and write the manifest with them.

    Rows keep their order and everything they know; `points5_status` becomes `given`, `detected`, `no_face` or
    `unreadable`, and a row that was `ok` but cannot be decoded gets the reason as its `status`. Rows without a label
    are prepared too: another rule may give them one.

    Args:
        detector: searches each row's frame: its box, else the whole picture.
        out: the manifest to write; paths of pictures become relative to its folder.
        workers: pictures that are searched at a time; give the detector one thread if this is more than one.

    Raises:
        DataError: `out` cannot be written.
    """
    given = manifest.column("points5_status")
    before = manifest.column("status")
    rows: list[_Row] = []
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(manifest), CHUNK):
            chunk = range(start, min(start + CHUNK, len(manifest)))
            rows += pool.map(lambda row: _prepare_row(manifest, detector, row, given[row], before[row] or OK), chunk)
            if progress is not None:
                progress(len(rows), len(manifest))
    report = _count(rows)
    note = f"points5: {', '.join(f'{count} {name}' for name, count in list(asdict(report).items())[1:])}"
    prepared = replace(manifest, origin=replace(manifest.origin, notes=(*manifest.origin.notes, note)))
    for column in ("points5", "points5_status", "status"):
        prepared = prepared.with_column(column, [getattr(row, column) for row in rows])
    write_manifest(relocate(prepared, out.parent), out)
    return report


def _prepare_row(manifest: Manifest, detector: Detector, row: int, given: str | None, status: str) -> _Row:
    try:
        points = manifest.points5(row)
    except DataError as error:
        return _Row(None, UNREADABLE, f"{UNREADABLE}: {error}" if status == OK else status)
    if points is not None:
        return _Row(points, given or GIVEN, status)
    picture, readable = decode(manifest, row)
    if picture is None:
        return _Row(None, UNREADABLE, readable if status == OK else status)
    try:
        face = find_in_frame(picture, detector, box=manifest.box(row))
    except DataError:  # the box cannot be cut: there is no frame to search
        face = None
    return _Row(face.points5, DETECTED, status) if face else _Row(None, NO_FACE, status)


def _count(rows: list[_Row]) -> PrepareReport:
    found = [row.points5_status for row in rows]
    counts = {name: found.count(name) for name in (GIVEN, DETECTED, NO_FACE, UNREADABLE)}
    return PrepareReport(rows=len(rows), **counts)
