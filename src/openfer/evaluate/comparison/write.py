"""Comparisons as files: `compare.json`, `compare.png` and `compare.html`."""

from __future__ import annotations

from pathlib import Path

from openfer.errors import DataError, reason
from openfer.evaluate.comparison.forest import lay_out
from openfer.evaluate.comparison.picture import caption, forest_picture, pair_label
from openfer.evaluate.comparison.record import FORMAT, KINDS, Comparison
from openfer.evaluate.comparison.words import TITLES, difference_cell, p_value, score_cell
from openfer.pages.documents import Content, environment, read_values, write_documents

JSON, PICTURE, PAGE = "compare.json", "compare.png", "compare.html"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write a comparison's three files into a folder, each whole or not at all; nothing before all are made.

    Raises:
        DataError: the folder cannot be written to.
    """
    contents: dict[str, Content] = {
        JSON: comparison.to_dict(),
        PICTURE: forest_picture(comparison),
        PAGE: comparison_page(comparison),
    }
    write_documents(folder, contents)


def read_comparison(path: Path) -> Comparison:
    """Read a `compare.json`.

    Raises:
        DataError: missing, not a comparison, or of another version.
    """
    values = read_values(path, version=FORMAT, what="comparison", command="compare")
    try:
        return Comparison.from_dict(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a comparison of `openfer compare` ({reason(error)}); compare again") from error


def comparison_page(comparison: Comparison) -> str:
    """The comparison as one HTML page that needs nothing beside itself."""
    templates = environment("openfer.evaluate.comparison")
    templates.filters |= {"p": p_value}
    forest = lay_out(comparison)
    return templates.get_template("template.html").render(
        comparison=comparison,
        forest=forest,
        caption=caption(comparison, forest),
        kind=KINDS[comparison.resampled],
        titles=TITLES,
        pair_label=pair_label,
        score_cell=score_cell,
        difference_cell=difference_cell,
    )
