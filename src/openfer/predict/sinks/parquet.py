"""Parquet: a row a face, in row groups that bound the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openfer.records import Prediction

ROW_GROUP = 8192
TEXT = ("path", "label", "status")


@contextmanager
def parquet_file(path: Path, names: tuple[str, ...]) -> Iterator[Callable[[Prediction], None]]:
    """A Parquet file with the columns of `Prediction.to_row`; what is unknown is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def kind(column: str) -> pa.DataType:
        return pa.string() if column in TEXT else pa.int32() if column == "face" else pa.float64()

    schema = pa.schema([(column, kind(column)) for column in Prediction(path="").to_row(names)])
    rows: list[dict[str, str | float | int | None]] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            rows.clear()

        def write(prediction: Prediction) -> None:
            rows.append(prediction.to_row(names))
            if len(rows) == ROW_GROUP:
                flush()

        yield write
        flush()
