"""Losses for people with a training loop of their own. Needs `pip install openfer[train]`.

Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openfer.lazy import lazily

if TYPE_CHECKING:
    from openfer.learn.losses.adcorre import AdCorreLoss as AdCorreLoss
    from openfer.learn.losses.cross_entropy import balanced_weights as balanced_weights
    from openfer.learn.losses.cross_entropy import soft_cross_entropy as soft_cross_entropy
    from openfer.learn.losses.rebalanced import FlipConsistencyLoss as FlipConsistencyLoss
    from openfer.learn.losses.rebalanced import RebalancedSmoothLoss as RebalancedSmoothLoss

_HOMES = {
    "AdCorreLoss": "openfer.learn.losses.adcorre",
    "FlipConsistencyLoss": "openfer.learn.losses.rebalanced",
    "RebalancedSmoothLoss": "openfer.learn.losses.rebalanced",
    "balanced_weights": "openfer.learn.losses.cross_entropy",
    "soft_cross_entropy": "openfer.learn.losses.cross_entropy",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazily(__name__, _HOMES, torch=True)
