"""A row is cut by its own points, else by detected ones, else by its frame; and says which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openfer.records import Box, Face, as_points5
from openfer.vision.align import Alignment, align, eye_distance, frame
from openfer.vision.cut import cut_face, find_in_frame
from openfer.vision.detect.centerface import CenterFace
from openfer.vision.image import Picture, grey, read_image

FRAME = Box(x=150, y=30, w=150, h=170)
ALIGNMENT = Alignment(size=48, colour="grey")


@pytest.fixture(scope="module")
def whole(detector: CenterFace, portrait: Picture) -> Face:
    return detector.find(portrait, detect_size=512)[0]


def test_the_same_face_is_found_through_a_box_and_through_a_crop(
    detector: CenterFace, portrait: Picture, whole: Face
) -> None:
    crop = np.ascontiguousarray(portrait[30:200, 150:300])
    boxed, cropped = find_in_frame(portrait, detector, box=FRAME), find_in_frame(crop, detector)
    assert boxed is not None
    assert cropped is not None
    np.testing.assert_allclose(boxed.points5, whole.points5, atol=6.0)
    np.testing.assert_allclose(np.add(cropped.points5, (150, 30)), whole.points5, atol=6.0)
    for found, shift in ((boxed, (0, 0)), (cropped, (150, 30))):
        corner = (found.box.x + shift[0], found.box.y + shift[1])
        np.testing.assert_allclose(corner, (whole.box.x, whole.box.y), atol=6.0)
        assert found.box.w == pytest.approx(whole.box.w, rel=0.1)


def test_a_tight_48_px_crop_is_found(detector: CenterFace, portrait: Picture, whole: Face) -> None:
    small = frame(portrait, whole.box, 0.0, 48)
    found = find_in_frame(small, detector)
    assert found is not None
    assert found.points5 is not None
    side = max(whole.box.w, whole.box.h)
    assert eye_distance(found.points5) == pytest.approx(eye_distance(whole.points5) * 48 / side, rel=0.1)


def test_a_face_beside_the_frames_centre_is_not_the_frames_face(detector: CenterFace, portrait: Picture) -> None:
    assert find_in_frame(portrait, detector, box=Box(x=230, y=60, w=250, h=250)) is None
    assert find_in_frame(portrait, detector, box=Box(x=0, y=0, w=0, h=0)) is None


def test_own_points_win(detector: CenterFace, portrait: Picture) -> None:
    points = as_points5([(200, 100), (250, 100), (225, 125), (205, 145), (245, 145)])
    cut = cut_face(portrait, ALIGNMENT, points5=points, box=FRAME, detector=detector)
    assert (cut.way, cut.points5) == ("points", points)
    np.testing.assert_array_equal(cut.pixels, grey(align(portrait, points, "fer2013", 48)))


def test_without_points_they_are_detected(detector: CenterFace, portrait: Picture) -> None:
    cut = cut_face(portrait, ALIGNMENT, box=FRAME, detector=detector)
    found = find_in_frame(portrait, detector, box=FRAME)
    assert found is not None
    assert (cut.way, cut.points5) == ("detected", found.points5)
    np.testing.assert_array_equal(cut.pixels, grey(align(portrait, found.points5, "fer2013", 48)))


def test_where_nothing_is_found_the_frame_is_cut(detector: CenterFace, coffee: Path) -> None:
    picture = read_image(coffee)
    rgb = Alignment(size=64, margin=0.1)
    cut = cut_face(picture, rgb, box=FRAME, detector=detector)
    assert (cut.way, cut.points5) == ("frame", None)
    np.testing.assert_array_equal(cut.pixels, frame(picture, FRAME, 0.1, 64))
    height, width = picture.shape[:2]
    whole_picture = cut_face(picture, rgb).pixels
    np.testing.assert_array_equal(whole_picture, frame(picture, Box(x=0, y=0, w=width, h=height), 0.1, 64))
