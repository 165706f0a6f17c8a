"""The face detector on real and made pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from openfer.errors import ConfigError
from openfer.vision.detect import load_detector
from openfer.vision.detect.centerface import CenterFace, decode, suppress
from openfer.vision.image import Picture, read_image

BOX = (181.5, 58.2, 269.9, 177.8)
POINTS = ((203.2, 101.7), (247.0, 104.5), (223.3, 125.1), (203.4, 142.3), (241.3, 144.4))


def test_the_astronaut_has_one_face_at_the_known_place(detector: CenterFace, portrait: Picture) -> None:
    (face,) = detector.find(portrait, detect_size=512)
    assert face.score == pytest.approx(0.929, abs=0.005)
    corners = (face.box.x, face.box.y, face.box.x + face.box.w, face.box.y + face.box.h)
    np.testing.assert_allclose(corners, BOX, atol=1.0)
    np.testing.assert_allclose(face.points5, POINTS, atol=1.0)


def test_coffee_has_no_face(detector: CenterFace, coffee: Path) -> None:
    assert detector.find(read_image(coffee)) == []


@pytest.mark.parametrize("scale", [0.4, 3.0])
def test_results_are_in_pixels_of_the_given_picture(detector: CenterFace, portrait: Picture, scale: float) -> None:
    size = (round(512 * scale), round(512 * scale))
    (face,) = detector.find(np.asarray(Image.fromarray(portrait).resize(size)), detect_size=512)
    np.testing.assert_allclose(face.points5, np.array(POINTS) * scale, atol=5.0 * scale)


def test_a_face_cut_by_the_border_keeps_its_points_outside_and_its_box_inside(
    detector: CenterFace, portrait: Picture
) -> None:
    (left,) = detector.find(np.ascontiguousarray(portrait[:, 230:]), detect_size=512)
    assert left.box.x == 0.0
    assert left.points5 is not None
    assert left.points5[0][0] < -1.0
    (right,) = detector.find(np.ascontiguousarray(portrait[:, :225]), detect_size=512)
    assert right.box.x + right.box.w == pytest.approx(225.0)
    assert right.points5 is not None
    assert right.points5[1][0] > 230.0


def test_two_pasted_faces_are_found_largest_first(detector: CenterFace, portrait: Picture, coffee: Path) -> None:
    scene = Image.fromarray(read_image(coffee))
    head = Image.fromarray(portrait).crop((120, 10, 330, 220))
    scene.paste(head.resize((120, 120)), (20, 40))
    scene.paste(head, (330, 120))
    large, small = detector.find(np.asarray(scene))
    assert large.box.area > 2 * small.box.area
    assert 330 < large.box.x < 540
    assert 20 < small.box.x < 140


def test_a_higher_threshold_finds_less(detector: CenterFace, portrait: Picture) -> None:
    assert detector.find(portrait, detect_size=512, threshold=0.95) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3000, 2)])
def test_odd_shapes_hold_no_face(detector: CenterFace, shape: tuple[int, int]) -> None:
    assert detector.find(np.full((*shape, 3), 128, dtype=np.uint8)) == []


def test_a_tiny_detect_size_is_refused(detector: CenterFace, portrait: Picture) -> None:
    with pytest.raises(ConfigError, match="expected 32 px or more, got 16"):
        detector.find(portrait, detect_size=16)


def test_decode_of_one_cell_worked_by_hand() -> None:
    heat = np.zeros((4, 6), np.float32)
    size, offset = np.zeros((2, 4, 6), np.float32), np.zeros((2, 4, 6), np.float32)
    points = np.zeros((10, 4, 6), np.float32)
    heat[2, 3] = 0.9
    size[:, 2, 3] = np.log((5, 2))  # 20 px high, 8 px wide
    offset[:, 2, 3] = (0.25, 0.5)  # centre at y = 4 (2 + 0.25 + 0.5) = 11, x = 4 (3 + 0.5 + 0.5) = 16
    points[:, 2, 3] = (0.0, 0.0, 0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 1.0, 1.0)
    boxes, scores, landmarks = decode(heat, size, offset, points, 0.35)
    np.testing.assert_allclose(boxes, [(12, 1, 20, 21)], rtol=1e-6)
    np.testing.assert_allclose(scores, [0.9])
    np.testing.assert_allclose(landmarks, [[(12, 1), (20, 1), (16, 11), (12, 21), (20, 21)]], rtol=1e-6)


def slow_suppress(boxes: np.ndarray, scores: np.ndarray, max_overlap: float) -> list[int]:
    """Best first; a box stays unless it overlaps too much with one that stays."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        l1, t1, r1, b1 = boxes[index]
        clear = True
        for other in kept:
            l2, t2, r2, b2 = boxes[other]
            shared = max(0.0, min(r1, r2) - max(l1, l2)) * max(0.0, min(b1, b2) - max(t1, t2))
            union = (r1 - l1) * (b1 - t1) + (r2 - l2) * (b2 - t2) - shared
            clear = clear and shared <= max_overlap * union
        if clear:
            kept.append(index)
    return kept


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 9)),
        max_size=12,
    ),
    st.sampled_from([0.1, 0.3, 0.7]),
)
def test_suppress_agrees_with_the_slow_loop(rows: list[tuple[int, ...]], max_overlap: float) -> None:
    values = np.array(rows, dtype=np.float64).reshape(-1, 5)
    boxes = np.concatenate([values[:, :2], values[:, :2] + values[:, 2:4]], axis=1)
    scores = values[:, 4] / 10
    assert suppress(boxes, scores, max_overlap).tolist() == slow_suppress(boxes, scores, max_overlap)


def test_detectors_by_name() -> None:
    assert load_detector("none") is None
    with pytest.raises(ConfigError, match="did you mean 'centerface'"):
        load_detector("centreface")
