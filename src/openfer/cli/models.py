"""Which bundle does `MODEL` mean: `default`, a name, a bundle folder or a run folder?"""

from __future__ import annotations

from pathlib import Path

from openfer.errors import ConfigError, ModelError
from openfer.learn import require_torch

RECIPE, BEST = "recipe.yaml", "best.safetensors"


def resolve_model(model: str) -> Path:
    """The bundle's folder. A run folder is exported first, which needs PyTorch.

    Raises:
        ModelError: neither a model nor a run, a run without a finished epoch, or a run and no PyTorch.
    """
    from openfer.bundle.load import CARD, bundle_path

    path = bundle_path(model)
    if (path / CARD).is_file() or not (path / RECIPE).is_file():
        return path  # a folder that is neither is refused, with the reason, when it is opened
    if not (path / BEST).is_file():
        raise ModelError(f"{path}: a run without {BEST}; let it finish with `openfer train ... --resume`")
    try:
        require_torch()
    except ConfigError as error:
        raise ModelError(f"{path}: a run folder needs PyTorch, an exported bundle does not; {error}") from error
    from openfer.learn.export import bundle_of_run

    return bundle_of_run(path)
