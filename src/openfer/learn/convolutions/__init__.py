"""Convolutions that learn quickly on a CPU in bfloat16, where oneDNN has no quick kernel for a gradient.

`quicken` puts them in the place of a network's own; parameters, their names and the numbers stay.
"""

from __future__ import annotations

from torch import nn

from openfer.learn.convolutions.depthwise import DepthwiseConv2d
from openfer.learn.convolutions.dilated import DilatedConv2d

__all__ = ["DepthwiseConv2d", "DilatedConv2d", "quicken"]


def quicken(network: nn.Module) -> None:
    """Replace, in place, the dilated and depthwise convolutions of a network that learn slowly and can be replaced."""
    for name, module in list(network.named_modules()):
        for quick in (DilatedConv2d, DepthwiseConv2d):
            if quick.suits(module):
                network.set_submodule(name, quick.like(module))
