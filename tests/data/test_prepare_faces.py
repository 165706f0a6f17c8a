"""What preparing makes of a face: landmarks with a status, places of action units, the aligned face, its patches."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.data.manifest import Manifest, load_manifest, write_manifest
from openfer.data.prepare import PrepareOptions, prepare
from openfer.errors import ConfigError
from openfer.records import as_points5
from openfer.vision.align import TEMPLATES, Alignment, align, fit_similarity, shares_of_square
from openfer.vision.au_locations import au_locations
from openfer.vision.image import read_image
from openfer.vision.mean_face import mean_face
from openfer.vision.patches import REGIONS, cut_patches, moved_regions
from tests.data.preparing import Middle, Ordinary, embedded, mixed
from tests.layouts import drawn_face

PIXELS = drawn_face(3)
SHIFT = np.array([0.115, 0.0])
"""The stand-in looks a tenth of its square to the right, which is 1.15 times as large as the face."""


def encoded(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def made(manifest: Manifest, folder: Path, **options: object) -> Manifest:
    prepare(manifest, Middle(), Ordinary(), folder / "p.parquet", PrepareOptions(**options), files=None)
    return load_manifest(folder / "p.parquet")


def test_every_status_of_landmarks(tmp_path: Path) -> None:
    bright, dark, black = np.full_like(PIXELS, 255), np.full_like(PIXELS, 5), np.zeros_like(PIXELS)
    manifest = embedded([encoded(each) for each in (PIXELS, PIXELS, bright, dark, black)] + [b"none"], tmp_path)
    given = 10 + 20 * np.random.default_rng(0).random((68, 2))
    prepared = made(manifest.with_column("landmarks68", [given, *[None] * 5]), tmp_path)
    assert prepared.column("landmarks_status") == [
        "given",
        "detected",
        "uncertain",
        "detected",  # no five points, but landmarks inside the frame
        "no_face",
        "unreadable",
    ]
    assert prepared.column("points5_status") == ["detected"] * 3 + ["no_face"] * 2 + ["unreadable"]
    np.testing.assert_allclose(prepared.landmarks68(0), given, rtol=1e-6)
    quality = prepared.column("landmark_quality")
    assert quality[0] is None
    np.testing.assert_allclose(np.array(quality[1:5]), [0.9, 0.1, 0.9, 0.1], rtol=1e-6)
    assert len(prepared.column("landmark_confidence")[1]) == 68
    assert [prepared.landmarks68(row) is None for row in range(6)] == [False] * 4 + [True] * 2
    assert [value is None for value in prepared.column("au_locations")] == [False] * 5 + [True]


def test_action_units_lie_in_the_face_that_is_cut(tmp_path: Path) -> None:
    prepared = made(embedded([encoded(PIXELS)], tmp_path), tmp_path)
    points = np.asarray(prepared.points5(0))
    square = fit_similarity(TEMPLATES["fer2013"], points)
    expected = au_locations(shares_of_square(prepared.landmarks68(0), square))
    np.testing.assert_allclose(prepared.column("au_locations")[0], expected, atol=1e-5)
    np.testing.assert_allclose(expected, au_locations(mean_face()) + SHIFT, atol=1e-5)
    other = made(embedded([encoded(PIXELS)], tmp_path), tmp_path, align=Alignment(template="arcface112"))
    np.testing.assert_allclose(other.landmarks68(0), prepared.landmarks68(0), atol=1e-5)
    assert np.abs(np.array(other.column("au_locations")[0]) - expected).max() > 0.05


@pytest.mark.parametrize(("picture", "status"), [(np.full_like(PIXELS, 255), "uncertain"), (PIXELS * 0, "no_face")])
def test_without_sure_landmarks_the_mean_face_stands_in(tmp_path: Path, picture: np.ndarray, status: str) -> None:
    prepared = made(embedded([encoded(picture)], tmp_path), tmp_path)
    assert prepared.column("landmarks_status") == [status]
    np.testing.assert_allclose(prepared.column("au_locations")[0], au_locations(mean_face()), atol=1e-6)


def test_faces_and_patches_are_those_of_the_aligner(tmp_path: Path) -> None:
    manifest = embedded([encoded(PIXELS)], tmp_path)
    prepared = made(manifest, tmp_path, crops=True, patches="landmarks", align=Alignment(size=72))
    points = prepared.points5(0)
    assert points is not None
    face = align(manifest.picture(0), points, "fer2013", 72)
    np.testing.assert_array_equal(prepared.picture(0, "face"), face)
    patches = cut_patches(face, moved_regions(mean_face() + SHIFT, mean_face()))
    for name in ("eyes", "mouth"):
        np.testing.assert_array_equal(prepared.picture(0, name), patches[name])
    with Image.open(io.BytesIO(prepared.encoded(0, "face"))) as image:
        assert image.mode == "L"  # grey pictures take a third of the room


def test_the_frame_as_it_is_gives_the_fixed_crops_of_a_fer2013_face(tmp_path: Path) -> None:
    manifest = embedded([encoded(PIXELS)], tmp_path)
    prepared = made(manifest, tmp_path, crops=True, patches="regions", cut="frame", align=Alignment(size=48))
    np.testing.assert_array_equal(prepared.picture(0, "face")[..., 0], PIXELS)
    for name, part in (("eyes", PIXELS[10:26, 4:44]), ("mouth", PIXELS[30:46, 10:38])):
        expected = Image.fromarray(part).resize((64, 64), Image.Resampling.BILINEAR)
        difference = prepared.picture(0, name)[..., 0].astype(int) - np.asarray(expected)
        # Pixels beside the region may count at its border.
        assert np.abs(difference[3:-3, 3:-3]).max() <= 1
    np.testing.assert_allclose(prepared.column("au_locations")[0][0], mean_face()[21] + SHIFT, atol=0.2)
    assert set(REGIONS) == {"eyes", "mouth"}


def test_pictures_as_files_keep_their_place_when_the_manifest_moves(tmp_path: Path) -> None:
    manifest = mixed(tmp_path / "data")
    out = tmp_path / "a" / "p.parquet"
    options = PrepareOptions(crops=True, patches="regions", align=Alignment(colour="grey"))
    prepare(manifest, Middle(), Ordinary(), out, options, files=tmp_path / "cut")
    prepared = load_manifest(out)
    assert prepared.column("face")[1] == {"bytes": None, "path": "../cut/images/p-0000001.png"}
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["images", "images_eye", "images_lip"]
    assert [value is None for value in prepared.column("mouth")] == [False, False, False, True, True, False]
    np.testing.assert_array_equal(
        prepared.picture(5, "mouth"), read_image(tmp_path / "cut" / "images_lip" / "p-0000005.png")
    )
    again = tmp_path / "b" / "deep" / "p.parquet"
    prepare(prepared, Middle(), Ordinary(), again)
    np.testing.assert_array_equal(load_manifest(again).picture(5, "eyes"), prepared.picture(5, "eyes"))


def test_points_that_coincide_are_kept_and_the_frame_is_cut(tmp_path: Path) -> None:
    manifest = embedded([encoded(PIXELS)] * 2, tmp_path)
    prepared = made(manifest.with_column("points5", [[[5.0, 5.0]] * 5, None]), tmp_path, crops=True)
    assert prepared.points5(0) == as_points5([[5.0, 5.0]] * 5)
    assert prepared.column("points5_status") == ["given", "detected"]
    assert prepared.column("status") == ["ok", "ok"]
    assert prepared.picture(0, "face").shape == (96, 96, 3)


def test_a_box_that_is_none_leaves_no_face(tmp_path: Path) -> None:
    manifest = embedded([encoded(PIXELS)] * 3, tmp_path)
    boxes = [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1e9, 1e9], None]
    prepared = made(manifest.with_column("box", boxes), tmp_path, crops=True, patches="landmarks")
    assert prepared.column("landmarks_status") == ["no_face", "no_face", "detected"]
    assert [value is None for value in prepared.column("face")] == [True, True, False]


def test_landmarks_that_are_none_cost_their_row_alone(tmp_path: Path) -> None:
    manifest = embedded([encoded(PIXELS)] * 2, tmp_path).with_column("landmarks68", [[[1.0, 1.0]] * 67, None])
    manifest = manifest.with_column(
        "points5", [[[20.0, 20.0], [30.0, 20.0], [25.0, 25.0], [21.0, 30.0], [29.0, 30.0]], None]
    )
    prepared = made(manifest, tmp_path)
    assert prepared.column("landmarks_status") == ["unreadable", "detected"]
    assert prepared.column("points5_status") == ["given", "detected"]
    assert prepared.points5(0) == manifest.points5(0)
    assert prepared.column("status")[0].startswith("unreadable: landmarks68: expected 68")
    without = made(manifest, tmp_path, landmarks=False)
    assert without.column("status") == ["ok", "ok"]


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown 'landmark'; did you mean 'landmarks'"):
        PrepareOptions(patches="landmark")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs the landmarks"):
        PrepareOptions(patches="landmarks", landmarks=False)
    with pytest.raises(ConfigError, match="patch side"):
        PrepareOptions(patch_side=3)
    with pytest.raises(ConfigError, match="no landmarker"):
        prepare(mixed(tmp_path), Middle(), None, tmp_path / "p.parquet")


def test_the_page_shows_what_was_not_found(tmp_path: Path) -> None:
    bright, black = np.full_like(PIXELS, 255), np.zeros_like(PIXELS)
    manifest = embedded([encoded(each) for each in (PIXELS, bright, black)] + [b"<b>"], tmp_path)
    write_manifest(manifest.with_column("source", ["one", "<two>", "three", "four"]), tmp_path / "m.parquet")
    prepare(load_manifest(tmp_path / "m.parquet"), Middle(), Ordinary(), tmp_path / "p.parquet")
    page = (tmp_path / "p.report.html").read_text()
    assert "Five points were not found in 1 rows (25.00 %)" in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert page.count("<circle") == 2 * 68
    assert "<td>four</td><td>unreadable: not a picture" in page
    assert "&lt;two&gt;" in page
    assert "<two>" not in page
    assert "http" not in page
