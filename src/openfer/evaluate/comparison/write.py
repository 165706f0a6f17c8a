"""Comparisons as files: `compare.json`, `compare.png` and `compare.html`."""

from __future__ import annotations

import json
from pathlib import Path

from openfer.errors import DataError, reason
from openfer.evaluate.comparison.forest import lay_out
from openfer.evaluate.comparison.picture import caption, forest_picture, pair_label
from openfer.evaluate.comparison.record import FORMAT, KINDS, Comparison
from openfer.evaluate.comparison.words import TITLES, difference_cell, p_value, score_cell
from openfer.files import replacing

JSON, PICTURE, PAGE = "compare.json", "compare.png", "compare.html"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write a comparison's three files into a folder, each whole or not at all; nothing before all are made.

    Raises:
        DataError: the folder cannot be written to.
    """
    text = json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    page = comparison_page(comparison)
    # A command may hold a path that is not UTF-8: JSON has an escape for its bytes, in HTML it becomes a question mark.
    contents = {
        JSON: text.encode(errors="backslashreplace"),
        PICTURE: forest_picture(comparison),
        PAGE: page.encode(errors="replace"),
    }
    for name, content in contents.items():
        with replacing(folder / name) as beside:
            beside.write_bytes(content)


def read_comparison(path: Path) -> Comparison:
    """Read a `compare.json`.

    Raises:
        DataError: missing, not a comparison, or of another version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise DataError(
                f"{path}: comparison version {values['format']}, this program reads {FORMAT}; compare again"
            )
        return Comparison.from_dict(values)
    except OSError as error:
        raise DataError(f"{path}: no comparison ({error.strerror}); `openfer compare` writes one") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not made by `openfer compare` ({reason(error)}); compare again") from error


def comparison_page(comparison: Comparison) -> str:
    """The comparison as one HTML page that needs nothing beside itself."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("openfer.evaluate.comparison", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"p": p_value}
    forest = lay_out(comparison)
    return environment.get_template("template.html").render(
        comparison=comparison,
        forest=forest,
        caption=caption(comparison, forest),
        kind=KINDS[comparison.resampled],
        titles=TITLES,
        pair_label=pair_label,
        score_cell=score_cell,
        difference_cell=difference_cell,
    )
