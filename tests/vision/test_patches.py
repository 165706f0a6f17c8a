"""Patches of eyes and mouth: fixed regions of the face, or regions that follow the landmarks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from openfer.vision.mean_face import mean_face
from openfer.vision.patches import REGIONS, cut_patches, moved_regions

FACE = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)


def test_regions_of_a_fer2013_face() -> None:
    patches = cut_patches(FACE)
    for name, part in (("eyes", FACE[10:26, 4:44]), ("mouth", FACE[30:46, 10:38])):
        expected = np.asarray(Image.fromarray(part).resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
        assert patches[name].shape == (64, 64, 3)
        # Beside the region lie pixels that Pillow may look at; inside nothing differs.
        assert np.abs(patches[name].astype(int) - expected)[3:-3, 3:-3].max() <= 1


def test_other_sides() -> None:
    assert cut_patches(FACE, side=20)["mouth"].shape == (20, 20, 3)
    for side in (8, 50, 97, 333):  # boxes end at the border, whatever rounding does
        cut_patches(np.zeros((side, side, 3), np.uint8), moved_regions(mean_face() + 1, mean_face()))


def test_the_mean_face_has_the_fixed_regions() -> None:
    for name, box in moved_regions(mean_face(), mean_face()).items():
        np.testing.assert_allclose([box.x, box.y], [REGIONS[name].x, REGIONS[name].y])


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_regions_follow_the_landmarks_and_stay_inside(x: float, y: float) -> None:
    moved = moved_regions(mean_face() + np.array([x, y]), mean_face())
    for name, box in moved.items():
        usual = REGIONS[name]
        assert (box.w, box.h) == (usual.w, usual.h)
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.w <= 1 + 1e-12
        assert box.y + box.h <= 1 + 1e-12
        if 0 <= usual.x + x <= 1 - usual.w:
            np.testing.assert_allclose(box.x, usual.x + x, atol=1e-9)


def test_eyes_and_mouth_move_apart() -> None:
    landmarks = mean_face().copy()
    landmarks[48:68] += (0.0, 0.02)
    moved = moved_regions(landmarks, mean_face())
    np.testing.assert_allclose(moved["mouth"].y - REGIONS["mouth"].y, 0.02)
    np.testing.assert_allclose(moved["eyes"].y, REGIONS["eyes"].y)
