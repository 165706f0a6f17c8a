"""The network of `aue`: a global branch for the expression, a local one for action units, and their fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from openfer.learn.backbones import blank_pyramid, build_pyramid, pyramid
from openfer.learn.method import Output, Task
from openfer.learn.methods.aue.branches import Decoder, Fusion, GlobalBranch
from openfer.learn.methods.aue.knowledge import Knowledge, is_compound, knowledge_of
from openfer.learn.methods.aue.windows import WINDOWS, WindowNetworks, au_centres
from openfer.vision.au_locations import AUS

if TYPE_CHECKING:
    from openfer.learn.methods.aue.method import AueOptions


class Table(nn.Module):
    """The learned table of expressions and action units, and what is known of its entries.

    Args:
        knowledge: of the task's classes.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        super().__init__()
        self.table = nn.Parameter(knowledge.start.clone())
        for name in ("start", "primary", "secondary", "other", "known"):
            self.register_buffer(name, getattr(knowledge, name), persistent=name == "start")

    @property
    def knowledge(self) -> Knowledge:
        """On the table's device."""
        return Knowledge(
            start=self.get_buffer("start"),
            primary=self.get_buffer("primary"),
            secondary=self.get_buffer("secondary"),
            other=self.get_buffer("other"),
            known=self.get_buffer("known"),
        )


class Aue(nn.Module):
    """Expression from the whole face, action units from windows around landmarks, both together.

    In training a branch is computed only where something that learns reads it.

    Args:
        task: labels and backbone.
        options: the method's.
        released: the published pairing of windows (Q3).

    Raises:
        ConfigError: the backbone has no four levels that halve, or the windows' side is odd.
    """

    def __init__(self, task: Task, options: AueOptions, *, released: bool) -> None:
        super().__init__()
        self.options = task.backbone
        self.backbone = build_pyramid(task.backbone)
        levels = blank_pyramid(self.backbone, task.backbone)
        channels, classes = [level.shape[1] for level in levels], len(task.labels)
        attention = options.attention
        if attention == "auto":
            attention = "sigmoid" if is_compound(task.labels) else "softmax"
        self.face = GlobalBranch(channels, options.feature)
        self.expression = nn.Linear(options.feature, classes)
        self.decoder = Decoder(channels, options.decoder)
        self.windows = WindowNetworks(
            options.decoder, levels[0].shape[-1], options.window, options.window_net, options.dropout
        )
        self.units = nn.Linear(WINDOWS * options.window, len(AUS))
        self.knowledge = Table(knowledge_of(task.labels))
        self.fusion = Fusion(
            feature=options.feature,
            window=options.window,
            width=options.fusion,
            units=len(AUS),
            classes=classes,
            attention=attention,
            pairing="released" if released else "intended",
            dropout=options.dropout,
        )

    def forward(self, image: Tensor, landmarks: Tensor | None = None) -> Output:
        """Expression, action units and attention.

        Args:
            image: [B, 3, S, S], normalised.
            landmarks: [B, 68, 2], shares of the picture's side; NaN, or None, where a face has none.

        Returns:
            `logits` [B, K], of the fusion where a face has landmarks, else of the global branch; `embedding` [B, F] of
            the face; `aus` [B, A] logits and `attention` [B, A], NaN without landmarks.
        """
        levels = pyramid(self.backbone, image, self.options)
        feature = self.face(levels)
        alone = self.expression(feature)
        if landmarks is None or (self.training and not (moves(self.fusion) or moves(self.units))):
            return Output(logits=alone, embedding=feature)
        windows = self.read_windows(levels, landmarks)
        units = self.units(windows.flatten(1))
        if self.training and not moves(self.fusion):
            return Output(logits=alone, embedding=feature, aus=units)
        fused, attention = self.fusion(feature, windows)
        if self.training:
            return Output(logits=fused, embedding=feature, aus=units, attention=attention)
        known = has_landmarks(landmarks)[:, None]
        nothing = torch.full((), torch.nan, device=image.device)
        return Output(
            logits=torch.where(known, fused, alone),
            embedding=feature,
            aus=torch.where(known, units, nothing),
            attention=torch.where(known, attention, nothing),
        )

    def read_windows(self, levels: list[Tensor], landmarks: Tensor) -> Tensor:
        """Features of the windows, [B, 34, W]."""
        features: Tensor = self.windows(self.decoder(levels), au_centres(landmarks, self.windows.side))
        return features


def has_landmarks(landmarks: Tensor) -> Tensor:
    """Which faces have all of their landmarks: [B, 68, 2] -> bool [B]."""
    return ~torch.isnan(landmarks).flatten(1).any(1)


def moves(module: nn.Module) -> bool:
    """Whether a module learns in this stage."""
    return any(parameter.requires_grad for parameter in module.parameters())
