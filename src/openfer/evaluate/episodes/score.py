"""A model answers episodes: every row is cut and encoded once, then queries meet supports in blocks of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openfer.bundle.load import BATCH, Bundle
from openfer.data.manifest import Manifest
from openfer.data.pictures import Progress
from openfer.errors import DataError, ModelError
from openfer.evaluate.episodes.classifiers import CLASSIFIERS, Floats, check_classifier, classifier_scores
from openfer.evaluate.episodes.record import EpisodeFacts, Episodes
from openfer.evaluate.predictions import Predictions, build_predictions
from openfer.evaluate.score import context_of, cut_row
from openfer.labels import LabelSet
from openfer.runtime import thread_count
from openfer.vision.align import Alignment
from openfer.vision.cut import Cut
from openfer.vision.detect import Detector

NUMBERS = 4_000_000
"""Features of supports and queries that are scored at once; bounds the memory, not the result."""


class EpisodeModel(Protocol):
    """What answers episodes."""

    @property
    def bundle(self) -> Bundle:
        """Says how faces are cut, and what the model is."""
        ...

    @property
    def scored_by(self) -> str:
        """How a query is answered, for the report."""
        ...

    def encode(self, cuts: Sequence[Cut]) -> Floats:
        """Features [N, ...] of N faces; a face's do not depend on the others."""
        ...

    def score(self, support: Floats, query: Floats) -> Floats:
        """[b, n, k, ...] and [b, Q, ...] -> [b, Q, n], higher is more alike; an episode's do not depend on others."""
        ...


@dataclass(frozen=True)
class EmbeddingModel:
    """A bundle's features (`Card.compared_by`) and a classifier that needs no training.

    Args:
        bundle: has the output `features` or `embedding`.
        classifier: one of `CLASSIFIERS`.

    Raises:
        ConfigError: an unknown classifier.
        ModelError: the bundle has nothing to compare by but logits.
    """

    bundle: Bundle
    classifier: str = "cosine"

    def __post_init__(self) -> None:
        check_classifier(self.classifier)
        if self.bundle.card.compared_by == "logits":
            raise ModelError(
                f"{self.bundle.path}: no output 'embedding', which queries are compared by; export one that has it"
            )

    @property
    def scored_by(self) -> str:
        """See `EpisodeModel`."""
        return f"{CLASSIFIERS[self.classifier]}, on the model's {self.bundle.card.compared_by}"

    def encode(self, cuts: Sequence[Cut]) -> Floats:
        """The features, [N, 1, D]; for `ridge` [N, 2, D], of the face and of its mirrored copy."""
        pixels = np.stack([cut.pixels for cut in cuts])
        sides = [pixels, pixels[:, :, ::-1]] if self.classifier == "ridge" else [pixels]
        wanted = (self.bundle.card.compared_by,)
        return np.stack([self.bundle.run(side, outputs=wanted)[0] for side in sides], axis=1)

    def score(self, support: Floats, query: Floats) -> Floats:
        """See `classifier_scores`; copies of supports count as supports, queries are asked as they are."""
        *shape, copies, width = support.shape
        return classifier_scores(
            support.reshape(*shape[:-1], shape[-1] * copies, width), query[..., 0, :], self.classifier
        )


def score_episodes(
    model: EpisodeModel,
    manifest: Manifest,
    episodes: Episodes,
    *,
    detector: Detector | None,
    progress: Progress | None = None,
    command: str = "",
) -> Predictions:
    """A model's answer to every query: a predictions file of E n q rows, `group` says which episode a row belongs to.

    A query's probabilities are the softmax of its scores over the classes of its episode, and 0 for the others: their
    order is the model's, how far they are from 0 and 1 means little. `row` is the number of the query among all.

    Args:
        model: what answers.
        manifest: the data set that the episodes' rows stand in.
        episodes: what is asked.
        detector: finds points where a row has none; None goes straight to the frame.
        progress: called with the rows that are encoded and all of them.
        command: to be kept with the answers.

    Raises:
        DataError: the episodes are of another manifest, or a row cannot be cut; the message names it.
    """
    check_rows(episodes, manifest)
    used = np.concatenate([episodes.support, episodes.query], axis=2)
    rows, places = np.unique(used, return_inverse=True)
    places = places.reshape(used.shape)
    features, ways = _encode(model, manifest, rows, detector, progress)
    support, query = places[:, :, : episodes.k_shot], places[:, :, episodes.k_shot :].reshape(len(episodes), -1)
    height = max(1, NUMBERS // max(1, used[0].size * features[0].size))
    blocks = [slice(start, start + height) for start in range(0, len(episodes), height)]
    scores = np.concatenate([model.score(features[support[block]], features[query[block]]) for block in blocks])
    if not np.isfinite(scores).all():
        raise ModelError(f"{model.bundle.path}: a score is not finite; the model is damaged")
    asked = episodes.query.ravel()
    truth = np.array(episodes.classes)[np.repeat(episodes.ways.ravel(), episodes.n_query)]
    numbers = np.repeat(np.arange(len(episodes)), episodes.n_way * episodes.n_query)
    splits = manifest.column("split")
    context = context_of(
        model.bundle,
        manifest,
        rows_sha256=episodes.digest,
        split=",".join(episodes.splits),
        detector="none" if detector is None else type(detector).__name__.lower(),
        command=command,
        warnings=_warnings(model, episodes),
        episodes=EpisodeFacts.of(episodes, model.scored_by),
    )
    return build_predictions(
        LabelSet("episodes", episodes.classes),
        _probabilities(scores, episodes),
        truth.tolist(),
        columns={
            "split": [splits[row] for row in asked],
            "group": [f"episode {number}" for number in numbers.tolist()],
            "way": [ways[place] for place in query.ravel()],
            "name": [manifest.name(int(row)) for row in asked],
        },
        context=context,
    )


def check_rows(episodes: Episodes, manifest: Manifest) -> None:
    """Refuse episodes whose rows mean something else here.

    Raises:
        DataError: drawn from another manifest, a row that is not there, or one with another label.
    """
    if episodes.manifest and episodes.manifest != manifest.digest:
        raise DataError(
            f"episodes: drawn from another manifest ({episodes.manifest[:12]}) than this one "
            f"({manifest.digest[:12]}); draw them from this one"
        )
    used = np.concatenate([episodes.support, episodes.query], axis=2)
    if used.min() < 0 or used.max() >= len(manifest):
        raise DataError(f"episodes: row {used.max() if used.min() >= 0 else used.min()} is not in this manifest")
    position = {name: column for column, name in enumerate(episodes.classes)}
    labels = np.array([position.get(name, -1) for name in manifest.column("label")], dtype=np.int64)
    wrong = labels[used] != episodes.ways[:, :, None]
    if wrong.any():
        episode, way, place = (int(index[0]) for index in np.nonzero(wrong))
        row = int(used[episode, way, place])
        raise DataError(
            f"episodes: row {row} is '{manifest.value(row, 'label')}' in this manifest, "
            f"'{episodes.classes[episodes.ways[episode, way]]}' in episode {episode}; draw them from this manifest"
        )


def _encode(
    model: EpisodeModel,
    manifest: Manifest,
    rows: NDArray[np.int64],
    detector: Detector | None,
    progress: Progress | None,
) -> tuple[Floats, list[str]]:
    """Features [R, ...] of different rows, and the way that each was cut."""
    alignment = model.bundle.card.input.alignment()
    features: list[Floats] = []
    ways: list[str] = []
    with ThreadPoolExecutor(thread_count(model.bundle.threads)) as pool:
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH].tolist()
            cuts = list(pool.map(lambda row: _cut(manifest, row, alignment, detector), part))
            features.append(model.encode(cuts))
            ways += [cut.way for cut in cuts]
            if progress:
                progress(len(ways), len(rows))
    return np.concatenate(features), ways


def _cut(manifest: Manifest, row: int, alignment: Alignment, detector: Detector | None) -> Cut:
    cut = cut_row(manifest, row, alignment, detector)
    if isinstance(cut, str):
        raise DataError(f"row {row} ({manifest.name(row)}): {cut}; give the row another status and draw again")
    return cut


def _probabilities(scores: Floats, episodes: Episodes) -> NDArray[np.float64]:
    """Softmax of scores [E, Q, n] over an episode's classes, spread over all classes: [E Q, C]."""
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=2, keepdims=True))
    result = np.zeros((*scores.shape[:2], len(episodes.classes)))
    columns = np.broadcast_to(episodes.ways[:, None, :], scores.shape)
    np.put_along_axis(result, columns, powers / powers.sum(axis=2, keepdims=True), axis=2)
    return result.reshape(-1, len(episodes.classes))


def _warnings(model: EpisodeModel, episodes: Episodes) -> tuple[str, ...]:
    seen = [name for name in episodes.classes if name in model.bundle.card.labels]
    if not seen:
        return ()
    return (
        f"The model was trained on {', '.join(seen)}: these are not scores for expressions that it has never seen.",
    )
