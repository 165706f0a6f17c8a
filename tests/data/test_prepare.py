"""Preparing finds five points for rows without any, and loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openfer.data.manifest import Origin, build_manifest, load_manifest, write_manifest
from openfer.data.prepare import PrepareOptions, PrepareReport, prepare
from openfer.data.scan import scan
from openfer.labels import LABEL_SETS
from openfer.records import as_points5
from openfer.vision.detect import load_detector
from tests.data.preparing import POINTS, Middle, Ordinary, mixed
from tests.layouts import class_folders, save_face

POINTS_ONLY = PrepareOptions(landmarks=False)
ALL = PrepareOptions(crops=True, patches="landmarks")


@pytest.mark.parametrize("workers", [1, 3])
def test_every_kind_of_row(tmp_path: Path, workers: int) -> None:
    manifest, out, steps = mixed(tmp_path), tmp_path / "elsewhere" / "m.parquet", []
    report = prepare(
        manifest,
        Middle(),
        None,
        out,
        POINTS_ONLY,
        progress=lambda done, total: steps.append((done, total)),
        workers=workers,
    )
    points = {"given": 1, "detected": 2, "no_face": 1, "unreadable": 2}
    assert report == PrepareReport(rows=6, points5=points, landmarks={}, splits={"train": points}, unreadable=2)
    prepared = load_manifest(out)
    assert prepared.column("points5_status") == ["given", "detected", "no_face", "unreadable", "unreadable", "detected"]
    statuses = prepared.column("status")
    assert [statuses[row] for row in (0, 1, 2, 4, 5)] == ["ok", "ok", "ok", "missing", "no majority"]
    assert statuses[3].startswith("unreadable: ")
    assert prepared.points5(0) == as_points5(POINTS)
    assert prepared.points5(2) is None
    assert prepared.column("label") == manifest.column("label")
    assert prepared.column("image")[1]["path"] == "../b.png"
    np.testing.assert_array_equal(prepared.picture(1), manifest.picture(1))
    assert prepared.origin.notes == ("first", "points5: 1 given, 2 detected, 1 no_face, 2 unreadable")
    assert steps == [(6, 6)]


def test_points_are_pixels_of_the_picture_and_the_box_is_the_frame(tmp_path: Path) -> None:
    save_face(tmp_path / "a.png", 1, side=100)
    image = {"bytes": None, "path": "a.png"}
    rows = [{"image": image, "split": "train"}, {"image": image, "split": "train", "box": [50, 40, 20, 20]}]
    rows.append({"image": image, "split": "train", "box": [50, 40, 0, 0]})
    manifest = build_manifest(rows, LABEL_SETS["basic7"], Origin(layout="test"), tmp_path)
    prepare(manifest, Middle(), None, tmp_path / "m.parquet", POINTS_ONLY)
    prepared = load_manifest(tmp_path / "m.parquet")
    whole, boxed = np.array(prepared.points5(0)), np.array(prepared.points5(1))
    np.testing.assert_allclose(whole[2], (50, 50), atol=1e-4)
    np.testing.assert_allclose(boxed[2], (60, 50), atol=1e-4)
    np.testing.assert_allclose(whole[1, 0] - whole[0, 0], 40 * 100 / 224, rtol=1e-5)
    np.testing.assert_allclose(boxed[1, 0] - boxed[0, 0], 40 * 20 / 224, rtol=1e-5)
    assert prepared.column("points5_status")[2] == "no_face"


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    first = prepare(mixed(tmp_path), Middle(), Ordinary(), out, ALL)
    before = load_manifest(out)
    again = prepare(before, Middle(), Ordinary(), out, ALL)
    assert (again.points5, again.landmarks) == (first.points5, first.landmarks)
    assert load_manifest(out).table.equals(before.table)


def test_a_real_face(tmp_path: Path, astronaut: Path) -> None:
    picture = {"bytes": astronaut.read_bytes(), "path": None}
    row = {"image": picture, "split": "train", "label": "happiness", "box": [160, 50, 140, 160]}
    manifest = build_manifest([row], LABEL_SETS["basic7"], Origin(layout="test"), tmp_path)
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    prepare(manifest, detector, None, tmp_path / "m.parquet", POINTS_ONLY)
    points = np.array(load_manifest(tmp_path / "m.parquet").points5(0))
    # Read off the picture by eye: eyes and mouth corners.
    np.testing.assert_allclose(points[[0, 1, 3, 4]], [(204, 101), (247, 103), (204, 140), (243, 142)], atol=6)


def test_rows_with_embedded_pictures_survive_the_round(tmp_path: Path) -> None:
    class_folders(tmp_path / "set", {"happy": ["1.png"], "sad": ["2.png"]})
    scan("folder", tmp_path / "set", tmp_path / "m.parquet")
    manifest = load_manifest(tmp_path / "m.parquet")
    images = [{"bytes": manifest.encoded(row), "path": None} for row in range(2)]
    write_manifest(manifest.with_column("image", images), tmp_path / "e.parquet")
    prepare(load_manifest(tmp_path / "e.parquet"), Middle(), None, tmp_path / "far" / "p.parquet", POINTS_ONLY)
    prepared = load_manifest(tmp_path / "far" / "p.parquet")
    assert [prepared.encoded(row) for row in range(2)] == [image["bytes"] for image in images]


@pytest.mark.parametrize(
    ("extra", "points_status", "status"),
    [
        ({"points5": [[1.0, 1.0]] * 4}, "unreadable", "unreadable: points5: expected 5 points, got 4"),
        ({"points5": [[1.0]] * 5}, "unreadable", "unreadable: points5: expected pairs of numbers"),
        ({"box": [1.0, 2.0]}, "no_face", "ok"),
        ({"box": [0.0, 0.0, -1.0, 5.0]}, "no_face", "ok"),
        ({"box": [float("nan")] * 4}, "no_face", "ok"),
        ({"box": [0.0, 0.0, float("inf"), 5.0]}, "no_face", "ok"),
    ],
)
def test_points_or_a_box_that_are_none_lose_no_other_row(
    tmp_path: Path, extra: dict[str, Any], points_status: str, status: str
) -> None:
    content = save_face(tmp_path / "a.png", 1).read_bytes()
    row = {"image": {"bytes": content, "path": None}, "split": "train", "status": "ok"}
    manifest = build_manifest([row, {**row, **extra}, row], LABEL_SETS["basic7"], Origin(layout="test"), tmp_path)
    prepare(manifest, Middle(), None, tmp_path / "m.parquet", POINTS_ONLY)
    prepared = load_manifest(tmp_path / "m.parquet")
    assert prepared.column("points5_status") == ["detected", points_status, "detected"]
    found = prepared.column("status")
    assert found[1].startswith(status)
    assert (found[0], found[2]) == ("ok", "ok")
