"""One picture, one call: a model that stays loaded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from openfer.bundle.load import DEFAULT
from openfer.predict.look import ImageLike, Order
from openfer.predict.predictor import Predictor
from openfer.records import Prediction
from openfer.vision.detect import DETECT_SIZE


def analyze(
    image: ImageLike,
    *,
    model: str | Path = DEFAULT,
    detector: str = "centerface",
    detect_size: int = DETECT_SIZE,
    labels: str | None = None,
    min_confidence: float = 0.0,
    threads: int | None = None,
    order: Order = "rgb",
) -> list[Prediction]:
    """The faces of one picture, largest first. The model stays loaded for the next call.

        for prediction in openfer.analyze("photo.jpg"):
            print(prediction.label, prediction.confidence)

    Args:
        image: a path, a file's bytes, a PIL image or an array (uint8 [H, W] or [H, W, 3]).
        model: see `Predictor.load`, also for `detector`, `detect_size`, `labels`, `min_confidence` and `threads`.
        order: the order of an array's colour channels; OpenCV's are `bgr`.

    Returns:
        One prediction a face; a picture without a face, or one that cannot be read, gives one whose status says so.

    Raises:
        ConfigError, ModelError: as `Predictor.load`; no picture raises.
    """
    predictor = _cached(str(model), detector, detect_size, labels, min_confidence, threads)
    return predictor.predict([image], order=order)[0]


@lru_cache(maxsize=4)
def _cached(
    model: str, detector: str, detect_size: int, labels: str | None, min_confidence: float, threads: int | None
) -> Predictor:
    return Predictor.load(
        model,
        detector=detector,
        detect_size=detect_size,
        labels=labels,
        min_confidence=min_confidence,
        threads=threads,
    )
