"""What `tools/mutate.py` changes in a formula, and what it leaves alone."""

from __future__ import annotations

import pytest
from mutations import mutations

SOURCE = '''"""Words are not changed: 1 + 1."""
LIMIT = 5


def spread(values: list[int], axis: int = 0) -> float:
    """Nor are these."""
    if axis < 0 or not values:
        raise ValueError(f"axis {axis + 1}")
    return values.mean(axis).detach() - 2 * LIMIT


def other() -> bool:
    return True
'''


def changes(*only: str) -> set[str]:
    return {mutant.key.removeprefix("f.py ") for mutant in mutations(SOURCE, "f.py", "f.py", frozenset(only))}


@pytest.mark.parametrize(
    "change",
    [
        "module: LIMIT = 5 -> LIMIT = 6",
        "spread: axis < 0 -> axis <= 0",
        "spread: axis < 0 or not values -> axis < 0 and (not values)",
        "spread: not values -> values",
        "spread: values.mean(axis).detach() - 2 * LIMIT -> values.mean(axis).detach() + 2 * LIMIT",
        "spread: values.mean(axis).detach() - 2 * LIMIT -> values.mean(axis).detach()",
        "spread: values.mean(axis).detach() -> values.mean(axis)",
        "spread: values.mean(axis) -> values.sum(axis)",
        "spread: 2 * LIMIT -> 2 / LIMIT",
        "spread: 2 * LIMIT -> 3 * LIMIT",
        "other: True -> False",
    ],
)
def test_signs_terms_axes_and_constants_are_changed(change: str) -> None:
    assert change in changes()


def test_words_and_messages_are_left_alone() -> None:
    assert not [change for change in changes() if "axis + 1" in change or "Words" in change]


def test_only_the_named_functions() -> None:
    assert changes("other") == {"other: True -> False"}


def test_every_mutant_is_one_change_of_the_whole_file() -> None:
    found = list(mutations(SOURCE, "f.py", "f.py"))
    assert len({mutant.key for mutant in found}) == len(found)
    for mutant in found:
        names: dict[str, object] = {}
        exec(mutant.code, names)
        assert {"LIMIT", "spread", "other"} <= set(names)
    assert next(mutant for mutant in found if mutant.line == 2).place == "module"
