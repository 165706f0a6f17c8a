"""The teacher: MediaPipe FaceMesh (468 points) as 68 iBUG points, with a measure of how far it can be trusted.

FaceMesh: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", CVPR Workshops
2019; the graph is `face_landmark.tflite` of MediaPipe 0.10.21 (Apache-2.0, Google) converted to ONNX. It is needed to
label training pictures and nowhere else; it does not come with the package.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.runtime import session
from openfer.vision.landmarks import MIRROR, outer_eye_distance

Floats = NDArray[np.float64]
Answers = NDArray[np.floating]
Pictures = NDArray[np.uint8]

SIDE = 192
"""Side of the graph's input, pixels."""
FIRST, SECOND = 1.25, 1.5
"""Sides of the two passes' squares: as shares of the picture, and of the longer side of the first pass's points."""
BATCH = 16

# Point k of the 68 lies half way between the mesh's points A[k] and B[k]. Checked against the mirror symmetry of the
# canonical mesh and OpenFace's mean shape: 3.3 % of the outer eye distance (root mean square), the jaw 3.6 %.
A = np.array(
    [
        *(127, 234, 93, 132, 58, 136, 149, 176, 152, 400, 378, 365, 288, 361, 323, 454, 356),
        *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 195, 4, 98, 97, 2, 326, 327),
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
        *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178),
    ]
)
B = np.array(
    [
        *(127, 93, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 323, 356),
        *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327),
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
        *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87),
    ]
)
OUTER_EYES = (33, 263)


class Teacher:
    """FaceMesh in two passes.

    Args:
        path: `facemesh.onnx`: input `image` float32 [N, 3, 192, 192], RGB, 0 to 1; output `landmarks` [N, 468, 3],
            pixels of the input.
        threads: upper bound of threads.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._session = session(path, threads=threads)

    def answer(self, faces: Pictures) -> tuple[Floats, Floats]:
        """The 68 points of framed faces, and those of their mirror images mirrored back.

        Args:
            faces: grey, uint8 [N, S, S]; FER2013's frame or alike.

        Returns:
            two arrays [N, 68, 2], pixels of `faces`. Their mean is the better answer; see `flip_error`.
        """
        mirrored = self._points(faces[:, :, ::-1])[:, MIRROR]
        mirrored[..., 0] = faces.shape[2] - mirrored[..., 0]
        return self._points(faces), mirrored

    def _points(self, faces: Pictures) -> Floats:
        mesh = np.empty((len(faces), 468, 2))
        for start in range(0, len(faces), BATCH):
            part = faces[start : start + BATCH]
            side = np.full(len(part), FIRST * part.shape[2] + 0j)
            corner = (part.shape[2] * (1 + 1j) - side * (1 + 1j)) / 2
            first = self._mesh(part, side, corner)
            mesh[start : start + BATCH] = self._mesh(part, *_second_square(first))
        return (mesh[:, A] + mesh[:, B]) / 2

    def _mesh(self, faces: Pictures, side: NDArray[np.complex128], corner: NDArray[np.complex128]) -> Floats:
        """One pass: squares given by their top edge (a vector) and their top left corner, as complex numbers."""
        cuts = np.stack([_cut(*values) for values in zip(faces, side, corner, strict=True)])
        rgb = np.repeat(cuts[:, None].astype(np.float32) / np.float32(255), 3, axis=1)
        points = self._session.run(["landmarks"], {"image": rgb})[0].astype(np.float64) @ (1 / SIDE, 1j / SIDE, 0)
        placed = corner[:, None] + side[:, None] * points
        return np.stack([placed.real, placed.imag], axis=-1)


def flip_error(points: Answers, mirrored: Answers) -> Answers:
    """Mean distance between the two answers, as a share of the outer eye distance: [N]. Above 0.1 a fit is bad."""
    return np.asarray(np.linalg.norm(points - mirrored, axis=-1).mean(-1) / outer_eye_distance(points))


def _second_square(mesh: Floats) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    low, high = mesh.min(1), mesh.max(1)
    eyes = (mesh[:, OUTER_EYES[1]] - mesh[:, OUTER_EYES[0]]) @ (1, 1j)
    side = SECOND * (high - low).max(-1) * eyes / np.maximum(np.abs(eyes), 1e-6)
    return side, (low + high) @ (0.5, 0.5j) - side * (0.5 + 0.5j)


def _cut(face: NDArray[np.uint8], side: complex, corner: complex) -> NDArray[np.uint8]:
    """A square of a small picture at the graph's size; beyond the picture its border is repeated."""
    spare = face.shape[0]
    around = Image.fromarray(np.pad(face, spare, mode="edge"))
    step, start = side / SIDE, corner + spare * (1 + 1j)
    matrix = (step.real, -step.imag, start.real, step.imag, step.real, start.imag)
    return np.asarray(around.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC))
