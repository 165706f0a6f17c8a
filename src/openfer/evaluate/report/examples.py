"""Rows worth looking at: where the model was surely wrong, and where it was barely right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from openfer.evaluate.predictions import Predictions
from openfer.evaluate.report.record import Example

EXAMPLES = 12


def confident_errors(predictions: Predictions, count: int = EXAMPLES) -> tuple[Example, ...]:
    """The wrong answers with the highest confidence, surest first; equal ones in the order of the rows."""
    rows, confidence, right = _judged(predictions)
    order = np.argsort(-confidence, kind="stable")
    return _examples(predictions, rows[order][~right[order]][:count])


def hardest_right(predictions: Predictions, count: int = EXAMPLES) -> tuple[Example, ...]:
    """The right answers with the lowest confidence, least sure first; equal ones in the order of the rows."""
    rows, confidence, right = _judged(predictions)
    order = np.argsort(confidence, kind="stable")
    return _examples(predictions, rows[order][right[order]][:count])


def _judged(predictions: Predictions) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """The counted rows' places, confidences, and whether their answer is right, [N] each."""
    places = np.flatnonzero(predictions.counted)
    probabilities = predictions.probabilities[places]
    return places, probabilities.max(axis=1), probabilities.argmax(axis=1) == predictions.truth[places]


def _examples(predictions: Predictions, places: NDArray[np.int64]) -> tuple[Example, ...]:
    columns = {name: predictions.column(name) for name in ("row", "name", "truth", "way")}
    chosen = predictions.probabilities[places]
    answers, own = chosen.argmax(axis=1), chosen[np.arange(len(places)), predictions.truth[places]]
    return tuple(
        Example(
            row=columns["row"][place],
            name=columns["name"][place] or "",
            truth=columns["truth"][place],
            answer=predictions.labels.names[answer],
            confidence=float(confidence),
            truth_probability=float(probability),
            way=columns["way"][place] or "",
        )
        for place, answer, confidence, probability in zip(
            places.tolist(), answers.tolist(), chosen.max(axis=1), own, strict=True
        )
    )
