"""Reports as files: `report.json`, `confusion.png` and `report.html`."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from openfer.errors import DataError
from openfer.evaluate.report.picture import confusion_picture
from openfer.evaluate.report.record import FORMAT, EvaluationReport
from openfer.files import replacing

JSON, PICTURE, PAGE = "report.json", "confusion.png", "report.html"


def write_report(report: EvaluationReport, folder: Path) -> None:
    """Write a report's three files into a folder, each whole or not at all; nothing is written before all are made.

    Raises:
        DataError: the folder cannot be written to.
    """
    picture = confusion_picture(report)
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    contents = {JSON: text.encode(), PICTURE: picture, PAGE: report_page(report, picture).encode()}
    for name, content in contents.items():
        with replacing(folder / name) as beside:
            beside.write_bytes(content)


def read_report(path: Path) -> EvaluationReport:
    """Read a `report.json`.

    Raises:
        DataError: missing, not a report, or of another version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise DataError(f"{path}: report version {values['format']}, this program reads {FORMAT}; evaluate again")
        return EvaluationReport.from_dict(values)
    except OSError as error:
        raise DataError(f"{path}: no report ({error.strerror}); `openfer evaluate` writes one") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a report of `openfer evaluate` ({error}); evaluate again") from error


def report_page(report: EvaluationReport, picture: bytes) -> str:
    """The report as one HTML page that needs nothing beside itself.

    Args:
        report: what it says.
        picture: the confusion matrix, PNG.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("openfer.evaluate.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    return environment.get_template("template.html").render(report=report, picture=address)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
