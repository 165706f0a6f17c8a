"""The contract of an episodic network: what few-shot training and evaluation ask of it."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class EpisodicNetwork(Protocol):
    """A module that encodes pictures one by one and scores queries against supports.

    n, k and q are free. A query's answers depend on the supports of its episode alone, not on other queries or
    episodes.
    """

    def encode(self, *args: Any, **inputs: Any) -> Tensor:
        """Features [N, ...] of N pictures; the method's inputs by name, such as `image` [N, 3, S, S], normalised."""
        ...

    def score(self, support: Tensor, query: Tensor) -> Tensor:
        """Features [b, n, k, ...] and [b, q, ...] -> scores [b, q, n], higher is more alike."""
        ...
