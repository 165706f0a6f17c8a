"""Parts for people with a training loop of their own: names that are imported when they are first used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from openfer.errors import ConfigError

MODULES = ("openfer.heads", "openfer.losses", "openfer.samplers")


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_there_and_no_other(name: str) -> None:
    module = importlib.import_module(name)
    assert dir(module) == sorted(module.__all__)
    for part in module.__all__:
        assert getattr(module, part).__name__ == part
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Nothing'"):
        _ = module.Nothing


def test_importing_them_costs_nothing() -> None:
    code = f"import sys, {', '.join(MODULES)}; print(sorted({{'torch', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_pytorch_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from openfer import learn, losses

    def missing() -> None:
        raise ConfigError("training needs 'torch'; install it with `pip install openfer[train]`")

    monkeypatch.setattr(learn, "require_torch", missing)
    with pytest.raises(ConfigError, match="pip install"):
        _ = losses.soft_cross_entropy
