"""Skin: its colour over the face, furrows, brows, beard and blemishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openfer.synth.action_units import UNITS
from openfer.synth.fields import bump, inside, ridge, rise
from openfer.synth.furrows import FURROWS, courses, distance_to, furrow_depths
from openfer.synth.noise import sample
from openfer.synth.paint import Array, Paint, linear

if TYPE_CHECKING:
    from openfer.synth.action_units import ActionUnits
    from openfer.synth.identity import Identity
    from openfer.synth.mouth import Mouth

# sRGB of skin from light to dark, near the six types of Fitzpatrick (Arch Dermatol 124 (1988), 869-871).
TONES = np.array(
    [(244, 212, 194), (232, 188, 160), (213, 166, 134), (178, 129, 98), (132, 90, 66), (86, 56, 43)], dtype=np.float64
)


def skin_colour(person: Identity) -> Array:
    """Linear reflectance of the cheeks' skin, [3]."""
    position = person.melanin * (len(TONES) - 1)
    base = np.array([np.interp(position, np.arange(len(TONES)), TONES[:, channel]) for channel in range(3)])
    base = base * np.array([1.0, 1 - 0.05 * person.ruddy, 1 - 0.05 * person.ruddy + 0.05 * person.olive])
    return linear(np.clip(base, 0, 255))


def paint_skin(paint: Paint, rest: Array, person: Identity, aus: ActionUnits, mouth: Mouth) -> None:
    """The whole of the head's skin; pixels are places `rest` [n, 3] on the resting face, mm."""
    body = person.body
    x, y, z = rest.T
    across = np.abs(x)
    base = skin_colour(person)
    mottle = 0.030 * sample("soft", y * 0.55 + person.texture, x * 0.55) + 0.018 * sample(
        "fine", y * 1.1, x * 1.1 + person.texture
    )
    paint.colour[:] = base * (1 + (1 + 0.8 * person.age_lines) * mottle)[:, None]
    paint.gloss[:] = 0.05 + 0.05 * bump(across, y, 0, -50, 34, 22) + 0.10 * bump(x, y, 0, body.nose_tip - 12, 7, 22)
    paint.gloss[:] *= person.oily
    front = rise(10.0, 45.0, z)
    # Blood shows on cheeks, nose and chin; the skin round the eyes is darker and thinner.
    blush = (
        0.75 * bump(across, y, 42, 32, 15, 14)
        + 0.8 * bump(x, y, 0, body.nose_tip, 13, 9)
        + 0.4 * bump(x, y, 0, body.chin - 14, 16, 10)
    )
    warm = np.array([1.03, 0.86, 0.86], np.float32)
    paint.colour[:] *= 1 + (blush * front * (0.55 + 0.6 * person.ruddy))[:, None] * (warm - 1)
    shadow = 0.20 * bump(across, y, body.pupil_x - 4, 8, 13, 7) + 0.16 * bump(
        across, y, 0.5 * body.eye_gap - 2, -1, 5, 7
    )
    paint.colour[:] *= 1 - (shadow * (0.7 + 0.7 * person.tired))[:, None] * np.array([0.8, 1.0, 0.95], np.float32)
    _paint_nose(paint, x, y, person)
    _paint_freckles(paint, x, y, person)
    _paint_beard(paint, x, y, z, person, mouth)
    _paint_furrows(paint, x, y, z, person, aus)
    _paint_chin(paint, x, y, person, aus)
    _paint_brows(paint, x, y, person)


def _paint_nose(paint: Paint, x: Array, y: Array, person: Identity) -> None:
    body = person.body
    near = np.flatnonzero((np.abs(x) < 0.5 * body.nose_width + 9) & (np.abs(y - body.nose_tip) < 18))
    across, down = np.abs(x[near]), y[near]
    half, base = 0.5 * body.nose_width, body.nose_base
    nostril = bump(across, down, 0.42 * half, base - 0.5, 0.20 * half + 0.6, 1.7)
    paint.cover(near, np.clip(1.15 * nostril, 0, 0.92), 0.10 * skin_colour(person))
    # The crease behind the wing, and the shade below the nose.
    crease = ridge(np.hypot((across - half + 5.5), (down - base + 4.5) / 1.1) - 6.3, 1.1) * rise(
        half - 7, half - 2, across
    )
    paint.dim(near, 0.42 * crease * (down > base - 13) * rise(base + 3.5, base - 1, down))
    paint.dim(near, 0.28 * bump(across, down, 0, base + 2.5, 0.5 * half, 2.5))
    paint.height[near] -= 0.8 * crease


def _paint_freckles(paint: Paint, x: Array, y: Array, person: Identity) -> None:
    if person.freckles <= 0:
        return
    spots = sample("fine", y * 0.9 + 2 * person.texture, x * 0.9 + 40)
    amount = person.freckles * rise(1.1, 2.0, spots) * bump(np.abs(x), y, 24, 24, 26, 18)
    paint.colour[:] *= 1 - 0.45 * amount[:, None] * np.array([0.6, 0.85, 1.0], np.float32)


def _paint_beard(paint: Paint, x: Array, y: Array, z: Array, person: Identity, mouth: Mouth) -> None:
    """From stubble, a bluish shade, to a full beard."""
    if person.beard == 0 and person.moustache == 0 and person.stubble == 0:
        return
    body, across = person.body, np.abs(x)
    half = 0.5 * body.mouth_width
    # From the nose to the red of the lip, lower and thinner towards the mouth's corners.
    out = (across / half) ** 2
    moustache = (
        rise(1.0, 4.5, y - body.nose_base - 5 * out)
        * rise(2.0, -2.0, y - body.mouth + 0.75 * body.upper_lip - 6 * out)
        * rise(half + 5, half - 4, across)
    )
    # Below a line that runs from the mouth's corner in a bow to the ear, and below the lower lip.
    beside = np.maximum(across - half, 0)
    cheek = body.mouth + 1 + 8 * (1 - person.beard_reach) - 0.25 * beside - 0.026 * beside**2
    line = cheek + (body.lower_lip + 6) * rise(half, half - 9, across)
    jaw = rise(-3.0, 9.0, y - line) * rise(-12.0, 8.0, z)
    jaw = jaw * rise(half + 18, half + 6, across) if person.beard_reach < 0.25 else jaw
    strands = sample("fine", y * 1.1 + person.texture, 1.5 * x - 1.2 * np.sign(x) * z)
    for region, amount in ((jaw, person.beard), (moustache, person.moustache)):
        hair = np.clip(region * (0.35 + amount) + 0.16 * strands * region - (0.35 - 0.2 * amount), 0, 1) * min(
            1.0, 3 * amount
        )
        where = np.flatnonzero(hair > 0.01)
        paint.cover(where, 0.93 * hair[where], person.beard_colour * (1 + 0.25 * strands[where])[:, None])
        paint.height[where] += (1.2 + 2.2 * amount) * hair[where] + 0.25 * hair[where] * strands[where]
        paint.gloss[where] *= 1 - 0.6 * hair[where]
    shade = person.stubble * np.maximum(jaw, moustache)
    paint.colour[:] *= 1 - shade[:, None] * np.array([0.40, 0.36, 0.30], np.float32) * (1 + 0.2 * strands)[:, None]


def _paint_furrows(paint: Paint, x: Array, y: Array, z: Array, person: Identity, aus: ActionUnits) -> None:
    front = np.flatnonzero(z > 0)
    x, y = x[front], y[front]
    across, right_share = np.abs(x), 0.5 + 0.5 * np.tanh(x / 4)
    lines = courses(person.body)
    for furrow, line, (left, right) in zip(FURROWS, lines, furrow_depths(aus, person.age_lines), strict=True):
        if max(left, right) < 0.04:
            continue
        low, high = line.min(0) - 9, line.max(0) + 9
        here = np.flatnonzero((across > low[0]) & (across < high[0]) & (y > low[1]) & (y < high[1]))
        near = front[here]
        distance, along = distance_to(line, across[here], y[here])
        # Furrows run out at both ends, those across the middle at one.
        ends = rise(1.0, 0.6, along) if line[0, 0] < 0 else np.sqrt(np.clip(4.4 * along * (1 - along) + 0.02, 0, 1))
        depth = np.minimum((left + (right - left) * right_share[here]) * ends, 1.5)
        groove = ridge(distance, furrow.width)
        paint.height[near] -= 0.83 * furrow.width * depth * groove
        if furrow.bulge:
            beside = ridge(distance - np.sign(furrow.bulge) * 2.6 * furrow.width, 1.7 * furrow.width)
            paint.height[near] += abs(furrow.bulge) * 0.55 * depth * beside
        paint.dim(near, 0.46 * depth * groove)


def _paint_chin(paint: Paint, x: Array, y: Array, person: Identity, aus: ActionUnits) -> None:
    """The chin's orange-peel surface under AU 17."""
    raised = float(aus.mean[UNITS.index(17)])
    if raised < 0.03:
        return
    near = np.flatnonzero((np.abs(x) < 30) & (np.abs(y - person.body.chin + 15) < 26))
    dimples = sample("soft", y[near] * 1.3, x[near] * 1.3) * bump(x[near], y[near], 0, person.body.chin - 15, 13, 8)
    paint.height[near] += 0.7 * raised * dimples
    paint.dim(near, 0.10 * raised * np.clip(-dimples, 0, 2))


def brow_line(person: Identity, t: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The middle of the resting brow at shares t of the way from its inner to its outer end: x from the middle, y."""
    body = person.body
    inner, outer = 0.5 * body.eye_gap - 6 + person.brow_gap, body.pupil_x + 0.5 * body.eye_width + 6
    arch = np.sin(np.pi * np.clip(0.22 + 0.68 * t, 0, 1) ** 1.25)
    y = -body.brow_height + 3.2 - (2.0 + 4.0 * person.brow_arch) * arch + (2.4 - 2 * person.brow_tilt) * t**2.2
    return inner + (outer - inner) * t, y


def _paint_brows(paint: Paint, x: Array, y: Array, person: Identity) -> None:
    body = person.body
    near = np.flatnonzero((np.abs(x) < body.pupil_x + 34) & (np.abs(y + body.brow_height) < 16))
    across, down = np.abs(x[near]), y[near]
    ends = brow_line(person, np.array([0.0, 1.0]))[0]
    t = np.clip((across - ends[0]) / (ends[1] - ends[0]), 0, 1)
    _, middle = brow_line(person, t)
    thick = person.brow_thickness * (0.72 + 0.45 * np.sin(np.pi * np.clip(t + 0.22, 0, 1))) * (1 - 0.62 * t**3)
    # Hairs rise at the inner end and lie along the brow further out.
    strands = sample(
        "strands", across * 1.4 + 2 * (1 - t) * (down - middle), (down - middle) * 2.4 + 90 + person.texture
    )
    hair = (
        inside(thick + 0.35 * strands - np.abs(down - middle), 1.8)
        * inside(across - ends[0] + 0.7 * strands, 4.0)
        * inside(ends[1] - across, 6.0)
    )
    hair = np.clip(hair * (0.85 + 0.12 * strands), 0, 1) * person.brow_density
    paint.cover(near, hair, person.brow_colour)
    paint.height[near] += 0.5 * hair
    paint.gloss[near] *= 1 - 0.7 * hair


def paint_neck(paint: Paint, rest: Array, person: Identity) -> None:
    """The neck, and a garment below the neckline."""
    x, y, z = rest.T
    soft = sample("soft", y * 0.5, x * 0.5 + person.texture)
    paint.colour[:] = 0.93 * skin_colour(person) * (1 + 0.03 * soft)[:, None]
    paint.gloss[:] = 0.03
    # The two muscles that run from behind the ears to the breastbone, and the shade under the chin.
    for side in (-1, 1):
        muscle = ridge(x - side * (8 + 0.42 * np.maximum(138 - y, 0)), 6.0) * rise(150.0, 130.0, y) * (z > -20)
        paint.height[:] += 2.5 * muscle
    neckline = 136 + person.collar * np.clip(1 - np.abs(x) / (34 + 0.5 * person.collar), 0, 1) ** 0.8 * (z > -30)
    garment = np.flatnonzero(y > neckline - 3)
    weave = sample("fine", y[garment] * 0.8, x[garment] * 0.8)
    covers = inside(y[garment] - neckline[garment], 2.5)
    paint.cover(garment, covers, person.cloth_colour * (1 + 0.05 * weave)[:, None])
    paint.dim(garment, 0.3 * ridge(y[garment] - neckline[garment] - 5, 1.0) * (y[garment] > neckline[garment] + 2))
    paint.height[garment] += covers * (1.5 + 1.2 * sample("soft", y[garment] * 0.12, x[garment] * 0.12))
    paint.gloss[garment] = 0.01


def paint_ear(paint: Paint, rest: Array, person: Identity) -> None:
    """`rest` holds the distance from the ear's middle (0 to 1) and the direction."""
    ring, turn, _ = rest.T
    paint.colour[:] = skin_colour(person) * np.array([1.0, 0.84, 0.82], np.float32)
    hollow = 0.45 * bump(ring, np.abs(turn - 2.6), 0.30, 0.0, 0.26, 2.2) + 0.30 * ridge(ring - 0.68, 0.07)
    paint.colour[:] *= 1 - hollow[:, None]
    paint.gloss[:] = 0.05
