"""Small manifests of noise pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from openfer.data.manifest import Manifest, Origin, build_manifest
from openfer.labels import LABEL_SETS

FERPLUS = LABEL_SETS["ferplus"]


def picture(seed: int, side: int = 16) -> bytes:
    """A PNG of noise; equal seeds are equal pictures."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def manifest_of(rows: Sequence[tuple[str, int, str]], root: Path = Path()) -> Manifest:
    """A manifest from (label, seed of the picture, split)."""
    plain = [
        {"image": {"bytes": picture(seed), "path": None}, "label": label, "split": split, "source": str(seed)}
        for label, seed, split in rows
    ]
    return build_manifest(plain, FERPLUS, Origin(layout="drawn"), root)
