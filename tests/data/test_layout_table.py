"""A table of one's own: csv and Parquet with the manifest's columns."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from openfer.data.layouts import reader
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.data.manifest import load_manifest
from openfer.data.scan import scan
from openfer.errors import DataError
from openfer.labels import LABEL_SETS
from tests.layouts import class_folders, drawn_face, save_face, write_lines


def read(root: Path, **options: str) -> Scan:
    return reader("manifest")(root, ScanOptions(**options))


def table(root: Path, *lines: str) -> Path:
    for number in range(4):
        save_face(root / "faces" / f"{number}.png", number)
    return write_lines(root / "my.csv", lines)


def test_columns_are_found_by_name_and_kept(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "Split,image,label,subject,box,aus,valence",
        'val,faces/0.png,Happy,anna,"[1, 2, 3, 4]","{""AU12"": 1, ""AU4"": null}",0.5',
        "train,faces/1.png,sad,,,,",
    )
    first, second = read(path).rows
    assert (first["split"], first["label"], first["subject"]) == ("validation", "happiness", "anna")
    assert (first["box"], first["aus"], first["valence"]) == ([1, 2, 3, 4], {"AU12": 1.0, "AU4": None}, 0.5)
    assert (second["subject"], second["status"], second["source"]) == (None, "ok", "my.csv:3")
    scan("manifest", path, tmp_path / "out" / "m.parquet")
    manifest = load_manifest(tmp_path / "out" / "m.parquet")
    assert manifest.picture(1).shape == (48, 48, 3)
    assert manifest.column("aus")[0] == [("AU12", 1.0), ("AU4", None)]


def test_a_folder_with_one_table_is_enough(tmp_path: Path) -> None:
    table(tmp_path, "path,label", "faces/0.png,joy", "faces/1.png,anger")
    found = read(tmp_path)
    assert found.labels.names == ("happiness", "anger")
    assert {row["split"] for row in found.rows} == {"train"}
    assert "no column 'split': every row is train" in found.notes
    write_lines(tmp_path / "other.csv", ["path"])
    with pytest.raises(DataError, match=r"2 tables \(my\.csv, other\.csv\); name the csv"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("labels", "label"), [("rafdb", "surprise"), ("fer2013", "disgust"), ("affectnet", "happiness"), ("own", "1")]
)
def test_numbers_are_the_codes_of_a_named_set(tmp_path: Path, labels: str, label: str) -> None:
    path = table(tmp_path, "image,label", "faces/0.png,1")
    assert read(path, labels=labels).rows[0]["label"] == label
    with pytest.raises(DataError, match=r"my\.csv, line 2: a number means another class in every data set"):
        read(path)


def test_holes_cost_a_row(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "image,label,split",
        "faces/9.png,happy,train",
        ",happy,train",
        "faces/0.png,,train",
        "faces/1.png,happy,",
        "faces\\2.PNG,sad,test",
    )
    found = read(path)
    assert [row["status"] for row in found.rows] == ["missing", "no picture", "no label", "no split", "ok"]
    assert len(found.notes) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["image,label", "faces/0.png,hapy"], "line 2: 'hapy' is no known expression; did you mean 'happy'"),
        (["image,label,split", "faces/0.png,happy,trian"], "line 2: unknown split 'trian'; did you mean 'train'"),
        (["image,lable", "faces/0.png,happy"], "unknown column 'lable'; did you mean 'label'"),
        (["file,label", "faces/0.png,happy"], "no column 'image' among file, label"),
        (["image,label,label", "faces/0.png,happy,sad"], "the column 'label' occurs twice"),
        (["image,label", "faces/0.png,happy,sad"], "line 2: 3 columns, the header has 2"),
        (["image,label,box", 'faces/0.png,happy,"[1, 2]"'], "line 2: box .* is not what a manifest holds there"),
        (["image,label,box", "faces/0.png,happy,1 2 3 4"], "line 2: box"),
        (["image,label,valence", "faces/0.png,happy,high"], "line 2: valence 'high'"),
        (["image,label,valence", "faces/0.png,happy,nan"], "line 2: valence 'nan'"),
        (["image,label,box", 'faces/0.png,happy,"[1, 2, 3, 1e99]"'], "line 2: box"),
        (["image,label,votes", 'faces/0.png,happy,"[1, 0]"'], "votes need --labels NAME"),
        (["image,split", "faces/0.png,train"], "no row has a label"),
        (["image,label", 'faces/0.png,"happy'], "cannot be read to its end"),
    ],
)
def test_a_contradiction_is_refused_with_its_place(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=rf"my\.csv.*{message}"):
        read(table(tmp_path, *lines))


def test_one_picture_has_one_label(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label", "faces/0.png,happy", "faces/1.png,sad", "./faces/0.png,sad")
    with pytest.raises(DataError, match=r"my\.csv:4: faces/0\.png is sadness, but happiness in my\.csv:2"):
        scan("manifest", path, tmp_path / "m.parquet")
    boxes = ('"[0,0,9,9]"', '"[9,9,9,9]"')
    path = table(tmp_path, "image,label,box", f"faces/0.png,happy,{boxes[0]}", f"faces/0.png,sad,{boxes[1]}")
    assert scan("manifest", path, tmp_path / "m.parquet").rows == 2


def test_other_columns_are_named(tmp_path: Path) -> None:
    path = table(tmp_path, "image,label,photographer", "faces/0.png,happy,me")
    assert "columns left out: photographer" in read(path).notes


def test_parquet_with_pictures_inside(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(drawn_face(0)).save(stream, "PNG")
    images = [{"bytes": stream.getvalue(), "path": None}, {"bytes": None, "path": "faces/0.png"}]
    save_face(tmp_path / "faces" / "0.png", 0)
    pq.write_table(pa.table({"image": images, "label": ["happy", "sad"]}), tmp_path / "my.parquet")
    report = scan("manifest", tmp_path / "my.parquet", tmp_path / "m.parquet", verify=True)
    assert report.counts == {"train": {"happiness": 1, "sadness": 1}}


def test_a_manifest_is_converted_by_name(tmp_path: Path) -> None:
    words = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
    class_folders(tmp_path / "set", {word: ["1.png"] for word in words})
    scan("folder", tmp_path / "set", tmp_path / "m.parquet")
    report = scan("manifest", tmp_path / "m.parquet", tmp_path / "n.parquet", "rafdb")
    manifest = load_manifest(tmp_path / "n.parquet")
    assert manifest.labels == LABEL_SETS["rafdb"]
    assert report.skipped == {"contempt is not in rafdb": 1}
    assert sorted(filter(None, manifest.column("label"))) == sorted(LABEL_SETS["rafdb"])
    assert manifest.picture(0).shape == (48, 48, 3)
