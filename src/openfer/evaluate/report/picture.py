"""The confusion matrix as a picture."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from openfer.evaluate.report.record import EvaluationReport

INK, FAINT = "#1f2933", "#66727f"
MAX_NUMBERED = 24
"""With more classes the cells are too small for their counts."""


def confusion_picture(report: EvaluationReport) -> bytes:
    """The confusion matrix as a PNG: colours are shares of each row (of the truth), numbers are counts."""
    # The object API: pyplot would keep figures in a global list and may want a display.
    from matplotlib.figure import Figure

    counts = np.array(report.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    k = len(counts)
    side = min(2.4 + 0.58 * k, 18.0)
    figure = Figure(figsize=(side, side), dpi=144, facecolor="white")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    names = [name.replace("_", " ") for name in report.labels]
    # A `$` in a user's class name is no formula.
    style: dict[str, Any] = {"fontsize": 9 if k <= MAX_NUMBERED else 6, "color": INK, "parse_math": False}
    axes.set_xticks(range(k), names, rotation=45, ha="right", rotation_mode="anchor", **style)
    rows = [f"{name}  ({row.support:,})" for name, row in zip(names, report.classes, strict=True)]
    axes.set_yticks(range(k), rows, **style)
    axes.set_xlabel("predicted", fontsize=10, color=FAINT)
    axes.set_ylabel("truth (rows)", fontsize=10, color=FAINT)
    axes.set_title(_title(report), fontsize=11, color=INK, loc="left", pad=10, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # White lines between the cells.
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    if k <= MAX_NUMBERED:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8.5, color=colour)
    bar = figure.colorbar(image, cax=axes.inset_axes((1.03, 0.0, 0.03, 1.0)), ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["0 %", "50 %", "100 %"], fontsize=8, color=FAINT)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripts that the font lacks are drawn as boxes; the page has the names
        figure.savefig(stream, format="png", bbox_inches="tight", pad_inches=0.2)
    return stream.getvalue()


def _title(report: EvaluationReport) -> str:
    model = report.context.model or "predictions"
    split = f", split {report.context.split}" if report.context.split else ""
    return f"{model}{split}: accuracy {100 * report.accuracy.value:.1f} %, n = {report.counts.counted:,}"
