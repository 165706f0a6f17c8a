"""Predictions that tests compare, drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from openfer.evaluate.predictions import Context, Predictions, build_predictions
from openfer.labels import LabelSet

LABELS = LabelSet("own", ("calm", "cross", "glad"))
INITIALS = {"c": "calm", "x": "cross", "g": "glad", "-": None}


def judged(
    truth: str,
    answers: str,
    *,
    rows: Sequence[int] | None = None,
    columns: dict[str, Any] | None = None,
    labels: LabelSet = LABELS,
    **context: Any,
) -> Predictions:
    """Predictions from initials: `judged("ccg", "cxg")`; `-` is no truth or no answer. Confidence is 0.8."""
    names = [INITIALS[initial] for initial in answers]
    probabilities = np.full((len(names), len(labels)), 0.2 / (len(labels) - 1))
    for row, name in enumerate(names):
        if name is None:
            probabilities[row] = np.nan
        else:
            probabilities[row, labels.index(name)] = 0.8
    given = dict(columns or {})
    if None in names and "status" not in given:
        given["status"] = ["ok" if name else "unreadable: gone" for name in names]
    return build_predictions(
        labels,
        probabilities,
        [INITIALS[initial] for initial in truth],
        rows=None if rows is None else np.array(rows),
        columns=given,
        context=Context(**context),
    )


def drawn(n: int, right: float, seed: int, **options: Any) -> Predictions:
    """Predictions of n rows, the same truths whatever the seed, of which about a share is right."""
    truth = "".join(np.random.default_rng(0).choice(list("cxg"), n))
    rng = np.random.default_rng(seed)
    answers = "".join(
        name if rng.random() < right else rng.choice([other for other in "cxg" if other != name]) for name in truth
    )
    return judged(truth, answers, **options)
