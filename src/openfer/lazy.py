"""Public names that are imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(module: str, homes: Mapping[str, str], *, torch: bool = False) -> tuple[Callable[[str], Any], Any]:
    """`__getattr__` and `__dir__` of a module whose names live elsewhere.

    Args:
        module: its own name.
        homes: public name -> the module where it lives.
        torch: whether those need PyTorch; where it is missing, one line says how to get it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        if torch:
            from openfer.learn import require_torch

            require_torch()
        return getattr(importlib.import_module(homes[name]), name)

    return get, lambda: sorted(homes)
