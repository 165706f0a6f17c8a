"""Sheets for people to look at: every action unit from rest to full intensity, and a sample of a set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from openfer.labels import AU_NAMES
from openfer.synth.action_units import UNITS, ActionUnits
from openfer.synth.camera import Camera
from openfer.synth.identity import Identity, draw_identity
from openfer.synth.rendering import render
from openfer.synth.scene import Scene
from openfer.vision.image import Picture

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHOWN_WITH = {10: {25: 0.5}, 16: {25: 0.6}, 26: {25: 1.0}}
"""What an action unit needs beside it to be seen as people show it: these part the lips."""
MARGIN = 18


def strip(person: Identity | None = None, *, units: Sequence[int] = UNITS, size: int = 160) -> Image.Image:
    """One row for each action unit, intensities 0 to 1 from left to right, two units side by side.

    Args:
        person: who shows them; None for a person whose hair and beard hide nothing.
        units: the numbers of the action units.
        size: side of one picture, pixels.
    """
    person = draw_identity(7, 13) if person is None else person
    scene = Scene(camera=Camera(face=0.50, y=0.36, distance=1100), background="studio")
    blocks = []
    for unit in units:
        pictures = [_show(person, unit, step, scene, size) for step in STEPS]
        blocks.append(_captioned(np.hstack(pictures), f"AU {unit}  {AU_NAMES[unit]}"))
    if len(blocks) % 2:
        blocks.append(np.full_like(blocks[0], 255))
    rows = [np.hstack([left, right]) for left, right in zip(blocks[::2], blocks[1::2], strict=True)]
    return Image.fromarray(np.vstack(rows))


def _show(person: Identity, unit: int, intensity: float, scene: Scene, size: int) -> Picture:
    beside = {other: most * intensity for other, most in SHOWN_WITH.get(unit, {}).items()}
    return render(person, ActionUnits.of({**beside, unit: intensity}), scene=scene, size=size).picture


def contact_sheet(pictures: Sequence[Picture], captions: Sequence[str], columns: int) -> Image.Image:
    """Pictures of one size in rows, each under its caption."""
    cells = [_captioned(picture, caption) for picture, caption in zip(pictures, captions, strict=True)]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    return Image.fromarray(np.vstack([np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)]))


def _captioned(picture: Picture, caption: str) -> Picture:
    bar = Image.new("RGB", (picture.shape[1], MARGIN), "white")
    ImageDraw.Draw(bar).text((4, 3), caption, fill=(20, 20, 20), font=ImageFont.load_default(size=11))
    return np.vstack([np.asarray(bar), picture])
