"""Columns of points from arrays are those from nested lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfer.data.columns import column_of
from openfer.data.manifest import SCHEMA


@pytest.mark.parametrize(("name", "shape"), [("box", (4,)), ("points5", (5, 2)), ("landmarks68", (68, 2))])
@given(known=st.lists(st.booleans(), max_size=6), mixed=st.booleans())
def test_arrays_and_lists_give_the_same_column(
    name: str, shape: tuple[int, ...], known: list[bool], mixed: bool
) -> None:
    kind = SCHEMA.field(name).type
    arrays = [
        np.random.default_rng(row).normal(size=shape).astype(np.float32) if k else None for row, k in enumerate(known)
    ]
    lists = [None if array is None else array.tolist() for array in arrays]
    given = [lists[row] if mixed and row % 2 else array for row, array in enumerate(arrays)]
    column = column_of(given, kind)
    assert column.type == kind
    assert column.to_pylist() == column_of(lists, kind).to_pylist()
    assert column.null_count == known.count(False)
