"""A folder of examples, a folder a class, becomes a support."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from openfer.errors import ConfigError, DataError
from openfer.files import blaming, natural_key, sha256_of
from openfer.labels import LabelSet
from openfer.predict.sources import Missing, find_pictures
from openfer.predict.support.support import Array, ModelKey, Support
from openfer.records import NO_FACE, NONE, UNCERTAIN
from openfer.vision.image import SUFFIXES

if TYPE_CHECKING:
    from openfer.predict.predictor import Predictor

Progress = Callable[[int, int], None]

MOST = 1000
"""Pictures of a support. With more of them a training gives more."""
UNEVEN = 4
"""The largest class may have this many times the pictures of the smallest before a note says so."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A support, and what people must know of how it came about.

    Args:
        support: the support.
        notes: a line each.
        failed: pictures without a face that could be read.
    """

    support: Support
    notes: tuple[str, ...]
    failed: int


@dataclass(frozen=True, slots=True)
class Example:
    """A picture and its class."""

    path: Path
    label: str


def gather(folder: str | Path, predictor: Predictor, *, progress: Progress | None = None) -> Gathered:
    """Read the examples of a folder: `folder/CLASS/picture`, searched in depth. Each picture's largest face is taken.

    Args:
        folder: of folders, one for each class.
        predictor: finds the faces and has the model; the same one, or its like, answers later.
        progress: called with the pictures read and all there are.

    Raises:
        ConfigError: a class name that is not allowed, fewer than two classes, or too many pictures.
        DataError: the same picture in two classes, a class without a face, or a folder that cannot be read.
    """
    folder = Path(folder)
    names, loose = _classes(folder)
    examples, notes = _examples(folder, names)
    if loose:
        notes.insert(0, f"{_pictures(loose)} beside the class folders: not used")
    kept: list[Example] = []
    features: list[Array] = []
    failed = Counter[str]()
    embedded = predictor.embed(example.path for example in examples)
    for number, (example, (rows, faces)) in enumerate(zip(examples, embedded, strict=True), start=1):
        if progress is not None:
            progress(number, len(examples))
        largest = faces[0]
        if largest is None:
            failed[example.label] += 1
            why = "no face found" if rows[0].status == NO_FACE else rows[0].status
            notes.append(f"{example.path}: {why}; not used")
            continue
        if len(rows) > 1:
            notes.append(f"{example.path}: {len(rows)} faces, the largest is taken")
        kept.append(example)
        features.append(largest)
    counts = Counter(example.label for example in kept)
    for name in names:
        if not counts[name]:
            hint = "" if predictor.detector is None else "; if they are faces already, add --detector none"
            raise DataError(f"{folder / name}: no face found in its {_pictures(failed[name])}{hint}")
    notes += _sizes(counts)
    place = {name: index for index, name in enumerate(names)}
    support = Support(
        labels=LabelSet("own", names),
        features=np.stack(features),
        truth=np.array([place[example.label] for example in kept], dtype=np.int64),
        pictures=tuple(_utf8(example.path.relative_to(folder)) for example in kept),
        model=ModelKey.of(predictor.bundle.card),
    )
    return Gathered(support, tuple(notes), sum(failed.values()))


def _classes(folder: Path) -> tuple[tuple[str, ...], int]:
    """The names of the class folders in natural order, and how many pictures lie beside them."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; a support is a folder with a folder of pictures for each class")
    with blaming(folder, "read"):
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    names = tuple(sorted((entry.name for entry in entries if entry.is_dir()), key=natural_key))
    for name in names:
        if name in (NONE, UNCERTAIN):
            raise ConfigError(
                f"{folder / name}: '{name}' is what an answer says of a face of no class; rename the folder"
            )
        if not name.isprintable() or name != name.strip():
            raise ConfigError(f"{_utf8(folder / name)}: not the name of a class; use letters, digits, - and _")
    if len(names) < 2:
        found = f"only the class '{names[0]}'" if names else "no class folders"
        raise ConfigError(f"{folder}: {found}; expected a folder of pictures for each of two or more classes")
    return names, sum(entry.is_file() and entry.suffix.lower() in SUFFIXES for entry in entries)


def _examples(folder: Path, names: Sequence[str]) -> tuple[list[Example], list[str]]:
    """The pictures of all classes, each content once, and notes on what was left out."""
    examples: list[Example] = []
    notes: list[str] = []
    seen: dict[str, Example] = {}
    for name in names:
        for source in find_pictures([folder / name]):
            if isinstance(source, Missing):
                raise DataError(
                    f"{_utf8(Path(source.path))}: {source.why}; put pictures of the class in it, or remove it"
                )
            example = Example(source, name)
            try:
                other = seen.setdefault(sha256_of(source), example)
            except OSError:
                other = example  # reading its face will say why
            if other.label != name:
                raise DataError(f"{source}: the same picture as {other.path}, which is of another class; remove one")
            if other is not example:
                notes.append(f"{source}: the same picture as {other.path}; not used")
            else:
                examples.append(example)
    if len(examples) > MOST:
        raise ConfigError(
            f"{folder}: {len(examples):,} pictures, at most {MOST:,} make a support; train a model of them"
        )
    return examples, notes


def _sizes(counts: Counter[str]) -> list[str]:
    """Notes on classes that are small, and on very different numbers of pictures."""
    notes = [
        f"{name}: one picture only; whether it is told apart cannot be tried" for name in counts if counts[name] == 1
    ]
    (large, most), (small, fewest) = counts.most_common()[0], counts.most_common()[-1]
    if most >= UNEVEN * fewest:
        notes.append(
            f"{large} has {_pictures(most)}, {small} {fewest}; classes count alike, but {small} is known less well"
        )
    return notes


def _pictures(number: int) -> str:
    return f"{number} picture{'' if number == 1 else 's'}"


def _utf8(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
