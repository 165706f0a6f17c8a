"""Shapes with smooth edges, laid on pictures in memory; each touches only the pixels under it."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.predict.colours import Colour
from openfer.predict.drawing.rects import Rect
from openfer.vision.image import Picture

Coverage = NDArray[np.float32]
"""How much of a pixel a shape covers, 0 to 1."""

RIM: Colour = (0, 0, 0)
RIM_STRENGTH = 0.5
"""A soft dark rim keeps lines visible on a ground of their own colour."""
CORNER = 5
"""Radius of a frame's corners, in thicknesses of its line; less where it would be too round for its size."""


def fill(
    image: Image.Image,
    rect: Rect,
    colour: Colour,
    *,
    radius: float,
    opacity: float = 1.0,
    round_below: bool = True,
) -> None:
    """A rounded rectangle on a Pillow image, clipped to it; `round_below=False` leaves its lower corners square."""
    width, height = rect[2] - rect[0], rect[3] - rect[1]
    if width < 1 or height < 1:
        return
    mask = np.full((height, width), opacity, dtype=np.float32)
    radius = min(radius, width / 2, height / 2)
    if edge := ceil(radius):
        mask[:edge] *= _inside(np.arange(edge), np.arange(width), width, height, radius)
        if round_below:
            mask[height - edge :] = mask[:edge][::-1]
    image.paste(colour, rect[:2], _as_mask(mask))


def frame(canvas: Picture, rect: Rect, colour: Colour, line: int, *, dashed: bool = False) -> None:
    """A rounded frame whose outer edge is `rect`, with a rim on both sides; on a picture, in place.

    Args:
        canvas: uint8 [H, W, 3].
        line: thickness, pixels.
        dashed: the line alternates with gaps in the rim's colour.
    """
    left, top, right, bottom = rect
    width, height = right - left, bottom - top
    line = min(line, ceil(min(width, height) / 2))
    radius = min(float(CORNER * line), 0.2 * min(width, height))
    rim = max(1, line // 3)
    edge = min(max(line + rim, ceil(radius)), ceil(min(width, height) / 2))
    down, across = np.arange(height), np.arange(width)
    bands = [
        (down[:edge], across),
        (down[height - edge :], across),
        (down[edge : height - edge], across[:edge]),
        (down[edge : height - edge], across[width - edge :]),
    ]
    for ys, xs in bands:
        if not len(ys) or not len(xs):
            continue
        outer = _inside(ys, xs, width, height, radius)
        ring = outer - _inside(ys, xs, width, height, radius, shrink=line)
        dark = outer - _inside(ys, xs, width, height, radius, shrink=line + rim)
        if dashed:
            # Along each side from its middle, so that the corners look alike.
            period = 7 * line
            along = np.where(
                (ys[:, None] < edge) | (ys[:, None] >= height - edge), xs[None] - width / 2, ys[:, None] - height / 2
            )
            ring = ring * ((np.abs(along) + 0.3 * period) % period < 0.6 * period)
        place = (left + int(xs[0]), top + int(ys[0]))
        lay(canvas, place, RIM, RIM_STRENGTH * dark)
        lay(canvas, place, colour, ring)


def bar(canvas: Picture, rect: Rect, colour: Colour, rim: int) -> None:
    """A straight line with a rim along its long sides; on a picture, in place."""
    left, top, right, bottom = rect
    upright = bottom - top > right - left
    wide = (left - rim, top, right + rim, bottom) if upright else (left, top - rim, right, bottom + rim)
    for (x0, y0, x1, y1), paint, strength in ((wide, RIM, RIM_STRENGTH), (rect, colour, 1.0)):
        lay(canvas, (x0, y0), paint, np.full((max(y1 - y0, 0), max(x1 - x0, 0)), strength, dtype=np.float32))


def lay(canvas: Picture, place: tuple[int, int], colour: Colour, coverage: Coverage) -> None:
    """A colour over a picture, in place; what is outside the picture is cut off.

    Args:
        canvas: uint8 [H, W, 3].
        place: x and y of the coverage's top left pixel.
        coverage: [h, w].
    """
    x, y = place
    height, width = coverage.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, canvas.shape[1]), min(y + height, canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    under = canvas[y0:y1, x0:x1].astype(np.float32)
    share = coverage[y0 - y : y1 - y, x0 - x : x1 - x, None]
    canvas[y0:y1, x0:x1] = np.round(under + share * (np.array(colour, dtype=np.float32) - under)).astype(np.uint8)


def _inside(
    ys: NDArray[np.int64], xs: NDArray[np.int64], width: int, height: int, radius: float, shrink: float = 0.0
) -> Coverage:
    """Coverage [len(ys), len(xs)] by a rounded rectangle `width` x `height`, made smaller by `shrink` on all sides.

    From the signed distance of the pixel centres to the edge.
    """
    x = (np.abs(xs + 0.5 - width / 2) - (width / 2 - radius)).astype(np.float32)[None, :]
    y = (np.abs(ys + 0.5 - height / 2) - (height / 2 - radius)).astype(np.float32)[:, None]
    distance = np.hypot(np.maximum(x, 0), np.maximum(y, 0)) + np.minimum(np.maximum(x, y), 0) - radius
    covered: Coverage = np.clip(0.5 - shrink - distance, 0, 1)
    return covered


def _as_mask(coverage: Coverage) -> Image.Image:
    return Image.fromarray(np.round(255 * coverage).astype(np.uint8))
