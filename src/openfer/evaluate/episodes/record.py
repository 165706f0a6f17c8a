"""Episodes as plain arrays, and what a report says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """E episodes over the rows of one manifest: n classes each, k supports and q queries a class.

    Args:
        classes: names of the C classes that episodes are made of.
        ways: [E, n], columns of `classes`, increasing and different within an episode.
        support: [E, n, k], row numbers in the manifest.
        query: [E, n, q], row numbers in the manifest; no row is both support and query of an episode.
        manifest: SHA-256 of the manifest; empty where it is not known.
        seed: of the drawing; None where it is not known.
        splits: the splits that were drawn from; empty where they are not known.
        pool: class -> how many different pictures it was drawn from; empty where it is not known.
    """

    classes: tuple[str, ...]
    ways: Indices
    support: Indices
    query: Indices
    manifest: str = ""
    seed: int | None = None
    splits: tuple[str, ...] = ()
    pool: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ways)

    @property
    def n_way(self) -> int:
        """Classes an episode."""
        return int(self.ways.shape[1])

    @property
    def k_shot(self) -> int:
        """Supports a class."""
        return int(self.support.shape[2])

    @property
    def n_query(self) -> int:
        """Queries a class."""
        return int(self.query.shape[2])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over classes, ways and rows: equal for the same episodes in the same order."""
        result = hashlib.sha256("\n".join(self.classes).encode())
        for array in (self.ways, self.support, self.query):
            result.update(repr(array.shape).encode() + np.ascontiguousarray(array, dtype="<i8").tobytes())
        return result.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFacts:
    """What a report says of the episodes.

    Args:
        count: number of episodes.
        n_way: classes an episode.
        k_shot: supports a class.
        n_query: queries a class.
        rows: number of different rows in all of them.
        scored_by: how a query was answered, such as `nearest centroid by cosine`.
        sha256: of the episodes.
        seed: of the drawing; None where it is not known.
        splits: that were drawn from.
        pool: class -> how many different pictures it was drawn from.
    """

    count: int
    n_way: int
    k_shot: int
    n_query: int
    rows: int
    scored_by: str
    sha256: str
    seed: int | None = None
    splits: tuple[str, ...] = ()
    pool: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, episodes: Episodes, scored_by: str) -> EpisodeFacts:
        """The facts of some episodes."""
        return cls(
            count=len(episodes),
            n_way=episodes.n_way,
            k_shot=episodes.k_shot,
            n_query=episodes.n_query,
            rows=len(np.unique(np.concatenate([episodes.support.ravel(), episodes.query.ravel()]))),
            scored_by=scored_by,
            sha256=episodes.digest,
            seed=episodes.seed,
            splits=episodes.splits,
            pool=episodes.pool,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpisodeFacts:
        """The inverse of `dataclasses.asdict`, also after a round trip through JSON."""
        return cls(**{**values, "splits": tuple(values.get("splits", ()))})

    def __str__(self) -> str:
        queries = "query" if self.n_query == 1 else "queries"
        return f"{self.count:,} episodes, {self.n_way}-way {self.k_shot}-shot, {self.n_query} {queries} a class"
