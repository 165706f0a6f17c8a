"""What tells the classes of an episode apart by features alone: nothing is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openfer.errors import ConfigError, did_you_mean
from openfer.predict.support import classifier as support_classifier

Floats = NDArray[np.floating[Any]]

CLASSIFIERS = {
    "cosine": "nearest centroid by cosine",
    "centred": "nearest centroid by centred cosine",
    "euclidean": "nearest centroid by Euclidean distance",
    "ridge": "ridge regression with mirrored copies, as in predict --support",
}
"""Name -> what it does, for a report."""
TEMPERATURE = 0.1
"""Divides cosines, which lie between -1 and 1, before they become probabilities; it changes no answer."""
SHORTEST = 1e-12


def check_classifier(name: str) -> None:
    """Raise `ConfigError` for a name that is not one of `CLASSIFIERS`."""
    if name not in CLASSIFIERS:
        raise ConfigError(f"--classifier '{name}': {did_you_mean(name, CLASSIFIERS)}")


def classifier_scores(support: Floats, query: Floats, name: str = "cosine") -> Floats:
    """How alike queries and classes are; an answer depends on the supports of its own episode alone.

    - `cosine`: features get the length 1; the cosine with the mean of a class's supports, divided by `TEMPERATURE`.
    - `centred`: the same, after the mean of all supports is taken away (Wang et al., SimpleShot, 2019, take away that
      of the training classes; here the supports are all there is).
    - `euclidean`: minus the squared distance to the mean of a class's supports (Snell et al., Prototypical Networks,
      NeurIPS 2017), divided by the number of features.
    - `ridge`: see `openfer.predict.support.classifier`.

    Args:
        support: [..., n, k, D] features.
        query: [..., Q, D] features.
        name: one of `CLASSIFIERS`.

    Returns:
        [..., Q, n], higher is more alike.

    Raises:
        ConfigError: an unknown classifier.
    """
    check_classifier(name)
    n, k = support.shape[-3:-1]
    if name == "ridge":
        member = support_classifier.members(np.repeat(np.arange(n), k), n)
        fitted = support_classifier.fit(support.reshape(*support.shape[:-3], n * k, -1), member)
        return np.asarray(fitted.scores(query) / support_classifier.TEMPERATURE)
    if name == "euclidean":
        centroids = support.mean(axis=-2)
        # |q - c|^2 without the part that all classes share.
        lengths = (centroids**2).sum(axis=-1)[..., None, :]
        return np.asarray((2 * query @ np.swapaxes(centroids, -1, -2) - lengths) / query.shape[-1])
    if name == "centred":
        centre = support.mean(axis=(-3, -2))[..., None, :]
        support, query = support - centre[..., None, :], query - centre
    centroids = _unit(_unit(support).mean(axis=-2))
    return np.asarray(_unit(query) @ np.swapaxes(centroids, -1, -2) / TEMPERATURE)


def _unit(values: Floats) -> Floats:
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), SHORTEST))
