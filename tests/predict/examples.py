"""A folder of examples: generated people with expressions that no data set names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from openfer.synth import ActionUnits, draw_identity, render
from openfer.synth.scene import draw_scene
from openfer.vision.image import Picture

UNITS: dict[str, tuple[dict[int, float], dict[int, float]]] = {
    "wink": ({12: 0.9}, {43: 1.0}),
    "doubt": ({14: 0.9, 23: 0.9}, {2: 1.0}),
    "effort": ({4: 0.9, 6: 0.9, 7: 0.9, 24: 0.8, 25: 0.8}, {}),
}
"""Action units of both halves of the face, and of its left half alone."""


def face(name: str, who: int, size: int = 128) -> Picture:
    """One person with one expression."""
    both, left = UNITS[name]
    scene = draw_scene(np.random.default_rng([3, who, len(name)]), max_yaw=20)
    return render(draw_identity(3, who), ActionUnits.of(both, left=left), scene=scene, size=size).picture


def lay_out(folder: Path, people: range) -> Path:
    """`folder/CLASS/PERSON.png` for every class and person."""
    for name in UNITS:
        (folder / name).mkdir(parents=True)
        for who in people:
            Image.fromarray(face(name, who)).save(folder / name / f"{who}.png")
    return folder
