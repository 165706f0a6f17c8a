"""A check finds what is broken, repeated or contradictory; stats count what is there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.data.check import check, content_hashes, duplicate_groups
from openfer.data.manifest import Manifest, Origin, build_manifest, load_manifest
from openfer.data.scan import scan
from openfer.data.stats import Sizes, stats
from openfer.labels import LABEL_SETS
from tests.layouts import class_folders, drawn_face, save_face

BASIC = LABEL_SETS["basic7"]


def encoded(picture: np.ndarray, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, form)
    return stream.getvalue()


def manifest_of(rows: list[dict], root: Path = Path()) -> Manifest:
    return build_manifest(rows, BASIC, Origin(layout="test"), root)


def row(data: bytes, split: str, label: str | None, status: str = "ok") -> dict:
    return {"image": {"bytes": data, "path": None}, "split": split, "label": label, "status": status}


def test_duplicates_are_equal_pixels_whatever_the_file() -> None:
    face, other = drawn_face(0), drawn_face(1)
    rgb = np.repeat(face[..., None], 3, axis=2)
    hashes = content_hashes(
        manifest_of(
            [
                row(encoded(face), "train", "anger"),
                row(encoded(rgb, "BMP"), "train", "anger"),
                row(encoded(other), "train", "anger"),
                row(b"broken", "train", "anger"),
                row(encoded(np.zeros((2, 8), np.uint8)), "train", "anger"),
                row(encoded(np.zeros((8, 2), np.uint8)), "train", "anger"),
            ]
        )
    )
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[3] is None
    assert hashes[4] != hashes[5]
    assert duplicate_groups(hashes) == [[0, 1]]


def test_repeats_are_counted_inside_and_across_splits() -> None:
    a, b, c = (encoded(drawn_face(seed)) for seed in range(3))
    report = check(
        manifest_of(
            [
                row(a, "train", "anger"),
                row(a, "train", "anger"),
                row(a, "train", None, "no majority"),
                row(a, "validation", "anger"),
                row(a, "validation", "anger"),
                row(b, "validation", "fear"),
                row(b, "test", "sadness"),
                row(c, "test", "anger"),
            ]
        )
    )
    assert report.inside == {"train": 2, "validation": 1}
    assert report.across == {"validation in train": 2, "test in validation": 1}
    # A label and a drop do not contradict each other, two labels do.
    assert [(one.rows, one.labels, one.splits) for one in report.conflicts] == [
        ((5, 6), ("fear", "sadness"), ("validation", "test"))
    ]
    assert report.sound


def test_missing_and_damaged_pictures_are_told_apart(tmp_path: Path) -> None:
    class_folders(tmp_path, {"happy": ["1.png", "2.png", "3.png"], "sad": ["1.png"]})
    scan("folder", tmp_path, tmp_path / "m.parquet")
    (tmp_path / "happy" / "1.png").unlink()
    (tmp_path / "happy" / "2.png").write_bytes(b"")
    (tmp_path / "happy" / "3.png").unlink()
    (tmp_path / "happy" / "3.png").mkdir()
    report = check(load_manifest(tmp_path / "m.parquet"))
    assert [(bad.row, bad.name, bad.reason) for bad in report.missing] == [(0, "happy/1.png", "missing")]
    assert [bad.row for bad in report.unreadable] == [1, 2]
    assert report.unreadable[0].reason == "unreadable: not a picture: the file is empty"
    assert not report.sound


def test_rows_that_never_had_a_picture_are_known() -> None:
    report = check(
        manifest_of(
            [
                row(b"", "train", None, "no file name"),
                row(b"", "train", "anger", "unreadable: 5 pixel values, expected 2304"),
                row(b"", "train", "anger"),
            ]
        )
    )
    assert [(bad.row, bad.reason) for bad in report.unreadable] == [
        (1, "unreadable: 5 pixel values, expected 2304"),
        (2, "unreadable: not a picture: the file is empty"),
    ]


def test_several_manifests_are_checked_as_one(tmp_path: Path) -> None:
    for name, split in (("a", "train"), ("b", "test")):
        save_face(tmp_path / name / split / "happy" / "1.png", 0)
        scan("folder", tmp_path / name, tmp_path / f"{name}.parquet", labels="basic7")
    report = check(load_manifest(tmp_path / "a.parquet", tmp_path / "b.parquet"))
    assert report.across == {"test in train": 1}


def test_stats(tmp_path: Path) -> None:
    save_face(tmp_path / "1.png", 0, side=40)
    rows = [
        {"image": {"bytes": None, "path": "1.png"}, "split": "train", "label": "anger", "subject": "s1"},
        row(encoded(np.zeros((20, 60), np.uint8)), "train", "anger") | {"votes": [0.5, 0, 0, 0, 0, 0, 0.5]},
        row(encoded(np.zeros((30, 50), np.uint8)), "train", "fear")
        | {"votes": [0, 0, 0, 0, 1, 0, 0], "box": [0, 0, 9, 9]},
        row(b"", "test", None, "unreadable: gone"),
        row(b"", "test", None, "no majority"),
    ]
    report = stats(manifest_of(rows, tmp_path))
    assert report.counts["train"] == {name: {"anger": 2, "fear": 1}.get(name, 0) for name in BASIC}
    assert sum(report.counts["test"].values()) == 0
    assert report.skipped == {"unreadable": 1, "no majority": 1}
    assert report.entropy == {"train": pytest.approx(0.5)}
    assert report.sizes == Sizes(pictures=3, width=(40, 50, 60), height=(20, 30, 40))
    assert report.coverage == {"box": pytest.approx(0.2), "subject": pytest.approx(0.2), "votes": pytest.approx(0.4)}
    assert report.subjects == 1
