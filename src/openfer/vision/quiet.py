"""What is global in Python and Pillow and must be otherwise while a picture is decoded, for any number of threads."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast

from PIL import Image

# Without a handler Python prints what Pillow logs of damaged files; a program that sets one up still gets it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_IGNORE = ("ignore", None, Warning, re.compile(r"(PIL|pillow_heif)\b"), 0)


class _Quiet:
    """Inside, Pillow's warnings about odd but readable files are neither shown nor raised.

    `warnings.catch_warnings` puts back the list of filters that it found: of two threads that overlap, the second finds
    the first one's, and puts it back for ever. Here one filter is added for all threads, and that one is taken out when
    the last of them leaves.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._lists = Lock(), 0, list[list[Any]]()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            filters = cast(list[Any], warnings.filters)
            # Others may have put theirs before it, or a list of theirs in the place of this one.
            if not filters or filters[0] is not _IGNORE:
                filters.insert(0, _IGNORE)
                self._lists.append(filters)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for filters in (*self._lists, cast(list[Any], warnings.filters)):
                    while _IGNORE in filters:
                        filters.remove(_IGNORE)
                self._lists.clear()


quiet = _Quiet()
_limit = Lock()


@contextmanager
def without_pillows_limit() -> Iterator[None]:
    """Inside, Pillow opens pictures of any size; one thread at a time."""
    with _limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
