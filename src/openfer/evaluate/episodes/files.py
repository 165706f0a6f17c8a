"""Episodes as a file, so that anyone can score the same ones.

Parquet, one row a picture of an episode: `episode` (number, from 0), `way` (place of the class in its episode), `class`
(name), `role` (`support` or `query`), `row` (number in the manifest). How they were drawn lies in the file's metadata;
a file without it is read all the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openfer.errors import DataError
from openfer.evaluate.episodes.record import Episodes, Indices
from openfer.files import read_parquet, replacing

METADATA_KEY = b"openfer.episodes"
SUPPORT, QUERY = "support", "query"
COLUMNS = ("episode", "way", "class", "role", "row")
FACTS = ("classes", "manifest", "seed", "splits")
UNEVEN = "expected as many classes in every episode, and as many supports and queries in every class"


def write_episodes(episodes: Episodes, path: Path) -> None:
    """Write a file of episodes whole or not at all."""
    rows = np.concatenate([episodes.support, episodes.query], axis=2)
    episode, way, place = (index.ravel() for index in np.indices(rows.shape))
    names = np.array(episodes.classes)[episodes.ways]
    table = pa.table(
        {
            "episode": pa.array(episode, type=pa.int32()),
            "way": pa.array(way, type=pa.int32()),
            "class": pa.array(names[episode, way]),
            "role": pa.array(np.where(place < episodes.k_shot, SUPPORT, QUERY)),
            "row": pa.array(rows.ravel(), type=pa.int64()),
        }
    )
    info = {name: getattr(episodes, name) for name in FACTS} | {"pool": dict(episodes.pool)}
    with replacing(path) as beside:
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(info)}), beside, compression="zstd")


def read_episodes(path: Path) -> Episodes:
    """Read a file of episodes, also one that another program wrote: the five columns are enough, rows in any order.

    Raises:
        DataError: missing, not Parquet, or its contents break the contract; the message says how.
    """
    table = read_parquet(path, absent="no such file of episodes; `openfer evaluate ... --episodes 1000` writes one")
    for name in COLUMNS:
        if name not in table.column_names or table[name].null_count:
            raise DataError(f"{path}: expected the column '{name}' with a value in every row")
    if not table.num_rows:
        raise DataError(f"{path}: no episodes")
    facts = _facts(table, path)
    names, roles = (table[name].to_pylist() for name in ("class", "role"))
    odd = set(roles) - {SUPPORT, QUERY}
    if odd:
        raise DataError(f"{path}: role '{min(map(str, odd))}': expected {SUPPORT} or {QUERY}")
    classes = facts.pop("classes", None) or tuple(dict.fromkeys(names))
    position = {name: column for column, name in enumerate(classes)}
    if not set(names) <= set(classes):
        raise DataError(f"{path}: class '{min(set(names) - set(classes))}' is not in its metadata; draw again")
    ways, support, query = _arranged(
        *(_numbers(table, name, path) for name in ("episode", "way", "row")),
        columns=np.array([position[name] for name in names], dtype=np.int64),
        queries=np.array([role == QUERY for role in roles], dtype=np.int64),
        path=path,
    )
    episodes = Episodes(classes=classes, ways=ways, support=support, query=query, **facts)
    _check(episodes, path)
    return episodes


def _facts(table: pa.Table, path: Path) -> dict[str, Any]:
    """What the metadata says; nothing where there is none."""
    raw = (table.schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        return {}
    try:
        info = json.loads(raw)
        return {
            "classes": tuple(info["classes"]),
            "manifest": info["manifest"],
            "seed": info["seed"],
            "splits": tuple(info["splits"]),
            "pool": dict(info["pool"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged metadata ({error}); draw the episodes again") from error


def _numbers(table: pa.Table, name: str, path: Path) -> Indices:
    try:
        return np.asarray(table[name].cast(pa.int64()).to_numpy())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{path}: column '{name}': expected whole numbers, got {table[name].type}") from error


def _arranged(
    episode: Indices, way: Indices, row: Indices, *, columns: Indices, queries: Indices, path: Path
) -> tuple[Indices, Indices, Indices]:
    """Ways [E, n], support [E, n, k] and query [E, n, q] of the lines of a file."""
    order = np.lexsort((queries, way, episode))  # stable: supports and queries stay in the file's order
    count, cells = len(np.unique(episode)), len(np.unique(np.stack([episode, way]), axis=1).T)
    if cells % count or len(row) % cells:
        raise DataError(f"{path}: {UNEVEN}")
    episode, way, row, columns, queries = (
        part[order].reshape(count, cells // count, -1) for part in (episode, way, row, columns, queries)
    )
    shots = int((queries[0, 0] == 0).sum())
    same = [(part == part[:, :, :1]).all() for part in (episode, way, columns)]
    if not all(same) or (queries != queries[0, 0]).any() or not 0 < shots < row.shape[2]:
        raise DataError(f"{path}: {UNEVEN}")
    return columns[:, :, 0], row[:, :, :shots], row[:, :, shots:]


def _check(episodes: Episodes, path: Path) -> None:
    """Refuse episodes that are no task: one class only, a class twice, or a row twice."""
    rows = np.concatenate([episodes.support, episodes.query], axis=2).reshape(len(episodes), -1)
    for values, what in ((episodes.ways, "class"), (rows, "row")):
        repeated = (np.diff(np.sort(values, axis=1), axis=1) == 0).any(axis=1)
        if repeated.any():
            raise DataError(f"{path}: episode {int(np.argmax(repeated))} has a {what} twice")
    if episodes.n_way < 2:
        raise DataError(f"{path}: expected two or more classes an episode, got {episodes.n_way}")
