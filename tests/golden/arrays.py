"""Golden arrays: numbers that the authors' own code computed, as `<folder>/<method>/<file>.npz`.

The folder is what the variable OPENFER_GOLDEN names, else this one. Sizes and seeds come from the arrays alone, so that
another set of the same layout can be dropped in.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays = dict[str, NDArray[Any]]
FOLDER = Path(os.environ.get("OPENFER_GOLDEN") or Path(__file__).parent)


def files(method: str) -> list[str]:
    """Names of a method's files in the set."""
    return sorted(path.name for path in (FOLDER / method).glob("*.npz"))


@cache
def load(method: str, file: str) -> Arrays:
    """A file's arrays by key. Skips the test where the set does not have the file."""
    path = FOLDER / method / file
    if not path.is_file():
        pytest.skip(f"{path} is not in this set of golden arrays")
    with np.load(path, allow_pickle=False) as values:
        return {key: values[key] for key in values.files}


def cases(method: str, file: str) -> list[str]:
    """Names of the cases in a file whose keys are `<case>__<name>`; none where the set does not have the file."""
    path = FOLDER / method / file
    if not path.is_file():
        return []
    with np.load(path, allow_pickle=False) as values:
        return sorted({key.split("__")[0] for key in values.files if "__" in key})


def case(method: str, file: str, name: str) -> Arrays:
    """One case's arrays by name."""
    prefix = f"{name}__"
    return {key.removeprefix(prefix): value for key, value in load(method, file).items() if key.startswith(prefix)}


def close(got: Tensor | NDArray[Any] | float, wanted: NDArray[Any], rtol: float, atol: float) -> None:
    """Shapes and numbers agree."""
    values = got.detach().cpu().numpy() if isinstance(got, Tensor) else np.asarray(got)
    assert values.shape == wanted.shape
    np.testing.assert_allclose(values, wanted, rtol=rtol, atol=atol)


def tensor(value: NDArray[Any]) -> Tensor:
    """A writable copy as a tensor."""
    return torch.from_numpy(np.array(value))
