"""The shape of the head: a superelliptic tube whose cross-section changes with height, with the nose, the sockets,
the cheeks and the chin raised on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openfer.synth.action_units import ActionUnits, displacement
from openfer.synth.anatomy import FACE_DEPTH, Anatomy
from openfer.synth.fields import bump, rise

Floats = NDArray[np.floating]

ROUNDNESS = 2.25
"""Exponent of the cross-section: 2 is an ellipse; the face is a little flatter in front."""
CHEEK_TISSUE, JAW_TISSUE = 8.0, 13.0
"""Callipers press on the bone: what skin and muscle add to the face's width and to the jaw's, mm."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one person, at rest.

    Args:
        body: measures.
        square_jaw: 0 pointed to 1 square.
        cheekbones, cheek_fat: -1 to 1.
        brow_ridge: mm beyond the forehead.
        bridge: height of the nose's root, 0 to 1.
        sag: 0 to 1, how far the cheeks have sunk to the jaw.
    """

    body: Anatomy
    square_jaw: float
    cheekbones: float
    cheek_fat: float
    brow_ridge: float
    bridge: float
    sag: float

    def section(self, y: Floats, *, extra: float = 0.0) -> tuple[Floats, Floats, Floats]:
        """Half width, depth to the front and to the back of the section at height y; `extra` mm larger all round."""
        body = self.body
        up, low = np.clip(-y / (extra - body.top), 0, 1), np.clip(y / (body.chin + extra), 0, 1)
        crown = np.sqrt(np.clip(1 - up**2.5, 0, 1))
        # The width at the jaw's angle, 62 % of the way to the chin, is the measured one.
        cheeks = body.face_width + CHEEK_TISSUE
        jaw = (body.jaw_width + JAW_TISSUE) / cheeks
        narrowing = 1 - (1 - jaw) / 0.66 * rise(0.1, 0.95, low) - 0.16 * (1 - self.square_jaw) * rise(0.6, 1.0, low)
        close = np.clip(1 - low**9, 0, 1) ** 0.45
        temple = 0.5 * (body.head_width - cheeks) * rise(-5.0, -50.0, y) - 2.5 * np.exp(-0.5 * ((y + 22) / 13) ** 2)
        soft = 2.5 * self.cheek_fat * np.exp(-0.5 * ((y - 48) / 26) ** 2) + 3 * self.sag * np.exp(
            -0.5 * ((y - 80) / 16) ** 2
        )
        half = (0.5 * cheeks + temple + soft) * narrowing * close * crown + extra * crown * close
        forehead = 6 * np.exp(-0.5 * ((y + 45) / 26) ** 2)
        front = (FACE_DEPTH + forehead - 5 * rise(40.0, 100.0, y)) * close * crown + extra * crown * close
        back = (body.head_length - FACE_DEPTH - 8) * np.clip(1 - low**3, 0, 1) ** 0.5 * crown + extra * crown
        return half, front, back

    def surface(self, angle: Floats, y: Floats, *, extra: float = 0.0) -> tuple[Floats, Floats]:
        """x and z where the tube's surface is at an angle (radians, 0 in front, right positive) and a height."""
        half, front, back = self.section(y, extra=extra)
        sine, cosine = np.sin(angle), np.cos(angle)
        radius = (np.abs(sine) ** ROUNDNESS + np.abs(cosine) ** ROUNDNESS) ** (-1 / ROUNDNESS)
        return half * sine * radius, np.where(cosine > 0, front, back) * cosine * radius

    def depth(self, x: Floats, y: Floats) -> Floats:
        """z of the resting face at places (x, y) of its front."""
        half, front, _ = self.section(y)
        t = np.clip(np.abs(x) / np.maximum(half, 1e-6), 0, 1)
        return front * (1 - t**ROUNDNESS) ** (1 / ROUNDNESS) + self.relief(x, y)

    def relief(self, x: Floats, y: Floats) -> Floats:
        """What is raised on the tube's front, mm forward."""
        body, across = self.body, np.abs(x)
        brow, tip, base, mouth = -body.brow_height, body.nose_tip, body.nose_base, body.mouth
        z = self.brow_ridge * bump(across, y, 20, brow + 5, 16, 7)
        z -= 9.0 * bump(across, y, body.pupil_x - 4, 3, 15, 10)  # sockets
        z += 3.5 * bump(across, y, body.pupil_x, 1, 9, 7)  # eyeballs under the lids
        z -= 3.0 * bump(across, y, 0.5 * body.eye_gap - 3, -1, 5, 8)
        along = np.clip((y + 14) / (tip + 14), 0, 1)
        falls = rise(base + 3, tip + 1, y + 0.22 * across)
        height = (7.5 * self.bridge + 2.0) * (1 - along) * rise(-24.0, -10.0, y) + (body.nose_depth + 1.5) * along**1.35
        z += height * falls * np.exp(-0.5 * (across / (5.5 + 2.6 * along)) ** 2)
        z += 4.5 * bump(x, y, 0, tip - 1, 6.5, 6.0)
        z += 7.5 * bump(across, y, 0.5 * body.nose_width - 5, base - 4.5, 4.2, 5.0)  # wings
        z += (3.5 + 2.5 * self.cheekbones) * bump(across, y, 43, 24, 14, 12)
        z += (2 + 3 * self.cheek_fat) * bump(across, y, 36, 48, 15, 18)
        z -= 2.5 * (1 - self.cheek_fat) * bump(across, y, 46, 62, 11, 14)
        z += 6.0 * bump(x, y, 0, mouth + 1, 24, 15)  # the dental arch
        z -= 4.5 * bump(x, y, 0, mouth + 17, 19, 5.5)  # the groove above the chin
        z += 7.0 * bump(x, y, 0, body.chin - 15, 17, 11)
        z -= 1.0 * bump(x, y, 0, mouth - 13, 2.8, 6)  # philtrum
        z += 4 * self.sag * bump(across, y, 40, body.chin - 28, 9, 10)
        return z


@dataclass(frozen=True, slots=True)
class Mesh:
    """Vertices in a grid of rows by columns; `rest` and `place` [rows * columns, 3] in the head's frame, mm.

    `rest` is where the vertex lies on the resting face: what is painted on the skin moves with it.
    """

    rows: int
    columns: int
    rest: Floats
    place: Floats
    angle: Floats
    kind: Literal["face", "neck", "open"] = "open"  # what stands in its light, see `openness`


@lru_cache(maxsize=4)
def _resting_face(head: Head) -> tuple[Mesh, Floats]:
    """The mesh at rest, and how much each vertex takes part in expressions: all in front, nothing behind the ears."""
    body = head.body
    crown = body.top * np.sin(np.linspace(np.pi / 2, np.arcsin(46 / -body.top), 13))
    middle = np.linspace(-46, 0.86 * body.chin, 42)[1:]
    low = body.chin * np.array([0.89, 0.92, 0.945, 0.965, 0.98, 0.99, 0.996, 1.0])
    y = np.concatenate([crown, middle, low])
    front = np.linspace(-1, 1, 51)
    front = np.radians(100) * (0.66 * front + 0.34 * front**3)
    angle = np.concatenate([np.radians([-180, -150, -125]), front, np.radians([125, 150, 180])])
    angles, heights = (grid.ravel() for grid in np.meshgrid(angle, y))
    x, z = head.surface(angles, heights)
    facing = rise(100.0, 60.0, np.abs(np.degrees(angles)))
    rest = np.stack([x, heights, z + facing * head.relief(x, heights)], 1)
    return Mesh(len(y), len(angle), rest, rest, angles, "face"), facing


def face_mesh(head: Head, aus: ActionUnits) -> Mesh:
    """The skin from the vertex to the underside of the chin, all round."""
    mesh, facing = _resting_face(head)
    place = mesh.rest.copy()
    moving = np.flatnonzero((facing > 0) & (mesh.rest[:, 1] > head.body.hairline - 12))
    moved = displacement(mesh.rest[moving, 0], mesh.rest[moving, 1], aus, head.body)
    place[moving] += moved * facing[moving, None]
    return replace(mesh, place=place)


def _neck_tube(y: Floats, half: Floats, front: Floats, back: Floats, centre: Floats, columns: int) -> Mesh:
    """A closed tube with elliptic sections, given by rows from top to bottom."""
    angle = np.linspace(-np.pi, np.pi, columns)
    angles, heights = np.meshgrid(angle, y)
    depth = np.where(np.cos(angles) > 0, front[:, None], back[:, None])
    place = np.stack([half[:, None] * np.sin(angles), heights, centre[:, None] + depth * np.cos(angles)], -1)
    flat = place.reshape(-1, 3)
    return Mesh(len(y), columns, flat, flat, angles.ravel(), "neck")


@lru_cache(maxsize=4)
def body_mesh(head: Head, maleness: float) -> Mesh:
    """Neck and shoulders."""
    y = np.array([30, 60, 80, 100, 115, 125, 133, 141, 150, 160, 175, 195, 220, 260, 320.0])
    neck = 45.0 + 9 * maleness
    flare = np.array([0, 0, 0, 0, 0.02, 0.06, 0.16, 0.34, 0.55, 0.72, 0.87, 0.97, 1.03, 1.06, 1.06])
    half = neck + flare * (122 + 28 * maleness)
    front = 42.0 + 5 * maleness + 42 * flare
    return _neck_tube(y, half, front, 52 + 30 * flare, np.full(len(y), -22.0) - 6 * flare, 41)


@lru_cache(maxsize=8)
def ear_mesh(head: Head, side: int, size: float) -> Mesh:
    """One ear: a dish that stands off the side of the head; 62 mm by 35 mm at size 1 (sa-sba, pra-pa)."""
    ring, turn = np.meshgrid(np.linspace(0, 1, 7), np.linspace(-np.pi, np.pi, 19), indexing="ij")
    along, up = ring * np.cos(turn), ring * np.sin(turn)
    narrow = 1 - 0.25 * rise(0.0, 1.0, up)  # the lobe is narrower
    back, down = 17.5 * size * along * narrow, 31 * size * up
    half, _, _ = head.section(np.array([12.0]))
    stand = 4.0 + 0.27 * (back + 17) + 4.0 * np.exp(-(((ring - 0.8) / 0.18) ** 2)) - 2.5 * (1 - ring)
    x = side * (half[0] - 5 + stand)
    place = np.stack([x, 10 + down - 0.12 * back, -12 - back * 0.85], -1).reshape(-1, 3)
    if side > 0:
        place = place.reshape(7, 19, 3)[:, ::-1].reshape(-1, 3)
    # `rest` holds the place in the ear itself: how far from its middle, and around.
    rest = np.stack([ring, turn, np.zeros_like(ring)], -1).reshape(-1, 3)
    return Mesh(7, 19, rest, place, turn.ravel())


def normals(mesh: Mesh, place: Floats) -> Floats:
    """Unit normals of a grid whose vertices are at `place` [v, 3], pointing out."""
    grid = place.reshape(mesh.rows, mesh.columns, 3)
    (rx, ry, rz), (dx, dy, dz) = (np.moveaxis(_steps(grid, axis), 2, 0) for axis in (1, 0))
    cross = np.stack([ry * dz - rz * dy, rz * dx - rx * dz, rx * dy - ry * dx], -1).reshape(-1, 3)
    return _unit(cross)


def directions(mesh: Mesh, place: Floats) -> Floats:
    """Unit vectors down the columns of a grid whose vertices are at `place` [v, 3]."""
    return _unit(_steps(place.reshape(mesh.rows, mesh.columns, 3), 0).reshape(-1, 3))


def _unit(vectors: Floats) -> Floats:
    result: Floats = vectors / np.maximum(np.sqrt((vectors**2).sum(-1, keepdims=True)), 1e-9)
    return result


def _steps(grid: Floats, axis: int) -> Floats:
    """From the vertex before to the vertex after, along an axis."""
    wide = np.concatenate([grid.take([0], axis), grid, grid.take([-1], axis)], axis)
    count = grid.shape[axis]
    steps: Floats = wide.take(range(2, count + 2), axis) - wide.take(range(count), axis)
    return steps


def openness(mesh: Mesh) -> Floats:
    """How much light reaches each vertex, about 0 to 1: less where its surroundings stand in front of it."""
    y = mesh.place[:, 1]
    if mesh.kind == "open":
        return np.full(len(y), 0.92)
    if mesh.kind == "neck":  # in the shade of the chin
        return 0.45 + 0.55 * rise(95.0, 165.0, y)
    grid = mesh.place[:, 2].reshape(mesh.rows, mesh.columns)
    around = grid
    for axis in (0, 1):
        around = np.mean([np.roll(around, step, axis) for step in (-4, -2, 0, 2, 4)], axis=0)
    deep = (grid - around).ravel()
    below = rise(0.93, 1.0, mesh.rest[:, 1] / mesh.rest[:, 1].max())
    return np.clip(0.97 + 0.045 * np.minimum(deep, 0) + 0.012 * np.maximum(deep, 0), 0.35, 1.05) * (1 - 0.45 * below)
