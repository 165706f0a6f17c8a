"""What every layout must survive: editors, other systems, archives, order, wrong roots, holes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from openfer.data.layouts import LAYOUTS, reader
from openfer.data.layouts.common import Row, Scan, ScanOptions
from openfer.data.scan import scan
from openfer.errors import DataError
from tests.layouts import ferplus_folders
from tests.layouts.affectnet import affectnet_csv, affectnet_npy
from tests.layouts.fer2013 import fer2013_folders
from tests.layouts.films import afew, caer_s, crops, expw, sfew, sfew_aue
from tests.layouts.lab import bp4d, bp4d_aue, ckplus, disfa, jaffe, kdef, mmi, mmi_aue
from tests.layouts.rafdb import rafdb, rafdb_compound

SETS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "rafdb": ("rafdb", rafdb),
    "rafdb-compound": ("rafdb-compound", rafdb_compound),
    "affectnet-csv": ("affectnet-csv", affectnet_csv),
    "affectnet-npy": ("affectnet-npy", affectnet_npy),
    "fer2013": ("fer2013", fer2013_folders),
    "ferplus": ("ferplus", ferplus_folders),
    "sfew": ("sfew", sfew),
    "sfew, AUE-CRL": ("sfew", sfew_aue),
    "afew": ("afew", afew),
    "expw": ("expw", expw),
    "mmi": ("mmi", mmi),
    "mmi, AUE-CRL": ("mmi", mmi_aue),
    "bp4d": ("bp4d", bp4d),
    "bp4d, AUE-CRL": ("bp4d", bp4d_aue),
    "disfa": ("disfa", disfa),
    "ckplus": ("ckplus", ckplus),
    "jaffe": ("jaffe", jaffe),
    "kdef": ("kdef", kdef),
    "caer-s": ("caer-s", caer_s),
    "folder, crops": ("folder", crops),
}
LISTS = {
    "rafdb": ("EmoLabel/list_patition_label.txt", False),
    "rafdb-compound": ("EmoLabel/list_patition_label.txt", False),
    "affectnet-csv": ("training.csv", True),
    "ferplus": ("FER2013Train/label.csv", False),
    "sfew, AUE-CRL": ("list_experiment/id_train_list.txt", False),
    "expw": ("label/label.lst", False),
    "mmi, AUE-CRL": ("Select_Frames/list/id_train_list_crossval0.txt", False),
    "bp4d": ("AUCoding/AU_OCC/F001_T1.csv", True),
    "bp4d, AUE-CRL": ("list_experiment/id_fold1_2.txt", False),
    "disfa": ("ActionUnit_Labels/SN001/SN001_au12.txt", False),
    "caer-s": ("train.txt", False),
}
"""The list of each set, and whether it has a header."""

every_set = pytest.mark.parametrize("name", SETS)
every_list = pytest.mark.parametrize("name", LISTS)


def make(name: str, root: Path) -> Path:
    return SETS[name][1](root)


def read(name: str, root: Path) -> Scan:
    return reader(SETS[name][0])(root, ScanOptions())


def plain(rows: list[Row]) -> list[Row]:
    """Rows as values that compare, without their lines."""
    return [
        {key: value.tolist() if hasattr(value, "tolist") else value for key, value in row.items() if key != "source"}
        for row in rows
    ]


def by_path(rows: list[Row]) -> list[Row]:
    return sorted(plain(rows), key=lambda row: (str(row["split"]), str(row["image"]["path"]), str(row.get("box"))))


def test_every_layout_is_tried_here() -> None:
    assert {layout for layout, _ in SETS.values()} | {"manifest"} == set(LAYOUTS)


@every_set
def test_a_sound_tree_is_read_without_loss_or_complaint(name: str, tmp_path: Path) -> None:
    found = read(name, make(name, tmp_path / "set"))
    root = found.root or tmp_path / "set"
    assert found.rows
    assert all((root / row["image"]["path"]).is_file() for row in found.rows if row["status"] == "ok")
    assert not any(word in note for note in found.notes for word in ("missing", "damaged", "repeated", "begins"))
    assert {row["label"] for row in found.rows} - {None} <= set(found.labels)


@every_set
def test_text_files_saved_on_windows_say_the_same(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "a"))
    make(name, tmp_path / "b")
    for path in (tmp_path / "b").rglob("*"):
        if path.suffix in (".txt", ".csv", ".lst"):
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert plain(read(name, tmp_path / "b").rows) == plain(before.rows)


@every_set
def test_what_systems_leave_behind_is_no_matter(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "a"))
    make(name, tmp_path / "b")
    for folder in [tmp_path / "b", *(path for path in (tmp_path / "b").rglob("*") if path.is_dir())]:
        for junk in (".DS_Store", "Thumbs.db", "._face.png", "desktop.ini", "README.md", "readme.txt"):
            (folder / junk).write_bytes(b"\x00junk")
        (folder / "__MACOSX").mkdir()
        (folder / ".ipynb_checkpoints").mkdir()
    after = read(name, tmp_path / "b")
    assert plain(after.rows) == plain(before.rows)
    assert after.notes == before.notes


@every_set
def test_upper_case_suffixes_are_found(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "a"))
    make(name, tmp_path / "b")
    for path in sorted((tmp_path / "b").rglob("*")):
        if path.suffix in (".jpg", ".png", ".tiff"):
            path.rename(path.with_suffix(path.suffix.upper()))
    after = read(name, tmp_path / "b")
    assert [(row["label"], row["status"]) for row in after.rows] == [
        (row["label"], row["status"]) for row in before.rows
    ]
    root = after.root or tmp_path / "b"
    assert all((root / row["image"]["path"]).is_file() for row in after.rows if row["status"] == "ok")


@every_set
def test_a_root_one_level_too_high_is_read_and_said(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "a" / "set"))
    if name.startswith("folder"):
        with pytest.raises(DataError, match="one level lower"):
            read(name, tmp_path / "a")
        return
    after = read(name, tmp_path / "a")
    assert plain(after.rows) == plain(before.rows)
    assert any("begins one level lower: read from set/" in note for note in after.notes)
    make(name, tmp_path / "a" / "copy")
    with pytest.raises(DataError, match="begins in several folders"):
        read(name, tmp_path / "a")


@every_set
def test_a_root_one_level_too_low_is_refused_with_the_right_one(name: str, tmp_path: Path) -> None:
    if name == "jaffe":
        return  # its pictures lie at the root
    make(name, tmp_path / "set")
    inner = next(path for path in sorted((tmp_path / "set").iterdir()) if path.is_dir())
    if name == "folder, crops":
        inner = tmp_path / "set" / "images"
        with pytest.raises(DataError, match="no pictures in class folders"):
            read(name, inner)
        return
    with pytest.raises(DataError, match=f"scan {tmp_path / 'set'}$"):
        read(name, inner)


@every_set
def test_an_empty_folder_is_refused_with_what_is_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected"):
        read(name, tmp_path)


@every_set
def test_a_link_that_leads_nowhere_costs_its_row(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "set"))
    row = next(row for row in before.rows if row["status"] == "ok")
    picture = tmp_path / "set" / row["image"]["path"]
    picture.unlink()
    picture.symlink_to("gone.png")
    after = read(name, tmp_path / "set")
    assert len(after.rows) == len(before.rows)
    changed = [(a, b) for a, b in zip(plain(before.rows), plain(after.rows), strict=True) if a != b]
    # Several faces may be in one picture.
    assert {b["status"] for _, b in changed} <= {"missing"} or name in ("mmi", "disfa", "bp4d", "ckplus")


@every_set
def test_linked_folders_are_followed(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "real"))
    (tmp_path / "linked").mkdir()
    for path in (tmp_path / "real").iterdir():
        (tmp_path / "linked" / path.name).symlink_to(path)
    assert plain(read(name, tmp_path / "linked").rows) == plain(before.rows)


@every_list
def test_the_order_of_a_list_decides_nothing(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "set"))
    path, header = tmp_path / "set" / LISTS[name][0], LISTS[name][1]
    lines = path.read_text().splitlines(keepends=True)
    body = lines[header:]
    random.Random(3).shuffle(body)
    path.write_text("".join(lines[:header] + body))
    after = read(name, tmp_path / "set")
    assert by_path(after.rows) == by_path(before.rows)
    if name != "ferplus":
        assert plain(after.rows) == plain(before.rows)


@every_list
def test_lines_that_are_repeated_count_once(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "set"))
    path, header = tmp_path / "set" / LISTS[name][0], LISTS[name][1]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines + lines[header:]))
    after = read(name, tmp_path / "set")
    usable = [row for row in after.rows if row["status"] != "repeated" or name != "ferplus"]
    assert len([row for row in usable if row["status"] == "ok"]) == len(
        [row for row in before.rows if row["status"] == "ok"]
    )
    assert any("repeated lines count once" in note or "occur more than once" in note for note in after.notes)


@every_list
def test_bytes_that_are_no_utf_8_are_refused_with_file_and_line(name: str, tmp_path: Path) -> None:
    make(name, tmp_path / "set")
    path = tmp_path / "set" / LISTS[name][0]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff\xfe" + lines[1]
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=rf"{path.name}, line 2: not UTF-8 text"):
        read(name, tmp_path / "set")


@every_list
def test_a_list_that_was_cut_off_is_refused_or_said(name: str, tmp_path: Path) -> None:
    make(name, tmp_path / "set")
    path = tmp_path / "set" / LISTS[name][0]
    content = path.read_bytes()
    # All over the last line, and at each of its last bytes: no wrong value may pass in silence.
    last = content[:-1].rfind(b"\n") + 1
    whole = by_path(read(name, tmp_path / "set").rows)
    inside = range(last + 1, len(content))
    for end in {*inside[:: max(1, len(inside) // 10)], *inside[-4:]}:
        path.write_bytes(content[:end])
        message = ""
        try:
            found = read(name, tmp_path / "set")
        except DataError as error:
            message = str(error)
        same = not message and by_path(found.rows) == whole
        assert same or path.name in message or any("no line end" in note for note in found.notes)


@every_list
def test_blank_lines_are_counted(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "set"))
    path = tmp_path / "set" / LISTS[name][0]
    path.write_text(path.read_text().replace("\n", "\n  \n"))
    after = read(name, tmp_path / "set")
    assert plain(after.rows) == plain(before.rows)
    assert any(f"{path.name}: " in note and "empty lines left out" in note for note in after.notes)


@every_list
def test_an_empty_list_leaves_no_silent_hole(name: str, tmp_path: Path) -> None:
    make(name, tmp_path / "set")
    (tmp_path / "set" / LISTS[name][0]).write_bytes(b"")
    try:
        report = scan(SETS[name][0], tmp_path / "set", tmp_path / "m.parquet")
    except DataError:
        return
    assert any(word in " ".join(report.notes) for word in ("official", "left out", "no row", "no box", "fewer"))


@every_set
def test_a_missing_picture_costs_its_own_row_at_most(name: str, tmp_path: Path) -> None:
    before = read(name, make(name, tmp_path / "set"))
    row = next(row for row in before.rows if row["status"] == "ok")
    (tmp_path / "set" / row["image"]["path"]).unlink()
    after = read(name, tmp_path / "set")
    left = [one for one in plain(after.rows) if one["status"] == "ok"]
    was = [one for one in plain(before.rows) if one["status"] == "ok" and one["image"] != row["image"]]
    extra = [one for one in left if one not in was]
    assert [one for one in was if one not in left] == []
    # A sequence whose peak is gone is still labelled, but the peak of one without a label may move.
    assert extra == [] or name in ("mmi", "ckplus")


@every_set
def test_a_scan_writes_the_same_manifest_again(name: str, tmp_path: Path) -> None:
    make(name, tmp_path / "set")
    for out in ("a", "b"):
        scan(SETS[name][0], tmp_path / "set", tmp_path / f"{out}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
