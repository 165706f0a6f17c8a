"""The flat rows of the files that `predict` writes: their columns, and the check of those that a file has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from openfer.errors import ConfigError
from openfer.records import Prediction

Row = dict[str, str | float | int | None]
"""Column name -> value, in column order; what is unknown is None."""
Write = Callable[[Row], None]
Read = Iterator[Row]

TEXT = ("path", "label", "status", "note")
"""Columns that hold text; all others hold numbers, `face` whole ones."""


def columns_of(
    names: Sequence[str], *, landmarks: bool = False, similarity: bool = False, units: tuple[int, ...] = ()
) -> tuple[str, ...]:
    """The columns of a file, in order: those of `Prediction.to_row`.

    Args:
        names: the label names that are chosen among.
        landmarks: with the columns of the 68 points.
        similarity: with the column `similarity`.
        units: action units that have columns.
    """
    empty = Prediction(path="")
    return tuple(empty.to_row(tuple(names), landmarks=landmarks, similarity=similarity, units=units))


def row_of(
    prediction: Prediction,
    names: tuple[str, ...],
    *,
    landmarks: bool = False,
    similarity: bool = False,
    units: tuple[int, ...] = (),
) -> Row:
    """`Prediction.to_row`, its text such that every format can hold it (UTF-8 knows no lone surrogates)."""
    row = prediction.to_row(names, landmarks=landmarks, similarity=similarity, units=units)
    for name in TEXT:
        if isinstance(text := row[name], str) and not text.isascii():
            row[name] = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return row


def check_columns(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise `ConfigError` where a file that is to be continued has other columns than this run writes."""
    if tuple(found) == tuple(wanted):
        return
    lacks = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    difference = "; ".join(
        [f"no column {', '.join(lacks)}"] * bool(lacks) + [f"a column {', '.join(map(str, extra))}"] * bool(extra)
    )
    raise ConfigError(
        f"{path}: not the columns that this run writes ({difference or 'their order differs'}); "
        "use the model and labels it was made with, or another --out"
    )
