"""AffectNet: csv lists and npy annotations, sound and damaged."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from openfer.data.layouts import reader
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.errors import ConfigError, DataError
from tests.layouts import save_face, write_lines
from tests.layouts.affectnet import HEADER, POINTS, affectnet_csv, affectnet_npy, affectnet_row, save_npy

NAMES = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]


def read(layout: str, root: Path, **options: str) -> Scan:
    return reader(layout)(root, ScanOptions(**options))


def train(found: Scan) -> list[dict[str, object]]:
    return [row for row in found.rows if row["split"] == "train"]


def test_codes_and_what_is_no_class(tmp_path: Path) -> None:
    rows = {Path(row["image"]["path"]).stem: row for row in train(read("affectnet-csv", affectnet_csv(tmp_path)))}
    assert [rows[f"face{code}"]["label"] for code in range(8)] == NAMES
    assert [rows[f"face{code}"]["status"] for code in (8, 9, 10)] == ["none", "uncertain", "no face"]
    assert (rows["face0"]["valence"], rows["face0"]["arousal"]) == (0.25, -0.5)
    assert rows["face10"]["valence"] is rows["face10"]["arousal"] is None
    np.testing.assert_array_equal(rows["face0"]["box"], [1, 2, 20, 21])
    np.testing.assert_array_equal(rows["face0"]["landmarks68"][1], [1.0, 1.5])


def test_the_view_of_seven_classes(tmp_path: Path) -> None:
    found = read("affectnet-csv", affectnet_csv(tmp_path), labels="affectnet7")
    assert found.labels.names == (*NAMES[:7],)
    assert [row["status"] for row in train(found)][7] == "contempt is not in affectnet7"
    with pytest.raises(ConfigError, match="--labels rafdb"):
        read("affectnet-csv", tmp_path, labels="rafdb")


def test_without_header_and_with_shuffled_columns(tmp_path: Path) -> None:
    before = read("affectnet-csv", affectnet_csv(tmp_path))
    path = tmp_path / "training.csv"
    lines = path.read_text().splitlines()
    write_lines(path, lines[1:])
    after = read("affectnet-csv", tmp_path)
    assert [row["label"] for row in after.rows] == [row["label"] for row in before.rows]
    assert "training.csv: no header; columns read in the official order" in after.notes
    order = [8, 6, 0, 5, 1, 3, 2, 4, 7]
    write_lines(path, [",".join(line.split(",")[column] for column in order) for line in lines])
    turned = read("affectnet-csv", tmp_path)
    assert [row["label"] for row in turned.rows] == [row["label"] for row in before.rows]
    np.testing.assert_array_equal(turned.rows[0]["box"], [1, 2, 20, 21])


def test_a_headerless_list_in_another_order_is_refused(tmp_path: Path) -> None:
    affectnet_csv(tmp_path)
    write_lines(tmp_path / "training.csv", [f"3,1,2,20,21,{POINTS},1/face0.jpg,0.1,0.2"])
    with pytest.raises(DataError, match=r"training\.csv, line 1: '3' is no path of a picture"):
        read("affectnet-csv", tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (affectnet_row("1/face0.jpg", 11), "line 2: class code '11'"),
        (affectnet_row("1/face0.jpg", -1), "line 2: class code '-1'"),
        (affectnet_row("1/face0.jpg", "happy"), "line 2: class code 'happy'"),
        (affectnet_row("1/face0.jpg", "1.5"), "line 2: class code '1.5'"),
        (affectnet_row("1/face0.jpg", 1) + ",7", "line 2: 10 columns, the header has 9"),
        (affectnet_row("1/face0.jpg", 1).rsplit(",", 1)[0], "line 2: 8 columns, the header has 9"),
        (affectnet_row("1/face0", 1), "line 2: '1/face0' is no path of a picture"),
        (f'"1/face0.jpg,{affectnet_row("1/face1.jpg", 1)}', "cannot be read to its end"),
    ],
)
def test_a_contradiction_is_refused_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    affectnet_csv(tmp_path)
    write_lines(tmp_path / "training.csv", [",".join(HEADER), line, affectnet_row("1/face2.JPG", 2)])
    with pytest.raises(DataError, match=rf"training\.csv.*{message}"):
        read("affectnet-csv", tmp_path)


def test_one_face_has_one_code_but_two_faces_may_differ(tmp_path: Path) -> None:
    affectnet_csv(tmp_path)
    one, other = affectnet_row("1/face0.jpg", 1), affectnet_row("1/face0.jpg", 2)
    write_lines(tmp_path / "training.csv", [",".join(HEADER), one, other])
    with pytest.raises(DataError, match=r"line 3: 1/face0\.jpg has the code 2, but 1 in .*line 2"):
        read("affectnet-csv", tmp_path)
    beside = affectnet_row("1/face0.jpg", 2, box="40,2,20,21")
    write_lines(tmp_path / "training.csv", [",".join(HEADER), one, beside])
    assert [row["label"] for row in train(read("affectnet-csv", tmp_path))] == ["happiness", "sadness"]


def test_holes_cost_what_they_hold(tmp_path: Path) -> None:
    affectnet_csv(tmp_path)
    lines = [
        affectnet_row("1/face0.jpg", "", box="-1,-1,-1,-1"),
        affectnet_row("1\\face1.jpg", 1, rated="2.5,x"),
        affectnet_row("1/gone.jpg", 2).replace(POINTS, "1;2;3"),
    ]
    write_lines(tmp_path / "training.csv", [",".join(HEADER), *lines])
    found = read("affectnet-csv", tmp_path)
    first, second, third = train(found)
    assert (first["status"], first["box"]) == ("no label", None)
    assert (second["status"], second["valence"], second["arousal"]) == ("ok", None, None)
    assert (third["status"], third["label"], third["landmarks68"]) == ("missing", "sadness", None)
    assert {"1 rows without box", "2 rows without valence or arousal", "1 rows without 68 points"} <= set(found.notes)
    assert any("1 paths written with backslashes" in note for note in found.notes)


def test_a_picture_in_both_parts_is_said(tmp_path: Path) -> None:
    affectnet_csv(tmp_path)
    with (tmp_path / "validation.csv").open("a") as stream:
        stream.write(affectnet_row("1/face0.jpg", 0) + "\n")
    save_face(tmp_path / "Manually_Annotated" / "Manually_Annotated_Images" / "1" / "face0.jpg", 0)
    found = read("affectnet-csv", tmp_path)
    assert any("1 lines name a picture that is in another split, too" in note for note in found.notes)
    assert len(found.rows) == 23


def test_labels_of_a_machine_come_only_when_asked_for(tmp_path: Path) -> None:
    affectnet_csv(tmp_path)
    write_lines(tmp_path / "automatically_annotated.csv", [",".join(HEADER), affectnet_row("7/auto.jpg", 3)])
    save_face(tmp_path / "Automatically_Annotated" / "Automatically_Annotated_Images" / "7" / "auto.jpg", 0)
    found = read("affectnet-csv", tmp_path)
    assert len(found.rows) == 22
    assert any("automatically_annotated.csv left out" in note for note in found.notes)
    automatic = read("affectnet-csv", tmp_path, variant="automatic")
    assert [(row["label"], row["split"]) for row in automatic.rows] == [("surprise", "train")]
    assert automatic.rule == "automatic labels"
    for name in ("training.csv", "validation.csv"):
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match="labels of a machine"):
        read("affectnet-csv", tmp_path)


def test_lists_of_path_and_code(tmp_path: Path) -> None:
    for number in range(3):
        save_face(tmp_path / "images" / f"{number}.jpg", number)
    write_lines(tmp_path / "train.txt", ["images/0.jpg 3", "images/1.jpg 8"] * 50)
    write_lines(tmp_path / "test.txt", ["images/2.jpg 6"])
    found = read("affectnet-csv", tmp_path, variant="mek")
    assert [(row["split"], row["label"], row["status"]) for row in found.rows] == [
        ("train", "surprise", "ok"),
        ("train", None, "none"),
        ("test", "anger", "ok"),
    ]
    assert any("98 repeated lines count once" in note for note in found.notes)
    write_lines(tmp_path / "test.txt", ["images/0.jpg 6"])
    with pytest.raises(DataError, match=r"test\.txt, line 1: images/0\.jpg has the code 6, but 3"):
        read("affectnet-csv", tmp_path, variant="mek")


def test_annotations_as_text_or_numbers_in_order_of_numbers(tmp_path: Path) -> None:
    found = read("affectnet-npy", affectnet_npy(tmp_path))
    assert [Path(row["image"]["path"]).stem for row in train(found)] == [
        *("2", "10", "20", "100", "1000", "1001", "1002", "1003")
    ]
    by_name = {Path(row["image"]["path"]).stem: row for row in train(found)}
    assert [by_name[stem]["label"] for stem in ("2", "10", "100", "1000", "1001", "1002", "1003", "20")] == NAMES
    assert (by_name["2"]["valence"], by_name["2"]["arousal"]) == (0.5, None)
    np.testing.assert_array_equal(by_name["2"]["landmarks68"][:2], [[0, 1], [2, 3]])
    assert {row["split"] for row in found.rows} == {"train", "validation"}


@pytest.mark.parametrize(
    "names", [("train_set_7", "eval_set_7"), ("train_set_7_aug", "eval_set"), ("train_set", "test_set")]
)
def test_names_of_sets(tmp_path: Path, names: tuple[str, str]) -> None:
    found = read("affectnet-npy", affectnet_npy(tmp_path, names), labels="affectnet7")
    assert sorted({row["split"] for row in found.rows}) == sorted(
        {"train", "test" if names[1] == "test_set" else "validation"}
    )
    assert {row["status"] for row in found.rows} == {"ok", "contempt is not in affectnet7"}


def test_two_sets_for_one_split_are_refused(tmp_path: Path) -> None:
    affectnet_npy(tmp_path, ("train_set", "train_set_7"))
    with pytest.raises(DataError, match="train_set and train_set_7 are both train"):
        read("affectnet-npy", tmp_path)


@pytest.mark.parametrize(
    ("value", "label", "status"),
    [
        (np.array("6"), "anger", "ok"),
        (np.array(b"6"), "anger", "ok"),
        (np.array([6]), "anger", "ok"),
        (np.array(6.0), "anger", "ok"),
        (np.array(10), None, "no face"),
        (np.array("happy"), None, "no label: 2_exp.npy is damaged"),
        (np.array([1, 2]), None, "no label: 2_exp.npy is damaged"),
        (np.array(float("nan")), None, "no label: 2_exp.npy is damaged"),
    ],
)
def test_what_an_expression_may_look_like(tmp_path: Path, value: object, label: str | None, status: str) -> None:
    affectnet_npy(tmp_path)
    np.save(tmp_path / "train_set" / "annotations" / "2_exp.npy", value)
    row = train(read("affectnet-npy", tmp_path))[0]
    assert (row["label"], row["status"]) == (label, status)


@pytest.mark.parametrize("code", [-1, 11, 2.5, "12"])
def test_a_code_that_is_none_is_refused_with_its_file(tmp_path: Path, code: object) -> None:
    affectnet_npy(tmp_path)
    save_npy(tmp_path / "train_set" / "annotations" / "2_exp.npy", code)
    with pytest.raises(DataError, match=r"2_exp\.npy: class code"):
        read("affectnet-npy", tmp_path)


def test_holes_in_the_folders(tmp_path: Path) -> None:
    affectnet_npy(tmp_path)
    beside = tmp_path / "train_set" / "annotations"
    (beside / "2_exp.npy").unlink()
    (beside / "10_exp.npy").write_bytes((beside / "10_exp.npy").read_bytes()[:-2])
    (beside / "20_val.npy").write_bytes(b"")
    (beside / "100_lnd.npy").write_bytes(pickle.dumps([1]))
    save_npy(beside / "1000_val.npy", 3.0)
    save_npy(beside / "1000_lnd.npy", np.full(136, 1e99))
    np.save(beside / "1001_lnd.npy", np.arange(136.0).reshape(2, 68))
    np.save(beside / "1002_lnd.npy", np.asfortranarray(np.arange(136.0).reshape(68, 2)))
    (tmp_path / "train_set" / "images" / "1003.jpg").unlink()
    found = read("affectnet-npy", tmp_path)
    rows = {Path(row["image"]["path"]).stem: row for row in train(found)}
    assert rows["2"]["status"] == "no label"
    assert rows["10"]["status"] == "no label: 10_exp.npy is damaged"
    assert rows["20"]["valence"] is rows["100"]["landmarks68"] is rows["1000"]["valence"] is None
    assert rows["1001"]["landmarks68"] is None  # all x, then all y, would be another face
    np.testing.assert_array_equal(rows["1002"]["landmarks68"][1], [2, 3])
    assert (rows["1003"]["status"], rows["1003"]["label"]) == ("missing", "anger")
    assert any("train_set: 5 damaged annotations left out" in note for note in found.notes)
    assert any("train_set: 1 values outside -1 to 1 left out: 1000_val.npy" in note for note in found.notes)


def test_files_that_run_code_are_not_opened(tmp_path: Path) -> None:
    affectnet_npy(tmp_path)
    np.save(tmp_path / "train_set" / "annotations" / "2_exp.npy", np.array([{"a": 1}]), allow_pickle=True)
    assert train(read("affectnet-npy", tmp_path))[0]["status"] == "no label: 2_exp.npy is damaged"


def test_two_pictures_with_one_annotation_and_a_set_that_is_half_there(tmp_path: Path) -> None:
    affectnet_npy(tmp_path)
    save_face(tmp_path / "train_set" / "images" / "2.png", 0)
    with pytest.raises(DataError, match=r"2\.jpg and 2\.png have one annotation"):
        read("affectnet-npy", tmp_path)
    (tmp_path / "train_set" / "images" / "2.png").unlink()
    (tmp_path / "val_set" / "annotations").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="val_set: no annotations/ in it"):
        read("affectnet-npy", tmp_path)
