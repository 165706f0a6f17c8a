"""Files of predictions: the same rows in every format, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from openfer.errors import ConfigError, DataError
from openfer.predict.sinks import ENDINGS, open_sink
from openfer.predict.sinks import parquet as parquet_sink
from openfer.predict.sinks import table as table_sink
from openfer.predict.sinks.table import printable, table
from openfer.predict.sinks.text import json_stream
from openfer.records import Box, Face, Prediction

NAMES = ("fear", "anger")
FACE = Face(
    box=Box(x=1.5, y=2.25, w=30.1, h=40.7), score=0.9, points5=((1, 2), (3, 4), (5, 6), (7, 8), (-9.125, 1 / 3))
)
ROWS = [
    Prediction(path='ä/写真 "1", b.jpg', face=0, found=FACE, probabilities={"fear": 0.1, "anger": 0.9}),
    Prediction(path="two\nlines\r\nand\rmore.jpg", status="no_face"),
    Prediction(path="a\rb.jpg", status="no_face"),
    Prediction(path="=1+1.jpg", status="unreadable: no such file"),
    Prediction(path="z.jpg", face=1, found=Face(box=FACE.box), probabilities={"fear": 1.0, "anger": 0.0}),
]


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    text = ("path", "label", "status")
    return [
        {
            name: None if value == "" else value if name in text else int(value) if name == "face" else float(value)
            for name, value in row.items()
        }
        for row in rows
    ]


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".csv": read_csv,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]],
    ".parquet": lambda path: pq.read_table(path).to_pylist(),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("rows", [ROWS, []])
def test_every_format_gives_back_the_rows_in_column_order(tmp_path: Path, ending: str, rows: list[Prediction]) -> None:
    path = tmp_path / "new" / f"faces{ending.upper()}"
    with open_sink(path, NAMES) as sink:
        for row in rows:
            sink.write(row)
        assert not path.exists()
    found = READERS[ending](path)
    wanted = [row.to_row(NAMES) for row in rows]
    assert found == wanted
    assert [list(row) for row in found] == [list(row) for row in wanted]
    assert list(path.parent.iterdir()) == [path]


def test_empty_files_still_name_their_columns(tmp_path: Path) -> None:
    columns = list(ROWS[0].to_row(NAMES))
    for ending in (".csv", ".parquet"):
        with open_sink(tmp_path / f"none{ending}", NAMES):
            pass
    assert (tmp_path / "none.csv").read_text().strip().split(",") == columns
    assert pq.read_schema(tmp_path / "none.parquet").names == columns


def test_parquet_is_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_sink, "ROW_GROUP", 3)
    with open_sink(tmp_path / "a.parquet", NAMES) as sink:
        for number in range(7):
            sink.write(Prediction(path=str(number), status="no_face"))
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [3, 3, 1]
    assert file.read()["path"].to_pylist() == list("0123456")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_leaves_the_old_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"faces{ending}"
    path.write_text("old")

    def fail_halfway() -> None:
        with open_sink(path, NAMES) as sink:
            sink.write(ROWS[0])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_outputs_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown ending '\.xlsx'; known: \.csv, \.json, \.jsonl, \.parquet"):
        open_sink(tmp_path / "a.xlsx", NAMES).__enter__()
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        open_sink(tmp_path / "b.csv", NAMES).__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        open_sink(tmp_path / "file" / "a.csv", NAMES).__enter__()


def test_a_json_stream_is_one_document_from_the_first_row_on() -> None:
    stream = io.StringIO()
    rows = [row.to_row(NAMES) for row in ROWS[:2]]
    with json_stream(stream) as write:
        write(rows[0])
        assert "写真" in stream.getvalue()  # not kept back until the end
        write(rows[1])
    assert json.loads(stream.getvalue()) == rows


def test_json_is_valid_also_on_a_stream_that_is_not_utf_8() -> None:
    data = io.BytesIO()
    with io.TextIOWrapper(data, encoding="latin-1", errors="backslashreplace") as stream:
        with json_stream(stream) as write:
            write(ROWS[0].to_row(NAMES))
        stream.flush()
        assert json.loads(data.getvalue()) == [ROWS[0].to_row(NAMES)]


def printed(*, terminal: bool) -> list[str]:
    stream = io.StringIO()
    with table(Console(file=stream, force_terminal=terminal, color_system=None, width=80)) as write:
        for row in ROWS:
            write(row)
        write(Prediction(path="z.jpg", face=2, found=FACE, probabilities={"fear": 0.25, "anger": 0.75}))
    return stream.getvalue().splitlines()


def test_in_a_pipe_every_row_is_one_whole_line() -> None:
    lines = printed(terminal=False)
    assert len(lines) == 7
    assert lines[0].split() == ["picture", "face", "expression", "confidence", "next"]
    assert lines[1].split() == ["ä/写真", '"1",', "b.jpg", "0", "anger", "90", "%", "fear", "10", "%"]
    assert lines[2].startswith("two\\nlines\\r\\nand\\rmore.jpg")
    assert lines[4].split() == ["=1+1.jpg", "unreadable", "no", "such", "file"]
    assert lines[6].split()[:3] == ["z.jpg", "2", "anger"]


def test_on_a_terminal_lines_fit_and_a_picture_is_named_once() -> None:
    lines = printed(terminal=True)
    assert max(map(len, lines)) <= 80
    assert sum("z.jpg" in line for line in lines) == 1
    assert any("━" in line and "75 %" in line for line in lines)


def test_names_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31m\u202eb é 写") == "a\\x1b[31m\\u202eb é 写"
    stream = io.StringIO()
    with table(Console(file=stream, force_terminal=True, color_system=None, width=80)) as write:
        write(Prediction(path="[bold]x[/bold] \x1b[2J", status="no_face"))
    assert "[bold]x[/bold]" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()


def test_a_pipe_gets_a_long_table_page_by_page_in_the_same_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_sink, "PAGE", 2)
    stream = io.StringIO()
    rows = [replace(ROWS[0], path=f"{number}.jpg") for number in (1000, 2, 3, 4, 5)]
    with table(Console(file=stream)) as write:
        for row, lines in zip(rows, (0, 3, 3, 5, 5), strict=True):
            write(row)
            assert stream.getvalue().count("\n") == lines
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["picture", "1000.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"]
    assert len({line.index("fear") for line in lines[1:]}) == 1


def test_the_table_says_what_was_special_about_a_picture() -> None:
    stream = io.StringIO()
    with table(Console(file=stream)) as write:
        write(replace(ROWS[0], path="a.gif", note="first of 12 frames"))
        write(Prediction(path="b.gif", status="no_face", note="first of 3 frames"))
        write(replace(ROWS[0], path="c.jpg", min_confidence=0.95))
        write(Prediction(path="d.mp4", status="unsupported: video"))
    assert [line.split()[1:] for line in stream.getvalue().splitlines()[1:]] == [
        ["0", "anger", "90", "%", "fear", "10", "%", "(first", "of", "12", "frames)"],
        ["no", "face", "(first", "of", "3", "frames)"],
        ["0", "uncertain", "90", "%", "anger", "90", "%"],
        ["unsupported", "video"],
    ]
