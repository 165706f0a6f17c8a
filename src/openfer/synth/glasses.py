"""Spectacles: two rims, a bridge and the arms to the ears."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from openfer.synth.anatomy import FACE_DEPTH
from openfer.synth.head import Mesh
from openfer.synth.identity import Identity
from openfer.synth.paint import Paint

Floats = NDArray[np.floating]


def glasses_mesh(person: Identity) -> list[Mesh]:
    """The parts as flat bands."""
    body, size = person.body, person.glasses
    half_w, half_h = 0.5 * (body.pupil_x * 1.62) * size**0.5, 19.0 * size
    plane, thick = FACE_DEPTH + 8.0, 2.3
    turn = np.linspace(-np.pi, np.pi, 41)
    meshes = []
    for side in (-1, 1):
        square = (np.abs(np.cos(turn)) ** 3 + np.abs(np.sin(turn)) ** 3) ** (-1 / 3)
        rows = []
        for grow in (0.0, thick):
            x = side * (body.pupil_x + 1.5) + (half_w + grow) * square * np.cos(turn)
            y = 4 + (half_h + grow) * square * np.sin(turn)
            rows.append(np.stack([x, y, plane - 0.0045 * np.maximum(np.abs(x) - 10, 0) ** 2], 1))
        meshes.append(_band(rows))
        inner = body.pupil_x + 1.5 + half_w + thick
        at = np.linspace(0, 1, 9)
        x = side * (inner + (0.5 * body.face_width + 6 - inner) * at**0.5)
        z = plane - 0.0045 * (inner - 10) ** 2 - (plane + 6 - 20) * at
        meshes.append(_band([np.stack([x, np.full(9, y) - 2 * at, z], 1) for y in (-5.0, -2.0)]))
    gap = body.pupil_x + 1.5 - half_w
    at = np.linspace(-1, 1, 9)
    meshes.append(_band([np.stack([gap * at, y - 2.5 * (1 - at**2), plane + 1 - at * 0], 1) for y in (-2.0, 0.6)]))
    return meshes


def _band(rows: list[Floats]) -> Mesh:
    place = np.concatenate(rows)
    return Mesh(len(rows), len(rows[0]), place, place, np.zeros(len(place)))


def paint_glasses(paint: Paint, person: Identity) -> None:
    """One colour, glossy."""
    paint.colour[:] = person.glasses_colour
    paint.gloss[:] = 0.35
    paint.shine[:] = 30
