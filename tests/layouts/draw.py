"""Drawn faces as picture files, and text files as editors leave them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw


def drawn_face(seed: int, side: int = 48) -> NDArray[np.uint8]:
    """A grey face-like drawing [side, side], another one for every seed."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(90, 110, (side, side), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((side * 0.15, side * 0.05, side * 0.85, side * 0.95), fill=int(rng.integers(170, 220)))
    for x in (0.35, 0.65):
        draw.ellipse((side * (x - 0.06), side * 0.36, side * (x + 0.06), side * 0.44), fill=30)
    draw.arc((side * 0.35, side * 0.6, side * 0.65, side * 0.8), 0, 180, fill=40, width=2)
    return np.asarray(image)


def save_face(path: Path, seed: int, side: int = 48) -> Path:
    """A drawn face as a picture file; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn_face(seed, side)).save(path)
    return path


def write_lines(path: Path, lines: Sequence[str], *, end: str = "\n", mark: bool = False) -> Path:
    """A text file, plain or gzipped by its ending, with these line ends and perhaps a byte-order mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(line + end for line in lines).encode("utf-8-sig" if mark else "utf-8")
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def class_folders(root: Path, classes: Mapping[str, Sequence[str]], *, first_seed: int = 0) -> Path:
    """`root/<folder>/<file name>` with a drawn face in each."""
    seed = first_seed
    for folder, names in classes.items():
        for name in names:
            save_face(root / folder / name, seed)
            seed += 1
    return root
