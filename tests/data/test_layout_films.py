"""SFEW, AFEW, ExpW and CAER-S, sound and damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from openfer.data.layouts import reader
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.data.scan import scan
from openfer.errors import ConfigError, DataError
from openfer.labels import LABEL_SETS
from tests.layouts import save_face, write_lines
from tests.layouts.films import WORDS, afew, caer_s, crops, expw, expw_lines, sfew, sfew_aue

BY_WORD = dict(zip(WORDS, LABEL_SETS["sfew"].names, strict=True))


def read(layout: str, root: Path, **options: str) -> Scan:
    return reader(layout)(root, ScanOptions(**options))


def test_sfew_labels_are_folders_and_groups_are_films(tmp_path: Path) -> None:
    found = read("sfew", sfew(tmp_path))
    labelled = [row for row in found.rows if row["label"]]
    assert all(row["label"] == BY_WORD[Path(row["source"]).parent.name] for row in labelled)
    assert {(row["split"], row["group"]) for row in found.rows} == {
        ("train", "Old_Film"),
        ("validation", "NewFilm"),
        ("test", "Other"),
    }
    assert {row["status"] for row in found.rows if row["split"] == "test"} == {"no label"}


def test_sfew_whole_frames_and_those_without_an_aligned_face(tmp_path: Path) -> None:
    sfew(tmp_path)
    for name in ("Old_Film_000123450_00000010", "Old_Film_000999999_00000001"):
        save_face(tmp_path / "Train" / "Angry" / f"{name}.png", 3)
    found = read("sfew", tmp_path)
    without = [row for row in found.rows if row["status"] == "no aligned face"]
    assert [row["source"] for row in without] == ["Train/Angry/Old_Film_000999999_00000001.png"]
    frames = read("sfew", tmp_path, variant="original")
    assert [row["label"] for row in frames.rows] == ["anger", "anger"]
    assert "Val/ has no original pictures" in frames.notes


def test_sfew_newer_alignment_of_val_is_read_and_named(tmp_path: Path) -> None:
    sfew(tmp_path)
    folder = tmp_path / "Val"
    shutil.copytree(folder / "Val_Aligned_Faces", folder / "Val_Aligned_Faces_new")
    found = read("sfew", tmp_path)
    assert sum(row["split"] == "validation" for row in found.rows) == 7
    assert any("Val/Val_Aligned_Faces_new" in note for note in found.notes)


@pytest.mark.parametrize("word", ["Angr", "3", "AN", "Contempt", "images"])
def test_sfew_unknown_class_folders_are_refused(tmp_path: Path, word: str) -> None:
    sfew(tmp_path)
    save_face(tmp_path / "Train" / "Train_Aligned_Faces" / word / "Film_1_2.png", 0)
    with pytest.raises(DataError, match=rf"Train_Aligned_Faces/{word}: "):
        read("sfew", tmp_path)


def test_sfew_a_picture_in_two_classes_is_refused(tmp_path: Path) -> None:
    sfew(tmp_path)
    save_face(tmp_path / "Train" / "Train_Aligned_Faces" / "Sad" / "Old_Film_000123450_00000010.png", 0)
    with pytest.raises(DataError, match="the same picture is anger in"):
        read("sfew", tmp_path)


def test_sfew_lists_of_another_copy(tmp_path: Path) -> None:
    found = read("sfew", sfew_aue(tmp_path))
    assert all(row["label"] == BY_WORD[Path(row["image"]["path"]).parent.name] for row in found.rows)
    np.testing.assert_array_equal(found.rows[0]["landmarks68"][3], [3, 3])
    # The picture that has neither suffix must not shift the labels of those behind it.
    gone = tmp_path / "Train" / "imgs" / "Fear" / "Old_000123452_00000012.jpg"
    gone.unlink()
    after = read("sfew", tmp_path)
    changed = [row for row in after.rows if row["status"] != "ok"]
    assert [(row["label"], row["status"]) for row in changed] == [("fear", "missing")]
    assert [row["label"] for row in after.rows] == [row["label"] for row in found.rows]
    path = tmp_path / "list_experiment" / "id_val_list.txt"
    write_lines(path, [*path.read_text().splitlines(), "Sad/New_000123450_00000010"])
    with pytest.raises(DataError, match=r"id_val_list\.txt, line 8: .* has the label sadness, but anger"):
        read("sfew", tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"no list_experiment/id_val_list\.txt"):
        read("sfew", tmp_path)


def test_afew_frames_belong_to_the_clip_of_their_own_part(tmp_path: Path) -> None:
    afew(tmp_path)
    (tmp_path / "Val" / "Angry" / "000123450.avi").rename(tmp_path / "Val" / "Sad" / "000123450.avi")
    found = read("afew", tmp_path)
    said = {(row["split"], row["label"]) for row in found.rows if row["group"] == "000123450"}
    assert said == {("train", "anger"), ("validation", "sadness")}


def test_afew_a_clip_without_faces_stays_as_a_row(tmp_path: Path) -> None:
    found = read("afew", afew(tmp_path))
    lost = [row for row in found.rows if row["status"] != "ok"]
    assert [(row["status"], row["label"], row["split"]) for row in lost] == [("no_face", "surprise", "validation")]
    shutil.rmtree(tmp_path / "Faces" / "Train" / "000123451")
    assert sum(row["status"] == "no_face" for row in read("afew", tmp_path).rows) == 2
    shutil.rmtree(tmp_path / "Faces")
    without = read("afew", tmp_path)
    assert {row["status"].split(":")[0] for row in without.rows} == {"unsupported"}
    save_face(tmp_path / "Train" / "Angry" / "000123450" / "0001.png", 0)
    assert [row["label"] for row in read("afew", tmp_path).rows if row["status"] == "ok"] == ["anger"]


def test_afew_contradictions_and_strangers(tmp_path: Path) -> None:
    afew(tmp_path)
    save_face(tmp_path / "Faces" / "Train" / "000999999" / "1.jpg", 0)
    assert any("1 folders of faces belong to no clip" in note for note in read("afew", tmp_path).notes)
    shutil.copy(tmp_path / "Train" / "Angry" / "000123450.avi", tmp_path / "Train" / "Sad")
    with pytest.raises(DataError, match="the clip 000123450 is anger in"):
        read("afew", tmp_path)
    (tmp_path / "Train" / "Sad" / "000123450.avi").unlink()
    (tmp_path / "Train" / "Cross").mkdir()
    with pytest.raises(DataError, match="Cross: 'Cross' is no"):
        read("afew", tmp_path)


def test_afew_test_clips_have_no_label(tmp_path: Path) -> None:
    afew(tmp_path)
    (tmp_path / "Test").mkdir()
    (tmp_path / "Test" / "000000001.avi").write_bytes(b"RIFF")
    save_face(tmp_path / "Faces" / "Test" / "000000001" / "0001.jpg", 0)
    rows = [row for row in read("afew", tmp_path).rows if row["split"] == "test"]
    assert [(row["label"], row["status"]) for row in rows] == [(None, "no label")]


def test_expw_box_and_codes(tmp_path: Path) -> None:
    rows = read("expw", expw(tmp_path)).rows
    by_source = {row["source"]: row for row in rows}
    np.testing.assert_array_equal(by_source["label.lst:1 face 0"]["box"], [8, 4, 20, 22])
    np.testing.assert_array_equal(by_source["label.lst:15 face 1"]["box"], [2, -3, 10, 16])
    assert [by_source[f"label.lst:{line} face 0"]["label"] for line in range(1, 8)] == [*LABEL_SETS["expw"].names]
    assert by_source["label.lst:15 face 1"]["label"] == "sadness"


def test_expw_splits_whole_pictures_whatever_else_is_there(tmp_path: Path) -> None:
    expw(tmp_path)
    before = {row["image"]["path"]: row["split"] for row in read("expw", tmp_path).rows}
    lines = expw_lines()
    write_lines(tmp_path / "label" / "label.lst", lines[7:])
    after = {row["image"]["path"]: row["split"] for row in read("expw", tmp_path).rows}
    assert all(before[path] == split for path, split in after.items())
    write_lines(tmp_path / "label" / "label.lst", lines)
    tested = [
        {row["source"] for row in read("expw", tmp_path, fold=f"{k}/3").rows if row["split"] == "test"}
        for k in (1, 2, 3)
    ]
    assert sum(map(len, tested)) == len(set.union(*tested)) == 15
    shared = [row["split"] for row in read("expw", tmp_path).rows if row["image"]["path"].endswith("word_0.jpg")]
    assert len(set(shared)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg 0 4 8 28 26 62.5 7", "class code '7'"),
        ("a.jpg 0 4 8 28 26 62.5 -1", "class code '-1'"),
        ("a.jpg 0 4 8 28 26 62.5", "7 fields; expected 8"),
        ("a b.jpg 0 4 8 28 26 62.5 1", "9 fields; expected 8"),
        ("a.jpg 0 4 28 8 26 62.5 1", "right 8 is not over left 28"),
        ("a.jpg 0 26 8 28 4 62.5 1", "bottom not over top"),
        ("a.jpg x 4 8 28 26 62.5 1", "a field is no number"),
        ("a.jpg 0 4 8 28 26 620 1", "confidence 620"),
        ("a.jpg 0 4 8 1e99 26 62 1", "right 1e[+]99"),
        ("a.jpg 0 4 8 nan 26 62 1", "right nan is not over left"),
        ("word_0.jpg 0 4 8 28 26 62.5 3", "other label or box than in .*line 1"),
        ("word_0.jpg 0 5 8 28 26 62.5 0", "other label or box than in .*line 1"),
    ],
)
def test_expw_a_contradiction_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    expw(tmp_path)
    write_lines(tmp_path / "label" / "label.lst", [*expw_lines(), text])
    with pytest.raises(DataError, match=rf"label\.lst, line 16: .*{message}"):
        read("expw", tmp_path)


def test_expw_points_of_another_copy(tmp_path: Path) -> None:
    expw(tmp_path)
    points = " ".join(str(n) for n in range(136))
    write_lines(tmp_path / "landmarks" / "ExpW_landmarks.txt", [f"{line} {points}" for line in expw_lines()[:3]])
    row = next(row for row in read("expw", tmp_path).rows if row["source"].startswith("label.lst:1 "))
    np.testing.assert_array_equal(row["landmarks68"][0], [8, 5])  # from the corner of the box
    shutil.rmtree(tmp_path / "label")
    alone = read("expw", tmp_path)
    assert len(alone.rows) == 3
    np.testing.assert_array_equal(alone.rows[0]["landmarks68"][1], alone.rows[0]["box"][:2] + np.array([2, 3]))


def test_expw_below_data_and_missing_pictures(tmp_path: Path) -> None:
    expw(tmp_path / "set" / "data")
    (tmp_path / "set" / "data" / "image" / "origin" / "word_0.jpg").unlink()
    report = scan("expw", tmp_path / "set", tmp_path / "m.parquet")
    assert report.skipped == {"missing": 2}
    shutil.rmtree(tmp_path / "set" / "data" / "image")
    with pytest.raises(DataError, match="no pictures; expected image/origin/"):
        read("expw", tmp_path / "set")


def test_caer_s_words_and_boxes(tmp_path: Path) -> None:
    found = read("caer-s", caer_s(tmp_path))
    assert found.labels == LABEL_SETS["caer_s"]
    first = next(row for row in found.rows if row["source"] == "test/Happy/0001.png")
    assert first["label"] == "happiness"
    np.testing.assert_array_equal(first["box"], [2, 3, 20, 25])
    (tmp_path / "train" / "Anger").rename(tmp_path / "train" / "Angry")
    assert {row["label"] for row in read("caer-s", tmp_path).rows if row["split"] == "train"} == set(found.labels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train/Happy/0002.png,2,2,3,22,28", "train/Happy/0002.png is fear here, but happiness by its folder"),
        ("train/Happy/0002.png,7,2,3,22,28", "class code '7'"),
        ("train/Happy/0002.png,3,22,3,2,28", "the box ends before it begins"),
        ("train/Happy/0002.png,3,2,3,22", "5 fields"),
        ("train/Happy/0002.png,3,2,3,22,x", "a corner is no number"),
        ("train/Happy/0001.png,3,2,3,22,27", "other code or box than in"),
    ],
)
def test_caer_s_boxes_that_contradict_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    caer_s(tmp_path)
    path = tmp_path / "train.txt"
    write_lines(path, [*path.read_text().splitlines(), text])
    with pytest.raises(DataError, match=rf"train\.txt, line 8: .*{message}"):
        read("caer-s", tmp_path)


def test_caer_s_other_text_files_and_absent_pictures(tmp_path: Path) -> None:
    caer_s(tmp_path)
    write_lines(tmp_path / "notes.txt", ["my notes, all of them"])
    (tmp_path / "test" / "Sad" / "0001.png").unlink()
    (tmp_path / "test" / "Fear").rename(tmp_path / "test" / "Feer")
    with pytest.raises(DataError, match="'Feer' is not in the label set 'caer_s'; did you mean 'fear'"):
        read("caer-s", tmp_path)
    shutil.rmtree(tmp_path / "test" / "Feer")
    report = scan("caer-s", tmp_path, tmp_path / "m.parquet")
    assert "test: no row of fear" in report.notes
    assert any(note.startswith("notes.txt left out") for note in report.notes)
    assert any("2 boxes are of pictures that are not there" in note for note in report.notes)
    with pytest.raises(ConfigError, match="--variant aligned"):
        read("caer-s", tmp_path, variant="aligned")


def test_crops_are_read_by_name(tmp_path: Path) -> None:
    found = read("folder", crops(tmp_path))
    assert {(row["split"], row["label"]) for row in found.rows} == {
        *(("train", name) for name in ("happiness", "neutral", "sadness", "surprise")),
        *(("test", name) for name in ("anger", "disgust", "fear")),
    }
    assert found.rows[0]["image"]["path"] == "images/face0.png"
    for layout in ("rafdb", "fer2013", "sfew", "afew"):
        assert [row["label"] for row in read(layout, tmp_path).rows] == [row["label"] for row in found.rows]
    (tmp_path / "images_lip" / "face1.png").unlink()
    (tmp_path / "images" / "face2.png").unlink()
    after = read("folder", tmp_path)
    assert [row["status"] for row in after.rows] == ["ok", "ok", "missing", "ok", "ok", "ok", "ok"]
    assert any("1 pictures lack an eye or lip crop: face1.png" in note for note in after.notes)
    save_face(tmp_path / "test" / "fear" / "face0.png", 0)
    with pytest.raises(DataError, match=r"test/fear/face0\.png: face0\.png has the label fear, but happiness"):
        read("folder", tmp_path)
