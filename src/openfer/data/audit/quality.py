"""Pictures of poor quality. The limits were measured on FER+ (docs/guides/audit.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from openfer.data.audit.look import Looks

BLACK = 8.0
"""Brightness (0 to 255) below which a picture is all black."""
BLANK = 3.0
"""Contrast (grey levels) below which there is nothing to see."""
DARK = 64.0
"""Brightness below which a picture is under-exposed. It is that of the brightest pixels, not the mean: dark skin in
good light is not a fault."""
BLURRED = 0.3
"""Sharpness below which a face is blurred. Of FER+ pictures 4 in 10,000 are below; blurred by a Gaussian of 1 pixel of
48, three in four, of 1.5 pixels, all."""
SMALL = 40
"""Pixels of the shorter side below which a face is small; the smallest published set has 48."""


def poor_rows(looks: Looks) -> dict[str, NDArray[np.int64]]:
    """Flag -> rows, the worst first. A picture is at most one of black, blank and dark; blur needs something to see."""
    readable = looks.readable
    black = readable & (looks.brightness < BLACK)
    blank = readable & ~black & (looks.contrast < BLANK)
    seen = readable & ~black & ~blank
    shorter = looks.sizes.min(axis=1, initial=np.iinfo(np.int64).max)
    return {
        "black": np.flatnonzero(black),
        "blank": np.flatnonzero(blank),
        "dark": _sorted(seen & (looks.brightness < DARK), looks.brightness),
        "blurred": _sorted(seen & (looks.sharpness < BLURRED), looks.sharpness),
        "small": _sorted(readable & (shorter < SMALL), shorter),
    }


def _sorted(mask: NDArray[np.bool_], values: NDArray[np.generic]) -> NDArray[np.int64]:
    rows = np.flatnonzero(mask)
    return rows[np.argsort(values[rows], kind="stable")]
