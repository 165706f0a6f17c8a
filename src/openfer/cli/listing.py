"""`openfer methods` and `openfer recipes`."""

from __future__ import annotations


def methods() -> None:
    """Not yet."""


def recipes() -> None:
    """Not yet."""
