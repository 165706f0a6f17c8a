"""Which rows train and which are held out: by content, whole groups, every class in its share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfer.learn.holdout import Partition, partition


def split(rows: list[tuple[int, str | None, str | None, str | None]], **changes: Any) -> Partition:
    """Partition rows of (label, split, hash, subject)."""
    labels, splits, hashes, subjects = map(list, zip(*rows, strict=True))
    options = {"split": "train", "share": 0.2, "seed": 0, "drop_leaks": True, **changes}
    return partition(np.array(labels, dtype=np.int64), splits, hashes, subjects, **options)


def singles(*counts: int) -> list[tuple[int, str | None, str | None, str | None]]:
    """So many rows of each label, every one a picture of its own."""
    return [(label, "train", f"{label}-{n}", None) for label, count in enumerate(counts) for n in range(count)]


@given(counts=st.lists(st.integers(2, 40), min_size=1, max_size=5), share=st.floats(0, 0.5), seed=st.integers(0, 2**32))
def test_single_rows_are_held_out_by_class_to_within_a_row(counts: list[int], share: float, seed: int) -> None:
    parts = split(singles(*counts), share=share, seed=seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    held = np.bincount(labels[parts.holdout], minlength=len(counts))
    assert (np.abs(held - share * np.array(counts)) <= 0.5 + 1e-9).all()
    assert sorted([*parts.train, *parts.holdout]) == list(range(sum(counts)))
    assert not len(parts.leaks)


row = st.tuples(
    st.integers(-1, 3),
    st.sampled_from(["train", "train", "train", "test", None]),
    st.sampled_from([None, *"abcdefghijklmnop"]),
    st.sampled_from([None, None, *"stuvwxyz"]),
)


@given(rows=st.lists(row, min_size=1, max_size=60), share=st.floats(0, 0.5), drop=st.booleans())
def test_no_group_stands_on_two_sides(rows: list[Any], share: float, drop: bool) -> None:
    parts = split(rows, share=share, drop_leaks=drop)
    sides = (parts.train, parts.holdout, parts.leaks)
    together = [int(number) for side in sides for number in side]
    usable = [
        number for number, (label, where, content, _) in enumerate(rows) if where == "train" and content and label >= 0
    ]
    assert sorted(together) == usable
    assert all(list(side) == sorted(side) for side in sides)
    # The groups again, the slow way: join what shares a picture or a subject until nothing changes.
    chosen = [*parts.train, *parts.holdout]
    group = {int(number): int(number) for number in chosen}
    for _ in chosen:
        for one in chosen:
            for other in chosen:
                same_picture = rows[one][2] == rows[other][2]
                same_subject = rows[one][3] is not None and rows[one][3] == rows[other][3]
                if same_picture or same_subject:
                    group[int(one)] = group[int(other)] = min(group[int(one)], group[int(other)])
    held = {group[int(number)] for number in parts.holdout}
    assert held.isdisjoint(group[int(number)] for number in parts.train)
    elsewhere = {content for _, where, content, _ in rows if where != "train" and content}
    leaks = [number for number in usable if rows[number][2] in elsewhere] if drop else []
    assert list(parts.leaks) == leaks


def test_groups_reach_through_others() -> None:
    # a and b share a picture, b and c a subject, c and d a picture: one group. Eight more rows stand alone.
    rows = [
        (0, "train", "x", "ann"),
        (0, "train", "x", "bob"),
        (0, "train", "y", "bob"),
        (0, "train", "y", None),
        *[(0, "train", f"z{n}", None) for n in range(8)],
    ]
    seen = set()
    for seed in range(30):
        held = set(split(rows, share=0.4, seed=seed).holdout.tolist())
        assert len(held & {0, 1, 2, 3}) in (0, 4)
        seen.add(bool(held & {0}))
    assert seen == {True, False}


@given(data=st.data(), seed=st.integers(0, 99))
def test_the_order_of_the_rows_does_not_matter(data: st.DataObject, seed: int) -> None:
    rows = [
        *singles(12, 9),
        *[(n % 2, "train", f"g{n}", f"person{n // 3}") for n in range(12)],
        (0, "train", "leak", None),
        (1, "test", "leak", None),
    ]
    order = data.draw(st.permutations(range(len(rows))))
    before, after = split(rows, seed=seed), split([rows[index] for index in order], seed=seed)
    for name in ("train", "holdout", "leaks"):
        moved = {order[index] for index in getattr(after, name)}
        assert moved == set(getattr(before, name).tolist())


def test_another_seed_holds_out_others() -> None:
    rows = singles(50, 50)
    chosen = {tuple(split(rows, seed=seed).holdout) for seed in range(10)}
    assert len(chosen) == 10
    assert all(len(held) == 20 for held in chosen)


def test_leaks_are_found_in_any_other_split_and_kept_on_wish() -> None:
    rows = [
        (0, "train", "a", None),
        (0, "train", "b", None),
        (0, "train", "c", None),
        (0, "train", "d", None),
        (0, "test", "a", None),
        (0, "validation", "c", None),
        (-1, "test", "d", None),  # without a label, but its picture is there
        (0, "test", None, None),
    ]
    parts = split(rows, share=0.0)
    assert (parts.train.tolist(), parts.leaks.tolist()) == ([1], [0, 2, 3])
    kept = split(rows, share=0.0, drop_leaks=False)
    assert (kept.train.tolist(), kept.leaks.tolist()) == ([0, 1, 2, 3], [])


def test_share_zero_holds_nothing_out() -> None:
    parts = split(singles(10, 10), share=0.0)
    assert not len(parts.holdout)
    assert len(parts.train) == 20


def test_a_class_of_one_group_stays_in_training() -> None:
    rows = [*singles(10), *[(1, "train", f"b{n}", "only") for n in range(6)]]
    for seed in range(10):
        parts = split(rows, share=0.5, seed=seed)
        assert set(range(10, 16)) <= set(parts.train.tolist())


def test_another_split_may_train() -> None:
    rows = [(0, "train", "a", None), (0, "validation", "b", None), (1, "validation", "c", None)]
    assert split(rows, split="validation", share=0.0).train.tolist() == [1, 2]


def test_no_row_at_all() -> None:
    parts = split([(0, "test", "a", None)])
    assert [len(side) for side in (parts.train, parts.holdout, parts.leaks)] == [0, 0, 0]


@pytest.mark.parametrize("people", [10, 40])
def test_whole_persons_come_close_to_the_share(people: int) -> None:
    """Every person shows every expression, as in drawn faces."""
    rows = [(label, "train", f"{person}-{label}", f"p{person}") for person in range(people) for label in range(7)]
    for seed in range(5):
        parts = split(rows, share=0.2, seed=seed)
        assert len(parts.holdout) == 7 * people // 5
