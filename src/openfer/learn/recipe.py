"""A recipe: YAML and `key=value` overrides become checked, frozen dataclasses. A typo answers "did you mean"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from openfer.errors import ConfigError, did_you_mean
from openfer.learn.options import (
    AugmentOptions,
    BackboneOptions,
    DataOptions,
    DistillationOptions,
    OptimOptions,
    RunOptions,
)

T = TypeVar("T")

Fidelity = Literal["intended", "released"]
FIDELITIES: tuple[Fidelity, ...] = ("intended", "released")


@dataclass(frozen=True, kw_only=True)
class MethodChoice:
    """The `method:` section: a name, a fidelity, and the options that the method itself checks."""

    name: str
    fidelity: Fidelity = "intended"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training, as it is written to `RUN/recipe.yaml`."""

    method: MethodChoice
    backbone: BackboneOptions
    data: DataOptions
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    distillation: DistillationOptions = field(default_factory=DistillationOptions)
    optim: OptimOptions = field(default_factory=OptimOptions)
    run: RunOptions = field(default_factory=RunOptions)

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the shape of a recipe file; `parse_recipe` gives an equal recipe back."""
        values = asdict(self)
        choice = values["method"]
        values["method"] = {"name": choice["name"], "fidelity": choice["fidelity"], **choice["options"]}
        # YAML has lists alone.
        for section in ("augment", "data", "distillation"):
            for name, value in values[section].items():
                values[section][name] = list(value) if isinstance(value, tuple) else value
        return values

    def to_yaml(self) -> str:
        """The text of a recipe file."""
        values = self.to_dict()
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        # YAML takes some rare characters, such as \x85 in a file's name, for ends of lines: those are escaped.
        return text if yaml.safe_load(text) == values else yaml.safe_dump(values, sort_keys=False)


SECTIONS: dict[str, type[Any]] = {
    "backbone": BackboneOptions,
    "data": DataOptions,
    "augment": AugmentOptions,
    "distillation": DistillationOptions,
    "optim": OptimOptions,
    "run": RunOptions,
}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file.

    Args:
        path: YAML. A manifest that it names is looked for from the working folder.
        overrides: `section.key=value`, the value in YAML, such as `optim.lr=1e-3` or `augment.affine=[15,0.1,0.05]`.

    Raises:
        ConfigError: missing or not YAML; an unknown section or key; a value of the wrong type or range.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: no recipe ({error.strerror}); `openfer recipes` lists those that come along"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected sections such as 'method:' and 'data:', got {type(values).__name__}")
    for override in overrides:
        _override(values, override)
    return parse_recipe(values, str(path))


def parse_recipe(values: Mapping[str, Any], name: str) -> Recipe:
    """A recipe from plain values; `name` is what errors call it. Raises `ConfigError` as `load_recipe` does."""
    sections = ["method", *SECTIONS]
    for section in values:
        if section not in sections:
            raise ConfigError(f"{name}: unknown section '{section}'; {did_you_mean(str(section), sections)}")
    for section in ("method", "backbone", "data"):
        if not isinstance(values.get(section), dict):
            raise ConfigError(f"{name}: the section '{section}' is missing or is not a list of keys")
    built = {
        section: parse_options(kind, values.get(section) or {}, f"{name}: {section}")
        for section, kind in SECTIONS.items()
    }
    method = dict(values["method"])
    if not isinstance(method.get("name"), str):
        raise ConfigError(f"{name}: method.name is missing; `openfer methods` lists them")
    fidelity = method.pop("fidelity", "intended")
    if fidelity not in FIDELITIES:
        raise ConfigError(f"{name}: method.fidelity: expected {' or '.join(FIDELITIES)}, got '{fidelity}'")
    choice = MethodChoice(name=method.pop("name"), fidelity=fidelity, options=method)
    return Recipe(method=choice, **built)


def same_recipe(one: str, other: str) -> bool:
    """Do two texts of `Recipe.to_yaml` say the same? A newer option that one of them lacks has its default."""
    if one == other:  # also that of a training that is no method's, such as the landmarks'
        return True
    try:
        first, second = (parse_recipe(yaml.safe_load(text), "recipe") for text in (one, other))
    except (ConfigError, yaml.YAMLError):
        return False
    return first == second


def parse_options(kind: type[T], values: Mapping[str, Any], name: str) -> T:
    """A frozen dataclass of options from plain values: keys checked, numbers coerced, ranges held.

    Args:
        kind: the dataclass.
        values: key -> value, as YAML gives them (`1e-3` arrives as text and becomes a number).
        name: what errors call the section.

    Raises:
        ConfigError: an unknown or missing key, a wrong type or a value out of range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name}: expected 'key: value' pairs, got {values!r}")
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(f"{name}.{key}: unknown key; {did_you_mean(str(key), known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        option, *inside = map(str, first["loc"])
        place = ".".join([option, *filter(str.isdigit, inside)])  # also which one of a list
        got = f", got {values[option]!r}" if option in values else ""
        wanted = "; or ".join(
            dict.fromkeys(item["msg"] for item in error.errors() if item["loc"][:1] == first["loc"][:1])
        )
        raise ConfigError(f"{name}.{place}: {wanted}{got}") from error


def _override(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    parts = path.split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise ConfigError(f"override '{override}': expected section.key=value, such as optim.lr=1e-3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override '{override}': the value is not YAML") from error
    place = values
    for part in parts[:-1]:
        if place.get(part) is None:
            place[part] = {}
        inner = place[part]
        if not isinstance(inner, dict):
            raise ConfigError(f"override '{override}': '{part}' is not a section")
        place = inner
    place[parts[-1]] = value
