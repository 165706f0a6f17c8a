"""Hair and head coverings: a shell around the head, cut where the hairline is, painted in strands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from openfer.synth.anatomy import Anatomy
from openfer.synth.fields import inside, ridge, rise
from openfer.synth.head import Head, Mesh
from openfer.synth.noise import sample
from openfer.synth.paint import Array, Paint, linear

if TYPE_CHECKING:
    from openfer.synth.identity import Identity

Floats = NDArray[np.floating]
Cut = Literal["none", "buzz", "short", "fringe", "swept", "tied", "bob", "long", "curls", "ring"]

ANGLES = np.array([0, 22, 40, 50, 58, 66, 76, 86, 100, 120, 150, 180.0])
"""Degrees around the head, 0 in front, at which hairlines are given; the ear is near 95."""
_BACK = (18, 6, -16, 26, 58, 66)  # sideburn, around the ear, nape: y in mm from 76 degrees on
_TIED = (4, -10, -18, 26, 58, 66)


@dataclass(frozen=True, slots=True)
class HairStyle:
    """How hair is worn.

    Args:
        cut: its name.
        thick: mm it stands off the skull on top and at the sides.
        curl: 0 straight, 1 curly.
        recede: mm by which the corners of the hairline have gone back.
        end: y where long hair ends, mm.
        part: -1 to 1, where a fringe or parting lies.
    """

    cut: Cut
    thick: tuple[float, float]
    curl: float
    recede: float
    end: float
    part: float

    def line(self, body: Anatomy, angle: Floats, *, wave: float = 1.0) -> Floats:
        """y of the hair's lower edge at angles around the head (radians, 0 in front)."""
        degrees = np.abs(np.degrees(angle))
        front, end = body.hairline, self.end
        gone = self.recede
        sides = (front + 1 - gone, front + 5 - 1.2 * gone, front + 14 - gone, front + 34 - 0.5 * gone, -14.0)
        lines: dict[str, tuple[float, ...]] = {
            "fringe": (-36, -35, -34, -32, -26, -10, 20, *_BACK[1:]),
            "bob": (front, front + 2, front + 8, -38, end, end, end, end, end, end, end, end),
            "long": (front, front + 2, front + 9, -40, end, end, end, end, end, end, end, end),
            "tied": (front, *sides, *_TIED),
            "ring": (-140, -140, -140, -140, -130, -20, 18, *_BACK[1:]),
        }
        values = lines.get(self.cut, (front, *sides, *_BACK))
        result: Floats = np.interp(degrees, ANGLES, values)
        if self.cut in ("bob", "long", "fringe"):
            # The parting lets more of the forehead show on one side.
            result = result + 9 * wave * self.part * np.sin(angle) * (degrees < 60)
        return result


@dataclass(frozen=True, slots=True)
class Covering:
    """What is worn on the head instead of showing hair."""

    kind: Literal["none", "scarf", "beanie"]
    colour: Array


def draw_style(rng: np.random.Generator, maleness: float, age: float, tight: float) -> HairStyle:
    """How a person wears their hair; `tight` 0 to 1 says how likely it is curly."""
    unit = rng.uniform(size=8)
    late = float(np.clip((age - 30) / 45, 0, 1))
    if maleness > 0.5:
        cuts: tuple[Cut, ...] = ("short", "swept", "buzz", "fringe", "curls", "none", "ring", "long")
        odds = np.array(
            [0.34, 0.18, 0.16, 0.12 * (1 - late), 0.08 + 0.25 * tight, 0.05 + 0.08 * late, 0.22 * late, 0.04]
        )
    else:
        cuts = ("long", "bob", "tied", "fringe", "curls", "short", "swept")
        odds = np.array([0.34 * (1 - 0.5 * late), 0.24, 0.20, 0.08, 0.08 + 0.25 * tight, 0.05 + 0.25 * late, 0.04])
    cut: Cut = cuts[int(np.searchsorted(np.cumsum(odds / odds.sum()), unit[0]))]
    curl = float(np.clip(0.3 * unit[1] + tight * (0.4 + 0.6 * unit[2]), 0, 1))
    thick = {
        "none": (0, 0), "buzz": (2.5, 2.0), "short": (13, 5), "swept": (17, 6), "fringe": (12, 8), "tied": (6, 3.5),
        "bob": (12, 12), "long": (11, 10), "curls": (20 + 18 * unit[3], 16 + 18 * unit[3]), "ring": (3, 5),
    }[cut]  # fmt: skip
    return HairStyle(
        cut=cut,
        thick=(float(thick[0]) * (0.8 + 0.4 * unit[4]), float(thick[1]) * (0.8 + 0.4 * unit[4])),
        curl=max(curl, 0.8) if cut == "curls" else curl,
        recede=float(maleness > 0.5) * 16 * late * float(unit[5]),
        end=float(45 + 35 * unit[6]) if cut == "bob" else float(100 + 110 * unit[6]),
        part=float(2 * unit[7] - 1),
    )


def draw_covering(rng: np.random.Generator, maleness: float) -> Covering:
    """A head scarf, a knitted hat or, mostly, nothing."""
    unit, colour = rng.uniform(), linear(np.clip(rng.uniform(18, 215) + rng.normal(0, 24, 3), 10, 235))
    kind: Literal["none", "scarf", "beanie"] = "none"
    if maleness <= 0.5 and unit < 0.09:
        kind = "scarf"
    elif unit > 0.94:
        kind = "beanie"
    return Covering(kind, colour)


@lru_cache(maxsize=4)
def hair_mesh(head: Head, style: HairStyle) -> Mesh:
    """The outer surface of the hair; hanging hair goes straight down from the widest part of the head."""
    body = head.body
    low = style.end + 8 if style.cut in ("bob", "long") else 72.0
    top, _ = style.thick
    crown = (body.top - top) * np.sin(np.linspace(np.pi / 2, np.arcsin(40 / (top - body.top)), 13))
    y = np.concatenate([crown, np.linspace(-40, low, 20)[1:]])
    front = np.linspace(-1, 1, 45)
    angle = np.radians(180) * (0.75 * front + 0.25 * front**3)
    angles, heights = (grid.ravel() for grid in np.meshgrid(angle, y))
    return _shell(head, style, angles, heights, len(y), len(angle))


def _shell(head: Head, style: HairStyle, angles: Floats, heights: Floats, rows: int, columns: int) -> Mesh:
    top, side = style.thick
    extra = side + (top - side) * rise(-40.0, -95.0, heights)
    if style.cut in ("bob", "long"):
        extra = extra + (8 + 6 * style.curl) * rise(-40.0, 40.0, heights)
    line = style.line(head.body, angles)
    edge = rise(0.0, 34.0, line - heights)
    hanging = style.cut in ("bob", "long", "fringe")
    extra = extra * ((0.45 + 0.55 * edge) if hanging else (0.10 + 0.90 * edge)) + 1.2
    rough = sample("soft", heights * 0.5 + 7, np.degrees(angles) * 0.45)
    extra = extra * (1 + (0.05 + 0.13 * style.curl) * rough)
    hang = np.minimum(heights, 6.0)
    x, z = _surface(head, angles, hang, extra, top)
    flare = 1 + 0.0012 * (1 + style.curl) * np.maximum(heights - 6, 0)
    place = np.stack([x * flare, heights, z], 1)
    rest = np.stack([x, heights, z], 1)
    return Mesh(rows, columns, rest, place, angles)


def _surface(head: Head, angles: Floats, heights: Floats, extra: Floats, top: float) -> tuple[Floats, Floats]:
    """The head's tube, scaled up to the hair's own crown and `extra` mm (a value each) larger."""
    inner = heights + top * rise(-45.0, head.body.top - top, heights)
    x, z = head.surface(angles, inner)
    length = np.maximum(np.hypot(x, z), 1e-6)
    grown = 1 + extra * np.sqrt(np.clip(1 - (inner / head.body.top) ** 2 * (inner < 0), 0, 1)) / np.maximum(length, 12)
    return x * grown, z * grown


def covering_mesh(head: Head, kind: str, drop: float) -> Mesh:
    """A knitted hat, or a scarf that runs on over neck and chest."""
    body = head.body
    crown = (body.top - 9) * np.sin(np.linspace(np.pi / 2, np.arcsin(40 / (9 - body.top)), 13))
    low = 215.0 if kind == "scarf" else -20.0
    y = np.concatenate([crown, np.linspace(-40, low, 28)[1:]])
    angle = np.linspace(-np.pi, np.pi, 49)
    angles, heights = (grid.ravel() for grid in np.meshgrid(angle, y))
    extra = np.full(len(heights), 6.5) + 1.5 * sample("soft", heights * 0.22, np.degrees(angles) * 0.3)
    x, z = _surface(head, angles, np.minimum(heights, 0.0), extra, 9.0)
    if kind == "scarf":
        chin = body.chin + drop
        narrow = 1 - 0.10 * rise(10.0, 90.0, heights) + 0.75 * rise(chin - 6, 215.0, heights)
        facing = np.cos(angles) > 0
        back = (
            1
            - np.where(facing, 0.30, 0.2) * rise(chin - 20, chin + 22, heights)
            + np.where(facing, 0.30, 0.0) * rise(chin + 15, 215.0, heights)
        )
        folds = 2.2 * np.sin(heights / 7 + 2 * np.cos(angles) * 3) * rise(chin - 20, chin + 10, heights)
        x, z = x * narrow, z * back + folds
    place = np.stack([x, heights, z], 1)
    return Mesh(len(y), len(angle), place, place, angles)


def hair_cover(rest: Array, angle: Array, person: Identity, drop: float) -> Array:
    """How much of each pixel the hair or the covering hides, [n], 0 to 1."""
    x, y, _ = rest.T
    degrees = np.abs(np.degrees(angle))
    if person.covering.kind == "beanie":
        return inside(-41 - y, 1.5)
    if person.covering.kind == "scarf":
        body = person.body
        bottom = body.chin + drop + 3
        middle, half = 0.5 * (body.hairline + 8 + bottom), 0.5 * (bottom - body.hairline - 8)
        away = np.hypot(x / (0.5 * body.face_width - 1), (y - middle) / half)
        return np.maximum(inside(away - 1, 0.05), (degrees > 90).astype(np.float32))
    return rooted_cover(rest, angle, person)


def rooted_cover(rest: Array, angle: Array, person: Identity) -> Array:
    """How much of each pixel a person's own hair hides, whatever is worn over it, [n], 0 to 1."""
    x, y, _ = rest.T
    degrees = np.abs(np.degrees(angle))
    style = person.hair
    strands = sample("strands", y * 0.12 + person.texture, x * 1.1 + degrees * 0.5)
    ragged = {"buzz": 0.8, "short": 1.2, "swept": 1.0, "curls": 2.5, "tied": 0.8}.get(style.cut, 2.5)
    below = style.line(person.body, angle.astype(np.float64)).astype(np.float32) - y
    # Hair grows out of the forehead softly; cut ends are ragged.
    rooted = style.cut in ("buzz", "tied", "short", "swept") or (style.cut != "fringe") & (degrees < 48)
    amount = np.clip((below + np.where(rooted, 0.8, ragged) * strands) / np.where(rooted, 8.0, 3.0) + 0.5, 0, 1)
    if style.cut == "ring":
        amount = amount * inside(y + 62 + 4 * strands, 16.0) * rise(50.0, 64.0, degrees)
    if style.cut == "buzz":
        amount = amount * (0.86 + 0.10 * sample("fine", y * 2, x * 2))
    cover: Array = np.clip(amount, 0, 1)
    return cover


def paint_hair(paint: Paint, rest: Array, angle: Array, person: Identity) -> None:
    """Strands that run down from the crown, waves and curls; or cloth."""
    x, y, z = rest.T
    around = angle * np.minimum(80.0, 18 + np.hypot(x, z))
    if person.covering.kind != "none":
        _paint_cloth(paint, y, angle, around, person)
        return
    style = person.hair
    swing = (
        style.curl * 5 * np.sin(y / (9 - 4 * style.curl) + 2 * sample("soft", y * 0.15, around * 0.1 + person.texture))
    )
    parting = 0.35 * style.part
    if style.cut in ("bob", "long"):  # combed away from the parting
        swing = swing - 0.75 * np.tanh((angle - parting) * 12) * np.minimum(y + 30, 0)
    elif style.cut in ("short", "swept", "tied"):
        swing = swing - 0.8 * style.part * np.minimum(y + 30, 0)
    strands = sample("strands", y * 0.5 + person.texture, (around + swing) * 1.15)
    locks = sample("strands", y * 0.22, (around + swing) * 0.33 + 50)
    frizz = sample("soft", y * 0.9 + 30, around * 0.9)
    straight = 1 - 0.75 * style.curl
    tone = 1 + 0.17 * straight * strands + 0.15 * locks + 0.22 * style.curl * frizz
    tone = tone * (1 - 0.30 * rise(20.0, 120.0, y))
    paint.colour[:] = person.hair_colour * np.clip(tone, 0.25, 2)[:, None]
    paint.height[:] = 0.35 * straight * strands + 1.3 * locks + 1.8 * style.curl * frizz
    if style.cut in ("bob", "long"):
        gap = ridge(around - parting * 60, 1.6) * rise(-45.0, -70.0, y)
        paint.colour[:] *= 1 - 0.5 * gap[:, None]
        paint.height[:] -= 2.0 * gap
    paint.gloss[:] = (0.085 - 0.06 * style.curl) * np.clip(1 + 0.35 * strands, 0.2, 2)
    paint.shine[:] = 15
    if style.cut == "buzz":
        paint.height[:] *= 0.25
        paint.gloss[:] *= 0.25


def _paint_cloth(paint: Paint, y: Array, angle: Array, around: Array, person: Identity) -> None:
    weave = sample("fine", y * 1.2, around * 1.2)
    paint.colour[:] = person.covering.colour * (1 + 0.05 * weave)[:, None]
    paint.gloss[:] = 0.02
    if person.covering.kind == "beanie":
        ribs = np.sin(around * 1.1)
        paint.height[:] = 0.9 * ribs
        paint.colour[:] *= (1 + 0.12 * ribs - 0.25 * ridge(y + 60, 1.5))[:, None]
        paint.height[:] += 2.5 * inside(y + 60, 2.0)
        return
    # Folds hang down beside the face.
    bow = np.abs(angle) * 34 + sample("soft", y * 0.10 + person.texture, around * 0.06) * 3
    folds = np.sin(bow * 0.55 + y * 0.05) + 0.6 * np.sin(bow * 0.23 - y * 0.09 + person.texture)
    paint.height[:] = 1.1 * folds
    paint.colour[:] *= (1 + 0.05 * folds)[:, None]
