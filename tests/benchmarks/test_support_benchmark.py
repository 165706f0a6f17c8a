"""What is compared in `benchmarks/support.py`: fair tasks, and distances that agree where all is clear."""

from __future__ import annotations

import numpy as np
import pytest
from distances import DISTANCES
from invented import CHOOSING, JUDGED
from support import CHOSEN, EXAMPLES, QUERIES, Faces, accuracy, tasks

NAMES = ("a", "b", "c", "d")


def faces(people: list[int], spread: float = 0.1) -> Faces:
    """One face of each person in each class, in a corner of its own."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.array(NAMES), len(people))
    corner = 3 + 2 * np.eye(8)[np.repeat(np.arange(4), len(people))]
    features = corner[:, None] + spread * rng.normal(0, 1, (len(label), 2, 8))
    return Faces(label, np.tile(people, 4), {CHOSEN: features})


def test_examples_and_queries_are_different_people() -> None:
    drawn = faces([*EXAMPLES[:6], *QUERIES[:3]])
    found = list(tasks(drawn, NAMES, ways=3, shots=2, draws=2))
    assert len(found) == 4 * 2
    for task in found:
        assert set(drawn.person[task.examples]) <= set(EXAMPLES)
        assert set(drawn.person[task.queries]) <= set(QUERIES)
        assert drawn.label[task.examples].tolist() == list(np.repeat(task.classes, 2))
        assert not set(drawn.label[task.strangers]) & set(task.classes)


def test_photos_are_never_on_both_sides() -> None:
    for task in tasks(faces([-1 - number for number in range(20)]), NAMES, ways=3, shots=2, draws=2):
        assert not set(task.examples) & set(task.queries)
        assert len(task.queries) == 3 * 15


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("mirrored", ["neither", "examples", "both"])
def test_every_distance_tells_clear_classes_apart(name: str, mirrored: str) -> None:
    drawn = faces([*EXAMPLES[:6], *QUERIES[:3]])
    for task in tasks(drawn, NAMES, ways=3, shots=2, draws=1):
        assert accuracy(drawn.features[CHOSEN], task, DISTANCES[name], mirrored=mirrored) == 100


def test_nothing_that_is_judged_was_used_for_choosing() -> None:
    assert not set(JUDGED) & set(CHOOSING)
    assert not set(JUDGED.values()) & set(CHOOSING.values())
