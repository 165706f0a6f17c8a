"""A rendered face: repeatable, and its truth lies where the picture shows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openfer.errors import ConfigError
from openfer.synth.action_units import ActionUnits
from openfer.synth.camera import Camera, Pose
from openfer.synth.identity import Identity, draw_identity
from openfer.synth.mouth import shape_mouth
from openfer.synth.rendering import Rendering, render
from openfer.synth.scene import Scene, draw_background, draw_scene
from openfer.synth.streams import SCENE, stream

REST = ActionUnits.of({})
CLOSE = Scene(camera=Camera(face=0.45, y=0.42, distance=1100), background="studio")


def bare(number: int = 3) -> Identity:
    """A person whose face nothing hides."""
    person = draw_identity(11, number)
    covering = replace(person.covering, kind="none")
    hair = replace(person.hair, cut="short", thick=(6.0, 4.0))
    return replace(person, glasses=0.0, beard=0.0, moustache=0.0, stubble=0.0, covering=covering, hair=hair)


def shown(aus: dict[int, float], pose: Pose | None = None, size: int = 192) -> Rendering:
    return render(bare(), ActionUnits.of(aus), scene=replace(CLOSE, pose=pose or Pose()), size=size)


def grey(rendering: Rendering) -> np.ndarray:
    return rendering.picture.astype(np.float64).mean(2)


def around(picture: np.ndarray, point: np.ndarray, radius: float) -> np.ndarray:
    """The pixels within a distance of a point."""
    rows, columns = np.indices(picture.shape)
    return picture[np.hypot(columns + 0.5 - point[0], rows + 0.5 - point[1]) <= radius]


def test_the_same_arguments_give_the_same_picture_whatever_was_drawn_before() -> None:
    scene = draw_scene(stream(1, SCENE, 4))
    first = render(draw_identity(1, 4), ActionUnits.of({12: 0.7}), scene=scene, size=64)
    render(draw_identity(1, 9), ActionUnits.of({26: 1.0}), scene=draw_scene(stream(1, SCENE, 5)), size=48)
    draw_identity.cache_clear()
    again = render(draw_identity(1, 4), ActionUnits.of({12: 0.7}), scene=scene, size=64)
    assert (first.picture == again.picture).all()
    assert (first.truth.landmarks == again.truth.landmarks).all()


def test_the_picture_of_a_size_is_the_smaller_one_in_detail() -> None:
    small, large = shown({}, size=64), shown({}, size=128)
    assert np.allclose(2 * small.truth.landmarks, large.truth.landmarks)
    shrunk = grey(large).reshape(64, 2, 64, 2).mean((1, 3))
    assert np.abs(shrunk - grey(small)).mean() < 4


@pytest.mark.parametrize("size", [31, 1025])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match="size from 32 to 1024"):
        render(bare(), REST, scene=CLOSE, size=size)


@pytest.mark.parametrize("pose", [Pose(), Pose(yaw=20), Pose(yaw=-20, roll=10), Pose(pitch=12)])
def test_the_dark_of_iris_and_pupil_lies_between_the_lids(pose: Pose) -> None:
    rendering = shown({}, pose)
    points, picture = rendering.truth.landmarks, grey(rendering)
    between_eyes = np.hypot(*(points[36:42].mean(0) - points[42:48].mean(0)))
    for eye in (slice(36, 42), slice(42, 48)):
        centre = points[eye].mean(0)
        rows, columns = np.indices(picture.shape)
        near = np.hypot(columns + 0.5 - centre[0], rows + 0.5 - centre[1]) < 0.22 * between_eyes
        dark = near & (picture < np.quantile(picture[near], 0.12))
        found = np.array([columns[dark].mean() + 0.5, rows[dark].mean() + 0.5])
        assert np.hypot(*(found - centre)) < 0.09 * between_eyes


@pytest.mark.parametrize("pose", [Pose(), Pose(yaw=25), Pose(yaw=-15, pitch=10, roll=-12)])
def test_an_open_mouth_is_dark_between_its_inner_points_and_not_at_rest(pose: Pose) -> None:
    opened, closed = shown({25: 1.0, 26: 1.0}, pose), shown({}, pose)
    inner = opened.truth.landmarks[[61, 62, 63, 65, 66, 67]].mean(0)
    lips = opened.truth.landmarks[[51, 62]].mean(0)
    hole = around(grey(opened), inner, 4).mean()
    assert hole < 0.6 * around(grey(opened), lips, 2).mean()
    assert hole < 0.75 * around(grey(closed), inner, 4).mean()


def test_lips_are_redder_than_the_skin_beside_them() -> None:
    rendering = shown({})
    picture = rendering.picture.astype(np.float64)
    redness = picture[:, :, 0] / (picture[:, :, 1] + 1)
    points = rendering.truth.landmarks
    lower_lip, cheek = points[[57, 66]].mean(0), 0.5 * (points[48] + points[3])
    assert around(redness, lower_lip, 3).mean() > around(redness, cheek, 5).mean() + 0.05


def test_closed_eyes_show_no_white() -> None:
    opened, closed = shown({5: 1.0}), shown({43: 1.0})
    eye = opened.truth.landmarks[36:42].mean(0)
    spread = [np.ptp(around(grey(each), eye, 9)) for each in (opened, closed)]
    assert spread[1] < 0.75 * spread[0]


def test_yaw_pitch_and_roll_turn_the_points_the_way_they_say() -> None:
    def nose_and_eyes(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        points = shown({}, pose, size=64).truth.landmarks
        return points[30] - points[27], points[45] - points[36]

    rest, _ = nose_and_eyes(Pose())
    assert nose_and_eyes(Pose(yaw=20))[0][0] > 2
    assert nose_and_eyes(Pose(yaw=-20))[0][0] < -2
    assert nose_and_eyes(Pose(pitch=15))[0][1] > rest[1] + 1
    assert nose_and_eyes(Pose(roll=15))[1][1] > 2


def test_turning_the_head_by_opposite_angles_mirrors_the_points() -> None:
    left, right = (shown({12: 0.8}, Pose(yaw=yaw, roll=roll), 64).truth.landmarks for yaw, roll in ((20, 5), (-20, -5)))
    assert np.allclose(left[[8, 27, 30, 33, 51, 57, 62, 66], 0], 64 - right[[8, 27, 30, 33, 51, 57, 62, 66], 0])
    assert np.allclose(left[[36, 48], 1], right[[45, 54], 1])


def test_the_five_points_and_the_box_follow_the_landmarks() -> None:
    truth = shown({}).truth
    points = truth.landmarks
    assert np.allclose(
        truth.points5, [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    )
    x, y, w, h = truth.box
    assert (points.min(0) >= [x - 0.01, y]).all()
    assert (points[17:].max(0) <= [x + w, y + h]).all()
    assert y < points[17:27, 1].min() - 0.1 * h


def test_heads_fill_their_frame_and_stay_inside() -> None:
    for number in range(24):
        truth = render(bare(number), REST, scene=draw_scene(stream(4, SCENE, number)), size=32).truth
        _, top, _, height = truth.box
        assert 0.48 * 32 < height < 0.85 * 32
        assert top > 0
        assert truth.landmarks[:, 1].max() < 32


def test_a_resting_mouth_does_not_droop() -> None:
    for number in range(12):
        mouth = shape_mouth(draw_identity(11, number).body, REST)
        middle = mouth.edges(np.zeros(1))[1][0]
        assert all(y < middle for _, y in mouth.corners())


def test_the_background_alone_is_what_stands_behind_the_head() -> None:
    scene = replace(draw_scene(stream(1, SCENE, 1), background="plain"), camera=Camera(face=0.2, y=0.5))
    picture = render(bare(), REST, scene=scene, size=96).picture
    assert np.ptp(picture[:6].reshape(-1, 3).astype(int), axis=0).max() < 120


@pytest.mark.parametrize("kind", ["plain", "busy"])
def test_backgrounds_depend_on_their_stream_alone(kind: str) -> None:
    one, same, other = (draw_background(kind, 64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_a_face_is_drawn_from_plain_numbers() -> None:
    plain = render(bare(), {12: 0.5}, Pose(yaw=10), scene=CLOSE, size=64)
    same = render(bare(), ActionUnits.of({12: 0.5}), scene=replace(CLOSE, pose=Pose(yaw=10)), size=64)
    assert (plain.picture == same.picture).all()
    assert plain.truth.yaw == 10
    with pytest.raises(ConfigError, match="AU 99"):
        render(bare(), {99: 1.0})


def test_people_differ_and_stay_themselves() -> None:
    one, other = draw_identity(3, 0), draw_identity(3, 1)
    assert one.body != other.body
    draw_identity.cache_clear()
    again = draw_identity(3, 0)
    assert again.body == one.body
    assert again.hair == one.hair
    assert draw_identity(4, 0).body != one.body
