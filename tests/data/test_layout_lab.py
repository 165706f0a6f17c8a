"""CK+, JAFFE and KDEF, sound and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openfer.data.layouts import reader
from openfer.data.layouts.common import Row, Scan, ScanOptions
from openfer.data.manifest import load_manifest
from openfer.data.scan import scan
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS
from tests.layouts import save_face, write_lines
from tests.layouts.lab import ckplus, jaffe, kdef


def read(layout: str, root: Path, **options: str) -> Scan:
    return reader(layout)(root, ScanOptions(**options))


def of(found: Scan, subject: str) -> list[Row]:
    return [row for row in found.rows if row.get("subject") == subject]


def test_ckplus_the_peak_has_the_label(tmp_path: Path) -> None:
    found = read("ckplus", ckplus(tmp_path))
    assert [row["label"] for row in found.rows] == [*LABEL_SETS["ckplus"].names, None, None, None, None]
    assert {row["status"] for row in found.rows[7:]} == {"no label"}
    first = found.rows[0]
    assert first["image"]["path"] == "cohn-kanade-images/S005/001/S005_001_00000004.png"
    assert (first["subject"], first["group"]) == ("S005", "S005_001")
    # An intensity of 0 says that it was not given, not that the unit is absent.
    assert first["aus"] == {"AU4": 3.0, "AU25": None}
    np.testing.assert_array_equal(first["landmarks68"][2], [2, 4])


def test_ckplus_more_frames_and_neutral_ones(tmp_path: Path) -> None:
    ckplus(tmp_path)
    three = of(read("ckplus", tmp_path, variant="last3"), "S006")
    assert [Path(row["image"]["path"]).stem[-1] for row in three] == ["2", "3", "4"]
    assert [row["aus"] is not None if "aus" in row else False for row in three] == [False, False, True]
    found = read("ckplus", tmp_path, variant="last+neutral")
    assert [row["label"] for row in of(found, "S006")] == ["neutral", "contempt"]
    assert found.labels.names[0] == "neutral"
    assert len(of(found, "S015")) == 1  # without a label there is no neutral frame either


def test_ckplus_frames_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    ckplus(tmp_path)
    folder = tmp_path / "cohn-kanade-images" / "S015" / "001"
    (folder / "S015_001_00000004.png").rename(folder / "S015_001_12.png")
    assert of(read("ckplus", tmp_path), "S015")[0]["image"]["path"].endswith("S015_001_12.png")


def test_ckplus_label_files_elsewhere(tmp_path: Path) -> None:
    ckplus(tmp_path)
    for name in ("Emotion", "FACS", "Landmarks"):
        inner = tmp_path / ("Landmarks" if name == "Landmarks" else f"{name}_labels")
        (tmp_path / name).rename(tmp_path / "moved")
        inner.mkdir()
        (tmp_path / "moved").rename(inner / name)
    found = read("ckplus", tmp_path)
    assert [row["label"] for row in found.rows[:7]] == [*LABEL_SETS["ckplus"].names]
    assert found.rows[0]["aus"]
    assert found.rows[0]["landmarks68"] is not None


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("Emotion/S005/001/S005_001_00000004_emotion.txt", "0.0", "line 1: class code '0'; expected 1 to 7"),
        ("Emotion/S005/001/S005_001_00000004_emotion.txt", "8.0", "line 1: class code '8'"),
        ("Emotion/S005/001/S005_001_00000004_emotion.txt", "3.5", "line 1: expected one code"),
        ("Emotion/S005/001/S005_001_00000004_emotion.txt", "3 4", "line 1: expected one code"),
        ("Emotion/S005/001/S005_001_00000004_emotion.txt", "happy", "line 1: expected one code"),
        ("Emotion/S005/001/S006_001_00000004_emotion.txt", "3.0", "several|another sequence|a sequence has one label"),
        ("FACS/S005/001/S005_001_00000004_facs.txt", "4 6", "line 1: intensity 6"),
        ("FACS/S005/001/S005_001_00000004_facs.txt", "4 3\n4 2", "line 2: AU 4 has two intensities"),
        ("FACS/S005/001/S005_001_00000004_facs.txt", "4 1e30", "line 1: intensity"),
        ("FACS/S005/001/S005_001_00000004_facs.txt", "4", "line 1: expected an AU and its intensity"),
    ],
)
def test_ckplus_contradictions_are_refused_with_their_file(tmp_path: Path, file: str, text: str, message: str) -> None:
    ckplus(tmp_path)
    write_lines(tmp_path / file, [text])
    with pytest.raises(DataError, match=message) as refused:
        read("ckplus", tmp_path)
    assert "001" in str(refused.value)


def test_ckplus_holes(tmp_path: Path) -> None:
    ckplus(tmp_path)
    emotion, images = tmp_path / "Emotion", tmp_path / "cohn-kanade-images"
    write_lines(emotion / "S005" / "001" / "S005_001_00000004_emotion.txt", [""])
    (images / "S006" / "001" / "S006_001_00000004.png").unlink()
    save_face(images / "S007" / "001" / "S007_001_00000005.png", 0)
    for path in (images / "S008" / "001").iterdir():
        path.unlink()
    (tmp_path / "FACS" / "S009" / "001" / "S009_001_00000004_facs.txt").unlink()
    write_lines(tmp_path / "Landmarks" / "S010" / "001" / "S010_001_00000004_landmarks.txt", ["1 2"])
    found = read("ckplus", tmp_path)
    status = {row["subject"]: (row["label"], row["status"]) for row in found.rows}
    assert status["S005"] == (None, "no label: empty emotion file")
    assert status["S006"] == ("contempt", "missing")
    assert status["S007"] == ("disgust", "ok")
    assert of(found, "S007")[0]["image"]["path"].endswith("00000004.png")
    assert status["S008"] == ("fear", "missing")
    assert of(found, "S009")[0]["aus"] is of(found, "S010")[0]["landmarks68"] is None
    assert any("2 labels are not of the last frame" in note for note in found.notes)


def test_ckplus_a_frame_of_another_sequence_is_refused(tmp_path: Path) -> None:
    ckplus(tmp_path)
    save_face(tmp_path / "cohn-kanade-images" / "S005" / "001" / "S006_001_00000009.png", 0)
    with pytest.raises(DataError, match=r"S006_001_00000009\.png: by its name of another sequence"):
        read("ckplus", tmp_path)


def test_ckplus_class_folders(tmp_path: Path) -> None:
    for number, word in enumerate(("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")):
        save_face(tmp_path / word / f"S0{10 + number}_001_00000012.png", number)
    found = read("ckplus", tmp_path)
    assert [row["label"] for row in found.rows] == [*LABEL_SETS["ckplus"].names]
    assert (found.rows[0]["subject"], found.rows[0]["group"]) == ("S010", "S010_001")
    save_face(tmp_path / "3" / "S010_001_00000012.png", 0)
    with pytest.raises(DataError, match="3: the owner's folders are words"):
        read("ckplus", tmp_path)
    (tmp_path / "3").rename(tmp_path / "4")
    (tmp_path / "4" / "S010_001_00000012.png").rename(tmp_path / "fear" / "S010_001_00000012.png")
    (tmp_path / "4").rmdir()
    with pytest.raises(DataError, match="the same picture is anger in"):
        read("ckplus", tmp_path)


def test_folds_never_share_a_subject_and_cover_every_one(tmp_path: Path) -> None:
    jaffe(tmp_path)
    tested = []
    for number in range(1, 11):
        found = read("jaffe", tmp_path, fold=f"{number}/10")
        split = {name: {row["subject"] for row in found.rows if row["split"] == name} for name in ("train", "test")}
        assert split["train"].isdisjoint(split["test"])
        assert len(split["test"]) == 1
        tested += split["test"]
    assert sorted(tested) == ["KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"]


def test_the_rule_of_a_fold_is_kept_in_the_manifest(tmp_path: Path) -> None:
    jaffe(tmp_path / "set")
    scan("jaffe", tmp_path / "set", tmp_path / "m.parquet", fold="3/10")
    origin = load_manifest(tmp_path / "m.parquet").origin
    assert "fold 3/10 by subject, sorted subjects dealt to the parts in turn" in origin.rule
    assert any("test has KM" in note for note in origin.notes)


@pytest.mark.parametrize("fold", ["0/10", "11/10", "1/1", "3", "a/b", "1/10/2", "-1/3", "1.0/3"])
def test_a_fold_that_is_none_is_refused(tmp_path: Path, fold: str) -> None:
    with pytest.raises(ConfigError, match=f"--fold {fold}: expected K/N"):
        read("jaffe", jaffe(tmp_path), fold=fold)


def test_more_parts_than_subjects_and_sets_without_folds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are only 10 subjects"):
        read("jaffe", jaffe(tmp_path), fold="1/11")
    with pytest.raises(ConfigError, match="--fold 1/3: the layout 'fer2013' has no such option"):
        read("fer2013", tmp_path, fold="1/3")


def test_jaffe_codes_and_damage(tmp_path: Path) -> None:
    jaffe(tmp_path)
    found = read("jaffe", tmp_path)
    assert [row["label"] for row in of(found, "KA")] == [*LABEL_SETS["jaffe"].names]
    save_face(tmp_path / "KA.AN1.1.jpg", 0)  # in a second format
    save_face(tmp_path / "face 12.png", 0)
    save_face(tmp_path / "ZZ.SA1.99.TIFF", 0)
    after = read("jaffe", tmp_path)
    status = {row["source"]: row["status"] for row in after.rows}
    assert status["face 12.png"] == "the file name says no expression"
    assert sorted((status["KA.AN1.1.jpg"], status["KA.AN1.1.tiff"])) == ["ok", "repeated"]
    assert status["ZZ.SA1.99.TIFF"] == "ok"
    assert any("unknown persons: ZZ" in note for note in after.notes)
    save_face(tmp_path / "KA.XX1.77.tiff", 0)
    with pytest.raises(DataError, match=r"KA\.XX1\.77\.tiff: unknown expression 'XX'"):
        read("jaffe", tmp_path)
    (tmp_path / "KA.XX1.77.tiff").unlink()
    save_face(tmp_path / "KA.HA3.1.tiff", 0)
    with pytest.raises(DataError, match="is the same picture with another expression"):
        read("jaffe", tmp_path)


def test_kdef_codes_subjects_and_sides(tmp_path: Path) -> None:
    found = read("kdef", kdef(tmp_path))
    by_name = {Path(row["source"]).stem: row for row in found.rows}
    # AF is afraid, AN is angry; sessions A and B are the same person.
    assert [by_name[f"AF01{code}S"]["label"] for code in ("AF", "AN", "DI", "HA", "NE", "SA", "SU")] == [
        *LABEL_SETS["kdef"].names
    ]
    assert by_name["AM02NES"]["subject"] == by_name["BM02NES"]["subject"] == "M02"
    assert by_name["AF31V"]["status"] == "the file name says no expression"
    straight = read("kdef", tmp_path, variant="straight")
    assert len(of(straight, "F01")) == 14
    folded = read("kdef", tmp_path, fold="1/4")
    assert {row["subject"] for row in folded.rows if row["split"] == "test"} == {"F01"}


def test_kdef_flat_and_repeated(tmp_path: Path) -> None:
    kdef(tmp_path / "set")
    for path in sorted((tmp_path / "set").rglob("*.JPG")):
        path.rename(tmp_path / "set" / path.name)
    assert len(read("kdef", tmp_path / "set").rows) == 113
    save_face(tmp_path / "set" / "AF01" / "AF01AFS.JPG", 0)
    assert sum(row["status"] == "repeated" for row in read("kdef", tmp_path / "set").rows) == 1


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("AF01/FAFFL.JPG", "a name of AKDEF"),
        ("AF01/AF36AFS.JPG", "person 36; KDEF has 01 to 35"),
        ("AF01/AF02AFS.JPG", "belongs into another folder"),
    ],
)
def test_kdef_names_that_cannot_be_are_refused(tmp_path: Path, file: str, message: str) -> None:
    kdef(tmp_path)
    save_face(tmp_path / file, 0)
    with pytest.raises(DataError, match=rf"{Path(file).name}: .*{message}"):
        read("kdef", tmp_path)


def test_kdef_known_damage_of_the_release_is_said(tmp_path: Path) -> None:
    kdef(tmp_path)
    save_face(tmp_path / "AF01" / "AF01SUFR.JPG", 0, 30)
    report = scan("kdef", tmp_path, tmp_path / "m.parquet", verify=True)
    assert any("1 pictures are almost black in the official release: AF01/AF01SUFR.JPG" in n for n in report.notes)
    assert any("113 pictures are not 562 x 762" in note for note in report.notes)
