"""A manifest is audited: one look at every picture, then everything else is arithmetic on what was seen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from openfer.data.audit.copies import Pairs, near_pairs, no_pairs
from openfer.data.audit.hashes import hashes
from openfer.data.audit.leaks import families_within_splits, find_contradictions, find_leaks
from openfer.data.audit.look import Looks, look
from openfer.data.audit.quality import poor_rows
from openfer.data.audit.record import Audit
from openfer.data.check import BadRow, bad_reason, known_hole
from openfer.data.manifest import Manifest
from openfer.data.pictures import Progress
from openfer.data.scan import usable_counts
from openfer.records import OK

Bar = Callable[[str], AbstractContextManager[Progress | None]]
"""Makes a progress bar with this description."""


def audit(manifest: Manifest, *, near: bool = True, workers: int = 1, bar: Bar | None = None) -> Audit:
    """Look at every picture of a manifest and report what is wrong with the set.

    Rows without label, split or picture are looked at as far as they go.

    Args:
        manifest: any; where a row has a box, its picture is what lies inside.
        near: whether to search for near copies, too.
        workers: threads.
        bar: makes a progress bar for each of the two stages.

    Raises:
        DataError: more near copies than can be listed.
    """
    bar = bar or (lambda _: nullcontext())
    with bar("decoding") as progress:
        looks = look(manifest, workers=workers, progress=progress)
    statuses = manifest.column("status")
    content, first = _contents(looks)
    poor = poor_rows(looks)
    pairs = no_pairs()
    if near:
        with bar("comparing") as progress:
            pairs = _near(manifest, looks, first, poor, workers, progress)
    places = content[pairs.first], content[pairs.second]
    return Audit(
        rows=len(manifest),
        bad=tuple(
            BadRow(row=row, name=manifest.name(row), reason=bad_reason(status, statuses[row]))
            for row, status in enumerate(looks.statuses)
            if status != OK and not known_hole(manifest, row, statuses[row])
        ),
        counts=usable_counts(manifest),
        looks=looks,
        content=content,
        first=first,
        hashed=hashes(looks.thumbs),
        pairs=pairs,
        searched=near,
        leaks=find_leaks(manifest, content, places),
        contradictions=find_contradictions(manifest, content, places),
        poor=poor,
    )


def _contents(looks: Looks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of each row's picture, -1 for none, and each picture's first row."""
    numbers: dict[str, int] = {}
    first: list[int] = []
    content = np.full(len(looks.contents), -1, dtype=np.int64)
    for row, name in enumerate(looks.contents):
        if name is not None:
            content[row] = numbers.setdefault(name, len(numbers))
            if content[row] == len(first):
                first.append(row)
    return content, np.array(first, dtype=np.int64)


def _near(
    manifest: Manifest,
    looks: Looks,
    first: NDArray[np.int64],
    poor: dict[str, NDArray[np.int64]],
    workers: int,
    progress: Progress | None,
) -> Pairs:
    """Near copies among the first rows of all pictures on which there is something to see."""
    rows = first[~np.isin(first, np.concatenate([poor["black"], poor["blank"]]))]
    families = families_within_splits(manifest)
    found = near_pairs(
        looks.thumbs[rows],
        families=None if families is None else families[rows],
        workers=workers,
        progress=progress,
    )
    return Pairs(rows[found.first], rows[found.second], found.distance, found.correlation, found.mirrored)
