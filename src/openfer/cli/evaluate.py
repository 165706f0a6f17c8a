"""`openfer evaluate`."""

from __future__ import annotations


def evaluate() -> None:
    """Not yet."""
