"""Episodes drawn from a manifest: which rows may be drawn, and the drawing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from openfer.data.check import content_hashes
from openfer.data.manifest import SPLITS, Manifest
from openfer.data.pictures import Progress
from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.evaluate.episodes.record import Episodes, Indices
from openfer.labels import LabelSet
from openfer.records import OK

ALL = "all"
NOVEL = ("anger", "disgust", "fear")
"""Classes that CSRN's authors (Kim et al., ICCE 2024) train without and judge on."""
CHUNK = 4_000_000
"""Random numbers held at once; bounds the memory, not the result."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Rows that may be drawn: one for each different picture.

    Args:
        classes: names of the C classes.
        rows: C arrays of row numbers, ordered by the pictures' contents, so that a manifest in another order gives
            episodes of the same pictures.
        splits: where they come from.
        manifest: SHA-256 of the manifest.
        left_out: why a row of these classes is not drawn -> how many.
    """

    classes: tuple[str, ...]
    rows: tuple[Indices, ...]
    splits: tuple[str, ...]
    manifest: str
    left_out: Mapping[str, int] = field(default_factory=dict)


def default_classes(known: LabelSet, data: LabelSet) -> tuple[str, ...]:
    """The classes that episodes are made of where nobody says it.

    The authors' novel classes where the model was not trained on any of them, else all classes that it was not trained
    on; where those are fewer than two, the authors' again, else every class.

    Args:
        known: classes that the model was trained on.
        data: classes of the manifest.
    """
    novel = tuple(name for name in NOVEL if name in data)
    unseen = tuple(name for name in data if name not in known)
    if len(novel) == len(NOVEL) and not any(name in known for name in novel):
        return novel
    if len(unseen) > 1:
        return unseen
    return novel if len(novel) > 1 else data.names


def split_names(wanted: str, manifest: Manifest) -> tuple[str, ...]:
    """`train,validation` -> its parts; `all` -> every split that the manifest has.

    Raises:
        ConfigError: an unknown name.
        DataError: a split without rows.
    """
    found = {name for name in manifest.column("split") if name}
    if wanted == ALL:
        return tuple(name for name in SPLITS if name in found)
    names = tuple(part.strip() for part in wanted.split(","))
    for name in names:
        if name not in SPLITS:
            raise ConfigError(f"--split '{name}': {did_you_mean(name, (*SPLITS, ALL))}")
        if name not in found:
            raise DataError(f"split '{name}': no rows; this manifest has {', '.join(sorted(found)) or 'no splits'}")
    return names


def pool_of(
    manifest: Manifest, classes: Sequence[str], splits: Sequence[str], progress: Progress | None = None
) -> Pool:
    """The rows that may be drawn.

    Equal pictures count once, so that no query is a copy of a support. A picture that stands in two of the classes is
    left out: no answer would be right. So are rows that cannot be read or whose status is not `ok`.

    Args:
        manifest: the data set.
        classes: two or more of its label names.
        splits: where rows may come from; none for all rows, also those without a split.
        progress: called while pictures are read.

    Raises:
        ConfigError: an unknown class, one that is named twice, or fewer than two.
    """
    for name in classes:
        if name not in manifest.labels:
            raise ConfigError(f"--classes '{name}': {did_you_mean(name, manifest.labels)}")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ConfigError(f"--classes {','.join(classes)}: expected two or more different names")
    position: dict[str | None, int] = {name: column for column, name in enumerate(classes)}
    labels = np.array([position.get(name, -1) for name in manifest.column("label")], dtype=np.int64)
    usable = np.array([status in (OK, None) for status in manifest.column("status")], dtype=bool)
    here = np.array([not splits or name in splits for name in manifest.column("split")], dtype=bool)
    rows = np.flatnonzero(usable & here & (labels >= 0))
    hashes = content_hashes(manifest.rows(rows), progress)
    read = np.array([content is not None for content in hashes], dtype=bool)
    contents = np.array([content for content in hashes if content is not None], dtype=str)
    own = labels[rows[read]]
    first, clear = first_copies(contents, own, len(classes))
    kept = rows[read][first[clear]]
    return Pool(
        classes=tuple(classes),
        rows=tuple(kept[labels[kept] == column] for column in range(len(classes))),
        splits=tuple(splits),
        manifest=manifest.digest,
        left_out={
            "unreadable": int((~read).sum()),
            "equal to another picture": int(len(contents) - len(first)),
            "in two classes": int((~clear).sum()),
        },
    )


def first_copies(contents: NDArray[np.str_], labels: Indices, classes: int) -> tuple[Indices, NDArray[np.bool_]]:
    """Where each different content stands first, ordered by content; and whether all its copies have one label.

    Args:
        contents: [N] what is equal for equal pictures.
        labels: [N], 0 to classes - 1.
        classes: how many.
    """
    _, first, inverse = np.unique(contents, return_index=True, return_inverse=True)
    pairs = np.unique(inverse * classes + labels)
    return first, np.bincount(pairs // classes, minlength=len(first)) == 1


def draw(
    pool: Pool, *, episodes: int = 1000, n_way: int = 3, k_shot: int = 3, n_query: int = 1, seed: int = 0
) -> Episodes:
    """Draw episodes. The first episodes do not depend on how many are drawn.

    Args:
        pool: what from.
        episodes: how many.
        n_way: classes an episode, at least 2; drawn anew for each one where the pool has more.
        k_shot: supports a class, at least 1.
        n_query: queries a class, at least 1.
        seed: of the drawing, 0 or more.

    Raises:
        ConfigError: a number is out of range, or the pool has too few classes.
        DataError: a class has fewer than k + q different pictures; the message names it.
    """
    wanted = {"episodes": (episodes, 1), "n-way": (n_way, 2), "k-shot": (k_shot, 1), "n-query": (n_query, 1)}
    for name, (value, least) in (wanted | {"seed": (seed, 0)}).items():
        if value < least:
            raise ConfigError(f"--{name} {value}: expected {least} or more")
    classes, each = len(pool.classes), k_shot + n_query
    if n_way > classes:
        raise ConfigError(f"--n-way {n_way}: episodes are made of {classes} classes ({', '.join(pool.classes)})")
    sizes = np.array([len(rows) for rows in pool.rows])
    if sizes.min() < each:
        few = int(sizes.argmin())
        raise DataError(
            f"class '{pool.classes[few]}': {sizes[few]} different pictures, an episode needs {each} "
            f"({k_shot} supports and {n_query} queries); name other classes with --classes, or ask for fewer"
        )
    ways, places = draw_places(sizes, episodes=episodes, n_way=n_way, each=each, entropy=seed)
    starts = np.cumsum(sizes) - sizes
    rows = np.concatenate(pool.rows)[starts[ways][:, :, None] + places]
    return Episodes(
        classes=pool.classes,
        ways=ways,
        support=rows[:, :, :k_shot],
        query=rows[:, :, k_shot:],
        manifest=pool.manifest,
        seed=seed,
        splits=pool.splits,
        pool=dict(zip(pool.classes, sizes.tolist(), strict=True)),
    )


def draw_places(
    sizes: Indices, *, episodes: int, n_way: int, each: int, entropy: int | Sequence[int]
) -> tuple[Indices, Indices]:
    """Classes and members of episodes. The first ones do not depend on how many are drawn.

    Args:
        sizes: [C] members of each class, at least `each`.
        episodes: E, how many.
        n_way: n, different classes an episode, at most C.
        each: different members of each class.
        entropy: what the randomness comes from, numbers of 0 or more.

    Returns:
        classes [E, n], increasing, and places among the members of those, [E, n, each], in random order.
    """
    classes, width = len(sizes), int(sizes.max())
    of_classes, of_members = (np.random.default_rng(part) for part in np.random.SeedSequence(entropy).spawn(2))
    ways = np.sort(of_classes.random((episodes, classes)).argsort(axis=1)[:, :n_way], axis=1)
    height = max(1, CHUNK // (n_way * width))
    starts = range(0, episodes, height)
    parts = [_places(of_members, sizes[ways[start : start + height]], width, each) for start in starts]
    return ways, np.concatenate(parts)


def _places(rng: np.random.Generator, sizes: Indices, width: int, each: int) -> Indices:
    """Different places below `sizes` [e, n], in random order: [e, n, each], those of the smallest random keys."""
    keys = rng.random((*sizes.shape, width))
    keys[np.arange(width) >= sizes[:, :, None]] = np.inf
    chosen = np.argpartition(keys, each - 1, axis=2)[:, :, :each]
    order = np.take_along_axis(keys, chosen, axis=2).argsort(axis=2)
    return np.take_along_axis(chosen, order, axis=2)
