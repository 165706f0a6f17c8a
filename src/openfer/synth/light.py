"""How light falls on painted surfaces: wrapped diffuse, sky and ground, highlights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openfer.synth.paint import Array, Paint

SCATTER = np.array([0.34, 0.18, 0.14], np.float32)
"""How far light wraps round skin: it scatters below the surface, red the furthest (Jensen et al., SIGGRAPH 2001)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """The lighting of a picture; directions are those of the picture: x right, y down, z to the viewer.

    Args:
        direction: towards the main light, unit length.
        colour: of the main light, linear RGB.
        sky, ground: of the light from above and below.
        rim: strength of a light from behind, on the side away from the main one.
    """

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]
    sky: tuple[float, float, float]
    ground: tuple[float, float, float]
    rim: float


def shade(
    paint: Paint,
    normal: Array,
    open_to_sky: Array,
    slope: tuple[Array, Array],
    light: Light,
    *,
    scatter: Array | float,
    tangent: Array | None = None,
) -> Array:
    """What the camera sees of a painted surface, linear RGB [n, 3].

    Args:
        paint: the surface.
        normal: unit normals in the picture's frame, [n, 3].
        open_to_sky: 0 to 1, how much light reaches the place, [n].
        slope: change of `paint.height` per mm to the right and down, [n] each.
        light: the lighting.
        scatter: share of the wrap of skin, a number or [n, 1].
        tangent: direction of hair strands [n, 3]; they shine across (Kajiya & Kay, SIGGRAPH 1989).
    """
    bent = _bend(normal, *slope)
    key = np.array(light.direction, np.float32)
    wrap = SCATTER * scatter
    facing = (bent @ key)[:, None]
    diffuse = np.maximum(facing + wrap, 0) / (1 + wrap) ** 1.4
    up = 0.5 - 0.5 * bent[:, 1:2]
    ambient = up * np.array(light.sky, np.float32) + (1 - up) * np.array(light.ground, np.float32)
    # Deep places get less of the main light as well: their walls stand in its way.
    reach = open_to_sky[:, None]
    result = paint.colour * (diffuse * np.array(light.colour, np.float32) * (0.35 + 0.65 * reach) + ambient * reach)
    half = key + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    if tangent is None:
        glance = np.clip(bent @ half, 0, 1)
    else:
        glance = np.sqrt(np.clip(1 - (tangent @ half + 0.25 * slope[1]) ** 2, 0, 1)) * np.clip(bent[:, 2] + 0.2, 0, 1)
    strength = paint.gloss * np.exp(paint.shine * (glance - 1) * 2) * reach[:, 0]
    result += strength[:, None] * np.array(light.colour, np.float32)
    if light.rim > 0:
        edge = np.clip(1 - bent[:, 2], 0, 1) ** 3 * np.clip(-np.sign(key[0]) * bent[:, 0], 0, 1)
        result += light.rim * edge[:, None] * (0.25 + paint.colour)
    shaded: Array = result.astype(np.float32)
    return shaded


def _bend(normal: Array, right: Array, down: Array) -> Array:
    """Normals tilted by the slope of a height over the surface (Mikkelsen, J Graphics Tools 15 (2010), 49-61)."""
    steep = np.stack([right, down, np.zeros_like(right)], 1)
    along = (steep * normal).sum(1, keepdims=True)
    bent = normal - steep + along * normal
    length = np.sqrt((bent**2).sum(1, keepdims=True))
    result: Array = (bent / np.maximum(length, 1e-6)).astype(np.float32)
    return result


def slopes(height: Array, pixel: NDArray[np.int64], size: int, mm: float) -> tuple[Array, Array]:
    """Change of a height [n] known at some pixels, per mm to the right and down; 0 at the region's edge."""
    grid = np.zeros(size * size, np.float32)
    known = np.zeros(size * size, bool)
    grid[pixel], known[pixel] = height, True
    limit = size * size - 1
    result = []
    for step in (1, size):
        ahead, behind = np.minimum(pixel + step, limit), np.maximum(pixel - step, 0)
        both = known[ahead] & known[behind]
        change = np.where(both, (grid[ahead] - grid[behind]) / (2 * mm), 0)
        result.append(np.clip(change, -1.6, 1.6).astype(np.float32))
    return result[0], result[1]
