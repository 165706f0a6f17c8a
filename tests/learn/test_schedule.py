"""Learning rates as functions of the step."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfer.learn.options import OptimOptions
from openfer.learn.schedule import lr_factor


def curve(total: int, **options: object) -> list[float]:
    optim = OptimOptions(**options)  # type: ignore[arg-type]
    return [lr_factor(optim, step, total) for step in range(total)]


def test_cosine_falls_from_the_peak_to_nothing() -> None:
    got = curve(100, schedule="cosine")
    assert got == pytest.approx([(1 + cos(pi * step / 100)) / 2 for step in range(100)])
    assert got[0] == 1.0
    assert got[50] == pytest.approx(0.5)


def test_warmup_rises_in_a_line_before_cosine_and_constant() -> None:
    for schedule in ("cosine", "constant"):
        assert curve(50, schedule=schedule, warmup=4)[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert curve(50, schedule="cosine", warmup=10)[30] == pytest.approx(0.5)  # half of the 40 steps that fall
    assert curve(50, schedule="constant", warmup=4)[-1] == 1.0


def test_onecycle_rises_over_thirty_per_cent_and_falls_to_nothing() -> None:
    got = curve(200, schedule="onecycle")
    assert got[0] == pytest.approx(1 / 25)
    assert got[30] == pytest.approx((1 + 1 / 25) / 2)
    assert got[60] == 1.0
    assert got[130] == pytest.approx(0.5)
    assert curve(200, schedule="onecycle", warmup=50) == got


def test_inverse_divides_by_the_steps_since_the_warmup() -> None:
    assert curve(4, schedule="inverse", decay=0.5) == pytest.approx([1, 1 / 1.5, 1 / 2, 1 / 2.5])
    assert curve(5, schedule="inverse", decay=0.5, warmup=2) == pytest.approx([0.5, 1, 1, 1 / 1.5, 1 / 2])
    assert curve(3, schedule="inverse") == [1, 1, 1]


@given(
    schedule=st.sampled_from(["cosine", "onecycle", "constant", "inverse"]),
    total=st.integers(1, 400),
    warmup=st.integers(0, 500),
)
def test_always_above_nothing_and_never_above_the_peak(schedule: str, total: int, warmup: int) -> None:
    got = curve(total, schedule=schedule, warmup=warmup)
    assert all(0 < factor <= 1 for factor in got)


@given(schedule=st.sampled_from(["cosine", "onecycle"]), total=st.integers(40, 400), warmup=st.integers(0, 20))
def test_changes_little_from_step_to_step_and_ends_near_nothing(schedule: str, total: int, warmup: int) -> None:
    got = curve(total, schedule=schedule, warmup=warmup)
    steps = [abs(after - before) for before, after in pairwise(got)]
    steepest = max(1 / warmup if warmup and schedule == "cosine" else 0, pi / 2 / min(0.3 * total, total - warmup))
    assert max(steps) <= steepest + 1e-9
    assert got[-1] < 0.02


def test_exponential_falls_after_every_epoch() -> None:
    got = curve(12, schedule="exponential", decay=0.1, epochs=3)
    assert got == pytest.approx([1.0] * 4 + [0.9] * 4 + [0.81] * 4)
