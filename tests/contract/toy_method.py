"""A method that uses every part of the contract: two stages, two views, episodes, two groups, state after a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from openfer.learn.method import Batch, Method, Output, Stage, StepState, Task, register


@dataclass(frozen=True, kw_only=True)
class ToyOptions:
    n_way: int = 3
    k_shot: int = 4
    episodes: int = 6
    consistency: float = 0.1


@dataclass(frozen=True)
class Episodes:
    """`n_way` classes, `k_shot` samples each, no sample twice in a step."""

    labels: NDArray[np.int64]
    n_way: int
    k_shot: int
    count: int
    seed: int

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng((self.seed, epoch))
        classes = [np.flatnonzero(self.labels == value) for value in np.unique(self.labels)]
        return [
            np.concatenate(
                [
                    rng.choice(classes[which], self.k_shot, replace=False)
                    for which in rng.choice(len(classes), self.n_way, replace=False)
                ]
            )
            for _ in range(self.count)
        ]


class ToyNetwork(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)
        )
        self.head = nn.Linear(8, classes)
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(classes))

    def forward(self, image: Tensor, image2: Tensor | None = None) -> Output:
        embedding = self.body(image).mean((2, 3))
        maps = None if image2 is None else self.head(self.body(image2).mean((2, 3)))
        return Output(logits=self.head(embedding), embedding=embedding, maps=maps)


@register("toy")
class Toy(Method):
    Options = ToyOptions
    inputs = ("image", "image2")
    source = "this test"

    def network(self, task: Task) -> nn.Module:
        return ToyNetwork(len(task.labels))

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        assert output.maps is not None
        assert not torch.equal(batch["image"], batch["image2"])
        terms = {"main": -(batch["target"] * F.log_softmax(output.logits, 1)).sum(1).mean()}
        terms["views"] = self.options.consistency * F.mse_loss(output.logits, output.maps)
        return terms

    def stages(self) -> tuple[Stage, ...]:
        return (Stage(name="all", epochs=2), Stage(name="head", epochs=2, lr_scale=0.5, frozen=("body",)))

    def sampler(self, labels: NDArray[np.int64], batch: int, seed: int) -> Episodes:
        return Episodes(labels, self.options.n_way, self.options.k_shot, self.options.episodes, seed)

    def param_groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        body, head = network.get_submodule("body"), network.get_submodule("head")
        return [
            {"params": [p for p in body.parameters() if p.requires_grad], "weight_decay": weight_decay},
            {"params": list(head.parameters()), "lr_scale": 10.0, "clip": 0.5, "weight_decay": 0.0},
        ]

    def after_step(self, state: StepState) -> None:
        state.network.get_buffer("steps").add_(1)
        counts = torch.bincount(state.batch["label"], minlength=len(state.network.get_buffer("seen")))
        state.network.get_buffer("seen").mul_(0.9).add_(counts)
