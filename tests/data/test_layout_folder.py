"""Class folders: splits, words, numbers, the user's own names, junk and order."""

from __future__ import annotations

from pathlib import Path

import pytest

from openfer.data.layouts import reader
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.data.layouts.disk import is_junk
from openfer.errors import ConfigError, DataError
from openfer.files import natural_key
from openfer.labels import LABEL_SETS
from tests.layouts import class_folders, save_face


def read(root: Path, labels: str | None = None) -> Scan:
    return reader("folder")(root, ScanOptions(labels=labels))


@pytest.mark.parametrize(
    ("folder", "split"),
    [("train", "train"), ("Training", "train"), ("val", "validation"), ("valid", "validation"), ("TESTING", "test")],
)
def test_split_words(tmp_path: Path, folder: str, split: str) -> None:
    class_folders(tmp_path, {f"{folder}/happy": ["1.png"], "train/sad": ["1.png"]})
    row = next(row for row in read(tmp_path).rows if row["label"] == "happiness")
    assert row["split"] == split
    assert row["image"]["path"] == row["source"] == f"{folder}/happy/1.png"


def test_without_splits_every_row_is_train(tmp_path: Path) -> None:
    class_folders(tmp_path, {"Happy": ["10.jpg", "2.JPG"], "joy": ["1.png"], "Angry": ["1.png"]})
    scan = read(tmp_path)
    assert {row["split"] for row in scan.rows} == {"train"}
    assert [row["source"] for row in scan.rows] == ["Angry/1.png", "Happy/2.JPG", "Happy/10.jpg", "joy/1.png"]
    # Not one of the known sets, so the user's own, in the toolkit's order.
    assert (scan.labels.name, scan.labels.names) == ("own", ("happiness", "anger"))


def test_a_known_set_is_recognised(tmp_path: Path) -> None:
    words = ("neutral", "happy", "sad", "surprised", "fearful", "disgusted", "angry")
    assert read(class_folders(tmp_path, {word: ["1.png"] for word in words})).labels == LABEL_SETS["basic7"]


@pytest.mark.parametrize(
    ("labels", "folder", "label"),
    [("rafdb", "1", "surprise"), ("rafdb", "7", "neutral"), ("affectnet", "0", "neutral"), ("fer2013", "0", "anger")],
)
def test_numbers_are_the_codes_of_a_named_set(tmp_path: Path, labels: str, folder: str, label: str) -> None:
    class_folders(tmp_path, {f"train/{folder}": ["1.png"]})
    scan = read(tmp_path, labels)
    assert [row["label"] for row in scan.rows] == [label]
    assert scan.labels == LABEL_SETS[labels]


@pytest.mark.parametrize(
    ("labels", "folder", "message"),
    [
        (None, "3", "3: a number means another class in every data set.*--labels rafdb"),
        ("rafdb", "0", "class code '0'; expected 1 to 7"),
        ("affectnet7", "7", "class code '7'; expected 0 to 6"),
        ("basic7", "3", "the label set 'basic7' has no class codes"),
        (None, "hapy", "'hapy' is no known expression; did you mean 'happy'.*--labels own"),
        (None, "AN", "'AN' is no known expression"),
        ("basic7", "contempt", "'contempt' is not in the label set 'basic7'"),
        ("awake,tired", "tierd", "did you mean 'tired'"),
    ],
)
def test_a_folder_whose_meaning_is_not_certain_is_refused(
    tmp_path: Path, labels: str | None, folder: str, message: str
) -> None:
    class_folders(tmp_path, {f"train/{folder}": ["1.png"]})
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path, labels)
    assert str(tmp_path / "train" / folder) in str(refused.value)


def test_own_names_as_they_are_over_all_splits(tmp_path: Path) -> None:
    class_folders(tmp_path, {"train/10": ["1.png"], "train/Tired": ["1.png"], "test/2": ["1.png"]})
    scan = read(tmp_path, "own")
    assert scan.labels.names == ("2", "10", "Tired")
    assert {(row["split"], row["label"]) for row in scan.rows} == {
        ("train", "10"),
        ("train", "Tired"),
        ("test", "2"),
    }


def test_a_list_of_names(tmp_path: Path) -> None:
    class_folders(tmp_path, {"tired": ["1.png"], "awake": ["1.png"]})
    scan = read(tmp_path, "awake,tired")
    assert scan.labels.names == ("awake", "tired")
    with pytest.raises(ConfigError, match="did you mean 'rafdb'"):
        read(tmp_path, "rafbd")


def test_junk_is_silent_and_the_rest_is_said(tmp_path: Path) -> None:
    class_folders(tmp_path, {"train/happy": ["1.png"], "train/sad": ["1.png", "deeper/2.png"], "other/x": ["1.png"]})
    save_face(tmp_path / "train" / "loose.png", 0)
    (tmp_path / "train" / "happy" / "list.txt").write_text("1")
    for name in (".DS_Store", "Thumbs.db", "._1.png", "README.txt"):
        (tmp_path / "train" / "happy" / name).write_bytes(b"junk")
    (tmp_path / "__MACOSX").mkdir()
    scan = read(tmp_path)
    assert [row["source"] for row in scan.rows] == ["train/happy/1.png", "train/sad/1.png"]
    assert scan.notes == [
        "folders beside the splits left out: other",
        "3 files or folders that are no pictures of a class left out: train/loose.png, train/happy/list.txt, "
        "train/sad/deeper",
    ]


def test_nothing_there(tmp_path: Path) -> None:
    for labels in (None, "own"):
        with pytest.raises(DataError, match="expected root/split/class"):
            read(tmp_path, labels)
    (tmp_path / "happy").mkdir()
    with pytest.raises(DataError, match="no pictures in class folders"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"1\.png: Not a directory"):
        read(save_face(tmp_path / "1.png", 0))


def test_natural_order_and_junk() -> None:
    names = ["10.jpg", "2.jpg", "a", "a1", "1", "B", "a01", "A1"]
    assert sorted(names, key=natural_key) == ["1", "2.jpg", "10.jpg", "a", "A1", "a01", "a1", "B"]
    assert is_junk("__MACOSX")
    assert not is_junk("test_0001.jpg")
