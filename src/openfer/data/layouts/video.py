"""Clips are not decoded here: their frames are read from the folder beside a clip that has its name.

S001-001.avi
S001-001/0001.png  0002.png …      frames are numbered from 1, as `ffmpeg -i S001-001.avi S001-001/%04d.png` does
"""

from __future__ import annotations

import re
from pathlib import Path

from openfer.data.layouts.disk import listing, stem
from openfer.errors import DataError
from openfer.records import UNSUPPORTED

UNREAD_VIDEO = f"{UNSUPPORTED}: a video; write its frames into a folder of its name, from 1"


def frames_by_number(folder: Path) -> dict[int, str]:
    """The pictures of a folder of frames by the last number in their names, in the order of the numbers.

    Raises:
        DataError: a name without a number, or two pictures with the same one.
    """
    found: dict[int, str] = {}
    for name in listing(folder).pictures:
        numbers = re.findall(r"\d+", stem(name))
        if not numbers:
            raise DataError(f"{folder / name}: a frame without a number in its name")
        number = int(numbers[-1])
        if number in found:
            raise DataError(f"{folder / name}: {found[number]} is frame {number}, too; leave one of them")
        found[number] = name
    return dict(sorted(found.items()))


def frames_from_one(folder: Path) -> dict[int, str]:
    """`frames_by_number`, for labels that count from 1. Raises `DataError` where the frames count from 0."""
    found = frames_by_number(folder)
    if 0 in found:
        raise DataError(
            f"{folder / found[0]}: frames count from 0, the labels from 1; number the frames from 1, so that none gets "
            "the label of its neighbour"
        )
    return found
