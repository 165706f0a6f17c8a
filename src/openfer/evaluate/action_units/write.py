"""Scores of action units alone as files: `action_units.json`, and `action_units.html` for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from openfer.bundle.card import Card
from openfer.evaluate.action_units.record import MEASURES, ActionUnitReport
from openfer.evaluate.predictions import Context
from openfer.evaluate.report.table import has_table, table_picture
from openfer.labels import AU_NAMES
from openfer.pages.documents import environment, write_documents
from openfer.pages.pictures import png_address

JSON, PAGE = "action_units.json", "action_units.html"


def write_unit_report(report: ActionUnitReport, context: Context, card: Card | None, folder: Path) -> None:
    """Write the files into a folder, each whole or not at all.

    Args:
        report: the scores.
        context: of the predictions.
        card: of the model; None where only predictions are known.
        folder: made where it is missing.

    Raises:
        DataError: the folder cannot be written to.
    """
    templates = environment("openfer.evaluate.report")
    templates.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    page = templates.get_template("units_page.html").render(
        units=report,
        context=context,
        measures=MEASURES,
        names=AU_NAMES,
        table=png_address(table_picture(card)) if card is not None and has_table(card) else "",
    )
    write_documents(folder, {JSON: {"context": asdict(context), **asdict(report)}, PAGE: page})
