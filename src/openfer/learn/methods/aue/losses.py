"""The formulas of AUE-CRL: pseudo labels from the table, and the losses of action units. Pure functions.

Source: Pu et al., ICRA 2021, and its published code; Q numbers are those of the method's page.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from openfer.learn.methods.aue.knowledge import Knowledge, pairs

SHOWN = 0.5
"""From here on an action unit counts as shown; the border belongs to it."""
WEIGHT = 3.0
"""Of an action unit whose pseudo label is `SHOWN` or more."""
INTERVALS = {"primary": (0.75, 1.0), "secondary": (0.5, 0.75), "other": (0.0, 0.25)}
"""Where the entries of each kind may lie."""


def bounded(table: Tensor, knowledge: Knowledge) -> Tensor:
    """The table's entries, each moved into the interval of its kind; inside, ends included, the gradient passes.

    Args:
        table: [K, A].
        knowledge: kinds of the entries.

    Returns:
        [K, A], 0 to 1.
    """
    low, high = (
        torch.stack([getattr(knowledge, name) * interval[end] for name, interval in INTERVALS.items()]).sum(0)
        for end in (0, 1)
    )
    # Not `clamp`, whose gradient at the ends, where the table begins, differs between versions of torch.
    moved = torch.minimum(torch.maximum(table, low), high)
    return torch.where((table >= low) & (table <= high), table, moved)


def pseudo_labels(table: Tensor, knowledge: Knowledge, label: Tensor) -> Tensor:
    """The action units that a face's expression suggests: its class's row, so that no other row can spoil it (Q5).

    Args:
        table: [K, A].
        knowledge: kinds of the entries.
        label: int64 [B].

    Returns:
        [B, A], 0 to 1, differentiable in the table.
    """
    return bounded(table, knowledge)[label]


def weighted_error(scores: Tensor, target: Tensor) -> Tensor:
    """Squared errors of action units, `WEIGHT` times for those that should show; mean over all.

    Args:
        scores: probabilities [B, A].
        target: [B, A], 0 to 1; its gradient passes, but not through the weight.
    """
    weight = torch.where(target >= SHOWN, WEIGHT, 1.0).to(scores)
    return (weight * (scores - target).square()).mean()


def table_error(table: Tensor, knowledge: Knowledge) -> Tensor:
    """How far the table's entries are from the middles of their intervals, mean over all; flat, not NaN, there (Q5).

    Args:
        table: [K, A], as learned, not bounded.
        knowledge: kinds of the entries.
    """
    kinds = ((getattr(knowledge, name), sum(interval) / 2) for name, interval in INTERVALS.items())
    return torch.stack([mask * (table - middle).abs() for mask, middle in kinds]).sum(0).mean()


def au_dependency(scores: Tensor, *, released: bool = False) -> Tensor:
    """How far a batch's action units are from what is known of pairs: those that show together, and those that do not.

    With on_i, off_i the batch's means of scores at or above, and below, one half, and both_ij that of the products of
    two that are on, a pair that shows together adds relu(on_i on_j - both) + relu(off_i on_j - both) +
    relu(on_i off_j - both), and one that does not the same with both signs turned.

    Args:
        scores: [B, A], 0 to 1.
        released: the first term of pairs that do not show together has the other sign, as in the published code (Q4).

    Returns:
        a number, 0 or more.

    Source of the signs: Zhang et al., CVPR 2018.
    """
    shown = scores >= SHOWN
    high, low = scores * shown, scores * ~shown
    on, off = high.mean(0), low.mean(0)
    both = high.T @ high / len(scores)
    terms = []
    for kind, sign in (("together", 1.0), ("apart", -1.0)):
        i, j = pairs(kind).to(scores.device).unbind(1)
        first = 1.0 if released else sign
        terms += [
            first * (on[i] * on[j] - both[i, j]),
            sign * (off[i] * on[j] - both[i, j]),
            sign * (on[i] * off[j] - both[i, j]),
        ]
    return F.relu(torch.cat(terms)).sum()


def agreement(scores: Tensor, target: Tensor) -> Tensor:
    """Share of action units that are on the pseudo label's side of one half, [A]: [B, A] and [B, A]."""
    return ((scores >= SHOWN) == (target >= SHOWN)).double().mean(0)
