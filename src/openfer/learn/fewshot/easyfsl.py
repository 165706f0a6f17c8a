"""Few-shot classifiers of the library easyfsl behind the contract of episodic networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from openfer.errors import ConfigError


class EasyFSL(nn.Module):
    """A classifier of `easyfsl.methods` that compares features; see `EpisodicNetwork.score`.

    Args:
        classifier: made without a backbone: it is given features, not pictures.

    Raises:
        ConfigError: the classifier is transductive: its answer to a query depends on the other queries.
    """

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        if classifier.is_transductive():
            raise ConfigError(
                f"easyfsl's {type(classifier).__name__} is transductive: a face's answer would depend on the other "
                "faces that are asked; choose an inductive method"
            )
        self.classifier = classifier

    def score(self, support: Tensor, query: Tensor) -> Tensor:
        """Features [b, n, k, ...] and [b, q, ...] -> the classifier's scores [b, q, n]."""
        # One episode after the other: a classifier of easyfsl remembers the supports of one.
        return torch.stack([self._answer(*episode) for episode in zip(support, query, strict=True)])

    def _answer(self, support: Tensor, query: Tensor) -> Tensor:
        n_way, n_shot = support.shape[:2]
        labels = torch.arange(n_way, device=support.device).repeat_interleave(n_shot)
        self.classifier.process_support_set(support.flatten(0, 1), labels)
        scores: Tensor = self.classifier(query)
        self._forget()
        return scores

    def _forget(self) -> None:
        """Let go of the supports, which hang on the graph of their gradient: a network that holds them cannot be
        copied."""
        for name, value in vars(self.classifier).items():
            if isinstance(value, Tensor):
                setattr(self.classifier, name, value.detach())
