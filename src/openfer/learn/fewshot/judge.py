"""A run of an episodic method answers episodes with its own score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from openfer.bundle.load import Bundle, normalise
from openfer.evaluate.episodes.classifiers import Floats
from openfer.labels import LabelSet
from openfer.learn.export import load_network, read_run
from openfer.learn.fewshot.contract import EpisodicNetwork
from openfer.learn.method import build_method
from openfer.vision.cut import Cut

TOGETHER = 8
"""Faces that are encoded at once: with so few, their maps stay in the processor's cache (four times as fast as 64)."""


@dataclass(frozen=True, kw_only=True)
class EpisodicModel:
    """An episodic network that reads faces as its bundle does; an `openfer.evaluate.episodes.score.EpisodeModel`.

    Args:
        bundle: says how faces are cut and normalised.
        network: in evaluation mode.
        scored_by: for the report.
    """

    bundle: Bundle
    network: EpisodicNetwork
    scored_by: str

    @torch.no_grad()
    def encode(self, cuts: Sequence[Cut]) -> Floats:
        """See `EpisodeModel`."""
        pixels = np.stack([cut.pixels for cut in cuts])
        image = torch.from_numpy(normalise(pixels, self.bundle.card)).contiguous(memory_format=torch.channels_last)
        return torch.cat(
            [self.network.encode(image=part).contiguous() for part in torch.split(image, TOGETHER)]
        ).numpy()

    @torch.no_grad()
    def score(self, support: Floats, query: Floats) -> Floats:
        """See `EpisodeModel`."""
        return np.asarray(self.network.score(torch.from_numpy(support), torch.from_numpy(query)).numpy())


def episodic_model(run: Path, bundle: Bundle) -> EpisodicModel | None:
    """A run's own network; None where its method is not episodic.

    Raises:
        ModelError: not a run.
    """
    recipe, facts = read_run(run)
    method = build_method(recipe.method)
    network = load_network(run, recipe, method, LabelSet(facts["label_set"], tuple(facts["labels"])))
    network = network.to(memory_format=torch.channels_last)
    if not isinstance(network, EpisodicNetwork):
        return None
    return EpisodicModel(bundle=bundle, network=network, scored_by=f"the score of method {method.name}")
