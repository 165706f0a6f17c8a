"""Streams of random numbers, one for each purpose and thing, so that nothing depends on the order of drawing."""

from __future__ import annotations

import numpy as np

IDENTITY, EXPRESSION, SCENE, PHOTOGRAPH, ORDER = range(5)


def stream(seed: int, purpose: int, number: int) -> np.random.Generator:
    """The numbers for one purpose and the person or picture `number`."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, purpose, number])))
