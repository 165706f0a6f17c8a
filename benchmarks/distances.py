"""Ways to score faces by a few examples of each class, for `support.py`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from openfer.predict.support.classifier import RIDGE, fit

Floats = NDArray[np.floating]

Answer = Callable[[Floats, Floats, Floats], Floats]
"""Features of examples [r, D], their classes [r, n] and features of queries [q, D] -> scores [q, n]."""


def cosine(examples: Floats, member: Floats, queries: Floats) -> Floats:
    return np.asarray(fit(examples, member).similarities(queries))


def centred_cosine(examples: Floats, member: Floats, queries: Floats) -> Floats:
    centres = _centres(examples, member)
    return np.asarray(_unit(queries - centres.mean(0)) @ _unit(centres - centres.mean(0)).T)


def euclidean(examples: Floats, member: Floats, queries: Floats) -> Floats:
    return -np.asarray(((queries[:, None] - _centres(examples, member)) ** 2).sum(-1))


def _alike(examples: Floats, member: Floats, queries: Floats) -> Floats:
    mean = _centres(examples, member).mean(0)
    return np.asarray(_unit(queries - mean) @ _unit(examples - mean).T)


def nearest(examples: Floats, member: Floats, queries: Floats) -> Floats:
    alike = _alike(examples, member, queries)
    return np.asarray(np.where(member.T[None] > 0, alike[:, None], -np.inf).max(-1))


def attention(examples: Floats, member: Floats, queries: Floats) -> Floats:
    return np.asarray(np.exp(10 * _alike(examples, member, queries)) @ member)


def ridge(strength: float) -> Answer:
    return lambda examples, member, queries: fit(examples, member, ridge=strength).scores(queries)


def centred_ridge(examples: Floats, member: Floats, queries: Floats) -> Floats:
    mean = _centres(examples, member).mean(0)
    return fit(examples - mean, member).scores(queries - mean)


DISTANCES: dict[str, Answer] = {
    "cosine": cosine,
    "centred cosine": centred_cosine,
    "euclidean": euclidean,
    "nearest": nearest,
    "attention": attention,
    "centred ridge": centred_ridge,
    "ridge": ridge(RIDGE),
}


def _centres(examples: Floats, member: Floats) -> Floats:
    return np.asarray((member / member.sum(0)).T @ examples)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
