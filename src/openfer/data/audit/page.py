"""The audit for people: what is wrong with the set, with the pictures beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openfer.data.audit import copies, quality
from openfer.data.audit.clean import DROPS
from openfer.data.audit.look import face_of
from openfer.data.audit.record import Audit
from openfer.data.manifest import Manifest
from openfer.errors import DataError
from openfer.pages.documents import environment
from openfer.pages.pictures import address

SIDE = 96
"""Pictures on the page, pixels: a page stays under two megabytes however large the set."""
MOST = 24
"""Pairs, or pictures, that a section shows."""
LISTED = 100
"""Unreadable rows that are named; audit.json has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A row on the page."""

    row: int
    name: str
    split: str
    label: str
    picture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two rows beside each other, and how alike they are; without numbers where the pixels are equal."""

    first: Shown
    second: Shown
    distance: int | None = None
    correlation: float | None = None
    mirrored: bool = False


def audit_page(
    manifest: Manifest,
    found: Audit,
    *,
    dropped: Mapping[int, str] | None = None,
    keep: str = "",
    command: str = "",
) -> str:
    """The findings as one HTML page that needs nothing beside itself; see `write.write_audit` for the arguments."""
    splits, labels = manifest.column("split"), manifest.column("label")
    show = _Shower(manifest, splits, labels)
    left, right = found.pairs.first, found.pairs.second
    split_of = np.array([split or "" for split in splits], dtype=object)
    across = (split_of[left] != split_of[right]) & (split_of[left] != "") & (split_of[right] != "")
    both = _exact_across(found, split_of)
    contradictions = _two_labels(found, labels)
    templates = environment("openfer.data.audit")
    return templates.get_template("page.html").render(
        origin=manifest.origin,
        digest=manifest.digest,
        found=found,
        repeats=sum(len(group) - 1 for group in found.groups),
        exact_across=[show.pair(*both[at]) for at in _spread(len(both))],
        exact_count=len(both),
        near_across=show.pairs(found, np.flatnonzero(across)),
        near_inside=show.pairs(found, np.flatnonzero(~across)),
        near_counts=(int(across.sum()), int((~across).sum())),
        conflicts=[show.pair(*contradictions[at]) for at in _spread(len(contradictions))],
        conflict_count=len(contradictions),
        labels=manifest.labels.names,
        poor={name: [show.one(row) for row in rows[:MOST].tolist()] for name, rows in found.poor.items()},
        listed=found.bad[:LISTED],
        dropped=None if dropped is None else Counter(dropped.values()),
        drops=DROPS,
        keep=keep,
        command=command,
        limits=quality,
        copies=copies,
    )


class _Shower:
    """Rows as they appear on the page; each picture is read when it is shown."""

    def __init__(self, manifest: Manifest, splits: Sequence[str | None], labels: Sequence[str | None]) -> None:
        self.manifest, self.splits, self.labels = manifest, splits, labels

    def one(self, row: int) -> Shown:
        try:
            picture = address(face_of(self.manifest, row, self.manifest.picture(row)), SIDE)
        except DataError:  # changed since it was looked at
            picture = ""
        return Shown(
            row=row,
            name=self.manifest.name(row),
            split=self.splits[row] or "no split",
            label=self.labels[row] or "no label",
            picture=picture,
        )

    def pair(self, first: int, second: int) -> Compared:
        return Compared(first=self.one(first), second=self.one(second))

    def pairs(self, found: Audit, places: NDArray[np.int64]) -> list[Compared]:
        """At most `MOST` of the near pairs at these places, evenly spread from the surest to the least sure."""
        order = places[np.argsort(-found.pairs.correlation[places], kind="stable")]
        chosen = order[_spread(len(order))]
        part = found.pairs.take(chosen)
        return [
            Compared(
                first=self.one(int(part.first[at])),
                second=self.one(int(part.second[at])),
                distance=int(part.distance[at]),
                correlation=float(part.correlation[at]),
                mirrored=bool(part.mirrored[at]),
            )
            for at in range(len(part))
        ]


def _spread(count: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(MOST, count)).round().astype(np.int64)


def _exact_across(found: Audit, splits: NDArray[np.object_]) -> list[tuple[int, int]]:
    """The first row of each of two splits, for groups of equal pixels that stand in several."""
    pairs = []
    for group in found.groups:
        named = group[splits[group] != ""]
        others = named[splits[named] != splits[named[0]]] if len(named) else named
        if len(others):
            pairs.append((int(named[0]), int(others[0])))
    return pairs


def _two_labels(found: Audit, labels: Sequence[str | None]) -> list[tuple[int, int]]:
    """Of each contradiction between equal pixels the first two rows whose labels differ."""
    pairs = []
    for one in found.contradictions:
        if one.kind == "exact":
            rows = [row for row in one.rows if labels[row] is not None]
            pairs.append((rows[0], next(row for row in rows if labels[row] != labels[rows[0]])))
    return pairs
