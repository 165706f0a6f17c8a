"""Files of other programs: tensors by name, and nothing that runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openfer.errors import ModelError, reason

STATES = ("state_dict_backbone", "model_state_dict", "state_dict", "model", "net")
"""Where programs keep a network's tensors beside those of the optimiser."""


def read_published(file: Path) -> dict[str, Tensor]:
    """The network's tensors of somebody's checkpoint by name.

    Raises:
        ModelError: unreadable, something in it is not plain data, or there are no tensors.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise anything
        raise ModelError(f"{file}: cannot be read as tensors ({reason(error)})") from error
    for name in STATES:
        if isinstance(values, Mapping) and isinstance(values.get(name), Mapping):
            values = values[name]
    tensors = _tensors(values)
    if not any(value.ndim for value in tensors.values()) and isinstance(values, Mapping):
        # Several networks, each under a name of its own; beside them perhaps a score as a tensor.
        inner = {f"{name}.": _tensors(part) for name, part in values.items()}
        tensors = {prefix + name: value for prefix, part in inner.items() for name, value in part.items()}
    if not tensors:
        raise ModelError(f"{file}: no tensors by name in it; expected a state dict")
    return tensors


def _tensors(values: object) -> dict[str, Tensor]:
    if not isinstance(values, Mapping):
        return {}
    return {str(name): value for name, value in values.items() if isinstance(value, Tensor)}
