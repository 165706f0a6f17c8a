"""Class maps of faces: asked of the model, and laid where the network looked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from openfer.bundle.load import Bundle
from openfer.errors import ModelError
from openfer.labels import LabelSet
from openfer.records import ClassMaps, Face
from openfer.vision.align import TEMPLATES, Alignment, fit_similarity, upright_square

METHODS_WITH_MAPS = ("combined", "mek")
"""Whose bundles have the output `maps`; of `combined` those with smoothing or consistency."""


def check_has_maps(bundle: Bundle) -> None:
    """Raise `ModelError` where a model has no class maps."""
    if "maps" not in bundle.card.outputs:
        raise ModelError(
            f"{bundle.path}: a model of the method '{bundle.card.method.name}' has no class maps; "
            f"those of {', '.join(METHODS_WITH_MAPS)} have them"
        )


def class_maps(maps: NDArray[np.float32], labels: LabelSet, face: Face, alignment: Alignment) -> ClassMaps:
    """One face's maps by label.

    Args:
        maps: [K, h, w], one a label.
        labels: K names.
        face: pixels of the full picture; it could be cut.
        alignment: the network's settings.
    """
    values = {name: tuple(map(tuple, rows)) for name, rows in zip(labels, maps.tolist(), strict=True)}
    if face.points5 is not None:
        a, b = fit_similarity(TEMPLATES[alignment.template], np.asarray(face.points5, dtype=np.float64))
    else:
        a, b = upright_square(face.box, alignment.margin)
    first, second, third = ((corner.real, corner.imag) for corner in (b, a + b, 1j * a + b))
    return ClassMaps(values=values, corners=(first, second, third))
