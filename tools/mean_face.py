"""The table of `openfer.vision.mean_face` from a manifest that `openfer data prepare` wrote.

    python tools/mean_face.py ferplus_points.parquet --quality 0.9

Medians of the landmarks in faces aligned by their five points to the template fer2013, over the rows of the training
split whose landmarks are this sure, made symmetric about the template's middle; pixels of a 48 px frame.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openfer.data.manifest import Manifest, load_manifest
from openfer.errors import OpenFERError
from openfer.vision.align import TEMPLATES, fit_similarity, shares_of_square
from openfer.vision.landmarks import GROUPS, MIRROR

SIDE = 48


def medians(prepared: Manifest, quality: float) -> tuple[int, NDArray[np.float64]]:
    """How many faces there are, and the medians of their landmarks: [68, 2], pixels."""
    template = TEMPLATES["fer2013"]
    sure = [row for row, value in enumerate(prepared.column("landmark_quality")) if value and value >= quality]
    faces = []
    for row in sure:
        points5, landmarks = prepared.points5(row), prepared.landmarks68(row)
        if points5 is not None and landmarks is not None:
            faces.append(shares_of_square(landmarks, fit_similarity(template, np.asarray(points5))))
    found = np.median(np.array(faces), axis=0) * SIDE
    mirrored = found[MIRROR] * (-1, 1) + np.array([2 * SIDE * template[2, 0], 0])
    return len(faces), (found + mirrored) / 2


def main() -> None:
    """Read the arguments, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--quality", type=float, default=0.9)
    options = parser.parse_args()
    count, face = medians(load_manifest(options.manifest).select("train", usable=False), options.quality)
    print(f"{count} faces")
    for name, part in GROUPS.items():
        print(f"# {name}\n" + ", ".join(f"({x:.2f}, {y:.2f})" for x, y in face[part]) + ",")


if __name__ == "__main__":
    try:
        main()
    except OpenFERError as error:
        raise SystemExit(str(error)) from error
