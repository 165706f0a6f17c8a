"""FER2013 as csv and as folders, sound and damaged."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.data.layouts import reader
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS
from tests.layouts import (
    FER2013_WORDS,
    drawn_face,
    fer2013_folders,
    fer2013_lines,
    icml_lines,
    pixels,
    save_face,
    write_lines,
)

LABELS = LABEL_SETS["fer2013"]


def read(root: Path) -> Scan:
    return reader("fer2013")(root, ScanOptions())


def test_official_csv(tmp_path: Path) -> None:
    scan = read(write_lines(tmp_path / "fer2013.csv", fer2013_lines()))
    assert [row["label"] for row in scan.rows] == [*LABELS.names] * 3
    assert [row["split"] for row in scan.rows] == ["train"] * 7 + ["validation"] * 7 + ["test"] * 7
    assert scan.rows[0]["source"] == "fer2013.csv:2"
    for seed in (0, 20):
        with Image.open(io.BytesIO(scan.rows[seed]["image"]["bytes"])) as image:
            np.testing.assert_array_equal(np.asarray(image), drawn_face(seed))


@pytest.mark.parametrize(
    ("name", "lines", "options"),
    [
        ("fer2013.csv", fer2013_lines(), {"end": "\r\n", "mark": True}),
        ("fer2013.csv.gz", fer2013_lines(), {}),
        ("FER2013.CSV", fer2013_lines(), {}),
        ("icml_face_data.csv", icml_lines(), {}),
        ("fer2013.csv", [f"{row},{line}" for row, line in enumerate(fer2013_lines())], {}),
    ],
    ids=["windows", "gzip", "upper case", "icml", "index in front"],
)
def test_other_forms_give_the_same_rows(tmp_path: Path, name: str, lines: list[str], options: dict) -> None:
    official = read(write_lines(tmp_path / "official" / "fer2013.csv", fer2013_lines()))
    write_lines(tmp_path / "other" / name, lines, **options)
    other = read(tmp_path / "other")
    assert [row | {"source": ""} for row in other.rows] == [row | {"source": ""} for row in official.rows]


def test_train_and_test_csv_of_the_competition(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.csv", ["emotion,pixels", f"3,{pixels(0)}"])
    write_lines(tmp_path / "test.csv", ["pixels", pixels(1)])
    rows = read(tmp_path).rows
    assert [(row["split"], row["label"], row["status"]) for row in rows] == [
        ("train", "happiness", "ok"),
        ("test", None, "no label"),
    ]


def test_the_file_says_the_split_not_whether_a_row_has_a_label(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.csv", ["emotion,pixels", f",{pixels(0)}", f"1,{pixels(2)}"])
    assert [row["split"] for row in read(tmp_path).rows] == ["train", "train"]
    other = write_lines(tmp_path / "faces.csv", ["emotion,pixels", f"1,{pixels(2)}"])
    with pytest.raises(DataError, match=r"faces\.csv, line 1: no column 'Usage', and its name is not train"):
        read(other)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("emotoin,pixels,Usage", "line 1: no column 'emotion'"),
        ("pixels,pixels,emotion", "line 1: the column 'pixels' occurs twice"),
        ("emotion;pixels;Usage", "line 1: no column 'pixels'"),
    ],
)
def test_a_header_that_is_not_certain_is_refused(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write_lines(tmp_path / "fer2013.csv", [header, f"1,{pixels(0)},Training"]))


def test_a_quote_that_is_not_closed_swallows_no_lines(tmp_path: Path) -> None:
    lines = ["emotion,pixels,Usage", f'1,"{pixels(0)},Training', f'2,{pixels(1)}",Training', f"3,{pixels(2)},Training"]
    with pytest.raises(DataError, match=r"fer2013\.csv: cannot be read to its end"):
        read(write_lines(tmp_path / "fer2013.csv", lines))


def test_a_hole_costs_a_row(tmp_path: Path) -> None:
    lines = [
        "emotion,pixels,Usage",
        f"0,{pixels(0)},Training",
        f"1,{pixels(1)} 7,Training",
        f"2,{pixels(2).replace(' ', ' 256 ', 1).rsplit(' ', 1)[0]},Training",
        f"3,{pixels(3).rsplit(' ', 1)[0]} x,Training",
        "",
        f",{pixels(4)},Training",
        "5,,Training",
    ]
    scan = read(write_lines(tmp_path / "fer2013.csv", lines))
    assert [row["status"] for row in scan.rows] == [
        "ok",
        "unreadable: 2305 pixel values, expected 2304",
        "unreadable: a pixel value is not a whole number from 0 to 255",
        "unreadable: a pixel value is not a whole number from 0 to 255",
        "no label",
        "unreadable: 0 pixel values, expected 2304",
    ]
    assert scan.notes == ["fer2013.csv: 1 empty lines left out"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7,{},Training", r"fer2013\.csv, line 3: class code '7'; expected 0 to 6"),
        ("-1,{},Training", "line 3: class code '-1'"),
        ("happy,{},Training", "line 3: class code 'happy'"),
        ("1,{},Trainig", "line 3: unknown Usage 'Trainig'; did you mean 'Training'"),
        ("1,{}", "line 3: 2 columns, the header has 3"),
    ],
)
def test_a_contradiction_is_refused_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    lines = ["emotion,pixels,Usage", f"0,{pixels(0)},Training", line.format(pixels(1))]
    with pytest.raises(DataError, match=message):
        read(write_lines(tmp_path / "fer2013.csv", lines))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "fer2013.csv.gz", fer2013_lines())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"fer2013\.csv\.gz: cannot be read"):
        read(path)
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"fer2013\.csv\.gz: cannot be read"):
        read(path)
    with pytest.raises(DataError, match="no column 'pixels' among a, b"):
        read(write_lines(tmp_path / "other.csv", ["a,b", "1,2"]))
    with pytest.raises(DataError, match="no column 'pixels'"):
        read(write_lines(tmp_path / "empty.csv", []))


def test_folder_form_takes_the_split_from_file_names(tmp_path: Path) -> None:
    scan = read(fer2013_folders(tmp_path))
    cells = {(row["split"], row["label"]) for row in scan.rows}
    assert cells == {(split, label) for split in ("train", "validation", "test") for label in LABELS}
    assert len(scan.rows) == 21
    assert scan.labels == LABELS
    assert scan.notes == []


def test_folder_form_believes_names_over_folders_and_says_so(tmp_path: Path) -> None:
    fer2013_folders(tmp_path)
    (tmp_path / "test" / "sad" / "PrivateTest_1004.jpg").rename(tmp_path / "train" / "sad" / "PrivateTest_1004.jpg")
    scan = read(tmp_path)
    assert sum(row["split"] == "test" for row in scan.rows) == 7
    assert any("1 pictures are of another split by their name, which was believed" in note for note in scan.notes)
    save_face(tmp_path / "train" / "happy" / "PrivateTest_1004.jpg", 3)
    with pytest.raises(DataError, match=r"the same picture is (happiness|sadness) in"):
        read(tmp_path)


def test_folder_form_without_prefixes_warns_that_splits_are_merged(tmp_path: Path) -> None:
    scan = read(fer2013_folders(tmp_path, prefixes=False))
    assert sum(row["split"] == "test" for row in scan.rows) == 14
    assert any("validation and test are merged: 14 file names" in note for note in scan.notes)


def test_the_copy_with_a_validation_folder_is_named_as_such(tmp_path: Path) -> None:
    for word in FER2013_WORDS:
        save_face(tmp_path / "images" / "train" / word / "1.jpg", 1)
        save_face(tmp_path / "images" / "validation" / word / "2.jpg", 2)
    scan = read(tmp_path)
    assert {row["split"] for row in scan.rows} == {"train", "validation"}
    assert "not comparable" in scan.notes[-1]
    assert scan.rows[0]["image"]["path"] == "images/train/angry/1.jpg"


def test_nothing_there_and_options_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no FER2013 here"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="--votes argmax"):
        reader("fer2013")(tmp_path, ScanOptions(votes="argmax"))
    with pytest.raises(ConfigError, match="did you mean 'fer2013'"):
        reader("fer2031")
