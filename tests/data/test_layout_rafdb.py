"""RAF-DB: the official tree, its other forms, and what is wrong with lists."""

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
from tests.layouts.affectnet import affectnet_npy
from tests.layouts.films import crops
from tests.layouts.rafdb import BASIC, COMPOUND, rafdb, rafdb_compound, rafdb_lines

LIST = Path("EmoLabel") / "list_patition_label.txt"


def read(root: Path, layout: str = "rafdb", **options: str) -> Scan:
    return reader(layout)(root, ScanOptions(**options))


def labels_of(found: Scan) -> dict[str, str | None]:
    return {Path(row["image"]["path"]).name: row["label"] for row in found.rows}


def change(root: Path, line: int, text: str | None) -> None:
    """Replace a line of the list (from 1); None takes it away."""
    lines = (root / LIST).read_text().splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    write_lines(root / LIST, lines)


def test_codes_are_those_of_the_owner(tmp_path: Path) -> None:
    found = read(rafdb(tmp_path))
    assert found.labels == LABEL_SETS["rafdb"]
    assert [row["label"] for row in found.rows if row["split"] == "test"] == [*BASIC]
    assert labels_of(found)["train_00004_aligned.jpg"] == "happiness"
    assert found.rows[0]["source"] == "list_patition_label.txt:1"
    assert all(row.get("box") is None for row in found.rows)  # made on the originals


def test_codes_of_the_compound_part(tmp_path: Path) -> None:
    found = read(rafdb_compound(tmp_path / "compound"), "rafdb-compound")
    assert [row["label"] for row in found.rows if row["split"] == "test"] == [*COMPOUND]
    assert COMPOUND[9] == "angrily_disgusted"


def test_originals_have_box_and_points(tmp_path: Path) -> None:
    found = read(rafdb(tmp_path), variant="original")
    first, second = found.rows[:2]
    assert first["image"]["path"] == "Image/original/train_00001.jpg"
    np.testing.assert_array_equal(first["box"], [2, 3, 20, 25])
    np.testing.assert_array_equal(first["points5"][0], [8.5, 10])
    np.testing.assert_array_equal(first["landmarks68"][:2], [[2, 4], [3, 5]])  # from the corner of the box
    assert second["box"] is None
    assert any("20 rows without a box, no file: train_00002_boundingbox.txt" in note for note in found.notes)


@pytest.mark.parametrize(
    ("file", "lines", "column"),
    [
        ("boundingbox/train_00001_boundingbox.txt", ["22 28 2 3"], "box"),
        ("boundingbox/train_00001_boundingbox.txt", ["2 3 22"], "box"),
        ("boundingbox/train_00001_boundingbox.txt", ["2 3 x 28"], "box"),
        ("manual/train_00001_manu_attri.txt", ["20 11", "8 10", "14 15", "10 20", "19 21", "1", "0", "2"], "points5"),
        ("Landmarks_68_FAN_bbox/train_00001.txt", ["1 2"], "landmarks68"),
    ],
)
def test_damage_beside_the_list_costs_what_it_says(tmp_path: Path, file: str, lines: list[str], column: str) -> None:
    rafdb(tmp_path)
    write_lines(tmp_path / "Annotation" / file, lines)
    found = read(tmp_path, variant="original")
    assert found.rows[0][column] is None
    assert found.rows[0]["status"] == "ok"
    assert any("damaged file" in note and "train_00001" in note for note in found.notes)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (3, "train_00003.jpg 0", "line 3: class code '0'; expected 1 to 7"),
        (3, "train_00003.jpg 8", "line 3: class code '8' is of RAF-DB compound; scan it as rafdb-compound"),
        (3, "train_00003.jpg 12", "line 3: class code '12'"),
        (3, "train_00003.jpg happy", "line 3: class code 'happy'"),
        (3, "train_00003.jpg 3.0", "line 3: class code '3.0'"),
        (3, "train_00003.jpg -1", "line 3: class code '-1'"),
        (3, "train_00003.jpg ٣", "line 3: class code '٣'"),
        (3, "train_00003.jpg", "line 3: 1 fields; expected 2"),
        (3, "train_00003.jpg 3 4", "line 3: 3 fields; expected 2"),
        (3, "train_00003.jpg,3", "line 3: 1 fields"),
        (3, "3 train_00003.jpg", "line 3: '3' is no name of RAF-DB"),
        (3, "valid_00003.jpg 3", "line 3: 'valid_00003.jpg' is no name"),
        (3, "train_0003.jpg 3", "line 3: 'train_0003.jpg' is not of RAF-DB basic"),
        (3, "train_00002.jpg 3", "line 3: .* has the label disgust, but fear in .*line 2"),
        (1, "image label", "line 1: 'image' is no name"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused_with_its_line(
    tmp_path: Path, line: int, text: str, message: str
) -> None:
    rafdb(tmp_path)
    change(tmp_path, line, text)
    with pytest.raises(DataError, match=rf"list_patition_label\.txt, {message}"):
        read(tmp_path)


def test_the_other_part_is_refused_in_both_directions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scan it as rafdb-compound|not of RAF-DB basic"):
        read(rafdb_compound(tmp_path / "a"))
    with pytest.raises(DataError, match="no code above 7; this looks like RAF-DB basic"):
        read(rafdb(tmp_path / "b"), "rafdb-compound")
    with pytest.raises(DataError, match="this is the compound part"):
        read(rafdb(tmp_path / "compound"))
    with pytest.raises(DataError, match="this is the basic part"):
        read(rafdb_compound(tmp_path / "basic"), "rafdb-compound")


def test_a_root_with_both_parts_is_read_by_name(tmp_path: Path) -> None:
    rafdb(tmp_path / "basic")
    rafdb_compound(tmp_path / "compound")
    assert len(read(tmp_path).rows) == 21
    assert len(read(tmp_path, "rafdb-compound").rows) == 33


def test_the_list_may_be_spelt_right_but_not_say_two_things(tmp_path: Path) -> None:
    rafdb(tmp_path)
    other = (tmp_path / LIST).rename(tmp_path / "EmoLabel" / "list_partition_label.txt")
    assert len(read(tmp_path).rows) == 21
    shutil.copy(other, tmp_path / LIST)
    assert len(read(tmp_path).rows) == 21
    change(tmp_path, 1, "train_00001.jpg 2")
    with pytest.raises(DataError, match="says something else"):
        read(tmp_path)


def test_names_of_aligned_pictures_in_the_list_and_doubled_blanks(tmp_path: Path) -> None:
    rafdb(tmp_path)
    lines = [line.replace(".jpg ", "_aligned.jpg \t  ") + "  " for line in rafdb_lines()]
    write_lines(tmp_path / LIST, lines)
    assert {row["status"] for row in read(tmp_path).rows} == {"ok"}


def test_missing_and_unlisted_pictures(tmp_path: Path) -> None:
    rafdb(tmp_path)
    (tmp_path / "Image" / "aligned" / "test_0003_aligned.jpg").unlink()
    save_face(tmp_path / "Image" / "aligned" / "test_9999_aligned.jpg", 0)
    report = scan("rafdb", tmp_path, tmp_path / "m.parquet")
    assert report.missing == ("Image/aligned/test_0003_aligned.jpg",)
    assert report.lost == {"test": {"disgust": 1}}
    assert "test: no row of disgust" in report.notes
    assert any("1 pictures that no list names left out: Image/aligned/test_9999" in note for note in report.notes)


def test_pictures_that_are_not_there_at_all(tmp_path: Path) -> None:
    rafdb(tmp_path)
    shutil.rmtree(tmp_path / "Image" / "aligned")
    found = read(tmp_path)
    assert found.rows[0]["image"]["path"] == "Image/original/train_00001.jpg"
    assert "pictures read from Image/original/" in found.notes
    with pytest.raises(ConfigError, match=r"--variant aligned: .* has no such pictures"):
        read(tmp_path, variant="aligned")
    shutil.rmtree(tmp_path / "Image")
    with pytest.raises(DataError, match="no pictures; expected Image/aligned/"):
        read(tmp_path)


def test_original_pictures_are_never_taken_for_aligned_ones(tmp_path: Path) -> None:
    rafdb(tmp_path)
    aligned = tmp_path / "Image" / "original" / "train_00002_aligned.jpg"
    (tmp_path / "Image" / "original" / "train_00002.jpg").rename(aligned)
    assert read(tmp_path, variant="original").rows[1]["status"] == "missing"


def test_votes_from_the_distribution(tmp_path: Path) -> None:
    rafdb(tmp_path)
    shares = ["train_00001.jpg 0.8 0.2 0 0 0 0 0 ", "train_00002.jpg 0.9 0.1 0 0 0 0 0 "]
    write_lines(tmp_path / "EmoLabel" / "distribution_basic.txt", shares)
    found = read(tmp_path, votes="distribution")
    np.testing.assert_allclose(found.rows[0]["votes"], [0.8, 0.2, 0, 0, 0, 0, 0])
    assert found.rule == "list, votes from distribution_basic.txt"
    assert any("1 rows whose label has not the largest share: list_patition_label.txt:2" in n for n in found.notes)
    assert all(row.get("votes") is None for row in read(tmp_path).rows)
    write_lines(tmp_path / "EmoLabel" / "distribution_basic.txt", ["train_00001.jpg 0.8 0.8 0 0 0 0 0"])
    with pytest.raises(DataError, match=r"distribution_basic\.txt, line 1: .*sum to 1"):
        read(tmp_path, votes="distribution")
    with pytest.raises(ConfigError, match="--votes majority"):
        read(tmp_path, votes="majority")


def test_the_flat_form_beside_the_list(tmp_path: Path) -> None:
    rafdb(tmp_path / "official")
    write_lines(tmp_path / "mek" / "list_patition_label.txt", rafdb_lines())
    for seed, line in enumerate(rafdb_lines()):
        save_face(tmp_path / "mek" / "RAF" / line.split()[0], seed, 112)
    found = read(tmp_path / "mek", variant="mek")
    assert found.rows[0]["image"]["path"] == "RAF/train_00001.jpg"
    assert [row["label"] for row in found.rows] == [row["label"] for row in read(tmp_path / "official").rows]
    assert len(read(tmp_path / "mek").rows) == 21


def test_class_folders_with_codes(tmp_path: Path) -> None:
    for line in rafdb_lines():
        name, code = line.split()
        save_face(tmp_path / "DATASET" / name.split("_")[0] / code / name.replace(".jpg", "_aligned.jpg"), 1)
    write_lines(tmp_path / "train_labels.csv", ["image,label", "train_00001_aligned.jpg,1"])
    found = read(tmp_path)
    assert labels_of(found)["train_00004_aligned.jpg"] == "happiness"
    assert any("numbers of class folders read as codes of rafdb: 1 is surprise" in note for note in found.notes)
    write_lines(tmp_path / "train_labels.csv", ["image,label", "train_00001_aligned.jpg,2"])
    with pytest.raises(DataError, match=r"train_labels\.csv, line 2: .* is fear, but lies in train/1/"):
        read(tmp_path)
    (tmp_path / "train_labels.csv").unlink()
    save_face(tmp_path / "DATASET" / "train" / "2" / "train_00001_aligned.jpg", 1)
    with pytest.raises(DataError, match="the same picture is surprise in train/1/"):
        read(tmp_path)
    (tmp_path / "DATASET" / "train" / "2" / "train_00001_aligned.jpg").unlink()
    save_face(tmp_path / "DATASET" / "train" / "1" / "test_0001_aligned.jpg", 1)
    with pytest.raises(DataError, match="its name says test, its folder train"):
        read(tmp_path)


def test_forms_of_other_authors(tmp_path: Path) -> None:
    affectnet_npy(tmp_path / "adcorre", ("train_set", "test_set"))
    with pytest.raises(DataError, match="--variant adcorre reads their codes"):
        read(tmp_path / "adcorre")
    found = read(tmp_path / "adcorre", variant="adcorre")
    assert labels_of(found)["100.jpg"] == "sadness"  # AffectNet's code 2
    assert {row["status"] for row in found.rows} == {"ok", "contempt is not in rafdb"}
    assert {row["split"] for row in found.rows} == {"train", "test"}
    crop = read(crops(tmp_path / "csrn"))
    assert labels_of(crop)["face4.png"] == "anger"
    assert crop.rows[-1]["split"] == "test"
