"""The mean face: symmetric, and where each template has its five points."""

from __future__ import annotations

import numpy as np
import pytest

from openfer.vision.align import TEMPLATES
from openfer.vision.landmarks import MIRROR, points5_of
from openfer.vision.mean_face import mean_face


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_five_points_are_those_of_the_template(template: str) -> None:
    np.testing.assert_allclose(points5_of(mean_face(template)), TEMPLATES[template], atol=0.04)


def test_left_and_right_are_alike() -> None:
    face = mean_face()
    mirrored = face[MIRROR] * (-1, 1) + (2 * 23.75 / 48, 0)
    np.testing.assert_allclose(face, mirrored, atol=0.003)


def test_nobody_can_change_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mean_face()[0, 0] = 1.0
