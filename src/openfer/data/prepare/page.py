"""The report for people: how often no face was found, which pictures those are, and what was done instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openfer.data.manifest import Manifest
from openfer.data.prepare.options import PrepareOptions
from openfer.data.prepare.report import PrepareReport, unreadable_rows
from openfer.data.prepare.row import face_square, frame_of
from openfer.errors import DataError
from openfer.pages.documents import environment
from openfer.pages.pictures import address
from openfer.records import NO_FACE, UNCERTAIN, UNREADABLE
from openfer.vision.align import shares_of_square, warp

SIDE = 112
"""Pictures of the page, pixels."""
MOST = {NO_FACE: 60, UNCERTAIN: 30, "detected": 12, "given": 12, UNREADABLE: 100}
"""So many rows of each kind are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A row on the page.

    Args:
        row: its number.
        name: what a person would call it.
        picture: the face as it is cut, as an address that holds it.
        points: landmarks (x, y) in shares of the picture's side.
        quality: of the landmarks, where they were looked for.
    """

    row: int
    name: str
    picture: str
    points: tuple[tuple[float, float], ...] = ()
    quality: float | None = None


def prepare_page(prepared: Manifest, report: PrepareReport, options: PrepareOptions) -> str:
    """The report as one HTML page that needs nothing beside itself.

    Args:
        prepared: the manifest with what was found.
        report: its numbers.
        options: what was asked for.
    """
    points, found = prepared.column("points5_status"), prepared.column("landmarks_status")
    quality = np.array([np.nan if value is None else value for value in prepared.column("landmark_quality")])
    shown = {kind: _shown(prepared, _rows(points, kind), MOST[kind], options) for kind in (NO_FACE,)}
    for kind in (UNCERTAIN, "detected", "given") if options.landmarks else ():
        rows = [row for row in _rows(found, kind) if points[row] != NO_FACE]
        if kind == UNCERTAIN:  # the worst first
            rows = [rows[at] for at in np.argsort(quality[rows], kind="stable")[: MOST[kind]]] if rows else []
        shown[kind] = _shown(prepared, rows, MOST[kind], options)
    lost = [
        (row, prepared.name(row), prepared.value(row, "status"))
        for row in unreadable_rows(prepared, landmarks=options.landmarks)[: MOST[UNREADABLE]]
    ]
    return (
        environment("openfer.data.prepare")
        .get_template("page.html")
        .render(origin=prepared.origin, report=report, options=options, shown=shown, lost=lost)
    )


def _rows(statuses: Sequence[str | None], kind: str) -> list[int]:
    return [row for row, status in enumerate(statuses) if status == kind]


def _shown(prepared: Manifest, rows: Sequence[int], most: int, options: PrepareOptions) -> list[Shown]:
    """At most so many of the rows, evenly spread."""
    chosen = [rows[at] for at in np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
    return [shown for row in chosen if (shown := _show(prepared, row, options))]


def _show(prepared: Manifest, row: int, options: PrepareOptions) -> Shown | None:
    try:
        picture = prepared.picture(row)
        square, _ = face_square(prepared.points5(row), frame_of(prepared, row, picture), options)
        face = warp(picture, square, SIDE, 0)
        landmarks = prepared.landmarks68(row) if options.landmarks else None
    except DataError:  # changed since it was read, or not to be cut
        return None
    points = [] if landmarks is None else shares_of_square(landmarks, square).round(3).tolist()
    return Shown(
        row=row,
        name=prepared.name(row),
        picture=address(face, SIDE),
        points=tuple((x, y) for x, y in points),
        quality=prepared.value(row, "landmark_quality"),
    )
