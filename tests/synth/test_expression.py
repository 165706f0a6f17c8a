"""Which action units an expression shows: as published, but never by the label alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.synth.action_units import UNITS, ActionUnits
from openfer.synth.expression import (
    CONSISTENT,
    FREQUENCIES,
    NAMES,
    PROTOTYPES,
    draw_expression,
    draw_free,
    possible,
    prototype,
)
from openfer.synth.streams import EXPRESSION, stream

COLUMN = {unit: index for index, unit in enumerate(UNITS)}


def shown(label: str, count: int = 1500) -> np.ndarray:
    """Mean intensities of many faces, [count, 20]."""
    return np.array([draw_expression(label, stream(3, EXPRESSION, number)).aus.mean for number in range(count)])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-0.5, 1.5), min_size=20, max_size=20), st.lists(st.floats(-0.5, 1.5), min_size=20, max_size=20)
)
def test_what_is_drawn_is_possible_for_one_face(left: list[float], right: list[float]) -> None:
    aus = possible(np.array(left), np.array(right))
    for half in (aus.left, aus.right):
        assert ((half >= 0) & (half <= 1)).all()
        assert half[COLUMN[24]] == 0 or half[COLUMN[25]] == 0
        assert half[COLUMN[43]] == 0 or half[COLUMN[45]] == 0
    alike = [COLUMN[unit] for unit in (17, 25, 26, 43, 45)]
    assert (aus.left[alike] == aus.right[alike]).all()
    again = possible(aus.left, aus.right)
    assert np.allclose(again.left, aus.left)


@pytest.mark.parametrize("label", NAMES[1:7])
def test_frequencies_lie_between_the_two_sources_less_the_dropout(label: str) -> None:
    present = (shown(label) > 0.25).mean(0)
    for unit, published in FREQUENCIES[label].items():
        if published < CONSISTENT or unit in (24, 25):  # 23, 24 and 25 depend on each other
            continue
        alternatives = np.mean([unit in units for units in PROTOTYPES[label]])
        expected = 0.5 * published + 0.5 * 0.875 * alternatives
        assert present[COLUMN[unit]] == pytest.approx(expected, abs=0.09), unit


def test_an_expression_does_not_decide_its_action_units() -> None:
    for label in NAMES[1:7]:
        present = shown(label, 400) > 0.2
        sets = {tuple(row) for row in present.tolist()}
        assert len(sets) > 40
        assert (present.mean(0) < 0.97).all()


def test_a_neutral_face_does_little_and_a_strong_one_more() -> None:
    assert shown("neutral", 400).sum(1).mean() < 0.6
    assert shown("fear", 400).sum(1).mean() > 2


def test_prototypes_show_one_published_set_and_nothing_else() -> None:
    for label in NAMES:
        for number in range(20):
            aus = prototype(label, stream(5, EXPRESSION, number), intensity=0.8).aus
            units = {unit for unit, value in zip(UNITS, np.maximum(aus.left, aus.right), strict=True) if value > 0}
            common = {unit for unit, share in FREQUENCIES.get(label, {}).items() if share >= 0.5}
            # Lips that a strong pull parts show AU 25 too.
            assert any(units - {25} == set(known) - {25} for known in (common, *PROTOTYPES[label])), (label, units)


def test_contempt_is_one_sided() -> None:
    aus = prototype("contempt", stream(5, EXPRESSION, 1)).aus
    assert sorted([aus.left[COLUMN[14]], aus.right[COLUMN[14]]]) == [0.0, 1.0]


def test_free_action_units_are_nearly_independent() -> None:
    values = np.array([draw_free(stream(9, EXPRESSION, number)).aus.mean for number in range(3000)])
    together = np.corrcoef(values.T)
    tied = {(24, 25), (43, 45), (10, 25), (16, 25), (5, 43), (5, 45), (23, 24)}  # see `possible`
    for i in range(20):
        for j in range(i):
            if (UNITS[j], UNITS[i]) not in tied:
                assert abs(together[i, j]) < 0.12, (UNITS[j], UNITS[i])


def test_both_halves_differ_a_little_and_sometimes_much() -> None:
    faces: list[ActionUnits] = [draw_free(stream(2, EXPRESSION, number)).aus for number in range(200)]
    differences = np.array([np.abs(face.left - face.right).max() for face in faces])
    assert (differences > 0.3).mean() > 0.1
    assert np.median(differences) < 0.3
