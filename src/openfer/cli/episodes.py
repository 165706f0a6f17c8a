"""The few-shot half of `openfer evaluate`: episodes drawn or read, answered, kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openfer.bundle.load import Bundle
    from openfer.data.manifest import Manifest
    from openfer.evaluate.episodes.score import EpisodeModel
    from openfer.evaluate.predictions import Predictions
    from openfer.vision.detect import Detector

EPISODES = "episodes.parquet"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for.

    Args:
        episodes: how many, or a file of them.
        n_way, k_shot, n_query, seed: of the drawing.
        classes: names with commas between; empty for the default.
        split: names with commas between, or `all`.
    """

    episodes: str
    n_way: int
    k_shot: int
    n_query: int
    seed: int
    classes: str
    split: str


def answer_episodes(
    model: EpisodeModel,
    manifest: Manifest,
    wanted: Wanted,
    out: Path,
    *,
    detector: Detector | None,
    progress: Callable[[int, int], None],
) -> tuple[Predictions, list[int]]:
    """A model's answers to the episodes of a file or to new ones, which are kept in a folder.

    Returns:
        the predictions, and the manifest's row of every query.

    Raises:
        ConfigError, DataError: what is asked for is not possible; the message says why.
    """
    from openfer.cli.common import command_line
    from openfer.evaluate.episodes.draw import default_classes, draw, pool_of, split_names
    from openfer.evaluate.episodes.files import read_episodes, write_episodes
    from openfer.evaluate.episodes.score import score_episodes

    if wanted.episodes.lstrip("+-").isdigit():
        named = tuple(part.strip() for part in wanted.classes.split(",") if part.strip())
        classes = named or default_classes(model.bundle.card.label_names(), manifest.labels)
        episodes = draw(
            pool_of(manifest, classes, split_names(wanted.split, manifest), progress),
            episodes=int(wanted.episodes),
            n_way=wanted.n_way,
            k_shot=wanted.k_shot,
            n_query=wanted.n_query,
            seed=wanted.seed,
        )
    else:
        episodes = read_episodes(Path(wanted.episodes))
    predictions = score_episodes(
        model, manifest, episodes, detector=detector, progress=progress, command=command_line()
    )
    write_episodes(episodes, out / EPISODES)
    return predictions, episodes.query.ravel().tolist()


def episode_model(model: str, bundle: Bundle, classifier: str) -> EpisodeModel:
    """What answers: an episodic run's own network, else a bundle's embedding and a classifier.

    Args:
        model: as the user named it.
        bundle: the model's bundle.
        classifier: of `openfer.evaluate.episodes.classifiers`; empty for the network's own score where there is one,
            else cosine.
    """
    from openfer.cli.models import RECIPE
    from openfer.evaluate.episodes.score import EmbeddingModel

    if (Path(model) / RECIPE).is_file() and not classifier:
        from openfer.learn.fewshot.judge import episodic_model

        own = episodic_model(Path(model), bundle)
        if own is not None:
            return own
    return EmbeddingModel(bundle, classifier) if classifier else EmbeddingModel(bundle)
