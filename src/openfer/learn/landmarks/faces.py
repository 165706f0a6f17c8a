"""What the network learns from: faces with 68 points, labelled by the teacher or drawn with their truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openfer.data.manifest import Manifest
from openfer.data.pictures import decode
from openfer.errors import DataError
from openfer.files import replacing
from openfer.learn.landmarks.teacher import Teacher, flip_error
from openfer.records import Box
from openfer.vision.align import frame, warp
from openfer.vision.image import Picture, grey
from openfer.vision.landmarks import ENLARGE, Square, edge, points5_of, square_of_points

FRAME = 48
"""Side of FER2013's frame, pixels."""
AROUND = 12
"""Pixels kept on each side of the frame, so that views can be turned and shifted."""
SIDE = FRAME + 2 * AROUND
LABELLED_TOGETHER = 512

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """Labelled faces at one scale: FER2013's frame and a quarter of it around.

    Args:
        pictures: grey, uint8 [N, SIDE, SIDE].
        answers: float32 [N, 2, 68, 2], pixels of `pictures`: of the face, and of its mirror image mirrored back. Where
            the truth is known both are the truth.
        splits: N names, as the manifest has them.
    """

    pictures: NDArray[np.uint8]
    answers: NDArray[np.float32]
    splits: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def points(self) -> NDArray[np.float32]:
        """The label: the mean of both answers, [N, 68, 2]."""
        return np.asarray(self.answers.mean(1))

    @property
    def flip_errors(self) -> NDArray[np.floating]:
        """How far the two answers are apart: [N], see `flip_error`; 0 for a known truth."""
        return flip_error(self.answers[:, 0], self.answers[:, 1])

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of every picture's pixels."""
        return [hashlib.sha256(picture.tobytes()).hexdigest() for picture in self.pictures]

    def save(self, path: Path) -> None:
        """Write to an `.npz` file, whole or not at all."""
        with replacing(path) as beside, beside.open("wb") as stream:
            np.savez_compressed(stream, pictures=self.pictures, answers=self.answers, splits=self.splits)

    @classmethod
    def load(cls, path: Path) -> Faces:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(pictures=stored["pictures"], answers=stored["answers"], splits=stored["splits"])


def label(manifest: Manifest, teacher: Teacher, *, progress: Progress | None = None) -> Faces:
    """The teacher's answers on a manifest's framed faces. Rows whose picture cannot be read are left out.

    Args:
        manifest: pictures that are framed as FER2013's are, or with a `box` that is.
        teacher: see `Teacher`.
        progress: called with the number of faces done and of all.

    Raises:
        DataError: none of the pictures can be read.
    """
    boxes, splits = manifest.column("box"), manifest.column("split")
    framed, kept = [], []
    for row in range(len(manifest)):
        picture, _ = decode(manifest, row)
        if picture is not None:
            framed.append(_framed(picture, boxes[row]))
            kept.append(splits[row] or "")
    if not framed:
        raise DataError("no picture of the manifest can be read; `openfer data check` says why")
    return label_frames(np.stack(framed), kept, teacher, progress=progress)


def label_frames(
    frames: NDArray[np.uint8], splits: list[str], teacher: Teacher, *, progress: Progress | None = None
) -> Faces:
    """As `label`, of frames in memory: grey, uint8 [N, FRAME, FRAME]."""
    answers = np.empty((len(frames), 2, 68, 2), dtype=np.float32)
    for start in range(0, len(frames), LABELLED_TOGETHER):
        part = slice(start, start + LABELLED_TOGETHER)
        answers[part] = np.stack(teacher.answer(frames[part]), axis=1)
        if progress is not None:
            progress(min(part.stop, len(frames)), len(frames))
    around = np.pad(frames, ((0, 0), (AROUND, AROUND), (AROUND, AROUND)), mode="edge")
    return Faces(pictures=around, answers=answers + np.float32(AROUND), splits=np.array(splits))


def known(manifest: Manifest) -> Faces:
    """Faces whose points the manifest knows (`landmarks68`), such as drawn ones."""
    points68, splits = manifest.column("landmarks68"), manifest.column("split")
    pictures, answers, kept = [], [], []
    for row in range(len(manifest)):
        picture, _ = decode(manifest, row)
        if picture is None or points68[row] is None:
            continue
        points = np.array(points68[row], dtype=np.float64)
        a, b = edge(_upright_surroundings(points))
        pictures.append(grey(warp(picture, (a, b), SIDE, 0))[:, :, 0])
        z = (points @ (1, 1j) - b) / a * SIDE
        answers.append(np.stack([z.real, z.imag], axis=-1))
        kept.append(splits[row] or "")
    return Faces(
        pictures=np.stack(pictures),
        answers=np.stack([answers, answers], axis=1, dtype=np.float32),
        splits=np.array(kept),
    )


def _upright_surroundings(points: NDArray[np.float64]) -> Square:
    square = square_of_points(points5_of(points))
    return Square(x=square.x, y=square.y, side=square.side / ENLARGE * SIDE / FRAME)


def _framed(picture: Picture, box: list[float] | None) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    given = Box(**dict(zip("xywh", box, strict=True))) if box else Box(x=0, y=0, w=width, h=height)
    return grey(frame(picture, given, 0.0, FRAME))[:, :, 0]
