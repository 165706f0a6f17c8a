"""One small training and its bundle, for the many tests that only look at what it left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from openfer.bundle.load import Bundle
from openfer.learn.engine import train
from openfer.learn.export import export
from tests.learn.tiny import learning_recipe


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are quickest on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of eight epochs, of which one in the middle is the best. Do not write into it."""
    out = tmp_path_factory.mktemp("trained") / "run"
    train(learning_recipe(), out)
    return out


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle of that run. Do not write into it."""
    return export(trained, tmp_path_factory.mktemp("exported") / "drawn")
