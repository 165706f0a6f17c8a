"""OpenFER: facial expressions, read, learned and judged by one toolkit.

    import openfer
    for prediction in openfer.analyze("photo.jpg"):
        print(prediction.label, prediction.confidence)

Public names are imported when they are first used, so that `import openfer` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from openfer.data.manifest import Manifest as Manifest
    from openfer.data.manifest import load_manifest as load_manifest
    from openfer.errors import OpenFERError as OpenFERError
    from openfer.labels import LabelSet as LabelSet
    from openfer.predict.analysis import analyze as analyze
    from openfer.predict.predictor import Predictor as Predictor
    from openfer.records import Box as Box
    from openfer.records import Face as Face
    from openfer.records import Prediction as Prediction

_HOMES = {
    "Box": "records",
    "Face": "records",
    "LabelSet": "labels",
    "Manifest": "data.manifest",
    "OpenFERError": "errors",
    "Prediction": "records",
    "Predictor": "predict.predictor",
    "analyze": "predict.analysis",
    "load_manifest": "data.manifest",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'openfer' has no attribute '{name}'")
    return getattr(importlib.import_module(f"openfer.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
