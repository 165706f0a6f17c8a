"""MMI, BP4D and DISFA: clips, and action units of which unknown is not absent."""

from __future__ import annotations

import shutil
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
from tests.layouts.lab import bp4d, bp4d_aue, bp4d_line, disfa, mmi, mmi_aue


def read(layout: str, root: Path, **options: str) -> Scan:
    return reader(layout)(root, ScanOptions(**options))


def of(found: Scan, group: str) -> list[Row]:
    return [row for row in found.rows if row["group"] == group]


def test_mmi_codes_and_other_states(tmp_path: Path) -> None:
    found = read("mmi", mmi(tmp_path))
    assert [row["label"] for row in found.rows] == [*LABEL_SETS["mmi"].names, None]
    assert found.rows[6]["status"] == "another state than the six emotions"
    assert [row["subject"] for row in found.rows[:4]] == ["S001", "S002", "S003", "S001"]


def test_mmi_a_clip_is_its_apex(tmp_path: Path) -> None:
    mmi(tmp_path)
    clip = read("mmi", tmp_path).rows[0]
    assert clip["image"]["path"] == "Sessions/2/S001-001/0004.png"  # the apex is frames 3 to 5
    assert clip["aus"] == {"AU12": 1.0}
    (tmp_path / "Sessions" / "2" / "S001-001-oao_aucs.xml").unlink()
    clip = read("mmi", tmp_path).rows[0]
    assert (clip["image"]["path"], clip["aus"]) == ("Sessions/2/S001-001/0004.png", None)  # the middle of six
    shutil.rmtree(tmp_path / "Sessions" / "2" / "S001-001")
    clip = read("mmi", tmp_path).rows[0]
    assert clip["status"].startswith("unsupported: a video")
    assert clip["label"] == "anger"


def test_mmi_views_that_are_not_frontal_are_left_out(tmp_path: Path) -> None:
    mmi(tmp_path)
    for session, view in (("3", 1), ("4", 2)):
        write_lines(tmp_path / "Sessions" / session / "session.xml", [f'<session><track view="{view}"/></session>'])
    write_lines(tmp_path / "Sessions" / "5" / "session.xml", ["<session><track"])
    found = read("mmi", tmp_path)
    assert [row["status"] for row in found.rows[1:4]] == ["not a frontal view", "not a frontal view", "ok"]
    assert "5: damaged session.xml, taken for frontal" in found.notes
    two = '<session><track view="0"/><track view="1"/></session>'
    write_lines(tmp_path / "Sessions" / "6" / "session.xml", [two])
    assert read("mmi", tmp_path).rows[4]["status"] == "not a frontal view, or not known"


@pytest.mark.parametrize(
    ("tags", "label", "status"),
    [
        ('<Metatag Name="Emotion" Value="7"/>', None, "another state than the six emotions"),
        ('<Metatag Name="Age" Value="4"/>', None, "no label"),
        ('<Metatag Name="Emotion" Value=""/>', None, "no label"),
        ('<Metatag Name="Emotion" Value="4"', None, "no label: damaged xml"),
        ('<Metatag Name="Emotion" Value="4"/><Metatag Name="Emotion" Value="4"/>', "happiness", "ok"),
    ],
)
def test_mmi_what_a_session_may_say(tmp_path: Path, tags: str, label: str | None, status: str) -> None:
    mmi(tmp_path)
    write_lines(tmp_path / "Sessions" / "3" / "S002-002.xml", [f"<annotation>{tags}</annotation>"])
    row = read("mmi", tmp_path).rows[1]
    assert (row["label"], row["status"]) == (label, status)


@pytest.mark.parametrize(
    ("file", "tags", "message"),
    [
        ("S002-002.xml", '<Metatag Name="Emotion" Value="0"/>', "class code '0'; expected 1 to 6"),
        ("S002-002.xml", '<Metatag Name="Emotion" Value="happy"/>', "class code 'happy'"),
        (
            "S002-002.xml",
            '<Metatag Name="Emotion" Value="1"/><Metatag Name="Emotion" Value="2"/>',
            "several emotions",
        ),
        ("S002-002-oao_aucs.xml", '<ActionUnit Number="12"><Marker Frame="1" Type="7"/></ActionUnit>', "type from 0"),
    ],
)
def test_mmi_contradictions_are_refused_with_their_file(tmp_path: Path, file: str, tags: str, message: str) -> None:
    mmi(tmp_path)
    write_lines(tmp_path / "Sessions" / "3" / file, [f"<annotation>{tags}</annotation>"])
    with pytest.raises(DataError, match=rf"{file}.*{message}"):
        read("mmi", tmp_path)


def test_mmi_frames_that_count_from_0_are_refused(tmp_path: Path) -> None:
    mmi(tmp_path)
    save_face(tmp_path / "Sessions" / "2" / "S001-001" / "0000.png", 0)
    with pytest.raises(DataError, match="frames count from 0"):
        read("mmi", tmp_path)


def test_mmi_another_copy_counts_its_codes_from_0(tmp_path: Path) -> None:
    found = read("mmi", mmi_aue(tmp_path))
    names = LABEL_SETS["mmi"].names
    assert [row["label"] for row in found.rows] == [*names, *names]
    assert [row["split"] for row in found.rows] == ["train"] * 6 + ["validation"] * 6
    write_lines(tmp_path / "Select_Frames" / "Emotions_x" / "S001-5.txt", ["6 1"])
    with pytest.raises(DataError, match=r"S001-5\.txt, line 1: class code '6'; expected 0 to 5"):
        read("mmi", tmp_path)
    (tmp_path / "Select_Frames" / "Emotions_x" / "S001-5.txt").unlink()
    assert read("mmi", tmp_path).rows[5]["status"] == "no label"
    with pytest.raises(ConfigError, match="has lists of its own"):
        read("mmi", tmp_path, fold="1/2")


def test_bp4d_unknown_is_not_absent(tmp_path: Path) -> None:
    found = read("bp4d", bp4d(tmp_path))
    first = of(found, "F001_T1")[0]
    assert first["image"]["path"] == "2D/F001/T1/0231.jpg"
    assert first["aus"]["AU12"] == 1.0
    assert first["aus"]["AU1"] == 0.0
    assert not {"AU4", "AU40"} & first["aus"].keys()
    assert len(found.rows) == 6  # frame 230 is not coded
    assert of(found, "M011_T1")[0]["image"]["path"] == "2D/M011/T1/231.jpg"


def test_bp4d_units_are_found_by_the_header(tmp_path: Path) -> None:
    bp4d(tmp_path)
    path = tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv"
    write_lines(path, ["0,12,1", "231,1,0"])
    assert of(read("bp4d", tmp_path), "F001_T1")[0]["aus"] == {"AU12": 1.0, "AU1": 0.0}


def test_bp4d_intensities(tmp_path: Path) -> None:
    found = read("bp4d", bp4d(tmp_path), variant="intensity")
    first, second = of(found, "F001_T1")
    assert first["aus"] == dict.fromkeys(("AU6", "AU10", "AU12", "AU14", "AU17"), 3.0)
    assert second["aus"] == {}
    assert found.rule.startswith("AU intensity 0 to 5")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([bp4d_line(231)], "line 1: expected 0 and the numbers of the AUs"),
        (["1,2,3", "231,0,0"], "line 1: expected 0 and the numbers"),
        (["0,1,1", "231,0,0"], "line 1: expected 0 and the numbers"),
        (["0,1,2", "231,0,2"], "line 2: '2'; expected a frame, then 0 "),
        (["0,1,2", "231,0,"], "line 2: ''; expected a frame"),
        (["0,1,2", "x,0,1"], "line 2: 'x'; expected a frame"),
        (["0,1,2", "231,0"], "line 2: 2 columns, the header has 3"),
        (["0,1,2", "231,0,1", "231,1,1"], "line 3: 231 has other codes than in .*line 2"),
        (["0;1;2", "231;0;1"], "line 1: expected 0 and the numbers"),
    ],
)
def test_bp4d_contradictions_are_refused_with_their_line(tmp_path: Path, lines: list[str], message: str) -> None:
    bp4d(tmp_path)
    write_lines(tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv", lines)
    with pytest.raises(DataError, match=rf"F001_T1\.csv, {message}"):
        read("bp4d", tmp_path)


def test_bp4d_holes(tmp_path: Path) -> None:
    bp4d(tmp_path)
    (tmp_path / "2D" / "F001" / "T1" / "0232.jpg").unlink()
    shutil.rmtree(tmp_path / "2D" / "F007")
    write_lines(tmp_path / "AUCoding" / "AU_OCC" / "notes.csv", ["1"])
    found = read("bp4d", tmp_path)
    assert [row["status"] for row in of(found, "F001_T1")] == ["ok", "missing"]
    assert [row["status"] for row in of(found, "F007_T1")] == ["missing", "missing"]
    assert "F007/T1: coded, but no folder of pictures" in found.notes
    assert "notes.csv left out: no name like F001_T1.csv" in found.notes
    save_face(tmp_path / "2D" / "F001" / "T1" / "231.jpg", 0)
    with pytest.raises(DataError, match="is frame 231, too"):
        read("bp4d", tmp_path)


def test_bp4d_folds_are_those_of_the_literature(tmp_path: Path) -> None:
    bp4d(tmp_path)
    for fold, subject in (("1/3", "F007"), ("2/3", "M011"), ("3/3", "F001")):
        found = read("bp4d", tmp_path, fold=fold)
        assert {row["subject"] for row in found.rows if row["split"] == "test"} == {subject}
        assert "the parts of the literature" in found.rule
    (tmp_path / "AUCoding" / "AU_OCC" / "F007_T1.csv").rename(tmp_path / "AUCoding" / "AU_OCC" / "F024_T1.csv")
    with pytest.raises(DataError, match="no published part has the subject F024"):
        read("bp4d", tmp_path, fold="1/3")
    assert {row["split"] for row in read("bp4d", tmp_path, fold="1/2").rows} == {"train", "test"}


def test_bp4d_counts_are_of_units_that_show(tmp_path: Path) -> None:
    report = scan("bp4d", bp4d(tmp_path / "set"), tmp_path / "m.parquet")
    assert report.counts["train"]["AU12"] == 3
    assert report.counts["train"]["AU1"] == 0
    assert load_manifest(tmp_path / "m.parquet").column("status") == ["ok"] * 6


def test_bp4d_another_copy(tmp_path: Path) -> None:
    found = read("bp4d", bp4d_aue(tmp_path))
    first, second, third = found.rows
    assert [unit for unit, value in first["aus"].items() if value] == ["AU1", "AU24"]
    assert set(second["aus"].values()) == {0.0}  # an empty file is a face without any
    assert "AU4" not in third["aus"]
    assert third["split"] == "test"
    np.testing.assert_array_equal(first["landmarks68"][4], [4, 4])
    write_lines(tmp_path / "Annotations" / "AUs" / "F001_T1_0231.txt", ["12 1"])
    with pytest.raises(DataError, match=r"F001_T1_0231\.txt, line 1: expected an index from 0 to 11"):
        read("bp4d", tmp_path)
    (tmp_path / "Annotations" / "AUs" / "F001_T1_0231.txt").unlink()
    assert read("bp4d", tmp_path).rows[0]["status"] == "no action units"


def test_disfa_frames_and_intensities(tmp_path: Path) -> None:
    found = read("disfa", disfa(tmp_path))
    rows = of(found, "SN001")
    assert [row["aus"]["AU12"] for row in rows] == [1, 2, 3, 0]
    assert rows[2]["image"]["path"] == "Videos_LeftCamera/LeftVideoSN001_comp/3.png"
    assert "AU9" not in of(found, "SN003")[0]["aus"]
    assert any("SN003: no file of AU9; unknown in its rows" in note for note in found.notes)
    tested = {row["subject"] for row in read("disfa", tmp_path, fold="1/3").rows if row["split"] == "test"}
    assert tested == {"SN003"}


def test_disfa_clips_without_frames_keep_their_rows(tmp_path: Path) -> None:
    disfa(tmp_path, frames=False)
    found = read("disfa", tmp_path)
    assert {row["status"].split(":")[0] for row in found.rows} == {"unsupported"}
    assert len(found.rows) == 12
    save_face(tmp_path / "Images" / "SN001" / "frame_0002.png", 0)
    rows = of(read("disfa", tmp_path), "SN001")
    assert [row["status"] for row in rows] == ["missing", "ok", "missing", "missing"]
    assert rows[1]["image"]["path"] == "Images/SN001/frame_0002.png"


def test_disfa_more_and_fewer_frames_than_lines(tmp_path: Path) -> None:
    disfa(tmp_path)
    folder = tmp_path / "Videos_LeftCamera" / "LeftVideoSN001_comp"
    save_face(folder / "5.png", 0)
    (folder / "4.png").unlink()
    write_lines(tmp_path / "ActionUnit_Labels" / "SN013" / "SN013_au12.txt", ["1,0", "2,1"])
    found = read("disfa", tmp_path)
    assert [row["status"] for row in of(found, "SN001")] == ["ok", "ok", "ok", "missing"]
    assert "SN001: 1 frames have no label, left out" in found.notes
    assert ["AU12" in row["aus"] for row in of(found, "SN013")] == [True, True, False, False]
    assert any("SN013: 4 frames, but fewer lines for AU12 2" in note for note in found.notes)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["0,0", "1,0"], "line 1: frame 0; the frames of DISFA count from 1"),
        (["1,6"], "line 1: expected a frame and an intensity from 0 to 5"),
        (["1,2.5"], "line 1: expected a frame"),
        (["1 2"], "line 1: expected a frame"),
        (["1,2", "1,3"], "line 2: 1 has the intensity 3, but 2 in"),
        (["frame,intensity"], "line 1: expected a frame"),
    ],
)
def test_disfa_contradictions_are_refused_with_their_line(tmp_path: Path, lines: list[str], message: str) -> None:
    disfa(tmp_path)
    write_lines(tmp_path / "ActionUnit_Labels" / "SN001" / "SN001_au1.txt", lines)
    with pytest.raises(DataError, match=rf"SN001_au1\.txt, {message}"):
        read("disfa", tmp_path)


def test_disfa_frames_from_0_and_files_of_others_are_refused(tmp_path: Path) -> None:
    disfa(tmp_path)
    save_face(tmp_path / "Videos_LeftCamera" / "LeftVideoSN001_comp" / "0.png", 0)
    with pytest.raises(DataError, match=r"0\.png: frames count from 0, the labels from 1"):
        read("disfa", tmp_path)
    (tmp_path / "Videos_LeftCamera" / "LeftVideoSN001_comp" / "0.png").unlink()
    write_lines(tmp_path / "ActionUnit_Labels" / "SN001" / "SN002_au1.txt", ["1,0"])
    with pytest.raises(DataError, match=r"SN002_au1\.txt: by its name of another subject"):
        read("disfa", tmp_path)
