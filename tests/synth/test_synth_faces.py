"""Drawn faces: repeatable, honest about their truth, and split by person."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from openfer.data.manifest import SPLITS, Manifest, load_manifest, write_manifest
from openfer.errors import ConfigError
from openfer.labels import label_set
from openfer.synth import draw_faces
from openfer.synth.drawing import EXPRESSIONS, Motion, draw_face, draw_person
from openfer.vision.align import Alignment
from openfer.vision.cut import cut_face


@pytest.fixture(scope="module")
def faces() -> Manifest:
    return draw_faces(140, seed=3)


def test_the_same_seed_draws_the_same_rows_and_another_seed_others() -> None:
    assert draw_faces(12, seed=5).table.equals(draw_faces(12, seed=5).table)
    one, other = draw_faces(12, seed=5), draw_faces(12, seed=6)
    assert all(one.encoded(row) != other.encoded(row) for row in range(12))


def test_a_larger_set_begins_with_the_smaller_one() -> None:
    # 10 ends inside the second person.
    assert draw_faces(20, seed=1).table.slice(0, 10).equals(draw_faces(10, seed=1).table)


def test_the_generator_leaves_the_global_random_state_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    draw_faces(3, seed=0)
    assert (before == np.random.get_state()[1]).all()  # type: ignore[index]


def test_no_person_stands_in_two_splits_and_the_shares_are_about_70_15_15(faces: Manifest) -> None:
    splits_of: dict[str, set[str]] = {}
    for subject, split in zip(faces.column("subject"), faces.column("split"), strict=True):
        splits_of.setdefault(subject, set()).add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert Counter(next(iter(splits)) for splits in splits_of.values()) == {"train": 14, "validation": 3, "test": 3}


def test_every_person_shows_every_expression_once_in_an_order_of_their_own(faces: Manifest) -> None:
    labels = faces.column("label")
    orders = [tuple(labels[first : first + 7]) for first in range(0, len(faces), 7)]
    assert all(set(order) == set(label_set("basic7")) for order in orders)
    assert len(set(orders)) > 15
    assert len({tuple(faces.column("subject")[first : first + 7]) for first in range(0, len(faces), 7)}) == 20


@pytest.mark.parametrize("count", [1, 35, 36, 41])
def test_classes_are_balanced_to_within_one_picture(count: int) -> None:
    counts = Counter(draw_faces(count, seed=2, size=32).column("label"))
    assert sum(counts.values()) == count
    assert max(counts.values()) - min(counts[name] for name in label_set("basic7")) <= 1
    if count >= 35:
        assert set(draw_faces(count, seed=2, size=32).column("split")) == set(SPLITS)


def test_points_lie_in_order_inside_the_box_and_the_box_inside_the_picture(faces: Manifest) -> None:
    points = np.array([faces.points5(row) for row in range(len(faces))])
    boxes = np.array(faces.column("box"))
    left_eye, right_eye, nose, left_mouth, right_mouth = points.transpose(1, 0, 2)
    assert (left_eye[:, 0] < nose[:, 0]).all()
    assert (nose[:, 0] < right_eye[:, 0]).all()
    assert (left_mouth[:, 0] < right_mouth[:, 0]).all()
    assert ((left_eye + right_eye)[:, 1] / 2 < nose[:, 1]).all()
    assert (nose[:, 1] < (left_mouth + right_mouth)[:, 1] / 2).all()
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    assert ((low < points) & (points < high)).all()
    assert ((low >= 0) & (high <= 96)).all()
    assert set(faces.column("points5_status")) == {"given"}


def test_the_eyes_are_drawn_where_their_points_say() -> None:
    # The pupil is the darkest spot around an eye; its middle is the point, up to the gaze.
    misses = []
    for number in range(12):
        rng = np.random.default_rng(number)
        picture, points, _ = draw_face(draw_person(rng), Motion(lids=0.8, brow_inner=1, brow_outer=1), 192, rng)
        for x, y in points[:2]:
            left, top = int(x) - 8, int(y) - 8
            rows, columns = np.nonzero(picture[top : top + 17, left : left + 17].max(axis=2) < 45)
            misses.append((columns.mean() + 0.5 + left - x, rows.mean() + 0.5 + top - y))
    # The gaze strays by 0.02 units, about 1.3 px; its mean over 12 pictures, and a half-pixel error, would show.
    assert np.abs(np.mean(misses, axis=0)).max() < 1.0
    assert np.abs(misses).max() < 5.0


def test_the_expressions_are_those_of_the_label_set_and_differ_from_each_other() -> None:
    assert set(EXPRESSIONS) == set(label_set("basic7"))
    motions = np.array(list(EXPRESSIONS.values()))
    gaps = np.linalg.norm(motions[:, None] - motions[None], axis=2) + 9 * np.eye(len(motions))
    assert gaps.min() > 0.8  # several times the noise of 0.12 that is added to each motion


def test_even_a_linear_classifier_recognises_the_expressions_of_other_persons_far_above_chance() -> None:
    # Least squares on grey pixels; chance is 1/7, a small network does better still.
    drawn = draw_faces(560, seed=0)
    train, test = drawn.select("train"), drawn.select("test")
    pixels, targets = _pixels(train), train.targets() - 1 / 7
    weights = np.linalg.solve(pixels @ pixels.T + 0.3 * np.eye(len(pixels)), targets)  # ridge, in its dual form
    answers = (_pixels(test) @ pixels.T @ weights).argmax(axis=1)
    assert 0.75 < (answers == test.label_indices()).mean() < 1.0


def _pixels(drawn: Manifest) -> np.ndarray:
    alignment = Alignment(size=32, colour="grey")
    cuts = [cut_face(drawn.picture(row), alignment, points5=drawn.points5(row)).pixels for row in range(len(drawn))]
    pixels = np.array(cuts, dtype=np.float64)[:, :, :, 0].reshape(len(cuts), -1)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / pixels.std(axis=1, keepdims=True) / 32


def test_the_manifest_reloads_as_it_was(tmp_path: Path) -> None:
    drawn = draw_faces(9, seed=0, size=64)
    write_manifest(drawn, tmp_path / "manifest.parquet")
    again = load_manifest(tmp_path / "manifest.parquet")
    assert again.digest == drawn.digest
    assert again.labels == label_set("basic7")
    assert again.origin.layout == "synth"
    assert again.picture(0).shape == (64, 64, 3)
    assert again.points5(8) == drawn.points5(8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0, 0, 96), "count"), ((5, -1, 96), "seed"), ((5, 0, 8), "size"), ((5, 0, 4096), "size")],
)
def test_an_argument_out_of_range_is_named(arguments: tuple[int, int, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        draw_faces(*arguments)
