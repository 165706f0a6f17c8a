"""The predictions file: what `evaluate` and `compare` read, so that any model of the world can be judged.

Parquet, one row a picture: `row` (its number in the manifest), `split`, `group`, `truth` (name or null) and `p_<name>`
for every class; where known also `subject`, `way` (`points | detected | frame`), `status` (`ok` or why the row does not
count) and `name`, and `au_<number>`, `au_<number>_truth` (see `openfer.evaluate.action_units.columns`). Label set and
context lie in the file's metadata; a file without them is read all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openfer.errors import DataError, did_you_mean
from openfer.evaluate.episodes.record import EpisodeFacts
from openfer.evaluate.intervals import cluster_numbers
from openfer.files import read_parquet, replacing
from openfer.labels import LabelSet
from openfer.records import OK

METADATA_KEY = b"openfer.predictions"
VERSION = 1
PREFIX = "p_"
TEXTS = ("split", "group", "truth", "subject", "way", "status", "name")
TOLERANCE = 1e-3
"""How far a row's probabilities may be from a sum of 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How predictions came about; empty words where it is not known.

    Args:
        model: the model's name.
        model_sha256: hash of its graph.
        selection: how the checkpoint was chosen.
        manifest: hash of the whole manifest.
        rows_sha256: hash of the rows that were judged.
        layout: the manifest's layout.
        rule: how the manifest's labels were made.
        split: which rows were judged.
        detector: what found faces in rows without points; `none` for nothing.
        labels: `same` where model and truth have the same names, else `intersection`.
        left_out: names that only one of the two has.
        model_only: those of them that only the model has.
        command: the command that wrote the file.
        versions: program or library -> version.
        warnings: what a reader of the numbers must know, such as that the model's answers depend on the batch.
        episodes: few-shot evaluation only: what the rows are queries of; `row` is then a query's number.
    """

    model: str = ""
    model_sha256: str = ""
    selection: str = ""
    manifest: str = ""
    rows_sha256: str = ""
    layout: str = ""
    rule: str = ""
    split: str = ""
    detector: str = ""
    labels: str = "same"
    left_out: tuple[str, ...] = ()
    model_only: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    episodes: EpisodeFacts | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Context:
        """The inverse of `dataclasses.asdict`, also after a round trip through JSON; unknown keys are left out."""
        known = {name.name: values[name.name] for name in fields(cls) if name.name in values}
        for name in ("left_out", "model_only", "warnings"):
            known[name] = tuple(known.get(name, ()))
        if known.get("episodes") is not None:
            known["episodes"] = EpisodeFacts.from_dict(known["episodes"])
        return cls(**known)


@dataclass(frozen=True)
class Predictions:
    """Predictions in memory: the table, the classes in column order, and how they came about."""

    table: pa.Table
    labels: LabelSet
    context: Context = field(default_factory=Context)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> list[Any]:
        """A column as Python values, None where unknown; all None for an absent column."""
        return self.table[name].to_pylist() if name in self.table.column_names else [None] * len(self)

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Columns of the true classes, [N]; -1 where a row has no truth."""
        position: dict[str | None, int] = {name: index for index, name in enumerate(self.labels)}
        return np.array([position.get(name, -1) for name in self.column("truth")], dtype=np.int64)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Probabilities [N, K]; NaN in rows without an answer."""
        columns = [self.table[PREFIX + name].cast(pa.float64()).to_numpy() for name in self.labels]
        return np.stack(columns, axis=1).astype(np.float64)

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Which rows have the status `ok` (or none), [N]."""
        return np.array([status in (OK, None) for status in self.column("status")], dtype=bool)

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Which rows scores are computed from, [N]: those with a truth, an answer, and the status `ok` (or none)."""
        return np.asarray(self.usable & (self.truth >= 0) & np.isfinite(self.probabilities).all(axis=1))


def build_predictions(
    labels: LabelSet,
    probabilities: NDArray[Any],
    truth: Sequence[str | None],
    *,
    rows: NDArray[np.int64] | None = None,
    columns: Mapping[str, Sequence[str | None]] | None = None,
    units: Mapping[str, pa.Array] | None = None,
    context: Context | None = None,
) -> Predictions:
    """Predictions from arrays.

    Args:
        labels: names of the K columns.
        probabilities: [N, K]; NaN in rows without an answer.
        truth: [N] names, None where unknown.
        rows: [N] numbers of the rows in their manifest; None for 0 to N - 1.
        columns: further columns of `TEXTS`, such as `split`, `subject` and `status`.
        units: columns of action units.
        context: how the predictions came about.

    Raises:
        DataError: the arrays break the contract of the predictions file.
    """
    given = dict(columns or {})
    numbers = np.arange(len(truth)) if rows is None else rows
    if probabilities.shape != (len(truth), len(labels)) or len(numbers) != len(truth):
        raise DataError(
            f"predictions: expected probabilities of shape [{len(truth)}, {len(labels)}] and a row number and a truth "
            f"each, got {list(probabilities.shape)} and {len(numbers)} row numbers"
        )
    arrays: dict[str, Any] = {"row": pa.array(numbers, type=pa.int64())}
    for name in TEXTS:
        values = truth if name == "truth" else given.pop(name, None)
        if values is not None or name in ("split", "group"):
            arrays[name] = pa.array([None] * len(truth) if values is None else list(values), type=pa.string())
    if given:
        raise DataError(f"predictions: unknown column '{min(given)}'; {did_you_mean(min(given), TEXTS)}")
    for index, name in enumerate(labels):
        arrays[PREFIX + name] = pa.array(np.asarray(probabilities[:, index]), from_pandas=True)
    predictions = Predictions(pa.table(arrays | dict(units or {})), labels, context or Context())
    _validate(predictions, "predictions")
    return predictions


def clusters_of(predictions: Predictions, rows: NDArray[np.int64]) -> tuple[str, NDArray[np.int64] | None]:
    """What a bootstrap over some rows draws: people where they are named, else clips or episodes, else rows.

    Returns:
        `subject`, `group`, `episode` or `row`; a number for each row, None for row by row.
    """
    for column in ("subject", "group"):
        names = predictions.column(column)
        chosen = [names[row] for row in rows.tolist()]
        if any(name is not None for name in chosen):
            return "episode" if predictions.context.episodes else column, cluster_numbers(chosen)
    return "row", None


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write a predictions file whole or not at all."""
    info = {"version": VERSION, "label_set": predictions.labels.name, "labels": list(predictions.labels.names)}
    info |= {"context": asdict(predictions.context)}
    table = predictions.table.replace_schema_metadata({METADATA_KEY: json.dumps(info).encode()})
    with replacing(path) as beside:
        pq.write_table(table, beside, compression="zstd")


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file, also one that another program wrote: `row`, `truth` and `p_<name>` are enough.

    Raises:
        DataError: missing, not Parquet, or its contents break the contract; the message names file, column and row.
    """
    table = read_parquet(path, absent="no such predictions file; `openfer evaluate` writes one")
    names = tuple(name.removeprefix(PREFIX) for name in table.column_names if name.startswith(PREFIX))
    lacking = [name for name in ("row", "truth") if name not in table.column_names]
    if lacking or len(names) < 2:
        wanted = f"the column '{lacking[0]}'" if lacking else "two or more columns p_<name>"
        raise DataError(f"{path}: expected {wanted}, got {', '.join(table.column_names) or 'no columns'}")
    labels, context = _metadata(table, names, path)
    table = _plain(table, path)
    predictions = Predictions(table, labels, context)
    _validate(predictions, str(path))
    return predictions


def _metadata(table: pa.Table, names: tuple[str, ...], path: Path) -> tuple[LabelSet, Context]:
    raw = (table.schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        return LabelSet("own", names), Context()
    try:
        info = json.loads(raw)
        version, labels = info["version"], LabelSet(info["label_set"], tuple(info["labels"]))
        context = Context.from_dict(info["context"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged metadata ({error}); write the file again") from error
    if version != VERSION:
        raise DataError(f"{path}: predictions version {version}, this program reads {VERSION}; evaluate again")
    if set(labels) != set(names):
        odd = min(set(labels) ^ set(names))
        raise DataError(f"{path}: columns p_<name> and the label set in the metadata differ in '{odd}'; evaluate again")
    return labels, context


def _plain(table: pa.Table, path: Path) -> pa.Table:
    """The table with plain types, whatever flavour of them (categories, large strings, whole numbers) it came with."""
    for index, name in enumerate(table.column_names):
        wanted = {"row": pa.int64()} | dict.fromkeys(TEXTS, pa.string())
        if name.startswith(PREFIX) and not pa.types.is_floating(table[name].type):
            wanted[name] = pa.float64()
        if name in wanted:
            try:
                table = table.set_column(index, name, table[name].cast(wanted[name]))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                kind = table[name].type
                raise DataError(f"{path}: column '{name}': expected {wanted[name]}, got {kind}") from error
    return table


def _validate(predictions: Predictions, name: str) -> None:
    rows = predictions.table["row"]
    numbers = rows.to_numpy()
    if rows.null_count or len(np.unique(numbers)) != len(numbers):
        raise DataError(f"{name}: column 'row': expected a number of its own in every row")
    for truth in predictions.table["truth"].unique().to_pylist():
        if truth is not None and truth not in predictions.labels:
            hint = did_you_mean(truth, predictions.labels)
            raise DataError(f"{name}: truth '{truth}' has no column '{PREFIX}{truth}'; {hint}")
    values = predictions.probabilities
    answered = np.isfinite(values).all(axis=1)
    usable = np.array([status in (OK, None) for status in predictions.column("status")], dtype=bool)
    # A comparison with NaN is false: rows without an answer pass only where their status says why.
    proper = (values >= -TOLERANCE).all(axis=1) & (np.abs(values.sum(axis=1) - 1.0) <= TOLERANCE)
    for wrong, problem in (
        (usable & ~answered, "no probabilities, and no status that says why"),
        (answered & ~proper, "its probabilities are not all >= 0 with the sum 1"),
    ):
        if wrong.any():
            place = int(np.argmax(wrong))
            raise DataError(f"{name}: row {numbers[place]}: {problem} (got {_shown(values[place])})")


def _shown(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.4g}" for value in values[:8]) + (", ..." if len(values) > 8 else "")
