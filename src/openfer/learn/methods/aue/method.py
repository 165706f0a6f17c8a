"""The method `aue`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Lt
from torch import Tensor, nn

from openfer.learn.judge import Held
from openfer.learn.judge import scores as scores_of
from openfer.learn.losses.cross_entropy import soft_cross_entropy
from openfer.learn.method import Batch, Method, Output, Stage, Task, predict_logits, register
from openfer.learn.methods.aue.losses import (
    agreement,
    au_dependency,
    bounded,
    pseudo_labels,
    table_error,
    weighted_error,
)
from openfer.learn.methods.aue.network import Aue, has_landmarks
from openfer.learn.methods.aue.windows import WindowNet
from openfer.learn.options import Count, Word
from openfer.vision.au_locations import AUS

EXPRESSION, UNITS, FUSION = "expression", "action_units", "fusion"
GLOBAL, LOCAL = ("backbone", "face", "expression"), ("decoder", "windows", "units", "knowledge")


@dataclass(frozen=True, kw_only=True)
class AueOptions:
    """Options of `aue`. The defaults are the authors' sizes: with ResNet-101, 478 million parameters.

    Args:
        feature: width of the face's feature.
        decoder: channels of the map that windows are cut from.
        window: width of a window's feature.
        window_net: `full` reads all cells of a window (321 of the 478 million), `pooled` their mean.
        fusion: width in which face and action units are compared.
        dropout: of windows and fusion, in training.
        attention: over action units: `softmax`, `sigmoid`, or by the labels (`auto`: sigmoid for compound ones).
        learn_table: let the table of expressions and action units move from its start.
        dependency: weight of the pairs' loss on action units; fusion_dependency: on the attention.
        table_weight: of the table's distance from the middles of its intervals.
        soft_targets: learn expressions from the votes where a row has them; the authors' data have labels alone.
        expression_epochs, unit_epochs, fusion_epochs: of the three stages; `none` takes the recipe's.
    """

    feature: Count = 1024
    decoder: Count = 64
    window: Count = 256
    window_net: WindowNet = "full"
    fusion: Count = 1024
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5
    attention: Literal["auto", "softmax", "sigmoid"] = "auto"
    learn_table: bool = True
    dependency: Annotated[float, Ge(0)] = 0.5
    fusion_dependency: Annotated[float, Ge(0)] = 0.05
    table_weight: Annotated[float, Ge(0)] = 1.0
    soft_targets: bool = True
    expression_epochs: Count | Word = "none"
    unit_epochs: Count | Word = "none"
    fusion_epochs: Count | Word = "none"


@register("aue")
class AueMethod(Method):
    """Three stages: expression, action units from pseudo labels, fusion. `released`: the published pairing of windows
    (Q3), sign of the pairs' loss (Q4), and frozen parts whose statistics move (Q6, Q7)."""

    Options = AueOptions
    inputs = ("image", "landmarks")
    source = "Pu, Chen, Xie, Wu, Lin: AU-Expression Knowledge Constrained Representation Learning for FER, ICRA 2021"

    def network(self, task: Task) -> nn.Module:
        """See `Method.network`."""
        return Aue(task, self.options, released=self.fidelity == "released")

    def notes(self, network: nn.Module) -> list[str]:
        """See `Method.notes`."""
        assert isinstance(network, Aue)
        unknown = int((~network.knowledge.knowledge.known).sum())
        if not unknown:
            return []
        return [f"{unknown} of the classes have no entry in the table of action units and teach them nothing"]

    def stages(self) -> Sequence[Stage]:
        """See `Method.stages`."""
        released, options = self.fidelity == "released", self.options
        held = () if options.learn_table else ("knowledge",)
        return (
            Stage(name=EXPRESSION, epochs=_epochs(options.expression_epochs), frozen=(*LOCAL, "fusion")),
            Stage(
                name=UNITS,
                epochs=_epochs(options.unit_epochs),
                frozen=(*GLOBAL, "fusion", *held),
                restless=("backbone",) if released else (),
            ),
            Stage(
                name=FUSION,
                epochs=_epochs(options.fusion_epochs),
                frozen=("backbone", "face", *LOCAL),
                restless=("face", "decoder", "windows") if released else (),
            ),
        )

    def param_groups(self, network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        """See `Method.param_groups`. Biases of many networks side by side are matrices; the table is no weight."""
        named = [(name, value) for name, value in network.named_parameters() if value.requires_grad]
        spared = {
            name for name, value in named if value.ndim <= 1 or name.endswith("bias") or name.startswith("knowledge.")
        }
        return [
            {"params": [value for name, value in named if name not in spared], "weight_decay": weight_decay},
            {"params": [value for name, value in named if name in spared], "weight_decay": 0.0},
        ]

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """See `Method.losses`."""
        assert isinstance(network, Aue)
        assert output.embedding is not None
        target = batch["target" if self.options.soft_targets else "one_hot"]
        if stage.name == UNITS:
            return self._unit_losses(network, batch, output)
        alone = soft_cross_entropy(network.expression(output.embedding).float(), target)
        if stage.name == EXPRESSION:
            return {"expression": alone}
        known = has_landmarks(batch["landmarks"])
        assert output.attention is not None
        fused = _mean_of(soft_cross_entropy, known, output.logits.float(), target)
        pairs = _mean_of(self._dependency, known, output.attention.float())
        return {"expression": alone, "fused": fused, "dependency": self.options.fusion_dependency * pairs}

    def _unit_losses(self, network: Aue, batch: Batch, output: Output) -> dict[str, Tensor]:
        table, knowledge = network.knowledge.table, network.knowledge.knowledge
        assert output.aus is not None
        known = has_landmarks(batch["landmarks"]) & knowledge.known[batch["label"]]
        scores, target = output.aus.float().sigmoid(), pseudo_labels(table, knowledge, batch["label"])
        options = self.options
        return {
            "units": _mean_of(weighted_error, known, scores, target),
            "dependency": options.dependency * _mean_of(self._dependency, known, scores),
            "table": options.table_weight * table_error(table, knowledge),
        }

    def learned(self, network: nn.Module) -> dict[str, Any]:
        """See `Method.learned`: the table of expressions and action units, its entries bounded, and its start."""
        assert isinstance(network, Aue)
        knowledge = network.knowledge.knowledge
        table, start = bounded(network.knowledge.table.detach(), knowledge), knowledge.start
        rows = {"table": table, "start": start}
        return {
            "units": list(AUS),
            **{name: [[round(x, 4) for x in row] for row in values.tolist()] for name, values in rows.items()},
        }

    def _dependency(self, scores: Tensor) -> Tensor:
        return au_dependency(scores, released=self.fidelity == "released")

    def validate(self, network: nn.Module, images: Callable[[], Any], stage: Stage) -> dict[str, float] | None:
        """See `Method.validate`. Without labels of action units, their stage is judged by the pseudo labels."""
        assert isinstance(network, Aue)
        if stage.name == UNITS:
            return judge_units(network, images()) or {}  # without a score the last epoch counts
        return judge_alone(network, images()) if stage.name == EXPRESSION else None


@torch.no_grad()
def judge_units(network: Aue, batches: Any) -> dict[str, float] | None:
    """How well the action units of held out faces agree with the pseudo labels; None where no face can tell."""
    scores, targets = [], []
    for batch in batches:
        known = has_landmarks(batch["landmarks"]) & network.knowledge.knowledge.known[batch["label"]]
        output: Output = network(image=batch["image"], landmarks=batch["landmarks"])
        assert output.aus is not None
        target = pseudo_labels(network.knowledge.table, network.knowledge.knowledge, batch["label"])
        scores.append(output.aus.float().sigmoid()[known])
        targets.append(target[known])
    score, target = torch.cat(scores), torch.cat(targets)
    if not len(score):
        return None
    agreed = float(agreement(score, target).mean())
    return {"accuracy": agreed, "mean_class_accuracy": agreed, "loss": float(weighted_error(score, target))}


def judge_alone(network: Aue, batches: Any) -> dict[str, float]:
    """Scores of the global branch on held out faces."""
    parts = [(predict_logits(network, batch), batch["target"], batch["row"]) for batch in batches]
    logits, targets, rows = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
    return scores_of(Held(logits=logits, targets=targets, samples=rows))


def _mean_of(loss: Callable[..., Tensor], chosen: Tensor, *values: Tensor) -> Tensor:
    """A loss of the chosen rows; where there are none, 0 with a gradient of 0."""
    if not bool(chosen.any()):
        return torch.stack([value.sum() for value in values]).sum() * 0
    return loss(*(value[chosen] for value in values))


def _epochs(value: int | str) -> int | None:
    return value if isinstance(value, int) else None
