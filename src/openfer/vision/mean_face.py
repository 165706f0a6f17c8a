"""Where the 68 landmarks of an ordinary face lie: what stands in for landmarks that nobody could find."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from openfer.vision.align import TEMPLATES, fit_similarity

# fmt: off
_FER2013: NDArray[np.float64] = np.array(
    [
        # jaw
        (5.11, 18.74), (5.56, 24.25), (6.00, 28.16), (6.94, 32.35), (8.39, 36.30), (11.12, 40.76), (15.61, 44.66),
        (19.10, 46.64), (23.75, 47.60), (28.40, 46.64), (31.89, 44.66), (36.38, 40.76), (39.11, 36.30),
        (40.56, 32.35), (41.50, 28.16), (41.94, 24.25), (42.39, 18.74),
        # brows
        (8.20, 14.34), (9.87, 13.00), (12.43, 12.28), (15.72, 12.47), (19.58, 13.01), (27.92, 13.01), (31.78, 12.47),
        (35.07, 12.28), (37.63, 13.00), (39.30, 14.34),
        # nose
        (23.75, 17.78), (23.75, 22.08), (23.75, 24.94), (23.75, 28.25), (18.96, 30.66), (21.57, 31.38),
        (23.75, 31.43), (25.93, 31.38), (28.54, 30.66),
        # eyes
        (11.27, 18.60), (13.15, 17.61), (16.07, 17.47), (18.93, 19.18), (16.56, 19.77), (13.71, 19.75),
        (28.57, 19.18), (31.43, 17.47), (34.35, 17.61), (36.23, 18.60), (33.79, 19.75), (30.94, 19.77),
        # lips
        (16.79, 36.80), (18.23, 35.73), (21.58, 34.81), (23.75, 35.09), (25.92, 34.81), (29.27, 35.73),
        (30.71, 36.80), (29.18, 38.62), (25.91, 40.44), (23.75, 40.69), (21.59, 40.44), (18.32, 38.62),
        (17.81, 36.70), (21.44, 36.49), (23.75, 36.61), (26.06, 36.49), (29.69, 36.70), (26.20, 37.92),
        (23.75, 38.13), (21.30, 37.92),
    ]
) / 48.0
# fmt: on
"""Medians over 1,492 training faces of FER2013, by the labels that the network of `vision.landmarks` learned from, made
symmetric about x = 23.75 of 48 px; iBUG order. `tools/mean_face.py` measures the same by the network itself."""


@lru_cache(maxsize=8)
def mean_face(template: str = "fer2013") -> NDArray[np.float64]:
    """The landmarks of an ordinary face that is aligned by a template.

    Args:
        template: a name of `openfer.vision.align.TEMPLATES`.

    Returns:
        [68, 2], shares of the aligned face's side, iBUG order; not to be written to.
    """
    a, b = fit_similarity(TEMPLATES["fer2013"], TEMPLATES[template])
    z = b + a * (_FER2013 @ (1, 1j))
    points = np.stack([z.real, z.imag], axis=-1)
    points.flags.writeable = False
    return points
