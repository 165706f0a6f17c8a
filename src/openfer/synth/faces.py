"""A data set of drawn faces as a manifest: who is drawn, with which expression, in which split."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from openfer import __version__
from openfer.data.manifest import Manifest, Origin, build_manifest
from openfer.errors import ConfigError
from openfer.labels import label_set
from openfer.records import OK
from openfer.synth.drawing import EXPRESSIONS, Motion, Person, draw_face, draw_person

SPLIT_OF_PERSON = ("train", "train", "validation", "train", "test", "train", "train")
"""Persons take turns: 5 of 7 train, 1 of 7 each of the others, so that small sets have every split too."""

PERSON, ORDER, PICTURE = range(3)  # streams of random numbers, independent of each other


def draw_faces(count: int, seed: int, size: int = 96) -> Manifest:
    """Draw simple faces with the seven basic expressions.

    Row i depends on the seed, the size and i alone, so a larger set begins with the smaller one. Each person is shown
    once with every expression, in an order of their own; a split holds whole persons.

    Args:
        count: how many pictures, 1 or more; with 35 every split has all expressions.
        seed: 0 or more.
        size: side of the pictures, 32 to 512 px.

    Returns:
        A manifest with PNG pictures inside, `label` (of the set `basic7`), `split`, `subject`, `box` and the five
        points where they were drawn.

    Raises:
        ConfigError: an argument is out of its range.
    """
    for name, value, low, high in (("count", count, 1, 10**6), ("seed", seed, 0, 2**63), ("size", size, 32, 512)):
        if not low <= value <= high:
            raise ConfigError(f"synth: expected {name} from {low} to {high}, got {value}")
    labels = label_set("basic7")
    persons = -(-count // len(labels))
    rows = [row for person in range(persons) for row in _rows(person, labels.names, count, seed, size)]
    origin = Origin(layout="synth", reader=__version__, rule="as drawn", notes=(f"seed {seed}",))
    return build_manifest(rows, labels, origin, Path())


def _rows(number: int, names: tuple[str, ...], count: int, seed: int, size: int) -> list[dict[str, Any]]:
    """A person's pictures, those with an index below `count`."""
    person = draw_person(np.random.default_rng([seed, PERSON, number]))
    order = np.random.default_rng([seed, ORDER, number]).permutation(len(names))
    first = number * len(names)
    return [
        {
            **_drawn(person, names[label], size, np.random.default_rng([seed, PICTURE, index])),
            "label": names[label],
            "split": SPLIT_OF_PERSON[number % len(SPLIT_OF_PERSON)],
            "subject": f"person{number:05d}",
            "points5_status": "given",
            "status": OK,
            "source": f"seed {seed}, picture {index}",
        }
        for index, label in zip(range(first, count), order, strict=False)
    ]


def _drawn(person: Person, label: str, size: int, rng: np.random.Generator) -> dict[str, Any]:
    strength = rng.uniform(0.5, 1.1)
    motion = Motion(*(strength * np.array(EXPRESSIONS[label]) + rng.normal(0, 0.12, len(Motion._fields))))
    picture, points, box = draw_face(person, motion, size, rng)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", compress_level=1)
    return {
        "image": {"bytes": stream.getvalue(), "path": None},
        "points5": points,
        "box": (box.x, box.y, box.w, box.h),
    }
