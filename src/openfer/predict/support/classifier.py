"""From a few examples of each class to scores of new faces, in closed form.

Ridge regression (Hoerl & Kennard, Technometrics 12 (1970), 55-67) from features of length 1 to classes, as in few-shot
learning by Bertinetto et al. ("Meta-learning with differentiable closed-form solvers", ICLR 2019). Chosen by
measurement: `benchmarks/support.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openfer.bundle.load import softmax

Floats = NDArray[np.floating]

RIDGE = 0.3
"""Added to the Gram matrix of examples of length 1. Much more of it, and the answer is that of the class means."""
TEMPERATURE = 0.1
"""Divides the scores before the softmax: the best likelihood of unseen people, for 1 to 30 examples and 2 to 6 classes
(`benchmarks/support.py`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """What `fit` found; `...` are as many tasks at once as it was given.

    Args:
        centres: [..., n, D], mean features of each class.
        weights: [..., D, n].
    """

    centres: Floats
    weights: Floats

    def scores(self, features: Floats) -> Floats:
        """[..., q, D] -> [..., q, n]; 1 - 1/n would be a perfect example of its class, -1/n one of another."""
        scores: Floats = _unit(features) @ self.weights
        return scores

    def similarities(self, features: Floats) -> Floats:
        """Cosine between a face and the mean of each class, [..., q, D] -> [..., q, n], -1 to 1."""
        cosines: Floats = _unit(features) @ np.swapaxes(_unit(self.centres), -1, -2)
        return np.clip(cosines, -1.0, 1.0)


def fit(features: Floats, member: Floats, *, ridge: float = RIDGE) -> Classifier:
    """Learn classes from examples; every class counts alike, however many examples it has.

    Args:
        features: [..., r, D], of the examples.
        member: [r, n], 1 where an example belongs to a class, else 0. Every class has at least one.
        ridge: above 0; see `RIDGE`.
    """
    rows, (examples, classes), count = _unit(features), member.shape, member.sum(0)
    targets = member * (examples / (classes * count)) - 1 / classes
    across = np.swapaxes(rows, -1, -2)
    dual = np.linalg.solve(
        rows @ across + ridge * np.eye(examples), np.broadcast_to(targets, (*rows.shape[:-1], classes))
    )
    return Classifier((member / count).T @ features, across @ dual)


def probabilities(scores: Floats) -> Floats:
    """Scores [..., n] -> probabilities [..., n], each row with the sum 1."""
    return softmax(np.asarray(scores / TEMPERATURE, dtype=np.float32))


def members(truth: NDArray[np.integer], classes: int, copies: int = 1) -> Floats:
    """Which example belongs to which class: [m] class numbers -> [m * copies, n], an example's copies in a row."""
    chosen: Floats = np.eye(classes)[np.repeat(truth, copies)]
    return chosen


def leave_one_out(features: Floats, truth: NDArray[np.integer], classes: int) -> tuple[Floats, Floats]:
    """What each example would have been called if it had not been among the examples.

    One inverse M of the Gram matrix and its ridge says it for all: without the rows g, a row of g scores
    -inv(M[g, g]) M[g, others] @ targets[others].

    Args:
        features: [m, copies, D]: the copies of an example are left out with it; the first is asked for.
        truth: [m], 0 to classes - 1.

    Returns:
        Scores [m, classes], and similarities [m] to the example's own class; NaN where it is its class's only one.
    """
    m, copies, _ = features.shape
    member, own = members(truth, classes, copies), np.eye(classes)[truth]
    rows, at = _unit(features).reshape(m * copies, -1), np.arange(m)
    inverse = np.linalg.inv(rows @ rows.T + RIDGE * np.eye(len(rows))).reshape(m, copies, m, copies)
    shares = -np.linalg.solve(inverse[at, :, at], inverse.reshape(m, copies, -1))[:, 0]
    shares[np.repeat(at, copies) == at[:, None]] = 0.0
    count = member.sum(0) - copies * own
    alone = (count * own).sum(1) == 0
    weight = (len(rows) - copies) / (classes * np.where(count > 0, count, np.nan))
    scores = (shares @ member) * weight - shares.sum(1, keepdims=True) / classes
    rest = member.T @ features.reshape(m * copies, -1)
    similarity = (_unit(features[:, 0]) * _unit(rest[truth] - features.sum(1))).sum(1)
    return np.where(alone[:, None], np.nan, scores), np.where(alone, np.nan, np.clip(similarity, -1.0, 1.0))


def _unit(vectors: Floats) -> Floats:
    """Vectors brought to length 1; those without length stay 0."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = vectors / np.where(length > 0, length, 1.0)
    return unit
