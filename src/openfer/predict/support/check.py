"""How well a support tells its classes apart: each picture is named by the others."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, sqrt

import numpy as np

from openfer.predict.support.classifier import leave_one_out
from openfer.predict.support.support import Support

Z = 1.959964
"""Of a 95 % interval."""
MIXED = 0.25
"""A pair of classes is mixed up if more than this share of its pictures is taken for the other one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One class: its pictures, those of them that were left out and asked for, and those named right."""

    name: str
    pictures: int
    tried: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """Two classes, how many of their pictures were taken for the other, and how many were asked for."""

    first: str
    second: str
    wrong: int
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What came of it.

    Args:
        rows: one a class.
        mixed: the pair that is mixed up most; None where no pair is, to speak of.
        similarity: lowest and median similarity of a left-out picture to its own class; None where none was asked for.
    """

    rows: tuple[Row, ...]
    mixed: Mixed | None
    similarity: tuple[float, float] | None

    @property
    def tried(self) -> int:
        """Pictures that were left out and asked for: all but those that are their class's only one."""
        return sum(row.tried for row in self.rows)

    @property
    def right(self) -> int:
        """Those that were named right."""
        return sum(row.right for row in self.rows)

    @property
    def chance(self) -> float:
        """What guessing reaches, 0 to 1."""
        return 1 / len(self.rows)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy, 0 to 1."""
        return wilson(self.right, self.tried)

    @property
    def passes(self) -> float | None:
        """The largest limit of similarity, in hundredths, that all left-out pictures would pass."""
        return None if self.similarity is None else floor(100 * self.similarity[0]) / 100

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence each: what cannot be told apart, and what to do."""
        said = []
        low, high = self.interval
        if low <= self.chance:
            said.append(
                f"these pictures do not show that the classes can be told apart: {self.right} of {self.tried} named "
                f"right when left out (95 % interval {100 * low:.0f} to {100 * high:.0f} %), guessing reaches "
                f"{100 * self.chance:.0f} %; "
                "add pictures of each class, clearer ones and of several people"
            )
        if self.mixed is not None:
            said.append(
                f"{self.mixed.first} and {self.mixed.second} are mixed up: {self.mixed.wrong} of {self.mixed.tried} "
                "pictures taken for the other; add pictures that show the difference, or join the two"
            )
        return tuple(said)


def leave_out(support: Support) -> LeftOut:
    """Leave out each picture of a support, with its mirrored copy, and ask the others for its class."""
    count, truth = len(support.labels), support.truth
    scores, alike = leave_one_out(support.features.astype(np.float64), truth, count)
    asked = np.isfinite(scores).all(axis=1)
    confused = np.zeros((count, count), dtype=int)
    np.add.at(confused, (truth[asked], scores[asked].argmax(1)), 1)
    own = alike[asked]
    pictures = np.bincount(truth, minlength=count)
    columns = zip(
        support.labels, pictures.tolist(), confused.sum(1).tolist(), confused.diagonal().tolist(), strict=True
    )
    return LeftOut(
        rows=tuple(Row(name=name, pictures=n, tried=tried, right=right) for name, n, tried, right in columns),
        mixed=_mixed(confused, support.labels.names),
        similarity=(float(own.min()), float(np.median(own))) if len(own) else None,
    )


def wilson(right: int, tried: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212); 0 to 1 where nothing was tried."""
    if not tried:
        return 0.0, 1.0
    share, spread = right / tried, Z * Z / tried
    middle = (share + spread / 2) / (1 + spread)
    half = Z * sqrt(share * (1 - share) / tried + spread / (4 * tried)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _mixed(confused: np.ndarray, names: tuple[str, ...]) -> Mixed | None:
    """The pair with the largest share of pictures that were taken for the other: [n, n] true class x answer."""
    first, second = np.triu_indices(len(names), 1)
    wrong = confused[first, second] + confused[second, first]
    asked = confused.sum(1)
    tried = asked[first] + asked[second]
    share = wrong / np.maximum(tried, 1)
    worst = int(share.argmax())
    if wrong[worst] < 2 or share[worst] <= MIXED:
        return None
    return Mixed(
        first=names[first[worst]], second=names[second[worst]], wrong=int(wrong[worst]), tried=int(tried[worst])
    )
