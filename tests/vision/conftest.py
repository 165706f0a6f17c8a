"""The detector and a real portrait, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from openfer.vision.detect.centerface import CenterFace
from openfer.vision.image import Picture, read_image


@pytest.fixture(scope="session")
def detector() -> CenterFace:
    return CenterFace(threads=1)


@pytest.fixture(scope="session")
def portrait(astronaut: Path) -> Picture:
    return read_image(astronaut)
