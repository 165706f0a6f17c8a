"""Action units move the face the way the FACS manual says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.errors import ConfigError
from openfer.synth.action_units import UNITS, ActionUnits, displacement
from openfer.synth.eyes import shape_eye
from openfer.synth.identity import draw_identity
from openfer.synth.mouth import shape_mouth
from openfer.synth.truth import landmarks_3d

PERSON = draw_identity(11, 2)
MIRROR = np.array(
    [
        *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
        45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
        54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
    ]
)  # fmt: skip
"""The point that each point becomes in a mirror."""


def points(aus: ActionUnits) -> np.ndarray:
    eyes = shape_eye(PERSON.body, aus, -1, PERSON.eye_tilt), shape_eye(PERSON.body, aus, 1, PERSON.eye_tilt)
    return landmarks_3d(PERSON, aus, eyes, shape_mouth(PERSON.body, aus))


def moved(*units: int) -> np.ndarray:
    """What full action units do to the points, mm right, down and forward."""
    return points(ActionUnits.of(dict.fromkeys(units, 1.0))) - points(ActionUnits.of({}))


UP, DOWN = -1, 1


@pytest.mark.parametrize(
    ("unit", "point", "direction"),
    [
        (1, 21, UP), (1, 22, UP), (2, 18, UP), (2, 25, UP), (4, 21, DOWN), (4, 22, DOWN),
        (5, 37, UP), (5, 44, UP), (6, 41, UP), (7, 41, UP), (7, 37, DOWN), (9, 31, UP), (9, 21, DOWN), (9, 51, UP),
        (10, 51, UP), (12, 48, UP), (12, 54, UP), (14, 48, UP), (15, 48, DOWN), (15, 54, DOWN), (16, 57, DOWN),
        (17, 8, UP), (17, 57, UP), (20, 48, DOWN), (25, 66, DOWN), (25, 62, UP), (26, 8, DOWN), (43, 37, DOWN),
        (45, 44, DOWN), (45, 47, UP),
    ],
)  # fmt: skip
def test_points_rise_and_sink_with_the_muscle(unit: int, point: int, direction: int) -> None:
    assert direction * moved(unit)[point, 1] > 0.8


@pytest.mark.parametrize(("unit", "sign"), [(12, 1), (20, 1), (23, -1), (14, -1)])
def test_the_mouth_grows_wider_or_narrower(unit: int, sign: int) -> None:
    change = moved(unit)
    assert sign * (change[54, 0] - change[48, 0]) > 1.0


def test_the_brows_draw_together_in_the_frown() -> None:
    change = moved(4)
    assert change[21, 0] > 1.5
    assert change[22, 0] < -1.5


def test_raised_inner_brows_are_held_up_against_the_frown() -> None:
    assert moved(1, 4)[21, 1] < -3
    assert moved(4)[21, 1] > 3


def test_pressed_lips_are_thinner_than_tightened_ones_and_those_than_resting_ones() -> None:
    def red(*units: int) -> float:
        face = points(ActionUnits.of(dict.fromkeys(units, 1.0)))
        return float(face[62, 1] - face[51, 1] + face[57, 1] - face[66, 1])

    assert red(24) < 0.75 * red(23) < 0.6 * red()


def test_lips_open_only_with_action_unit_25() -> None:
    def gap(**intensities: float) -> float:
        face = points(ActionUnits.of({int(name[2:]): value for name, value in intensities.items()}))
        return float(face[66, 1] - face[62, 1])

    assert gap(au26=1.0) == pytest.approx(0, abs=1e-9)
    assert gap(au25=1.0) > 4
    assert gap(au25=1.0, au26=1.0) > gap(au25=1.0) + 12


def test_lids_meet_in_closed_eyes_and_never_cross() -> None:
    for unit in (43, 45):
        face = points(ActionUnits.of({unit: 1.0}))
        assert np.allclose(face[[37, 38], 1], face[[41, 40], 1], atol=0.01)
    strong = points(ActionUnits.of({7: 1.0, 6: 1.0, 9: 1.0, 4: 1.0, 43: 0.9}))
    assert (strong[[37, 38, 43, 44], 1] <= strong[[41, 40, 47, 46], 1] + 1e-9).all()


def test_every_unit_changes_points_and_no_two_do_the_same() -> None:
    changes = np.array([moved(unit).ravel() if unit != 26 else moved(25, 26).ravel() for unit in UNITS])
    size = np.linalg.norm(changes, axis=1)
    assert (size > 3).all()
    cosine = changes @ changes.T / np.outer(size, size)
    # 43 and 45 both close the eyes.
    others = [(i, j) for i in range(20) for j in range(i) if {UNITS[i], UNITS[j]} != {43, 45}]
    assert max(cosine[i, j] for i, j in others) < 0.95


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=20, max_size=20), st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_exchanging_the_halves_mirrors_the_points(left: list[float], right: list[float]) -> None:
    aus = ActionUnits(np.array(left), np.array(right))
    mirrored = points(aus.mirrored)[MIRROR] * np.array([-1, 1, 1])
    assert np.allclose(mirrored, points(aus), atol=1e-6)


def test_half_an_action_moves_one_half_of_the_face() -> None:
    change = points(ActionUnits.of({}, right={12: 1.0})) - points(ActionUnits.of({}))
    assert np.linalg.norm(change[54]) > 5
    assert np.linalg.norm(change[48]) < 0.2


def test_the_skin_rests_without_action() -> None:
    x, y = np.linspace(-60, 60, 9), np.linspace(-80, 110, 9)
    assert (displacement(x, y, ActionUnits.of({}), PERSON.body) == 0).all()


def test_the_skin_does_not_fold_over_itself() -> None:
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-60, 60, 61), np.linspace(-60, 110, 86)))
    for unit in UNITS:
        moved_y = (y + displacement(x, y, ActionUnits.of({unit: 1.0}), PERSON.body)[:, 1]).reshape(86, 61)
        assert (np.diff(moved_y, axis=0) > 0).all(), unit


@pytest.mark.parametrize("wrong", [{3: 0.5}, {12: 1.2}, {12: -0.1}])
def test_unknown_units_and_intensities_are_refused(wrong: dict[int, float]) -> None:
    with pytest.raises(ConfigError, match=rf"AU {next(iter(wrong))}"):
        ActionUnits.of(wrong)


def test_a_face_of_other_proportions_moves_too() -> None:
    wide = replace(PERSON.body, mouth_width=PERSON.body.mouth_width + 8)
    assert shape_mouth(wide, ActionUnits.of({})).corners()[1][0] == pytest.approx(wide.mouth_width / 2)
