"""Episodes from the holdout choose the epoch: base classes, pictures that do not train, the same ones every time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from openfer.evaluate.episodes.draw import first_copies
from openfer.evaluate.metrics import accuracy, confusion, mean_class_accuracy
from openfer.learn.fewshot.contract import EpisodicNetwork
from openfer.learn.fewshot.sampler import EpisodeShape, draw_samples, drawable
from openfer.learn.method import Batch

EPISODES = 600
"""Enough for a 95 % interval of about 2 points; no fewer, or the best epoch is the luckiest."""
TOGETHER = 20
"""Episodes that are scored at once."""


@torch.no_grad()
def judge_episodes(
    network: EpisodicNetwork,
    batches: Iterable[Batch],
    inputs: Sequence[str],
    shape: EpisodeShape,
    *,
    episodes: int = EPISODES,
    seed: int = 0,
) -> dict[str, float] | None:
    """Scores over episodes of held out pictures, for `Method.validate`. Each picture is encoded once.

    Equal pictures count once, so that no query is a copy of a support; one that stands in two classes is left out.

    Args:
        network: in evaluation mode.
        batches: the holdout, with `image` [B, ...] (not changed at random) and `label` [B].
        inputs: what `network.encode` reads of a batch.
        shape: of the episodes.
        episodes: how many.
        seed: of the drawing.

    Returns:
        `accuracy`, `mean_class_accuracy`, and as `loss` the cross-entropy of the scores' softmax; None where the
        holdout has too few pictures for an episode.
    """
    parts = [
        (network.encode(**{name: batch[name] for name in inputs}), batch["label"], fingerprints(batch["image"]))
        for batch in batches
    ]
    labels = torch.cat([part[1] for part in parts]).cpu().numpy()
    first, clear = first_copies(np.concatenate([part[2] for part in parts]), labels, labels.max() + 1)
    kept = np.sort(first[clear])
    features, labels = torch.cat([part[0] for part in parts])[kept], labels[kept]
    if len(drawable(labels, shape)) < shape.n_way:
        return None
    classes, samples = draw_samples(labels, shape, episodes=episodes, entropy=seed)
    rows = torch.from_numpy(samples).to(features.device)
    scores = torch.cat(
        [
            network.score(features[block[:, :, : shape.k_shot]], features[block[:, :, shape.k_shot :].flatten(1)])
            for block in torch.split(rows, TOGETHER)
        ]
    ).flatten(0, 1)
    way = torch.arange(shape.n_way, device=scores.device).repeat_interleave(shape.n_query).repeat(episodes)
    answers = np.take_along_axis(
        np.repeat(classes, shape.n_way * shape.n_query, axis=0), scores.argmax(1).cpu().numpy()[:, None], axis=1
    )[:, 0]
    truth = np.repeat(classes.ravel(), shape.n_query)
    counted = confusion(truth, answers, labels.max() + 1)
    return {
        "accuracy": float(accuracy(counted)),
        "mean_class_accuracy": float(mean_class_accuracy(counted)),
        "loss": float(F.cross_entropy(scores.double(), way)),
    }


def fingerprints(image: Tensor) -> NDArray[np.str_]:
    """A text for each picture [B, ...], the same for the same pixels."""
    return np.array([hashlib.blake2b(picture.tobytes(), digest_size=16).hexdigest() for picture in image.cpu().numpy()])
