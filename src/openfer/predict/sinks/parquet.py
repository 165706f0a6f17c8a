"""Parquet: a row a face, written and read in row groups that bound the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from openfer.errors import ConfigError, DataError, reason
from openfer.predict.sinks.rows import TEXT, Read, Row, Write, check_columns

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 2048


@contextmanager
def parquet_file(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """A Parquet file; what is unknown is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(columns)
    rows: list[Row] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            rows.clear()

        def write(row: Row) -> None:
            rows.append(row)
            if len(rows) == ROW_GROUP:
                flush()

        yield write
        flush()


def read_parquet(path: Path, columns: Sequence[str]) -> Read:
    """The rows of a file that `parquet_file` wrote, value for value.

    Raises:
        ConfigError: other columns, or columns of other types.
        DataError: not such a file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            found = file.schema_arrow
            check_columns(path, found.names, columns)
            if found.types != _schema(columns).types:
                raise ConfigError(f"{path}: not the types of column that this run writes; use another --out")
            for batch in file.iter_batches(ROW_GROUP):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({reason(error)})") from error


def _schema(columns: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    def kind(column: str) -> pa.DataType:
        return pa.string() if column in TEXT else pa.int32() if column == "face" else pa.float64()

    return pa.schema([(column, kind(column)) for column in columns])
