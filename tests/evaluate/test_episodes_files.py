"""The file of episodes: a round trip, files of other programs, and files that are no task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.errors import DataError
from openfer.evaluate.episodes.draw import Pool, draw
from openfer.evaluate.episodes.files import read_episodes, write_episodes
from openfer.evaluate.episodes.record import EpisodeFacts

POOL = Pool(
    classes=("a", "b", "c", "d"), rows=tuple(np.arange(8) + 8 * c for c in range(4)), splits=("train",), manifest="m"
)


def lines(*cells: tuple[int, int, str, str, int]) -> dict[str, list[Any]]:
    return dict(zip(("episode", "way", "class", "role", "row"), map(list, zip(*cells, strict=True)), strict=True))


SMALL = lines(
    (0, 0, "wink", "support", 3),
    (0, 0, "wink", "query", 4),
    (0, 1, "pain", "support", 5),
    (0, 1, "pain", "query", 6),
)


def written(path: Path, columns: dict[str, list[Any]]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 4), k=st.integers(1, 3), q=st.integers(1, 3), count=st.integers(1, 9))
def test_episodes_come_back(tmp_path_factory: pytest.TempPathFactory, n: int, k: int, q: int, count: int) -> None:
    path = tmp_path_factory.mktemp("episodes") / "e.parquet"
    made = draw(POOL, episodes=count, n_way=n, k_shot=k, n_query=q, seed=3)
    write_episodes(made, path)
    back = read_episodes(path)
    assert back.digest == made.digest
    assert (back.classes, back.manifest, back.seed, back.splits) == (made.classes, "m", 3, ("train",))
    assert back.pool == {"a": 8, "b": 8, "c": 8, "d": 8}
    assert EpisodeFacts.of(back, "x") == EpisodeFacts.of(made, "x")
    assert pq.read_table(path).num_rows == count * n * (k + q)


def test_another_programs_lines_are_read_in_any_order(tmp_path: Path) -> None:
    made = draw(POOL, episodes=4, n_way=3, k_shot=1, n_query=1)
    write_episodes(made, tmp_path / "own.parquet")
    table = pq.read_table(tmp_path / "own.parquet").replace_schema_metadata(None)
    mixed = table.take(np.random.default_rng(0).permutation(table.num_rows))
    mixed = mixed.append_column("note", pa.array(["x"] * len(mixed)))
    pq.write_table(mixed, tmp_path / "theirs.parquet")
    back = read_episodes(tmp_path / "theirs.parquet")
    np.testing.assert_array_equal(back.support, made.support)
    np.testing.assert_array_equal(back.query, made.query)
    names = [np.array(episodes.classes)[episodes.ways].tolist() for episodes in (back, made)]
    assert names[0] == names[1]
    assert (back.manifest, back.seed, back.pool) == ("", None, {})


def test_the_smallest_file(tmp_path: Path) -> None:
    found = read_episodes(written(tmp_path / "e.parquet", SMALL))
    assert (found.classes, found.ways.tolist()) == (("wink", "pain"), [[0, 1]])
    assert (found.support.tolist(), found.query.tolist()) == ([[[3], [5]]], [[[4], [6]]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": None}, "expected the column 'role'"),
        ({"row": [3, None, 5, 6]}, "expected the column 'row' with a value in every row"),
        ({"role": ["support", "answer", "support", "query"]}, "role 'answer': expected support or query"),
        ({"role": ["support"] * 4}, "as many classes in every episode"),
        ({"episode": [0, 0, 0, 1]}, "as many classes in every episode"),
        ({"class": ["wink", "pain", "pain", "pain"]}, "as many classes in every episode"),
        ({"row": [3, 3, 5, 6]}, "episode 0 has a row twice"),
        ({"class": ["wink"] * 4}, "episode 0 has a class twice"),
        ({"way": [0] * 4}, "as many classes in every episode"),
        ({"row": ["x", "4", "5", "6"]}, "column 'row': expected whole numbers"),
    ],
)
def test_what_is_no_task_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    columns = {name: values for name, values in (SMALL | change).items() if values is not None}
    with pytest.raises(DataError, match=message) as caught:
        read_episodes(written(tmp_path / "e.parquet", columns))
    assert str(tmp_path / "e.parquet") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_class_alone_and_no_line_are_refused(tmp_path: Path) -> None:
    one = lines((0, 0, "wink", "support", 3), (0, 0, "wink", "query", 4))
    with pytest.raises(DataError, match="expected two or more classes an episode, got 1"):
        read_episodes(written(tmp_path / "e.parquet", one))
    empty = {name: values[:0] for name, values in SMALL.items()}
    table = pa.table(SMALL).slice(0, 0)
    assert set(empty) == set(table.column_names)
    pq.write_table(table, tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no episodes"):
        read_episodes(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no such file of episodes"):
        read_episodes(tmp_path / "absent.parquet")
