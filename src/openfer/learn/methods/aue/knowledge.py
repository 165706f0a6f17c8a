"""Which action units belong to which expression, and which to each other: the data of `knowledge.yaml` as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import torch
import yaml
from torch import Tensor

from openfer.labels import LabelSet
from openfer.vision.au_locations import AUS

PRIMARY, SECONDARY, OTHER = 1.0, 0.5, 0.1
"""Where the entries of the table begin (card 4.1 of the method's page)."""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """The table of K classes and A action units before anything is learned.

    Args:
        start: float [K, A], entries between 0 and 1.
        primary, secondary, other: float [K, A], 1 where an entry is of this kind; they sum to 1 everywhere.
        known: bool [K], classes that something is known of.
    """

    start: Tensor
    primary: Tensor
    secondary: Tensor
    other: Tensor
    known: Tensor


@cache
def facts() -> Mapping[str, Any]:
    """The file as plain values."""
    text = files(__package__).joinpath("knowledge.yaml").read_text(encoding="utf-8")
    values: Mapping[str, Any] = yaml.safe_load(text)
    return values


def knowledge_of(labels: LabelSet) -> Knowledge:
    """What is known of these classes, row by row in their order. An unknown class has no action units at all."""
    table: Mapping[str, Mapping[str, list[int]]] = {**facts()["basic"], **facts()["compound"]}
    primary, secondary = (
        torch.tensor([[float(unit in table.get(name, {}).get(kind, ())) for unit in AUS] for name in labels])
        for kind in ("primary", "secondary")
    )
    other = 1 - primary - secondary
    return Knowledge(
        start=PRIMARY * primary + SECONDARY * secondary + OTHER * other,
        primary=primary,
        secondary=secondary,
        other=other,
        known=torch.tensor([name in table for name in labels]),
    )


def is_compound(labels: LabelSet) -> bool:
    """Whether the classes are compound ones, such as those of RAF-DB: several action units then count at once."""
    return all(name in facts()["compound"] for name in labels)


@cache
def pairs(kind: str) -> Tensor:
    """Places in `AUS` of the pairs that show `together` or `apart`, [P, 2]."""
    return places(facts()[kind])


def places(units: Iterable[Iterable[int]]) -> Tensor:
    """Action units by number -> places in `AUS`."""
    return torch.tensor([[AUS.index(unit) for unit in pair] for pair in units])
