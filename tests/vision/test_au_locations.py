"""Places of action units: equal to what the authors' own code computes, wherever the face is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfer.vision.au_locations import AUS, PLACES, au_locations, window_centres, window_side
from openfer.vision.mean_face import mean_face

FOLDER = Path(os.environ.get("OPENFER_GOLDEN") or Path(__file__).parents[1] / "golden")
GOLDEN = np.load(FOLDER / "aue" / "au_locations.npz")
"""See the README there."""


@pytest.mark.parametrize("side", [56, 112])
def test_the_authors_places_and_centres(side: int) -> None:
    # Their code scales, then takes means: the order decides where halves are rounded.
    locations = au_locations(GOLDEN["landmarks"] / 224 * side)
    np.testing.assert_array_equal(np.round(locations).reshape(-1, 17, 4), GOLDEN[f"centres_map{side}"])
    centres = window_centres(locations, side)
    np.testing.assert_array_equal(centres.reshape(-1, 17, 4), GOLDEN[f"centres_map{side}_clipped"])


def test_shares_of_the_side_give_the_same_places() -> None:
    shares = au_locations(GOLDEN["landmarks"] / 224)
    np.testing.assert_allclose(shares * 56, au_locations(GOLDEN["landmarks"] / 224 * 56), rtol=1e-12)


def test_two_places_for_each_of_17_units_as_the_card_lists_them() -> None:
    assert len(AUS) == 17
    assert PLACES.shape == (34, 2)
    named = dict(zip(AUS, PLACES.reshape(17, 2, 2).tolist(), strict=True))
    assert named[4] == [[21, 22], [19, 24]]
    assert named[12] == named[15] == named[20] == [[48, 48], [54, 54]]
    assert named[17] == named[26]


@given(
    st.floats(0.1, 10),
    st.floats(-np.pi, np.pi),
    st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
)
def test_places_move_with_the_face(scale: float, angle: float, shift: tuple[float, float]) -> None:
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = au_locations(mean_face() @ turn + np.array(shift))
    np.testing.assert_allclose(moved, au_locations(mean_face()) @ turn + np.array(shift), atol=1e-9)


@given(st.integers(8, 128).map(lambda half: 2 * half), st.integers(0, 2**31))
def test_every_window_lies_inside_its_map(side: int, seed: int) -> None:
    places = np.random.default_rng(seed).uniform(-side, 2 * side, (3, 34, 2))
    centres, half = window_centres(places, side), window_side(side) // 2
    assert centres.min() - half >= 0
    assert centres.max() + half <= side
    inside = ((places > half) & (places < side - half)).all(axis=-1)
    assert np.abs(centres[inside] - places[inside]).max(initial=0) <= 0.5
