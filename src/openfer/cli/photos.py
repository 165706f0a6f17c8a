"""Photos on their way through `openfer predict`: the bar while it runs, and the last line when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from openfer.cli.common import progress

if TYPE_CHECKING:
    from openfer.predict.sources import Source
    from openfer.records import Prediction

SMALL = 128
"""Pictures with a shorter long side, pixels, are probably faces cut out already."""


@dataclass
class Tally:
    """What went through, for the last line and the exit status."""

    photos: int = 0
    faces: int = 0
    uncertain: int = 0
    unlike: int = 0
    faceless: int = 0
    unreadable: int = 0
    unsupported: int = 0
    noted: int = 0
    small: int = 0

    @property
    def failed(self) -> int:
        """Photos of which something could not be read."""
        return self.unreadable + self.unsupported

    @property
    def mostly_small(self) -> bool:
        """Whether most photos were small and without a face."""
        return self.small * 2 > self.photos

    def add(self, picture: Source, rows: Sequence[Prediction]) -> None:
        """Count one photo."""
        from openfer.records import NO_FACE, NONE, UNCERTAIN, UNSUPPORTED

        self.photos += 1
        self.faces += sum(row.label is not None for row in rows)
        self.uncertain += sum(row.label == UNCERTAIN for row in rows)
        self.unlike += sum(row.label == NONE and row.undecided for row in rows)
        self.noted += bool(rows[0].note)
        if any(row.failed for row in rows):
            unsupported = rows[0].status.startswith(UNSUPPORTED)
            self.unsupported += unsupported
            self.unreadable += not unsupported
        if rows[0].status == NO_FACE:
            self.faceless += 1
            self.small += _is_small(picture)

    def line(self, seconds: float) -> str:
        """One line for people."""
        parts = [_count(self.photos, "photo"), _count(self.faces, "face")]
        parts += [f"{self.uncertain} uncertain"] if self.uncertain else []
        parts += [f"{self.unlike} of none of the classes"] if self.unlike else []
        parts += [f"{self.faceless} without a face"] if self.faceless else []
        parts += [f"{self.unreadable} with something unreadable"] if self.unreadable else []
        parts += [f"{self.unsupported} of a kind that is not supported"] if self.unsupported else []
        parts += [f"{self.noted} with a note"] if self.noted else []
        return f"{', '.join(parts)} in {seconds:.1f} s"


@contextmanager
def photo_bar(sources: Sequence[str], *, leave_out: Path | None, hidden: bool) -> Iterator[Callable[[int], None]]:
    """A bar of photos done of all there are, with photos a second and time left.

    Args:
        sources: as the user wrote them. They are counted in the background, except for a list on standard input, which
            can be read only once.
        leave_out: as in `find_pictures`.
        hidden: no bar, such as where the terminal shows results as they come.

    Yields:
        What to call when a photo is done, with the number of photos that were passed over so far: those do not count.
    """
    from openfer.predict.sources import STANDARD_INPUT

    bar = progress("{task.fields[rate]}")
    bar.disable = bar.disable or hidden
    count = _Count(sources, leave_out)
    if not bar.disable and STANDARD_INPUT not in sources:
        count.start()
    done, begun = 0, time.perf_counter()
    with bar:
        task = bar.add_task("Reading faces", total=None, rate="")

        def advance(passed_over: int) -> None:
            nonlocal done
            done += 1
            total = None if count.total is None else max(done, count.total - passed_over)
            rate = f"{done / (time.perf_counter() - begun):.1f} photos/s"
            bar.update(task, completed=done, total=total, rate=rate)

        try:
            yield advance
        finally:
            count.wanted = False


class _Count(Thread):
    """Walks the folders a second time, beside the reading, so that the first result need not wait for the total."""

    def __init__(self, sources: Sequence[str], leave_out: Path | None) -> None:
        super().__init__(daemon=True)
        self.total: int | None = None
        self.wanted = True
        self._sources, self._leave_out = sources, leave_out

    def run(self) -> None:
        from openfer.predict.sources import find_pictures

        number = 0
        for _ in find_pictures(self._sources, leave_out=self._leave_out):
            if not self.wanted:
                return
            number += 1
        self.total = number


def _is_small(picture: Source) -> bool:
    from PIL import Image

    from openfer.vision.quiet import quiet

    try:
        with quiet, Image.open(str(picture)) as image:
            return max(image.size) < SMALL
    except Exception:  # it was read a moment ago; whatever is wrong with it since, it makes no hint
        return False


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
