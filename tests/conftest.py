"""Fixtures that several rooms' tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openfer.files import package_file
from tests.bundles import make_bundle


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Cut pictures go to a folder of the test run, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real bundle with the labels of FER+, 48 px, grey. Do not write into it."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "toy")


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """A real portrait with one large frontal face (public domain, comes with scikit-image), 512 x 512."""
    path = package_file("skimage", "data/astronaut.png")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def coffee(astronaut: Path) -> Path:
    """A real photo without a face, 600 x 400."""
    return astronaut.with_name("coffee.png")
