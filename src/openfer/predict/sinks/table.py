"""A table for people: in colour on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from openfer.predict.colours import colour_of
from openfer.records import NO_FACE, NONE, OK, Prediction

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

BAR = 10
"""Cells of a full confidence bar."""
WIDE = 10_000
"""Width in a pipe, so that no line is cut or folded."""
PAGE = 500
"""Rows that a pipe gets at a time, so that memory stays flat. Columns stay where they are as long as names fit."""
SHOWN = 0.5
"""Action units at least as likely are named."""
TITLES = ("picture", "face", "expression", "confidence", "next")


@contextmanager
def table(console: Console) -> Iterator[Callable[[Prediction], None]]:
    """Print predictions: in a pipe page by page, on a terminal, where a picture is named once, when the block ends."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if not console.is_terminal:
        console.width = WIDE
    rows: list[list[Text]] = []
    widths = [len(title) for title in TITLES]
    first_page, repeat = True, ""

    def flush() -> None:
        nonlocal first_page
        box = SIMPLE_HEAD if console.is_terminal else None
        grid = Table(box=box, pad_edge=False, header_style="bold", show_header=first_page)
        first_page = False
        for row in rows:
            widths[:] = [max(width, cell.cell_len) for width, cell in zip(widths, row, strict=True)]
        for title, width in zip(TITLES, widths, strict=True):
            grid.add_column(
                title,
                justify="right" if title == "face" else "left",
                overflow="fold",
                min_width=None if console.is_terminal else width,
            )
        for row in rows:
            grid.add_row(*row)
        rows.clear()
        console.print(grid)

    def write(prediction: Prediction) -> None:
        nonlocal repeat
        # On a terminal the eye finds a picture's rows; in a pipe every line stands alone.
        known = console.is_terminal and prediction.face not in (None, 0) and prediction.path == repeat
        repeat = prediction.path
        rows.append(_cells(prediction, named=not known, bar=console.is_terminal))
        if len(rows) == PAGE and not console.is_terminal:
            flush()

    yield write
    if rows or first_page:
        flush()


def _cells(prediction: Prediction, *, named: bool, bar: bool) -> list[Text]:
    """One row, a cell for each of `TITLES`."""
    from rich.text import Text

    name = Text(printable(prediction.path) if named else "")
    face = Text("" if prediction.face is None else str(prediction.face))
    note = f"({printable(prediction.note)})" if prediction.note else ""
    if prediction.status == NO_FACE:
        return [name, face, Text("no face", style="dim"), Text(), Text(note, style="dim")]
    if prediction.status != OK:
        kind, _, why = printable(prediction.status).partition(": ")
        return [name, face, Text(kind, style="red"), Text(), Text(why, style="red")]
    first, *others = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    label = prediction.label or ""
    if prediction.undecided:
        others = [first]
    colour = "rgb({},{},{})".format(*colour_of(label, tuple(prediction.probabilities)))
    filled = Text("━" * max(1, round(BAR * first[1])) if bar else "", style=colour)
    filled.pad_right(BAR - len(filled) if bar else 0)
    sure = filled + Text(f"{percent(first[1]):>5}") if not (prediction.undecided and label == NONE) else Text()
    second = f"{printable(others[0][0])} {percent(others[0][1])}" if others else ""
    shown = (
        [str(unit) for unit, share in prediction.aus.probabilities.items() if share >= SHOWN] if prediction.aus else []
    )
    units = f"AU {', '.join(shown)}" if shown else ""
    alike = "" if prediction.similarity is None else f"similarity {prediction.similarity:.2f}"
    return [
        name,
        face,
        Text(printable(label), style=f"bold {colour}"),
        sure,
        Text(" ".join(filter(None, (second, alike, units, note))), style="dim"),
    ]


def percent(share: float) -> str:
    """0.973 -> `97 %`."""
    return f"{100 * share:.0f} %"


def printable(text: str) -> str:
    """Text that cannot move the cursor or break a line: what is not printable is written as an escape."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
