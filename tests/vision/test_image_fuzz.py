"""Any bytes at all become a picture or a reason, never another error."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.errors import DataError
from openfer.vision.formats import HEAD, READABLE, recognise
from openfer.vision.image import decode
from tests.vision.odd import files

MAX_PIXELS = 1_000_000
BEGINNINGS = sorted({data[:16] for data in files().values()} | {data[:64] for data in files().values()})


def check(data: bytes, **options: Any) -> None:
    decoded, reason = None, ""
    try:
        decoded = decode(data, max_pixels=MAX_PIXELS, **options)
    except DataError as error:
        reason = str(error)
    if decoded is None:
        assert reason.isprintable()
        assert 0 < len(reason) < 250
        return
    height, width, channels = decoded.pixels.shape
    assert (decoded.pixels.dtype, channels) == (np.uint8, 3)
    assert 0 < height * width <= MAX_PIXELS
    assert decoded.note.isprintable()


@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    check(data)


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=300))
def test_random_bytes_behind_the_beginning_of_each_format(beginning: bytes, data: bytes) -> None:
    check(beginning + data)


@settings(max_examples=500)
@given(
    st.sampled_from(sorted(files())),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
    st.just(1.0) | st.floats(0.1, 1.0),
    st.booleans(),
    st.sampled_from([None, 8]),
)
def test_files_with_bytes_changed_and_the_end_cut_off(
    name: str, changes: list[tuple[int, bytes]], kept: float, orient: bool, at_least: int | None
) -> None:
    data = bytearray(files()[name])
    for place, new in changes:
        start = place % len(data)
        data[start : start + len(new)] = new
    check(bytes(data[: int(kept * len(data))]), orient=orient, at_least=at_least)


@given(st.sampled_from(sorted(files())), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_files_with_a_part_taken_out_or_repeated(name: str, first: int, last: int, place: int) -> None:
    data = files()[name]
    check(data[:first] + data[last:])
    check(data[:place] + data[first:last] + data[place:])


@given(st.sampled_from(sorted(files())), st.sampled_from(sorted(files())), st.integers(0, 400), st.integers(0, 400))
def test_one_file_that_goes_on_as_another(one: str, other: str, first: int, second: int) -> None:
    check(files()[one][:first] + files()[other][second:])


@given(st.binary(max_size=HEAD))
def test_a_beginning_is_recognised_or_refused(head: bytes) -> None:
    try:
        name = recognise(head)
    except DataError:
        return
    assert name in {*READABLE, "AVIF", "HEIC", "TGA"}
