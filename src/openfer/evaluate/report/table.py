"""The table of expressions and action units that a model learned, beside its start, as a picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from openfer.bundle.card import Card
from openfer.evaluate.report.picture import FAINT, INK

PANELS = ("start", "learned", "learned less start")


def has_table(card: Card | None) -> bool:
    """Whether a card holds such a table."""
    return card is not None and {"units", "table", "start"} <= set(card.method.learned)


def table_picture(card: Card) -> bytes:
    """A PNG of three panels, classes down and action units across: where the table began, what it became, the change.

    Args:
        card: of a model that `has_table`.
    """
    from matplotlib.figure import Figure

    learned = card.method.learned
    start, table = np.array(learned["start"]), np.array(learned["table"])
    change = table - start
    units, names = [str(unit) for unit in learned["units"]], [name.replace("_", " ") for name in card.labels]
    figure = Figure(figsize=(0.36 * len(units) + 2.6, 3 * (0.28 * len(names) + 0.75)), dpi=144, facecolor="white")
    style: dict[str, Any] = {"fontsize": 8.5, "color": INK, "parse_math": False}
    # Over a change of 0.05 the eye should not be led to think of noise as of a finding.
    most = max(0.05, float(np.abs(change).max()))
    for axes, title, values in zip(figure.subplots(3, 1), PANELS, (start, table, change), strict=True):
        signed = title == PANELS[-1]
        image = axes.imshow(
            values, cmap="RdBu_r" if signed else "Blues", vmin=-most if signed else 0, vmax=most if signed else 1
        )
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.set_xticks(range(len(units)), units, **style)
        axes.set_yticks(range(len(names)), names, **style)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(image, cax=axes.inset_axes((1.02, 0.0, 0.015, 1.0)))
        bar.ax.tick_params(length=0, labelsize=8, labelcolor=FAINT)
        bar.outline.set_visible(False)
    axes.set_xlabel("action unit", fontsize=9, color=FAINT)
    figure.tight_layout()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight", pad_inches=0.2)
    return stream.getvalue()
