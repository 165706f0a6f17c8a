"""Training without PyTorch, or with versions that do not fit, says so in one line."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from openfer.errors import ConfigError
from openfer.learn import require_torch


def broken(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> str:
    original = importlib.import_module

    def import_module(wanted: str, package: str | None = None) -> ModuleType:
        if wanted == name:
            raise error
        return original(wanted, package)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(ConfigError) as caught:
        require_torch()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_to_say_where_all_is_there() -> None:
    require_torch()


@pytest.mark.parametrize("name", ["torch", "timm", "accelerate", "safetensors"])
def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    error = ModuleNotFoundError(f"No module named '{name}'", name=name)
    assert broken(monkeypatch, name, error) == f"training needs '{name}'; install it with `pip install openfer[train]`"


def test_what_a_package_itself_misses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "needs 'huggingface_hub'" in broken(monkeypatch, "timm", ModuleNotFoundError("?", name="huggingface_hub"))


@pytest.mark.parametrize(
    "error", [RuntimeError("operator torchvision::nms does not exist\nmore"), OSError("libcudart.so: gone")]
)
def test_versions_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import torch

    message = broken(monkeypatch, "torchvision", error)
    assert message.startswith(f"'torchvision' cannot be imported ({str(error).splitlines()[0]}): torch ")
    assert torch.__version__.split("+")[0] in message
    assert message.endswith("install them in one go with `pip install --upgrade torch torchvision timm`")
