"""`openfer synth`."""

from __future__ import annotations


def synth() -> None:
    """Not yet."""
