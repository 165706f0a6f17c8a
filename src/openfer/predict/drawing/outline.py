"""A face's 68 points as thin lines along its features and a dot at each point, readable on small and large faces."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from openfer.predict.colours import LIGHT
from openfer.predict.drawing.paint import RIM, RIM_STRENGTH, Coverage, lay
from openfer.records import Points68
from openfer.vision.image import Picture

LINES = (
    *((*range(start, stop),) for start, stop in ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36))),
    *((*range(start, stop), start) for start, stop in ((36, 42), (42, 48), (48, 60), (60, 68))),
)
"""Points that are joined, in iBUG order: jaw, brows, bridge and base of the nose; closed: eyes, outer and inner lip."""
LINE, DOT = 0.006, 0.010
"""Thickness of lines and radius of dots, as shares of the face's size; lines are at least `THINNEST` pixels."""
THINNEST = 0.7
LINE_STRENGTH = 0.55
"""Opacity of the lines, which are only a help for the eye; dots are opaque where their points are certain."""
PALEST = 0.3
"""Opacity of a dot without any confidence, and of an outline whose face is not usable."""
FINE, LARGE = 4, 1600
"""Drawn so much finer for smooth edges, but at most at this size, pixels."""


def outline(canvas: Picture, landmarks: Points68, factor: int) -> None:
    """Draw the points of a face on a picture, in place.

    Args:
        canvas: uint8 [H, W, 3], `factor` times as large as the picture that the points belong to.
        landmarks: paler where they are less certain.
    """
    points = factor * np.array(landmarks.points)
    if not np.isfinite(points).all():
        return
    size = float(np.ptp(points, axis=0).max())
    thickness = max(LINE * size, THINNEST)
    spare = ceil(DOT * size + 2 * thickness) + 1
    left, top = (floor(part) - spare for part in points.min(axis=0))
    right, bottom = (ceil(part) + spare for part in points.max(axis=0))
    if left >= canvas.shape[1] or top >= canvas.shape[0] or right <= 0 or bottom <= 0:
        return
    scale = int(np.clip(LARGE // max(size, 1), 1, FINE))
    inside = scale * (points - (left, top))
    shape = (scale * (right - left), scale * (bottom - top))
    lines = _lines(inside, shape, scale * thickness)
    dots = _dots(inside, shape, scale * max(DOT * size, 0.8 * thickness), np.array(landmarks.confidence))
    rim = _lines(inside, shape, scale * 2.4 * thickness)
    strength = PALEST + (1 - PALEST) * landmarks.quality
    for colour, drawn, opacity in ((RIM, rim, 0.6 * RIM_STRENGTH), (LIGHT, lines, LINE_STRENGTH), (LIGHT, dots, 1.0)):
        lay(canvas, (left, top), colour, np.float32(strength * opacity) * _shrunk(drawn, scale))


def _lines(points: NDArray[np.float64], shape: tuple[int, int], thickness: float) -> Image.Image:
    mask = Image.new("L", shape)
    draw = ImageDraw.Draw(mask)
    for line in LINES:
        draw.line([tuple(point) for point in points[list(line)].tolist()], fill=255, width=max(1, round(thickness)))
    return mask


def _dots(
    points: NDArray[np.float64], shape: tuple[int, int], radius: float, confidence: NDArray[np.float64]
) -> Image.Image:
    mask = Image.new("L", shape)
    draw = ImageDraw.Draw(mask)
    levels = np.round(255 * (PALEST + (1 - PALEST) * confidence)).astype(int).tolist()
    for (x, y), level in zip(points.tolist(), levels, strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=level)
    return mask


def _shrunk(mask: Image.Image, scale: int) -> Coverage:
    return np.asarray(mask.reduce(scale) if scale > 1 else mask, dtype=np.float32) / np.float32(255)
