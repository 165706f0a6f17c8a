"""A method that couples a batch, judged as published: answers that depend on which faces stand beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from openfer.bundle.load import BATCH, GRAPH, Array, Bundle, load_bundle, normalise
from openfer.errors import ModelError
from openfer.evaluate.predictions import Predictions
from openfer.files import sha256_of
from openfer.labels import LabelSet
from openfer.learn.checkpoint import BEST, RECIPE
from openfer.learn.export import bundle_of_run, load_network, read_run
from openfer.learn.method import build_method
from openfer.vision.image import Picture


@dataclass(frozen=True, kw_only=True)
class CoupledModel(Bundle):
    """A run's network as published; pictures that are given together are one batch. For evaluation alone.

    Args:
        network: what `Method.coupled_network` gives.
    """

    network: nn.Module

    def run(
        self,
        pictures: Picture,
        *,
        landmarks: Array | None = None,
        outputs: tuple[str, ...] = ("logits",),
        batch: int = BATCH,
    ) -> tuple[Array, ...]:
        """See `Bundle.run`; `batch` means nothing here, and no such method reads landmarks."""
        with torch.no_grad():
            output = self.network(image=torch.from_numpy(normalise(pictures, self.card)))
        return tuple(np.asarray(getattr(output, name).numpy(), dtype=np.float32) for name in outputs)


def coupled_model(run: Path) -> CoupledModel:
    """A run's network in its published form.

    Raises:
        ModelError: not a run.
        ConfigError: nothing depends on the batch in this method.
    """
    if not (run / RECIPE).is_file():
        raise ModelError(f"{run}: --coupled needs a folder of `openfer train`; a bundle holds only what may be used")
    recipe, facts = read_run(run)
    method = build_method(recipe.method)
    network = load_network(run, recipe, method, LabelSet(facts["label_set"], tuple(facts["labels"])))
    coupled = method.coupled_network(network)
    bundle = load_bundle(bundle_of_run(run))
    # Another hash than the bundle's, so that these scores never come into its card.
    card = bundle.card.model_copy(
        update={"name": f"{bundle.card.name} (coupled)", "graphs": {GRAPH: sha256_of(run / BEST)}}
    )
    return CoupledModel(bundle.path, card, network=coupled)


def flagged(predictions: Predictions, batch: int) -> Predictions:
    """Predictions that say that they depend on the batch, in every report that is made of them."""
    warning = (
        f"Every answer depends on the other faces of its batch ({batch} at once, in the order of the manifest): "
        "a list that is sorted by class gives the truth away. These are not the scores of a model that can be used."
    )
    context = predictions.context
    return replace(predictions, context=replace(context, warnings=(warning, *context.warnings)))
