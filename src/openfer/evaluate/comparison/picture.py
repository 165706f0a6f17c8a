"""The differences as a picture: a forest plot with an interval for each pair and score."""

from __future__ import annotations

import io
import warnings
from typing import Any

from openfer.evaluate.comparison.forest import Forest, Panel, lay_out
from openfer.evaluate.comparison.record import Comparison

INK, FAINT, LINE, SHOWN = "#1f2933", "#66727f", "#d5dbe1", "#2368a9"
MAX_NAME = 32
"""Characters of a model's name that are drawn; the table has all of them."""


def forest_picture(comparison: Comparison) -> bytes:
    """The forest plot as a PNG. Accuracy is blue where a difference is shown after Holm's correction."""
    # The object API: pyplot would keep figures in a global list and may want a display.
    from matplotlib.figure import Figure

    forest = lay_out(comparison)
    count = len(forest.pairs)
    figure = Figure(figsize=(13.0, 1.9 + 0.5 * count), dpi=144, facecolor="white")
    axes = figure.subplots(1, len(forest.panels), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(wspace=0.12)
    for panel, area in zip(forest.panels, axes, strict=True):
        _draw_panel(area, panel, forest)
    labels = ["\n".join(pair_label(pair.first, pair.second, comparison.baseline)) for pair in forest.pairs]
    axes[0].set_yticks(range(count), labels, fontsize=9, color=INK, parse_math=False)
    axes[0].set_ylim(count - 0.4, -0.6)
    axes[0].annotate(
        _title(comparison), (0, 1), (0, 34), "axes fraction", "offset points", fontsize=12, color=INK, parse_math=False
    )
    _below(axes[0], 0.0, -52, caption(comparison, forest), ha="left", fontsize=8.5)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripts that the font lacks are drawn as boxes; the page has the names
        figure.savefig(stream, format="png", bbox_inches="tight", pad_inches=0.2)
    return stream.getvalue()


def _draw_panel(axes: Any, panel: Panel, forest: Forest) -> None:
    axes.set_title(panel.title, fontsize=10, color=INK, loc="left", pad=8)
    axes.axvline(0, color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
    for line, (mark, shown) in enumerate(zip(panel.marks, panel.shown, strict=True)):
        colour = SHOWN if shown else INK
        axes.plot([mark.low, mark.high], [line, line], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot([mark.value], [line], marker="o", markersize=6, color=colour)
    axes.set_xlim(panel.low, panel.high)
    axes.set_xticks([place for place, _ in panel.ticks], [label for _, label in panel.ticks], fontsize=8, color=FAINT)
    axes.set_xlabel(panel.unit, fontsize=8.5, color=FAINT)
    for place, side, text in ((0.0, "left", f"← {panel.sides[0]}"), (1.0, "right", f"{panel.sides[1]} →")):
        _below(axes, place, -32, text, ha=side, fontsize=8)
    axes.grid(axis="x", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _below(axes: Any, place: float, points: float, text: str, **style: Any) -> None:
    """Text so many points below the axis, whose length takes `place` from 0 to 1."""
    style |= {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top", "color": FAINT}
    axes.annotate(text, (place, 0), (0, points), annotation_clip=False, **style)


def pair_label(first: str, second: str, baseline: str = "") -> tuple[str, ...]:
    """The lines that name a pair: both models, or the first alone where all are compared with the baseline."""
    return tuple(map(_shortened, (first,) if baseline else (first, f"− {second}")))


def _shortened(name: str) -> str:
    """A name without its middle where it is too long: the ends tell names apart."""
    half = MAX_NAME // 2
    return name if len(name) <= MAX_NAME else f"{name[: half - 1]}…{name[-half:]}"


def _title(comparison: Comparison) -> str:
    of = f" of split {', '.join(comparison.splits)}" if comparison.splits else ""
    against = f", each minus {comparison.baseline}" if comparison.baseline else ""
    return f"Differences between {len(comparison.models)} models on the same {comparison.used:,} rows{of}{against}"


def caption(comparison: Comparison, forest: Forest) -> str:
    """What the plot shows, for below it."""
    corrected = f", after Holm's correction for {len(comparison.pairs)} pairs" if len(comparison.pairs) > 1 else ""
    text = (
        f"Points are differences, lines their 95 % intervals, each for itself. Blue: a difference in accuracy is shown "
        f"(p < 0.05{corrected})."
    )
    return text + (f" {forest.left_out} pairs with larger p are not drawn." if forest.left_out else "")
