"""The predictions file: round trip, files of other programs, damaged files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openfer.errors import DataError
from openfer.evaluate.predictions import Context, build_predictions, read_predictions, write_predictions
from openfer.labels import LabelSet

LABELS = LabelSet("own", ("calm", "cross"))


def foreign(path: Path, **columns: Any) -> Path:
    """A file as another program would write it."""
    plain: dict[str, Any] = {"row": [0, 1], "truth": ["cross", None], "p_calm": [0.25, 0.5], "p_cross": [0.75, 0.5]}
    plain |= columns
    pq.write_table(pa.table({name: values for name, values in plain.items() if values is not None}), path)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    context = Context(model="m", split="test", left_out=("fear",), versions={"numpy": "2"}, warnings=("batch_coupled",))
    written = build_predictions(
        LABELS,
        np.array([[0.25, 0.75], [np.nan, np.nan], [0.5, 0.5]], dtype=np.float32),
        ["cross", "calm", None],
        rows=np.array([7, 8, 3]),
        columns={"status": ["ok", "unreadable: gone", "ok"], "way": ["points", None, "frame"], "group": list("aab")},
        context=context,
    )
    path = tmp_path / "deep" / "predictions.parquet"
    write_predictions(written, path)
    read = read_predictions(path)
    assert (read.labels, read.context) == (LABELS, context)
    assert read.table.to_pylist() == written.table.to_pylist()
    assert read.table.column_names == ["row", "split", "group", "truth", "way", "status", "p_calm", "p_cross"]
    assert read.truth.tolist() == [1, 0, -1]
    np.testing.assert_array_equal(read.probabilities, [[0.25, 0.75], [np.nan, np.nan], [0.5, 0.5]])
    assert read.counted.tolist() == [True, False, False]
    assert read.column("subject") == [None, None, None]


def test_a_file_of_another_program_is_read(tmp_path: Path) -> None:
    read = read_predictions(foreign(tmp_path / "other.parquet"))
    assert read.labels == LABELS
    assert read.context == Context()
    assert read.truth.tolist() == [1, -1]
    assert read.counted.tolist() == [True, False]


def test_categories_large_strings_and_whole_numbers_are_read(tmp_path: Path) -> None:
    path = foreign(
        tmp_path / "other.parquet",
        truth=pa.array(["cross", "calm"]).dictionary_encode(),
        split=pa.array(["test", None], type=pa.large_string()),
        row=pa.array([1.0, 2.0]),
        p_calm=[0, 1],
        p_cross=[1, 0],
    )
    read = read_predictions(path)
    assert read.truth.tolist() == [1, 0]
    assert read.column("split") == ["test", None]
    assert read.probabilities.tolist() == [[0, 1], [1, 0]]


def test_the_order_of_the_columns_does_not_matter_where_the_metadata_has_one(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(build_predictions(LABELS, np.array([[0.1, 0.9]]), ["calm"]), path)
    table = pq.read_table(path)
    pq.write_table(table.select(["p_cross", "truth", "p_calm", "row"]), path)
    read = read_predictions(path)
    assert read.labels == LABELS
    assert read.probabilities.tolist() == [[0.1, 0.9]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"row": None}, "the column 'row'"),
        ({"truth": None}, "the column 'truth'"),
        ({"p_cross": None}, "two or more columns p_<name>"),
        ({"row": [3, 3]}, "a number of its own"),
        ({"row": [3, None]}, "a number of its own"),
        ({"row": ["a", "b"]}, "column 'row': expected int64"),
        ({"truth": ["Cross", None]}, "truth 'Cross' has no column 'p_Cross'; did you mean 'cross'"),
        ({"p_calm": [0.25, 0.502]}, r"row 1: .* sum 1 \(got 0.502, 0.5\)"),
        ({"p_calm": [1.25, 0.5], "p_cross": [-0.25, 0.5]}, "row 0: .*>= 0"),
        ({"p_calm": [0.25, None]}, "row 1: no probabilities, and no status"),
        ({"p_calm": [0.25, float("nan")]}, "row 1: no probabilities, and no status"),
        ({"p_calm": [0.25, float("inf")]}, "row 1: no probabilities"),
        ({"p_calm": ["much", "little"]}, "column 'p_calm': expected double"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    path = foreign(tmp_path / "other.parquet", **columns)
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_probabilities_that_miss_the_sum_by_rounding_are_read(tmp_path: Path) -> None:
    assert len(read_predictions(foreign(tmp_path / "p.parquet", p_calm=[0.2505, 0.4995]))) == 2


def test_a_missing_a_damaged_and_a_newer_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such predictions file"):
        read_predictions(tmp_path / "none.parquet")
    path = tmp_path / "p.parquet"
    path.write_bytes(b"PAR1 this is no table PAR1")
    with pytest.raises(DataError, match="not a Parquet file"):
        read_predictions(path)
    table = pa.table({"row": [0], "truth": ["a"], "p_a": [1.0], "p_b": [0.0]})
    for info, message in (
        (b"{", "damaged metadata"),
        (b'{"version": 2, "label_set": "x", "labels": ["a", "b"], "context": {}}', "version 2, this program reads 1"),
        (b'{"version": 1, "label_set": "x", "labels": ["a", "c"], "context": {}}', "differ in 'b'"),
    ):
        pq.write_table(table.replace_schema_metadata({b"openfer.predictions": info}), path)
        with pytest.raises(DataError, match=message):
            read_predictions(path)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \[1, 2\]"):
        build_predictions(LABELS, np.ones((2, 2)) / 2, ["calm"])
    with pytest.raises(DataError, match="unknown column 'stauts'; did you mean 'status'"):
        build_predictions(LABELS, np.ones((1, 2)) / 2, ["calm"], columns={"stauts": ["ok"]})
