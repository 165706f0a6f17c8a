"""Action units of faces: asked of the model, by number, and where on the face they show."""

from __future__ import annotations

import numpy as np

from openfer.bundle.load import Array, Bundle, sigmoid
from openfer.errors import ModelError
from openfer.records import FaceUnits, Points68
from openfer.vision.au_locations import AUS, au_locations

METHOD_WITH_UNITS = "aue"


def check_has_units(bundle: Bundle) -> None:
    """Raise `ModelError` where a model has no action units."""
    if "aus" not in bundle.card.outputs:
        raise ModelError(
            f"{bundle.path}: a model of the method '{bundle.card.method.name}' has no action units; "
            f"those of '{METHOD_WITH_UNITS}' have them"
        )


def unit_outputs(bundle: Bundle) -> tuple[str, ...]:
    """The outputs that `face_units` reads: `aus`, and `attention` where the model has it."""
    return tuple(name for name in ("aus", "attention") if name in bundle.card.outputs)


def face_units(logits: Array, attention: Array | None, landmarks: Points68 | None) -> FaceUnits | None:
    """One face's action units; None where the network did not see its landmarks.

    Args:
        logits: [17], in the order of `AUS`; NaN without landmarks.
        attention: [17].
        landmarks: pixels of the full picture.
    """
    if landmarks is None or not np.isfinite(logits).all():
        return None
    places = [(x, y) for x, y in au_locations(np.array(landmarks.points)).tolist()]
    return FaceUnits(
        probabilities=dict(zip(AUS, sigmoid(logits).tolist(), strict=True)),
        attention={} if attention is None else dict(zip(AUS, attention.tolist(), strict=True)),
        places={unit: (places[2 * index], places[2 * index + 1]) for index, unit in enumerate(AUS)},
    )
