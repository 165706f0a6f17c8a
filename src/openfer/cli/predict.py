"""`openfer predict`."""

from __future__ import annotations


def predict() -> None:
    """Not yet."""
