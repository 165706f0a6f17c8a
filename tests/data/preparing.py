"""Stand-ins for detector and landmarker, and a manifest that has one row of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from openfer.data.manifest import Manifest, Origin, build_manifest
from openfer.labels import LABEL_SETS
from openfer.records import Box, Face, as_points5
from openfer.vision.image import Picture
from openfer.vision.landmarks import Landmarks, Square, edge
from openfer.vision.mean_face import mean_face
from tests.layouts import save_face

POINTS = [(90.0, 90.0), (130.0, 90.0), (112.0, 112.0), (95.0, 135.0), (130.0, 135.0)]


class Middle:
    """Finds a face in the middle of every picture, its nose in the centre, except in dark ones."""

    def find(self, picture: Picture, **_: float) -> list[Face]:
        if picture.max() < 10:
            return []
        scale = picture.shape[1] / 224
        box = Box(x=60 * scale, y=60 * scale, w=110 * scale, h=110 * scale)
        return [Face(box=box, score=0.9, points5=as_points5(np.array(POINTS) * scale))]


class Ordinary:
    """Finds the mean face in every square, moved to the right by a tenth of it; it is sure of bright pictures."""

    path = Path(__file__)
    """What counts as its model."""

    def find(self, picture: Picture, squares: Sequence[Square]) -> list[Landmarks]:
        quality = 0.9 if picture.any() and picture.mean() < 250 else 0.1
        return [self._in(square, quality if square.side < 1000 else 0.0) for square in squares]

    def _in(self, square: Square, quality: float) -> Landmarks:
        a, b = edge(square)
        z = b + a * (((mean_face() - 0.5) / 1.15 + (0.6, 0.5)) @ (1, 1j))
        points = np.stack([z.real, z.imag], axis=-1).astype(np.float32)
        return Landmarks(points=points, confidence=np.full(68, quality, np.float32), quality=quality)


def mixed(root: Path) -> Manifest:
    """One row of each kind, in the order given, detected, no_face, unreadable, missing, dropped."""
    for name in ("a", "b", "d", "f"):
        save_face(root / f"{name}.png", 1)
    save_face(root / "c.png", 1).write_bytes((root / "a.png").read_bytes()[:60])
    Image.new("L", (48, 48)).save(root / "black.png")
    common = {"split": "train", "label": "anger", "status": "ok"}
    paths = ["a.png", "b.png", "black.png", "c.png", "gone.png", "f.png"]
    rows = [{"image": {"bytes": None, "path": path}, **common} for path in paths]
    rows[0]["points5"] = POINTS
    rows[5] |= {"label": None, "status": "no majority"}
    return build_manifest(rows, LABEL_SETS["basic7"], Origin(layout="test", notes=("first",)), root)


def embedded(contents: Sequence[bytes], root: Path) -> Manifest:
    """Rows of the train split with these pictures inside."""
    rows = [{"image": {"bytes": content, "path": None}, "split": "train", "status": "ok"} for content in contents]
    return build_manifest(rows, LABEL_SETS["basic7"], Origin(layout="test"), root)
