"""A method that reads landmarks beside the picture and answers with action units; without them the picture is enough.

`python -m tests.contract.toy_points RECIPE OUT` trains it, for a test with several processes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.learn.engine import train
from openfer.learn.method import Batch, Method, Output, Stage, Task, register
from openfer.learn.recipe import load_recipe
from openfer.vision.au_locations import AUS


@dataclass(frozen=True, kw_only=True)
class PointsOptions:
    units: float = 0.1


class PointsNetwork(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, classes)
        self.units = nn.Linear(2 * 68, len(AUS))
        self.more = nn.Linear(len(AUS), classes)

    def forward(self, image: Tensor, landmarks: Tensor | None = None) -> Output:
        if landmarks is None:  # where only the picture's size is tried
            landmarks = image.new_full((len(image), 68, 2), torch.nan)
        embedding = self.body(image).relu().mean((2, 3))
        known = ~landmarks.flatten(1).isnan().any(1, keepdim=True)
        aus = self.units(landmarks.flatten(1).nan_to_num())
        attention = aus.softmax(1)
        # What is not known is cut out before it can reach a gradient.
        logits = self.head(embedding) + torch.where(known, self.more(attention), 0.0)
        return Output(
            logits=logits,
            embedding=embedding,
            aus=torch.where(known, aus, torch.nan),
            attention=torch.where(known, attention, torch.nan),
        )


@register("toy_points")
class Points(Method):
    Options = PointsOptions
    inputs = ("image", "landmarks")
    source = "this test"

    def network(self, task: Task) -> nn.Module:
        return PointsNetwork(len(task.labels))

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        assert output.aus is not None
        main = -(batch["target"] * F.log_softmax(output.logits, 1)).sum(1).mean()
        return {"main": main, "units": self.options.units * output.aus.nan_to_num().square().mean()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]))
