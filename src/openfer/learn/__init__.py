"""Making models: everything that needs PyTorch. `pip install openfer[train]`.

The rooms below are imported by those who train; nothing outside `learn/` and `cli/` imports them.
"""

from __future__ import annotations

from openfer.errors import ConfigError, reason


def require_torch() -> None:
    """Check that PyTorch and what stands on it can be imported together.

    Raises:
        ConfigError: one of them is missing, or two of them do not fit; the message names the packages and versions.
    """
    import importlib
    from importlib.metadata import PackageNotFoundError, version

    for name in ("torch", "torchvision", "timm", "accelerate", "safetensors"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ConfigError(f"training needs '{error.name}'; install it with `pip install openfer[train]`") from error
        except Exception as error:  # binary packages built for one another's other versions raise anything
            versions = []
            for package in ("torch", "torchvision", "timm"):
                try:
                    versions.append(f"{package} {version(package)}")
                except PackageNotFoundError:
                    versions.append(f"{package} (missing)")
            raise ConfigError(
                f"'{name}' cannot be imported ({reason(error)}): {', '.join(versions)} do not fit "
                "together; install them in one go with `pip install --upgrade torch torchvision timm`"
            ) from error
