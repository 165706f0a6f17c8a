"""Drawing episodes: what may be drawn, what is never drawn together, and what a seed fixes."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openfer.errors import ConfigError, DataError
from openfer.evaluate.episodes.draw import Pool, default_classes, draw, pool_of, split_names
from openfer.evaluate.episodes.record import Episodes
from openfer.labels import LABEL_SETS, LabelSet
from tests.evaluate.drawn import FERPLUS, manifest_of

NOVEL = ("anger", "disgust", "fear")


def pool(*sizes: int) -> Pool:
    """A pool whose classes have so many rows: 0, 1, ... in order."""
    ends = np.cumsum(sizes)
    rows = tuple(np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True))
    return Pool(classes=FERPLUS.names[: len(sizes)], rows=rows, splits=("train",), manifest="m")


def cells(episodes: Episodes) -> np.ndarray:
    return np.concatenate([episodes.support, episodes.query], axis=2)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_an_episode_has_different_rows_of_its_classes(data: st.DataObject) -> None:
    k, q, count, seed = (data.draw(st.integers(1, top)) for top in (4, 3, 12, 1000))
    sizes = data.draw(st.lists(st.integers(k + q, k + q + 6), min_size=2, max_size=5))
    n = data.draw(st.integers(2, len(sizes)))
    made = draw(pool(*sizes), episodes=count, n_way=n, k_shot=k, n_query=q, seed=seed)
    assert (made.ways.shape, made.support.shape, made.query.shape) == ((count, n), (count, n, k), (count, n, q))
    assert (len(made), made.n_way, made.k_shot, made.n_query) == (count, n, k, q)
    assert (np.diff(made.ways, axis=1) > 0).all(), "different classes, in order"
    rows = cells(made)
    flat = np.sort(rows.reshape(count, -1), axis=1)
    assert (np.diff(flat, axis=1) > 0).all(), "no row twice, so no query among the supports"
    np.testing.assert_array_equal(
        np.searchsorted(np.cumsum(sizes), rows, side="right"), made.ways[:, :, None] + 0 * rows
    )
    again = draw(pool(*sizes), episodes=count, n_way=n, k_shot=k, n_query=q, seed=seed)
    assert again.digest == made.digest
    more = draw(pool(*sizes), episodes=count + 3, n_way=n, k_shot=k, n_query=q, seed=seed)
    np.testing.assert_array_equal(cells(more)[:count], rows)


def test_episodes_are_the_same_however_many_numbers_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(pool(9, 5, 7, 30), episodes=50)
    monkeypatch.setattr("openfer.evaluate.episodes.draw.CHUNK", 1)
    assert draw(pool(9, 5, 7, 30), episodes=50).digest == whole.digest
    assert draw(pool(9, 5, 7, 30), episodes=50, seed=1).digest != whole.digest


def test_every_row_is_drawn_as_often_in_every_role() -> None:
    made = draw(pool(6, 6, 12), episodes=4000, n_way=2, k_shot=2, n_query=1)
    counts = np.bincount(made.ways.ravel())
    assert np.abs(counts / counts.mean() - 1).max() < 0.05
    for rows in (*np.moveaxis(made.support, 2, 0), made.query[:, :, 0]):
        first = np.bincount(rows[made.ways == 0])
        assert np.abs(first / first.mean() - 1).max() < 0.15
        last = np.bincount(rows[made.ways == 2])[12:]
        assert np.abs(last / last.mean() - 1).max() < 0.2


def test_the_first_numbers_of_a_seed_are_kept() -> None:
    """An episode that was published must stay what it was."""
    made = draw(pool(8, 8, 8), episodes=2, n_way=3, k_shot=2, n_query=1, seed=7)
    assert made.ways.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert cells(made).tolist() == [[[1, 4, 3], [10, 9, 15], [21, 18, 22]], [[5, 0, 6], [12, 14, 15], [21, 16, 18]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_way": 4}, "--n-way 4: episodes are made of 3 classes"),
        ({"n_way": 1}, "--n-way 1: expected 2 or more"),
        ({"k_shot": 0}, "--k-shot 0: expected 1 or more"),
        ({"n_query": 0}, "--n-query 0"),
        ({"episodes": 0}, "--episodes 0"),
        ({"seed": -1}, "--seed -1: expected 0 or more"),
    ],
)
def test_impossible_numbers_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draw(pool(8, 8, 8), **{"episodes": 5, **change})


def test_a_class_with_too_few_pictures_is_named() -> None:
    with pytest.raises(DataError, match=r"class 'happiness': 3 different pictures, an episode needs 4 \(3 supports"):
        draw(pool(8, 3, 8), episodes=5)


def rows_of(**seeds: list[int]) -> list[tuple[str, int, str]]:
    return [(label, seed, "train") for label, chosen in seeds.items() for seed in chosen]


def test_equal_pictures_are_drawn_once_and_contradictions_never() -> None:
    rows = rows_of(anger=[0, 1, 1, 2, 50], disgust=[10, 11, 12], fear=[20, 21, 50, 21], neutral=[0, 60])
    manifest = manifest_of(rows)
    found = pool_of(manifest, NOVEL, ("train",))
    sources = [sorted(int(manifest.value(int(row), "source")) for row in rows) for rows in found.rows]
    assert sources == [[0, 1, 2], [10, 11, 12], [20, 21]]
    assert found.left_out == {"unreadable": 0, "equal to another picture": 3, "in two classes": 1}
    assert found.manifest == manifest.digest


def test_another_order_of_the_rows_gives_episodes_of_the_same_pictures() -> None:
    rows = rows_of(anger=list(range(8)), disgust=list(range(10, 17)), fear=list(range(20, 26)))
    mixed = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    pictures = []
    for order in (rows, mixed):
        manifest = manifest_of(order)
        made = draw(pool_of(manifest, NOVEL, ()), episodes=20)
        pictures.append([manifest.value(int(row), "source") for row in cells(made).ravel()])
    assert pictures[0] == pictures[1]


def test_only_usable_rows_of_the_splits_are_drawn() -> None:
    rows = [("anger", 0, "train"), ("anger", 1, "validation"), ("anger", 2, "test"), ("fear", 3, "train")]
    manifest = manifest_of(rows)
    found = pool_of(manifest, ("fear", "anger"), ("train", "validation"))
    assert found.classes == ("fear", "anger")
    assert sorted(chain(*(rows.tolist() for rows in found.rows))) == [0, 1, 3]
    bad = manifest.with_column("status", ["ok", "no face", None, "ok"])
    assert Counter(len(rows) for rows in pool_of(bad, ("anger", "fear"), ()).rows) == {2: 1, 1: 1}


def test_splits_by_name_several_or_all() -> None:
    manifest = manifest_of([("anger", 0, "validation"), ("fear", 1, "train")])
    assert split_names("all", manifest) == ("train", "validation")
    assert split_names("validation, train", manifest) == ("validation", "train")
    with pytest.raises(ConfigError, match="--split 'trian': did you mean 'train'"):
        split_names("trian", manifest)
    with pytest.raises(DataError, match="split 'test': no rows; this manifest has train, validation"):
        split_names("test", manifest)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("anger", "faer"), "--classes 'faer': did you mean 'fear'"),
        (("anger",), "two or more different names"),
        (("anger", "anger"), "two or more different names"),
    ],
)
def test_classes_are_names_of_the_manifest(classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pool_of(manifest_of([("anger", 0, "train")]), classes, ())


def test_classes_that_are_asked_by_default() -> None:
    base = LabelSet("base", ("neutral", "happiness", "surprise", "sadness"))
    assert default_classes(base, FERPLUS) == NOVEL
    assert default_classes(FERPLUS, FERPLUS) == NOVEL
    assert default_classes(base, LABEL_SETS["basic7"]) == NOVEL
    assert default_classes(FERPLUS, LabelSet("own", ("wink", "bored", "pain"))) == ("wink", "bored", "pain")
    some = LabelSet("some", ("neutral", "anger", "disgust"))
    assert default_classes(some, FERPLUS) == ("happiness", "surprise", "sadness", "fear", "contempt")
