"""FER+ as the official folders and as fer2013new.csv beside fer2013.csv, sound and damaged."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.data.layouts import reader
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.errors import ConfigError, DataError
from tests.layouts import (
    NEW_HEADER,
    WORKED_VOTES,
    drawn_face,
    ferplus_folders,
    ferplus_new,
    label_csv_line,
    pixels,
    save_face,
    write_lines,
)


def read(root: Path, **options: str) -> Scan:
    return reader("ferplus")(root, ScanOptions(**options))


def labels_of(scan: Scan, split: str) -> list[str | None]:
    return [row["label"] for row in scan.rows if row["split"] == split]


MAJORITY = [None, "neutral", None, None, None, None, None, "happiness", None, None]
CROSSENTROPY = ["neutral", "neutral", "neutral", "neutral", None, None, None, "happiness", "surprise", None]


@pytest.mark.parametrize("place", ["", "data"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_official_folders(tmp_path: Path, place: str, end: str) -> None:
    ferplus_folders(tmp_path / place, end=end)
    scan = read(tmp_path)
    for split in ("train", "validation", "test"):
        assert labels_of(scan, split) == MAJORITY
    assert scan.rule == "majority"
    assert "votes read from label.csv" in scan.notes
    assert all((tmp_path / row["image"]["path"]).is_file() for row in scan.rows)
    assert scan.rows[1]["source"] == "FER2013Train/label.csv:2 fer0000001.png"
    assert scan.rows[0]["status"] == "no majority"
    assert scan.rows[5]["status"] == "unknown"
    assert all(row["votes"] is None for row in scan.rows)


def test_soft_rules_are_for_train_only_and_argmax_for_all(tmp_path: Path) -> None:
    ferplus_folders(tmp_path)
    soft = read(tmp_path, votes="crossentropy")
    assert labels_of(soft, "train") == CROSSENTROPY
    assert labels_of(soft, "validation") == labels_of(soft, "test") == MAJORITY
    assert soft.rule == "crossentropy (train), majority (validation, test)"
    np.testing.assert_allclose(soft.rows[8]["votes"], [0, 0, 4 / 7, 0, 0, 0, 3 / 7, 0], atol=1e-6)
    assert soft.rows[11]["votes"] is None
    hard = read(tmp_path, votes="argmax")
    assert labels_of(hard, "train") == labels_of(hard, "test")
    assert labels_of(hard, "test")[0] == "neutral"


def test_missing_pictures_and_pictures_without_votes(tmp_path: Path) -> None:
    ferplus_folders(tmp_path)
    (tmp_path / "FER2013Train" / "fer0000001.png").unlink()
    (tmp_path / "FER2013Train" / "fer0000007.png").rename(tmp_path / "FER2013Train" / "FER0000007.PNG")
    save_face(tmp_path / "FER2013Valid" / "fer0009999.png", 5)
    (tmp_path / "FER2013Valid" / ".DS_Store").write_bytes(b"junk")
    scan = read(tmp_path)
    assert scan.rows[1]["status"] == "missing"
    assert scan.rows[1]["image"]["path"] == "FER2013Train/fer0000001.png"
    assert scan.rows[7]["status"] == "ok"
    assert scan.rows[7]["image"]["path"] == "FER2013Train/FER0000007.PNG"
    notes = "\n".join(scan.notes)
    assert "1 file names differ from the list in upper or lower case: fer0000007.png" in notes
    assert "1 pictures that no list names left out: FER2013Valid/fer0009999.png" in notes


def test_repeated_and_empty_names_in_a_folder_cost_their_rows(tmp_path: Path) -> None:
    lines = [label_csv_line(name, WORKED_VOTES[1]) for name in ("a.png", "", "a.png")]
    write_lines(tmp_path / "FER2013Train" / "label.csv", lines)
    save_face(tmp_path / "FER2013Train" / "a.png", 0)
    scan = read(tmp_path)
    assert [row["status"] for row in scan.rows] == ["ok", "no file name", "repeated"]
    assert [row["label"] for row in scan.rows] == ["neutral", None, None]
    assert "1 file names occur more than once: a.png" in scan.notes


def test_new_votes_are_joined_with_fer2013_by_row(tmp_path: Path) -> None:
    scan = read(ferplus_new(tmp_path))
    assert labels_of(scan, "train") == [None, *MAJORITY, "neutral"]
    assert labels_of(scan, "validation") == ["happiness"]
    assert scan.rows[0]["status"] == "no file name"
    assert scan.official == {"train": 28_709, "validation": 3_589, "test": 3_589}  # a line a row of fer2013.csv
    for row in (0, 2, 11):  # the number in the name of row 2 is 1
        with Image.open(io.BytesIO(scan.rows[row]["image"]["bytes"])) as image:
            np.testing.assert_array_equal(np.asarray(image), drawn_face(row))
    notes = "\n".join(scan.notes)
    assert "votes read from fer2013new.csv" in notes
    assert "1 file names occur more than once: fer0000001.png" in notes


def test_variant_picks_the_votes(tmp_path: Path) -> None:
    ferplus_folders(tmp_path, [WORKED_VOTES[7]])
    ferplus_new(tmp_path)
    assert len(read(tmp_path).rows) == 3
    assert len(read(tmp_path, variant="label").rows) == 3
    assert len(read(tmp_path, variant="new").rows) == 14
    with pytest.raises(ConfigError, match="--variant nwe"):
        read(tmp_path, variant="nwe")


def test_new_votes_find_pictures_by_name_where_there_is_no_fer2013_csv(tmp_path: Path) -> None:
    ferplus_new(tmp_path)
    (tmp_path / "fer2013.csv").unlink()
    save_face(tmp_path / "FER2013Train" / "fer0000001.png", 3)
    scan = read(tmp_path, variant="new")
    found = [row for row in scan.rows if row["status"] == "ok"]
    assert [row["image"]["path"] for row in found] == ["FER2013Train/fer0000001.png"]
    assert [row["label"] for row in found] == ["neutral"]


def test_a_clone_without_pictures_reads_the_tables(tmp_path: Path) -> None:
    ferplus_folders(tmp_path / "data")
    for picture in tmp_path.rglob("*.png"):
        picture.unlink()
    assert {row["status"] for row in read(tmp_path).rows} == {"missing"}
    ferplus_new(tmp_path)
    assert "votes read from fer2013new.csv" in read(tmp_path).notes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('a.png,"(0, 0, 48, 48)",1,2,3', r"label\.csv, line 2: 5 columns"),
        ('a.png,"(0, 0, 48, 48)",1,0,0,7,0,0,0,0,2,x', "line 2: 'x' is no number of votes"),
        ('a.png,"(0, 0, 48, 48)",1,0,0,7,0,0,0,0,2,1', "line 2: 11 votes; ten people voted"),
        ('a.png,"(0, 0, 48, 48)",1,0,0,7,0,0,0,0,2,-1', "line 2: '-1' is no number of votes"),
    ],
)
def test_a_broken_label_csv_is_refused_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    write_lines(tmp_path / "FER2013Train" / "label.csv", [label_csv_line("b.png", WORKED_VOTES[0]), line])
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    ferplus_new(tmp_path)
    table = tmp_path / "fer2013.csv"
    lines = table.read_text().splitlines()
    write_lines(table, lines[:-1])
    with pytest.raises(DataError, match="13 rows, the file of votes has 14"):
        read(tmp_path)
    write_lines(table, [*lines[:-2], lines[-1], lines[-2]])
    with pytest.raises(DataError, match=r"line 14: its Usage is not that of fer2013new\.csv:14"):
        read(tmp_path)
    new = tmp_path / "fer2013new.csv"
    write_lines(new, ["a,b", *new.read_text().splitlines()[1:]])
    with pytest.raises(DataError, match="its columns are a, b"):
        read(tmp_path)


def test_a_name_with_two_sets_of_votes(tmp_path: Path) -> None:
    lines = [label_csv_line("a.png", WORKED_VOTES[1]), label_csv_line("a.png", WORKED_VOTES[7])]
    write_lines(tmp_path / "FER2013Train" / "label.csv", lines)
    save_face(tmp_path / "FER2013Train" / "a.png", 0)
    with pytest.raises(DataError, match=r"label\.csv, line 2: a\.png has other votes than in .*line 1"):
        read(tmp_path)
    # The official fer2013new.csv has such a name: whose votes the one file has is not known, so neither row counts.
    new = [f"Training,a.png,{','.join(map(str, WORKED_VOTES[row]))}" for row in (1, 7)]
    write_lines(tmp_path / "fer2013new.csv", [NEW_HEADER, *new])
    rows = read(tmp_path, variant="new").rows
    assert [row["status"] for row in rows] == ["file name occurs twice with other votes"] * 2
    assert [row["label"] for row in rows] == [None, None]


def test_votes_in_another_order_are_not_joined_by_row(tmp_path: Path) -> None:
    ferplus_new(tmp_path)
    path = tmp_path / "fer2013new.csv"
    header, *lines = path.read_text().splitlines()
    write_lines(path, [header, *lines[:4], lines[5], lines[4], *lines[6:]])
    with pytest.raises(DataError, match=r"fer2013new\.csv:7: fer0000003\.png follows fer0000004\.png"):
        read(tmp_path)


def test_labels_of_fer2013_that_contradict_clear_votes_are_refused(tmp_path: Path) -> None:
    clear = [(0, 10, 0, 0, 0, 0, 0, 0, 0, 0)] * 120
    new = [f"Training,fer{row:07d}.png,{','.join(map(str, votes))}" for row, votes in enumerate(clear)]
    write_lines(tmp_path / "fer2013new.csv", [NEW_HEADER, *new])
    line = pixels(0)
    for code, fits in ((3, True), (4, False)):
        write_lines(tmp_path / "fer2013.csv", ["emotion,pixels,Usage", *[f"{code},{line},Training"] * 120])
        if fits:
            assert {row["label"] for row in read(tmp_path).rows} == {"happiness"}
        else:
            with pytest.raises(DataError, match="agree with 0 of 120 clear votes"):
                read(tmp_path)


def test_lists_of_path_and_code_have_the_order_of_the_votes(tmp_path: Path) -> None:
    save_face(tmp_path / "a.png", 0)
    write_lines(tmp_path / "train.txt", ["a.png 2"])
    assert [row["label"] for row in read(tmp_path, variant="mek").rows] == ["surprise"]


def test_nothing_there_and_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no FER\+ here; expected FER2013Train/label"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'majority'"):
        read(tmp_path, votes="majorty")
    ferplus_folders(tmp_path)
    (tmp_path / "FER2013Test" / "label.csv").unlink()
    with pytest.raises(DataError, match=r"FER2013Test: no label\.csv"):
        read(tmp_path)
