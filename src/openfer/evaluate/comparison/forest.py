"""The forest plot of a comparison, laid out: a panel for each score, a line for each pair. Drawn by `picture` and by
the page's template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openfer.evaluate.comparison.record import Comparison, Pair
from openfer.evaluate.comparison.words import NATS, TITLES
from openfer.evaluate.intervals import Interval

TESTED = "accuracy"
MAX_LINES = 66
"""All pairs of twelve models. Of more, those with the smallest p are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One score's differences.

    Args:
        score: its name in the records.
        title: its name for people.
        unit: of `marks` and of the axis.
        low, high: ends of the axis; 0 lies between them.
        ticks: places on the axis, and their labels.
        marks: a difference and its interval for each line of the forest.
        shown: whether each line's difference is shown by a test; all false where the score is not tested.
        sides: for which model differences below and above 0 speak.
    """

    score: str
    title: str
    unit: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[Interval, ...]
    shown: tuple[bool, ...]
    sides: tuple[str, str]

    def share(self, value: float) -> float:
        """Where a value lies on the axis, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Lines and panels of the plot; `left_out` pairs are not drawn."""

    pairs: tuple[Pair, ...]
    panels: tuple[Panel, ...]
    left_out: int


def lay_out(comparison: Comparison) -> Forest:
    """The forest plot of a comparison, in the order of its pairs."""
    strongest = sorted(range(len(comparison.pairs)), key=lambda place: comparison.pairs[place].p)[:MAX_LINES]
    pairs = tuple(comparison.pairs[place] for place in sorted(strongest))
    first, second = ("model", "baseline") if comparison.baseline else ("first", "second")
    sides = (f"{second} better", f"{first} better")
    panels = tuple(_panel(score, pairs, sides) for score in pairs[0].differences)
    return Forest(pairs=pairs, panels=panels, left_out=len(comparison.pairs) - len(pairs))


def _panel(score: str, pairs: Sequence[Pair], sides: tuple[str, str]) -> Panel:
    from matplotlib.ticker import MaxNLocator

    factor = 1 if score == NATS else 100
    differences = [pair.differences[score] for pair in pairs]
    marks = tuple(Interval(value=d.value * factor, low=d.low * factor, high=d.high * factor) for d in differences)
    least = 0.01 if score == NATS else 1.0  # where all are 0 there is still an axis
    ends = (min(-least, *(mark.low for mark in marks)), max(least, *(mark.high for mark in marks)))
    margin = 0.04 * (ends[1] - ends[0])
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(*ends)
    low, high = ends[0] - margin, ends[1] + margin
    return Panel(
        score=score,
        title=TITLES[score],
        unit="nats" if score == NATS else "points",
        low=low,
        high=high,
        ticks=tuple(
            (float(tick), f"{tick:+.4g}" if abs(tick) > 1e-9 else "0") for tick in ticks if low <= tick <= high
        ),
        marks=marks,
        shown=tuple(score == TESTED and bool(pair.better) for pair in pairs),
        sides=sides[::-1] if score == NATS else sides,
    )
