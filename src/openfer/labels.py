"""Label names, the label sets of the data sets, and conversion by name.

A label is its name everywhere except inside a tensor; the order of a tensor's columns lives in a `LabelSet`, which
travels with every manifest, checkpoint, prediction file and bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openfer.errors import ConfigError, DataError, did_you_mean

BASIC = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")

ALIASES = {
    "neutrality": "neutral",
    "happy": "happiness",
    "joy": "happiness",
    "smile": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "disgusted": "disgust",
    "angry": "anger",
    "contemptuous": "contempt",
}

AU_NAMES = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip presser",
    25: "lips part",
    26: "jaw drop",
    43: "eyes closed",
    45: "blink",
}
"""What FACS calls the action units that this project draws or reads."""


def action_unit(word: int | str) -> int:
    """The number of an action unit from its number (12), `AU12` or its name in FACS (`lip corner puller`).

    Raises:
        ConfigError: none of `AU_NAMES`.
    """
    known = {name: unit for unit, name in AU_NAMES.items()}
    known |= {f"{start}{unit}": unit for unit in AU_NAMES for start in ("", "au")}
    plain = str(word).strip().lower().replace("_", " ")
    if plain not in known:
        raise ConfigError(f"unknown action unit '{word}'; {did_you_mean(plain, known)}")
    return known[plain]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """An ordered set of label names: column `i` of a probability vector belongs to `names[i]`.

    Args:
        name: the set's own name, such as `ferplus`; `own` for a user's classes.
        names: label names, unique, in column order.

    Raises:
        ConfigError: no name, an empty name or a name that occurs twice.
    """

    name: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if not self.names or not all(self.names):
            raise ConfigError(f"label set '{self.name}': expected at least one non-empty name, got {self.names!r}")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ConfigError(f"label set '{self.name}': '{twice[0]}' occurs twice; names must be unique")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def of_action_units(self) -> bool:
        """Whether the names are action units, of which a face may show several, rather than classes."""
        return all(re.fullmatch(r"AU\d+", name) for name in self.names)

    def index(self, name: str) -> int:
        """The column of a name. Raises `DataError` for a name that is not in the set."""
        if name not in self.names:
            raise DataError(f"label '{name}' is not in the label set '{self.name}'; {did_you_mean(name, self.names)}")
        return self.names.index(name)

    def columns_for(self, target: LabelSet) -> list[int]:
        """Columns of this set that give the columns of `target`, by name.

        Raises:
            DataError: `target` has a name that this set lacks.
        """
        missing = [name for name in target if name not in self.names]
        if missing:
            raise DataError(
                f"label set '{self.name}' has no counterpart for {', '.join(missing)} of '{target.name}'; "
                "compare what both have with --labels intersection"
            )
        return [self.names.index(name) for name in target]

    def intersection(self, other: LabelSet) -> LabelSet:
        """The names both sets have, in this set's order. Raises `DataError` where they share fewer than two."""
        names = tuple(name for name in self.names if name in other.names)
        if len(names) < 2:
            raise DataError(f"label sets '{self.name}' and '{other.name}' share {len(names)} names; need two or more")
        return LabelSet(f"{self.name}&{other.name}", names)


def action_units(*numbers: int) -> tuple[str, ...]:
    """The names of action units, as the manifest's `aus` has them: `AU1`, `AU12`."""
    return tuple(f"AU{number}" for number in numbers)


def _sets() -> dict[str, LabelSet]:
    # Column order is each owner's own order of codes; where an owner has words only, the order of the class folders.
    folders = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    orders: dict[str, Sequence[str]] = {
        "basic7": BASIC[:7],
        "basic8": BASIC,
        "affectnet": BASIC,
        "affectnet7": BASIC[:7],
        "fer2013": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        "ferplus": ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
        "rafdb": ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
        "rafdb_compound": (
            "happily_surprised",
            "happily_disgusted",
            "sadly_fearful",
            "sadly_angry",
            "sadly_surprised",
            "sadly_disgusted",
            "fearfully_angry",
            "fearfully_surprised",
            "angrily_surprised",
            "angrily_disgusted",
            "disgustedly_surprised",
        ),
        "sfew": folders,
        "afew": folders,
        "caer_s": folders,
        "expw": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        "mmi": ("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
        "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
        "ckplus_neutral": ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
        "jaffe": folders,
        "kdef": ("fear", "anger", "disgust", "happiness", "neutral", "sadness", "surprise"),
        "bp4d": action_units(1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24),
        "bp4d_intensity": action_units(6, 10, 12, 14, 17),
        "disfa": action_units(1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26),
    }
    return {name: LabelSet(name, tuple(names)) for name, names in orders.items()}


LABEL_SETS = _sets()
_KNOWN = frozenset(name for labels in LABEL_SETS.values() for name in labels)


def label_set(name: str) -> LabelSet:
    """A label set by its name (hyphens read as underscores), or one of your own from a list (`awake,tired`).

    Raises:
        ConfigError: the name is unknown.
    """
    if "," in name:
        return LabelSet("own", tuple(part.strip() for part in name.split(",")))
    plain = name.replace("-", "_")
    if plain not in LABEL_SETS:
        raise ConfigError(f"unknown label set '{name}'; {did_you_mean(name, LABEL_SETS)}")
    return LABEL_SETS[plain]


def canonical(word: str) -> str | None:
    """The label name of a word as people write it (`Happy` -> `happiness`), or None where it is not a known word.

    Case does not matter; blanks and hyphens read as underscores.
    """
    plain = word.strip().lower().replace(" ", "_").replace("-", "_")
    plain = ALIASES.get(plain, plain)
    return plain if plain in _KNOWN else None


def basic_order(names: Sequence[str]) -> tuple[str, ...]:
    """Names in the toolkit's own order: the basic expressions first (`BASIC`), then the others by alphabet."""
    return tuple(sorted(names, key=lambda name: (BASIC.index(name) if name in BASIC else len(BASIC), name)))
