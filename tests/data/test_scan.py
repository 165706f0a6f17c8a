"""A scan writes a manifest that finds its pictures, and reports what differs from the expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openfer import __version__
from openfer.data.manifest import load_manifest
from openfer.data.pictures import decode, relocate
from openfer.data.scan import scan
from openfer.errors import ConfigError, DataError
from tests.layouts import class_folders, drawn_face, fer2013_folders, fer2013_lines, ferplus_folders, write_lines


@pytest.mark.parametrize("out", ["set/m.parquet", "elsewhere/deep/m.parquet", "m.parquet"])
def test_pictures_are_found_from_wherever_the_manifest_lies(tmp_path: Path, out: str) -> None:
    class_folders(tmp_path / "set", {"train/happy": ["1.png"], "test/sad": ["2.png"]})
    report = scan("folder", tmp_path / "set", tmp_path / out, command="openfer data scan")
    manifest = load_manifest(tmp_path / out)
    assert report.rows == len(manifest) == 2
    assert not Path(manifest.column("image")[0]["path"]).is_absolute()
    np.testing.assert_array_equal(manifest.picture(0)[..., 0], drawn_face(0))
    assert manifest.origin.command == "openfer data scan"
    assert manifest.origin.reader == __version__


def test_paths_hold_through_links_and_a_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "real" / "set", {"happy": ["1.png"], "sad": ["2.png"]})
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    monkeypatch.chdir(tmp_path / "real")
    scan("folder", Path("set"), Path("../link/m.parquet"))
    manifest = load_manifest("../link/m.parquet")
    assert decode(manifest, 1)[1] == "ok"
    moved = relocate(manifest, tmp_path)
    assert moved.column("image")[1]["path"] == "real/set/sad/2.png"
    assert decode(moved, 1)[1] == "ok"
    assert relocate(moved, tmp_path).column("image") == moved.column("image")


def test_counts_by_split_and_class_and_what_is_left_out(tmp_path: Path) -> None:
    ferplus_folders(tmp_path)
    (tmp_path / "FER2013Test" / "fer0000021.png").unlink()
    report = scan("ferplus", tmp_path, tmp_path / "m.parquet", votes="crossentropy")
    assert report.counts["train"]["neutral"] == 4
    assert report.counts["train"]["surprise"] == 1
    assert report.counts["validation"]["neutral"] == 1
    assert report.counts["test"]["neutral"] == 0
    assert sum(report.skipped.values()) + sum(sum(cells.values()) for cells in report.counts.values()) == 30
    assert report.skipped["missing"] == 1
    assert report.missing == ("FER2013Test/fer0000021.png",)
    assert "train: 10 rows, the official release has 28,558" in report.notes
    assert "validation: no row of surprise, sadness, anger, disgust, fear, contempt" in report.notes
    origin = load_manifest(tmp_path / "m.parquet").origin
    assert origin.rule == "crossentropy (train), majority (validation, test)"
    assert origin.notes == report.notes


def test_official_counts_are_not_mentioned_where_they_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openfer.data.layouts.fer2013.OFFICIAL", {"train": 7, "validation": 7, "test": 8})
    report = scan("fer2013", fer2013_folders(tmp_path / "set"), tmp_path / "m.parquet")
    assert report.notes == ("test: 7 rows, the official release has 8",)


def test_verify_decodes_and_keeps_the_row(tmp_path: Path) -> None:
    class_folders(tmp_path, {"happy": ["1.png", "2.png"], "sad": ["1.png"]})
    whole = (tmp_path / "happy" / "2.png").read_bytes()
    (tmp_path / "happy" / "2.png").write_bytes(whole[: len(whole) // 2])
    assert scan("folder", tmp_path, tmp_path / "m.parquet").unreadable == ()
    steps = []
    report = scan(
        "folder",
        tmp_path,
        tmp_path / "m.parquet",
        verify=True,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert report.counts["train"] == {"happiness": 1, "sadness": 1}
    assert report.skipped == {"unreadable": 1}
    assert report.unreadable[0].startswith("happy/2.png: unreadable: ")
    assert load_manifest(tmp_path / "m.parquet").column("label")[1] == "happiness"
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_the_same_manifest_on_every_run(tmp_path: Path) -> None:
    lines = fer2013_lines()
    write_lines(tmp_path / "fer2013.csv", lines)
    for name in ("a", "b"):
        scan("fer2013", tmp_path / "fer2013.csv", tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    digests = {load_manifest(tmp_path / f"{name}.parquet").digest for name in ("a", "b")}
    assert len(digests) == 1


def test_a_refused_scan_leaves_the_old_manifest(tmp_path: Path) -> None:
    class_folders(tmp_path / "set", {"happy": ["1.png"], "sad": ["1.png"]})
    scan("folder", tmp_path / "set", tmp_path / "m.parquet")
    before = (tmp_path / "m.parquet").read_bytes()
    class_folders(tmp_path / "set", {"qwertz": ["1.png"]})
    with pytest.raises(DataError, match="qwertz"):
        scan("folder", tmp_path / "set", tmp_path / "m.parquet")
    assert (tmp_path / "m.parquet").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.parquet", "set"]


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown layout 'folders'; did you mean 'folder'"):
        scan("folders", tmp_path, tmp_path / "m.parquet")
    with pytest.raises(DataError, match="no such file or folder"):
        scan("folder", tmp_path / "nowhere", tmp_path / "m.parquet")
    write_lines(tmp_path / "set" / "fer2013.csv", ["emotion,pixels,Usage"])
    with pytest.raises(DataError, match="no rows"):
        scan("fer2013", tmp_path / "set", tmp_path / "m.parquet")
