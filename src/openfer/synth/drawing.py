"""One drawn face: a person and the motion of the face become pixels, with the five points where they were drawn.

Shapes are arrays of complex numbers x + iy in face units: x right, y down, origin in the middle of the face, one unit
about half its height. A similarity z -> a z + b lays them into the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from openfer.records import Box, Points5
from openfer.vision.image import Picture

FINE = 4
"""Drawn this many times too large and averaged: Pillow draws hard edges on whole pixels."""

Shape = NDArray[np.complex128]
Colour = NDArray[np.float64]


class Motion(NamedTuple):
    """How far each part of a face has moved from rest: 0 at rest, about 1 in a strong expression."""

    brow_inner: float = 0.0  # up
    brow_outer: float = 0.0  # up
    lids: float = 0.0  # open; below 0 narrowed
    corners: float = 0.0  # mouth corners up
    jaw: float = 0.0  # mouth open
    stretch: float = 0.0  # mouth wide
    wrinkle: float = 0.0  # nose wrinkled, upper lip up


EXPRESSIONS = {
    "neutral": Motion(),
    "happiness": Motion(lids=-0.3, corners=1.0, jaw=0.3, stretch=0.6),
    "sadness": Motion(brow_inner=0.9, brow_outer=-0.5, lids=-0.4, corners=-0.8, stretch=-0.2),
    "surprise": Motion(brow_inner=0.9, brow_outer=1.0, lids=0.8, jaw=1.0, stretch=-0.7),
    "fear": Motion(brow_inner=1.0, brow_outer=0.1, lids=0.8, corners=-0.4, jaw=0.4, stretch=0.6),
    "disgust": Motion(brow_inner=-0.4, brow_outer=-0.2, lids=-0.6, corners=-0.6, jaw=0.1, wrinkle=1.0),
    "anger": Motion(brow_inner=-1.0, brow_outer=0.4, lids=0.2, corners=-0.3, stretch=-0.3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What stays the same from picture to picture: colours (RGB, 0 to 255) and sizes in face units."""

    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    half_width: float
    jaw: float  # exponent of the outline: 2 an ellipse, more is squarer
    eye_x: float
    eye_size: float
    brow_width: float
    nose: float
    mouth: float
    hairline: float
    long_hair: bool


def draw_person(rng: np.random.Generator) -> Person:
    """A person made up at random."""
    tone, grey = rng.uniform(size=2)
    light, dark = np.array([[247.0, 215, 190], [98, 62, 42]])
    hairs = np.array([[35.0, 28, 25], [85, 55, 35], [150, 100, 50], [215, 180, 110], [150, 60, 35], [165, 165, 165]])
    return Person(
        skin=light + tone * (dark - light) + rng.normal(0, 3, 3),
        hair=hairs[rng.integers(len(hairs))] * (0.8 + 0.3 * grey),
        iris=np.array([[60.0, 40, 25], [70, 105, 60], [60, 100, 150]])[rng.integers(3)],
        shirt=rng.uniform(30, 230, 3),
        half_width=rng.uniform(0.74, 0.92),
        jaw=rng.uniform(2.0, 2.7),
        eye_x=rng.uniform(0.32, 0.4),
        eye_size=rng.uniform(0.14, 0.18),
        brow_width=rng.uniform(0.05, 0.11),
        nose=rng.uniform(0.2, 0.32),
        mouth=rng.uniform(0.27, 0.34),
        hairline=rng.uniform(-0.75, -0.55),
        long_hair=bool(rng.uniform() < 0.4),
    )


def draw_face(person: Person, motion: Motion, size: int, rng: np.random.Generator) -> tuple[Picture, Points5, Box]:
    """Draw one face, a little turned, shifted, lit and noisy at random.

    Args:
        person: who is drawn.
        motion: the expression.
        size: side of the picture, pixels.
        rng: for everything that differs between two pictures of one person with one expression.

    Returns:
        uint8 [size, size, 3] RGB, the five points and the face's box (crown to chin) in pixels.
    """
    turn = rng.normal(0, 6) * np.pi / 180
    scale = size * rng.uniform(0.32, 0.37) * np.exp(1j * turn)
    middle = size * (complex(0.5, 0.53) + 0.025 * (rng.normal() + 1j * rng.normal()))
    canvas = _Canvas(size, rng.uniform(40, 240, 3), scale, middle)
    outline = _outline(person.half_width, 1.1, person.jaw)
    _draw_head(canvas, person, outline)
    eyes = [complex(side * person.eye_x, -0.16) for side in (-1, 1)]
    gaze = 0.02 * complex(rng.normal(), rng.normal())
    for eye, outward in zip(eyes, (-1, 1), strict=True):
        _draw_eye(canvas, person, motion, eye, outward, gaze)
    nose = _draw_nose(canvas, person, motion)
    corners = _draw_mouth(canvas, person, motion)
    points = scale * np.array([*eyes, nose, *corners]) + middle
    inside = scale * outline + middle
    left, right = np.clip([inside.real.min(), inside.real.max()], 0, size)
    top, bottom = np.clip([inside.imag.min(), inside.imag.max()], 0, size)
    one, two, three, four, five = ((float(point.real), float(point.imag)) for point in points)
    box = Box(x=float(left), y=float(top), w=float(right - left), h=float(bottom - top))
    return _photograph(canvas.picture(), rng), (one, two, three, four, five), box


class _Canvas:
    def __init__(self, size: int, background: Colour, scale: complex, middle: complex) -> None:
        self._image = Image.new("RGB", (size * FINE, size * FINE), _rgb(background))
        self._draw = ImageDraw.Draw(self._image)
        self._scale, self._middle = scale * FINE, middle * FINE

    def _pixels(self, shape: Shape) -> list[float]:
        # Pillow counts from the middle of the first pixel, the project from its corner.
        placed = self._scale * shape + self._middle - complex(0.5, 0.5)
        return [float(value) for value in np.stack([placed.real, placed.imag], axis=-1).round().ravel()]

    def fill(self, shape: Shape, colour: Colour) -> None:
        self._draw.polygon(self._pixels(shape), fill=_rgb(colour))

    def line(self, shape: Shape, width: float, colour: Colour) -> None:
        pixels = max(1, round(width * abs(self._scale)))
        self._draw.line(self._pixels(shape), fill=_rgb(colour), width=pixels, joint="curve")

    def picture(self) -> Picture:
        return np.asarray(self._image.reduce(FINE))


def _rgb(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int)
    return int(red), int(green), int(blue)


def _outline(half_width: float, half_height: float, exponent: float = 2.0) -> Shape:
    """A closed superellipse around the origin, [48]."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    power = 2.0 / exponent
    return half_width * np.sign(x) * np.abs(x) ** power + 1j * half_height * np.sign(y) * np.abs(y) ** power


def _draw_head(canvas: _Canvas, person: Person, outline: Shape) -> None:
    if person.long_hair:
        canvas.fill(_outline(person.half_width + 0.2, 1.3, 3.0) + 0.15j, person.hair)
    shoulders = np.array([-1.6 + 2.5j, -1.2 + 1.3j, -0.4 + 1.1j, 0.4 + 1.1j, 1.2 + 1.3j, 1.6 + 2.5j])
    canvas.fill(shoulders, person.shirt)
    canvas.fill(np.array([-0.35 + 0.5j, 0.35 + 0.5j, 0.4 + 1.35j, -0.4 + 1.35j]), 0.85 * person.skin)
    for side in (-1, 1):
        canvas.fill(_outline(0.12, 0.22) + side * person.half_width, 0.9 * person.skin)
    canvas.fill(outline * 1.07 - 0.06j, person.hair)
    canvas.fill(np.where(outline.imag < person.hairline, outline.real + 1j * person.hairline, outline), person.skin)


def _draw_eye(canvas: _Canvas, person: Person, motion: Motion, eye: complex, outward: int, gaze: complex) -> None:
    open_by = person.eye_size * float(np.clip(0.55 + 0.4 * motion.lids, 0.12, 1.0))
    iris = 0.55 * person.eye_size
    canvas.fill(_outline(1.15 * person.eye_size, 1.25 * open_by) + eye, 0.75 * person.skin)
    canvas.fill(_outline(person.eye_size, open_by) + eye, np.full(3, 240.0))
    canvas.fill(_outline(iris, min(iris, open_by)) + eye + gaze, person.iris)
    canvas.fill(_outline(0.5 * iris, 0.5 * min(iris, open_by)) + eye + gaze, np.full(3, 15.0))
    along = np.linspace(-1, 1, 9)  # from the inner to the outer end of the brow
    lift = 0.13 * (motion.brow_inner * (1 - along) / 2 + motion.brow_outer * (1 + along) / 2)
    brow = eye + outward * 1.45 * person.eye_size * along - 1j * (0.25 + lift + 0.04 * (1 - along**2))
    canvas.line(brow, person.brow_width, 0.6 * person.hair)


def _draw_nose(canvas: _Canvas, person: Person, motion: Motion) -> complex:
    """Returns its tip."""
    tip, shade = complex(0, 0.02 + person.nose - 0.05 * motion.wrinkle), 0.72 * person.skin
    canvas.line(np.array([-0.04 - 0.1j, tip - 0.12, tip - 0.08 + 0.05j, tip + 0.08 + 0.05j, tip + 0.12]), 0.035, shade)
    if motion.wrinkle > 0.3:
        for side in (-1, 1):
            fold = tip + np.array([0.17 * side - 0.02j, 0.3 * side + 0.14j, 0.36 * side + 0.3j])
            canvas.line(fold, 0.02 + 0.03 * motion.wrinkle, shade)
            canvas.line(np.array([0.05 * side - 0.24j, 0.09 * side - 0.08j]), 0.035, shade)
    return tip


def _draw_mouth(canvas: _Canvas, person: Person, motion: Motion) -> tuple[complex, complex]:
    """Returns its left and right corner."""
    along = np.linspace(-1, 1, 15)
    arch = 1 - along**2
    half = person.mouth * (1 + 0.3 * motion.stretch)
    jaw = max(motion.jaw, 0.0)
    middle = half * along + 1j * (0.55 + 0.12 * jaw + 0.16 * motion.corners * (arch - 0.5))
    upper, lower = 0.05 + 0.08 * jaw + 0.06 * max(motion.wrinkle, 0.0), 0.07 + 0.26 * jaw
    canvas.fill(_between(middle, upper * arch, lower * arch), 0.62 * person.skin + np.array([55.0, 5, 5]))
    inside = max(0.26 * jaw, 0.012)
    dark = _between(middle, (upper - 0.045) * arch, inside * arch)
    canvas.fill(dark, np.array([70.0, 20, 25]))
    if jaw > 0.15 and motion.stretch > 0:
        canvas.fill(_between(middle, (upper - 0.045) * arch, 0.4 * inside * arch), np.full(3, 235.0))
    return complex(middle[0]), complex(middle[-1])


def _between(middle: Shape, above: NDArray[np.float64], below: NDArray[np.float64]) -> Shape:
    """The area from `above` over a line to `below` under it, closed."""
    return np.concatenate([middle - 1j * above, (middle + 1j * below)[::-1]])


def _photograph(picture: Picture, rng: np.random.Generator) -> Picture:
    """Light from one side, another exposure, and noise."""
    side = len(picture)
    direction = np.exp(2j * np.pi * rng.uniform())
    across = np.linspace(-1, 1, side)
    slope = across[None, :] * direction.real + across[:, None] * direction.imag
    light = rng.uniform(0.75, 1.1) * (1 + rng.uniform(0, 0.25) * slope)
    noise = rng.normal(0, rng.uniform(1, 6), (side, side, 1))
    lit: Picture = np.clip(picture * light[:, :, None] + noise, 0, 255).astype(np.uint8)
    return lit
