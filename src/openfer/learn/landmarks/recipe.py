"""How the landmark network is trained, as a YAML file says it: `recipes/landmarks68.yaml`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from annotated_types import Ge, Gt, Le, Lt

from openfer.errors import ConfigError, did_you_mean
from openfer.learn.landmarks.views import ViewOptions
from openfer.learn.options import Below1, OptimOptions
from openfer.learn.recipe import parse_options


@dataclass(frozen=True, kw_only=True)
class LandmarkData:
    """What is learned from.

    Args:
        manifest: framed faces (a Parquet file); those of its split `train` are labelled by the teacher and learned.
        teacher: the graph of FaceMesh.
        generated: drawn faces, whose points are exact, beside them.
        nonfaces: share of every batch that shows no face.
        holdout: share of the training faces that is only judged on.
    """

    manifest: str
    teacher: str
    generated: Annotated[int, Ge(0)] = 3500
    nonfaces: Below1 = 0.1
    holdout: Annotated[float, Gt(0), Le(0.5)] = 0.03


@dataclass(frozen=True, kw_only=True)
class LandmarkRun:
    """How the run goes.

    Args:
        seed: of everything random.
        init: weights to begin with, `last.safetensors` of an earlier run; `none`.
        ema: decay of the moving average of the weights, which is what is judged and exported.
        precision: `bf16` is twice as fast as `fp32` where the processor computes in it, slower elsewhere.
        checkpoint: seconds between checkpoints.
    """

    seed: Annotated[int, Ge(0)] = 0
    init: str = "none"
    ema: Annotated[float, Gt(0), Lt(1)] = 0.998
    precision: Literal["bf16", "fp32"] = "bf16"
    checkpoint: Annotated[float, Ge(0)] = 60.0


@dataclass(frozen=True, kw_only=True)
class LandmarkRecipe:
    """A whole training."""

    data: LandmarkData
    views: ViewOptions
    optim: OptimOptions
    run: LandmarkRun

    def to_yaml(self) -> str:
        """The text of a recipe file."""
        return yaml.safe_dump(asdict(self), sort_keys=False)


SECTIONS: dict[str, type[Any]] = {
    "data": LandmarkData,
    "views": ViewOptions,
    "optim": OptimOptions,
    "run": LandmarkRun,
}


def load_landmark_recipe(path: Path) -> LandmarkRecipe:
    """Read a recipe file.

    Raises:
        ConfigError: missing or not YAML; an unknown section or key; a value of the wrong type or range.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: no recipe ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected sections such as 'data:', got {type(values).__name__}")
    for section in values:
        if section not in SECTIONS:
            raise ConfigError(f"{path}: unknown section '{section}'; {did_you_mean(str(section), SECTIONS)}")
    built = {name: parse_options(kind, values.get(name) or {}, f"{path}: {name}") for name, kind in SECTIONS.items()}
    return LandmarkRecipe(**built)
