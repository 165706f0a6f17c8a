"""What RAF-DB says of its original pictures: a box, five points by hand, and 68 points of AUE-CRL's copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openfer.data.layouts.disk import SideFiles, find_folder


class Originals:
    """Box and points of pictures by their names.

    Args:
        place: where RAF-DB begins; None for pictures that are no originals, of which nothing is known.
    """

    def __init__(self, place: Path | None) -> None:
        def at(name: str) -> Path | None:
            return place and find_folder(place, f"Annotation/{name}")

        self._boxes = SideFiles("a box", at("boundingbox"))
        self._manual = SideFiles("five points", at("manual"))
        self._points = SideFiles("68 points", at("Landmarks_68_FAN_bbox"))

    def of(self, key: str) -> dict[str, object]:
        """Columns of the manifest for a picture such as `train_00001`."""
        names = (f"{key}_boundingbox.txt", f"{key}.txt")
        corners = self._boxes.read(4, *names)
        if corners is not None and not (corners[2:] > corners[:2]).all():
            self._boxes.refuse(names[0])
            corners = None
        manual = self._manual.read(13, f"{key}_manu_attri.txt", f"{key}.txt")
        five = None if manual is None else manual[:10].reshape(5, 2)
        if five is not None and not _upright(five):
            self._manual.refuse(f"{key}_manu_attri.txt")
            five = None
        points = self._points.read(136, f"{key}.txt")
        return {
            "box": None if corners is None else np.concatenate([corners[:2], corners[2:] - corners[:2]]),
            "points5": five,
            "landmarks68": None if points is None or corners is None else points.reshape(68, 2) + corners[:2],
        }

    def report(self, notes: list[str]) -> None:
        """Say what was missing or damaged."""
        for side in (self._boxes, self._manual, self._points):
            side.report(notes)


def _upright(five: NDArray[np.float32]) -> bool:
    """Whether five points can be eyes, nose and mouth corners, left before right: their order is not published."""
    left_eye, right_eye, _, left_mouth, right_mouth = five
    ordered = left_eye[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    return bool(ordered and left_eye[1] + right_eye[1] < left_mouth[1] + right_mouth[1])
