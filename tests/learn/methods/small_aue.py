"""A network of `aue` small enough for tests, and batches for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.method import Output, Task, build_method
from openfer.learn.methods.aue.method import AueMethod
from openfer.learn.methods.aue.network import Aue
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import Fidelity, MethodChoice
from openfer.vision.mean_face import mean_face

BASIC = LABEL_SETS["basic7"]
SMALL = {"feature": 16, "decoder": 4, "window": 4, "fusion": 8, "dropout": 0.0}


def method(fidelity: Fidelity = "intended", **options: Any) -> AueMethod:
    made = build_method(MethodChoice(name="aue", fidelity=fidelity, options={**SMALL, **options}))
    assert isinstance(made, AueMethod)
    return made


def network(made: AueMethod | None = None, labels: LabelSet = BASIC, backbone: str = "test_resnet") -> Aue:
    torch.manual_seed(0)
    task = Task(
        labels=labels,
        backbone=BackboneOptions(name=backbone, size=64),
        class_counts=np.ones(len(labels), dtype=np.int64),
    )
    built = (made or method()).network(task)
    assert isinstance(built, Aue)
    return built


def batch(rows: int = 6, unknown: tuple[int, ...] = (), labels: LabelSet = BASIC) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    landmarks = torch.tensor(mean_face("fer2013"), dtype=torch.float32)
    landmarks = landmarks + 0.03 * torch.randn(rows, 68, 2, generator=generator)
    landmarks[list(unknown)] = torch.nan
    label = torch.arange(rows) % len(labels)
    one_hot = nn.functional.one_hot(label, len(labels)).float()
    image = torch.randn(rows, 3, 64, 64, generator=generator)
    return {
        "image": image,
        "landmarks": landmarks,
        "label": label,
        "target": one_hot,
        "one_hot": one_hot,
        "row": torch.arange(rows),
    }


def answer(built: Aue, given: dict[str, Tensor]) -> Output:
    output: Output = built(image=given["image"], landmarks=given["landmarks"])
    return output


def trained(built: Aue, given: dict[str, Tensor]) -> Output:
    """What a network says in training, its BatchNorm as in use, so that rows do not depend on each other."""
    for module in built.modules():
        module.training = not isinstance(module, nn.modules.batchnorm._BatchNorm)
    return answer(built, given)
