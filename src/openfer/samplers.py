"""Samplers for people with a training loop of their own. Needs `pip install openfer[train]`.

Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openfer.lazy import lazily

if TYPE_CHECKING:
    from openfer.learn.samplers import BalancedDraws as BalancedDraws
    from openfer.learn.samplers import MinimalResampling as MinimalResampling
    from openfer.learn.samplers import ShuffledBatches as ShuffledBatches

_HOMES = {
    "BalancedDraws": "openfer.learn.samplers",
    "MinimalResampling": "openfer.learn.samplers",
    "ShuffledBatches": "openfer.learn.samplers",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazily(__name__, _HOMES, torch=True)
