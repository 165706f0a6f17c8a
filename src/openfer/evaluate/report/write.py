"""Reports as files: `report.json`, `confusion.png`, `report.html`, and of some models `unit_table.png`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from openfer.errors import DataError, reason
from openfer.evaluate.action_units.record import MEASURES
from openfer.evaluate.report.classes import frequent_mistakes
from openfer.evaluate.report.picture import confusion_picture
from openfer.evaluate.report.record import FORMAT, EvaluationReport
from openfer.evaluate.report.table import has_table, table_picture
from openfer.labels import AU_NAMES
from openfer.pages.documents import Content, environment, read_values, write_documents
from openfer.pages.pictures import address, png_address
from openfer.vision.image import Picture

JSON, PICTURE, PAGE = "report.json", "confusion.png", "report.html"
UNIT_TABLE = "unit_table.png"
"""Only of a model that learned one."""
PICTURE_SIDE = 160
"""Faces are put into the page with at most so many pixels a side, so that it stays under a megabyte."""


def write_report(report: EvaluationReport, folder: Path, *, pictures: Mapping[int, Picture] | None = None) -> None:
    """Write a report's files into a folder, each whole or not at all; nothing is written before all are made.

    Args:
        report: what they say.
        folder: where to; made where it is missing.
        pictures: row -> the face as the network saw it, for the page.

    Raises:
        DataError: the folder cannot be written to.
    """
    contents: dict[str, Content] = {
        JSON: report.to_dict(),
        PICTURE: confusion_picture(report),
        PAGE: report_page(report, pictures),
    }
    if report.card is not None and has_table(report.card):
        contents[UNIT_TABLE] = table_picture(report.card)
    write_documents(folder, contents)


def read_report(path: Path) -> EvaluationReport:
    """Read a `report.json`.

    Raises:
        DataError: missing, not a report, or of another version.
    """
    values = read_values(path, version=FORMAT, what="report", command="evaluate")
    try:
        return EvaluationReport.from_dict(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a report of `openfer evaluate` ({reason(error)}); evaluate again") from error


def report_page(report: EvaluationReport, pictures: Mapping[int, Picture] | None = None) -> str:
    """The report as one HTML page that needs nothing beside itself.

    Args:
        report: what it says.
        pictures: row -> the face as the network saw it, uint8 [H, W, 3], for the report's examples. An example without
            a picture is described in words.
    """
    templates = environment("openfer.evaluate.report")
    templates.filters |= {"percent": _percent, "log": math.log}
    addresses = {row: address(picture, PICTURE_SIDE) for row, picture in (pictures or {}).items()}
    card = report.card
    return templates.get_template("template.html").render(
        report=report,
        pictures=addresses,
        mistakes=frequent_mistakes(report),
        unit_measures=MEASURES,
        unit_names=AU_NAMES,
        unit_table=png_address(table_picture(card)) if card is not None and has_table(card) else "",
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
