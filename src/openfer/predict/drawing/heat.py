"""Where a face's answer comes from, as a layer of heat on the face, and the key that explains it."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from openfer.predict.drawing.card import PALE, PANEL
from openfer.predict.drawing.faces import unit
from openfer.predict.drawing.words import font_for
from openfer.records import ClassMaps, Prediction
from openfer.vision.image import Picture, grey

Floats = NDArray[np.float32]

COLOURS = "plasma"
"""Matplotlib's: even steps for the eye, in lightness too, so that they are told apart without full colour vision."""
STRONGEST = 0.62
"""Opacity of the greatest heat: the face stays visible under it."""
PALENESS = 0.75
"""How far a face under heat loses its own colours."""
EDGE = 0.08
"""The layer fades out over this share of the square's side."""
FINE = 16
"""Cells of the smooth layer in a cell of the network's map."""
BAND = 256
"""Rows painted at once: a face that fills a large photo must not fill the memory."""
WORDS = ("What speaks for the label:", "nothing", "most")


def evidence(maps: ClassMaps, label: str) -> Floats:
    """What each place says for a label rather than for the mean label, 0 (nothing, or against it) to 1: [h, w]."""
    values = np.array(list(maps.values.values()), dtype=np.float32)
    own = np.array(maps.values[label], dtype=np.float32)
    lead = np.clip(own - values.mean(axis=0), 0, None)
    most = float(lead.max(initial=0.0))
    return np.asarray(lead / most if most > 0 else lead, dtype=np.float32)


def lay_heat(canvas: Picture, prediction: Prediction, factor: int) -> None:
    """Lay the heat of a face's most probable label on a picture, in place; nothing where it has no maps.

    Args:
        canvas: uint8 [H, W, 3], `factor` times as large as the prediction's picture.
    """
    if prediction.maps is None or not prediction.probabilities:
        return
    label = max(prediction.probabilities, key=prediction.probabilities.__getitem__)
    heat = evidence(prediction.maps, label)
    first, second, third = (complex(*corner) * factor for corner in prediction.maps.corners)
    corners = (first, second, third, second + third - first)
    height, width = canvas.shape[:2]
    left, right = max(floor(min(z.real for z in corners)), 0), min(ceil(max(z.real for z in corners)), width)
    top, bottom = max(floor(min(z.imag for z in corners)), 0), min(ceil(max(z.imag for z in corners)), height)
    if right <= left or bottom <= top:
        return
    for start in range(top, bottom, BAND):
        part = canvas[start : min(start + BAND, bottom), left:right]
        x, y = left + np.arange(part.shape[1]) + 0.5, start + np.arange(part.shape[0]) + 0.5
        inside = (x[None, :] + 1j * y[:, None] - first) / (second - first)  # places in the unit square
        border = np.minimum.reduce([inside.real, inside.imag, 1 - inside.real, 1 - inside.imag])
        part[:] = _blend(part, _sample(heat, inside), np.clip(border / EDGE, 0, 1).astype(np.float32))


def with_key(canvas: Picture) -> Picture:
    """The picture with a strip under it that says what the heat means: uint8 [H + strip, W, 3]."""
    height, width = canvas.shape[:2]
    em = max(11, round(0.026 * unit((width, height))))
    strip = np.empty((round(2.4 * em), width, 3), dtype=np.uint8)
    strip[:] = PANEL
    image = Image.fromarray(strip)
    title, low, high = WORDS
    spoken = [title, low, high]
    bar, gap = 9 * em, round(0.7 * em)
    if _length(spoken, em) + bar + 5 * gap > width:  # a narrow picture has no room for the sentence
        spoken[0], bar = "", max(2 * em, min(bar, width - _length(["", low, high], em) - 5 * gap))
    pen, middle, left = ImageDraw.Draw(image), strip.shape[0] / 2, gap
    for index, words in enumerate(spoken):
        pen.text((left, middle), words, PALE, font_for(words, em), anchor="lm")
        left += ceil(font_for(words, em).getlength(words)) + (gap if words else 0)
        if index == 1:
            thick = round(0.9 * em)
            steps = np.tile(np.linspace(0, 1, bar, dtype=np.float32), (thick, 1))
            ground = np.full((thick, bar, 3), 128, dtype=np.uint8)  # grey stands for the face
            shown = Image.fromarray(_blend(ground, steps, np.ones_like(steps)))
            image.paste(shown, (left, round(middle - thick / 2)))
            left += bar + gap
    return np.concatenate([canvas, np.asarray(image)])


def _length(words: list[str], em: int) -> int:
    return sum(ceil(font_for(part, em).getlength(part)) for part in words)


def _sample(heat: Floats, inside: NDArray[np.complex128]) -> Floats:
    """Heat [h, w] of the unit square, smoothed, at places of the square [H, W]; 0 to 1."""
    rows, columns = heat.shape
    smooth = np.asarray(Image.fromarray(heat).resize((columns * FINE, rows * FINE), Image.Resampling.BICUBIC))
    row = np.clip(inside.imag * rows * FINE - 0.5, 0, rows * FINE - 1.001)
    column = np.clip(inside.real * columns * FINE - 0.5, 0, columns * FINE - 1.001)
    up, left = row.astype(np.intp), column.astype(np.intp)
    down, right = row - up, column - left
    above = smooth[up, left] * (1 - right) + smooth[up, left + 1] * right
    below = smooth[up + 1, left] * (1 - right) + smooth[up + 1, left + 1] * right
    return np.asarray(np.clip(above * (1 - down) + below * down, 0, 1), dtype=np.float32)


def _blend(ground: Picture, heat: Floats, fade: Floats) -> Picture:
    """Ground [H, W, 3] under heat [H, W]; fade [H, W] is 1 where the layer lies and 0 outside."""
    fade = fade[..., None]
    pale = ground + (grey(ground).astype(np.float32) - ground) * PALENESS * fade
    opacity = STRONGEST * heat[..., None] ** 0.75 * fade
    painted = pale * (1 - opacity) + _colours()[np.rint(heat * 255).astype(np.intp)] * opacity
    return np.asarray(np.rint(painted), dtype=np.uint8)


@lru_cache(maxsize=1)
def _colours() -> Floats:
    """[256, 3], 0 to 255."""
    import matplotlib

    return np.asarray(matplotlib.colormaps[COLOURS](np.arange(256))[:, :3] * 255, dtype=np.float32)
