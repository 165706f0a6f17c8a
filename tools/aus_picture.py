"""The picture of docs/guides/aus.md: drawn faces of people whom no set knows, the units drawn and those that are read.

python tools/aus_picture.py MODEL docs/assets/aus.jpg
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from openfer.cli.models import resolve_model
from openfer.predict.drawing.units import SHOWN
from openfer.predict.overlay import draw
from openfer.predict.predictor import Predictor
from openfer.synth.action_units import UNITS
from openfer.synth.camera import Camera
from openfer.synth.expression import prototype
from openfer.synth.identity import draw_identity
from openfer.synth.rendering import render
from openfer.synth.scene import draw_scene
from openfer.synth.sheets import contact_sheet
from openfer.vision.au_locations import AUS

SEED, SIZE = 777, 320
EXPRESSIONS = ("happiness", "surprise", "anger", "sadness")
PRESENT = 0.2


def main() -> None:
    """Draw, read, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run or a bundle with action units")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    predictor = Predictor.load(resolve_model(options.model), aus=True, threads=1)
    pictures, captions = [], []
    for number, label in enumerate(EXPRESSIONS):
        rng = np.random.default_rng([SEED, number])
        shown = prototype(label, rng, intensity=0.9)
        scene = replace(draw_scene(rng, max_yaw=8.0, background="plain"), camera=Camera(face=0.42, y=0.46))
        face = render(draw_identity(SEED, number), shown.aus, scene=scene, size=SIZE).picture
        found = predictor.predict([face])[0]
        drawn = [
            str(unit) for unit, value in zip(UNITS, shown.aus.mean, strict=True) if value >= PRESENT and unit in AUS
        ]
        units = found[0].aus
        read = [str(unit) for unit, share in units.probabilities.items() if share >= SHOWN] if units else ["no points"]
        marked = Image.fromarray(draw(face, found))
        pictures.append(np.asarray(marked.resize((SIZE, SIZE), Image.Resampling.LANCZOS)))
        captions.append(f"drawn: {', '.join(drawn)}    read: {', '.join(read)}")
    contact_sheet(pictures, captions, columns=2).save(options.out, quality=88)


if __name__ == "__main__":
    main()
