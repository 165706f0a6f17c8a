"""Pictures for audits: random scenes, each unlike every other, and what happens to pictures on the web."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from openfer.data.manifest import Manifest, Origin, build_manifest
from openfer.labels import LABEL_SETS

Change = Callable[[Image.Image], Image.Image]


def scene(seed: int, side: int = 96) -> Image.Image:
    """Grey shapes of all sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.random((cells, cells)).astype(np.float32)).resize((side, side), 3))
        for cells in (3, 6, 12, 32)
    ]
    values = sum(layer * weight for layer, weight in zip(layers, (1.0, 0.7, 0.4, 0.3), strict=True))
    return Image.fromarray(np.clip(values / np.max(values) * 255, 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=30)
    return Image.open(stream)


def _cropped(image: Image.Image) -> Image.Image:
    edge = image.width * 0.03
    return image.resize(image.size, box=(edge, edge, image.width - edge, image.height - edge))


CHANGES: dict[str, Change] = {
    "jpeg": _jpeg,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "darker": lambda image: image.point(lambda value: value * 0.5),
    "more contrast": lambda image: ImageOps.autocontrast(image, cutoff=5),
    "blurred a little": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "cropped": _cropped,
    "a corner cropped": lambda image: image.resize(image.size, box=(0, 0, image.width * 0.93, image.height * 0.93)),
    "turned": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "mirrored": ImageOps.mirror,
}


def thumbs(*images: Image.Image) -> NDArray[np.uint8]:
    """As the audit makes them."""
    return np.stack([np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR)) for image in images])


def encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def row(image: Image.Image | bytes, split: str | None, label: str | None = "anger", **more: Any) -> dict[str, Any]:
    """A row of a manifest with its picture embedded."""
    data = image if isinstance(image, bytes) else encoded(image)
    return {"image": {"bytes": data, "path": None}, "split": split, "label": label, **more}


def manifest_of(*rows: dict[str, Any]) -> Manifest:
    return build_manifest(rows, LABEL_SETS["basic7"], Origin(layout="test"), Path())
