"""A table for people: in colour on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from openfer.predict.colours import colour_of
from openfer.records import NO_FACE, OK, Prediction

if TYPE_CHECKING:
    from rich.console import Console

BAR = 10
"""Cells of a full confidence bar."""
WIDE = 10_000
"""Width in a pipe, so that no line is cut or folded."""


@contextmanager
def table(console: Console) -> Iterator[Callable[[Prediction], None]]:
    """Collect predictions and print them when the block ends; each picture is named once, on its first row."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        console.width = WIDE
    grid = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    grid.add_column("picture", overflow="fold", no_wrap=False)
    grid.add_column("face", justify="right")
    for title in ("expression", "confidence", "next"):
        grid.add_column(title)
    repeat: str | None = None

    def write(prediction: Prediction) -> None:
        nonlocal repeat
        # On a terminal the eye finds a picture's rows; in a pipe every line stands alone.
        known = console.is_terminal and prediction.face not in (None, 0) and prediction.path == repeat
        repeat = prediction.path
        name = Text("" if known else printable(prediction.path))
        face = "" if prediction.face is None else str(prediction.face)
        if prediction.status == NO_FACE:
            grid.add_row(name, face, Text("no face", style="dim"))
            return
        if prediction.status != OK:
            kind, _, why = printable(prediction.status).partition(": ")
            grid.add_row(name, face, Text(kind, style="red"), "", Text(why, style="red"))
            return
        first, *others = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        colour = "rgb({},{},{})".format(*colour_of(first[0]))
        bar = Text("━" * max(1, round(BAR * first[1])), style=colour) if console.is_terminal else Text()
        bar.pad_right(BAR - len(bar) if console.is_terminal else 0)
        second = f"{others[0][0]} {percent(others[0][1])}" if others else ""
        grid.add_row(
            name,
            face,
            Text(first[0], style=f"bold {colour}"),
            bar + Text(f"{percent(first[1]):>5}"),
            Text(second, style="dim"),
        )

    yield write
    console.print(grid)


def percent(share: float) -> str:
    """0.973 -> `97 %`."""
    return f"{100 * share:.0f} %"


def printable(text: str) -> str:
    """Text that cannot move the cursor or break a line: what is not printable is written as an escape."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
