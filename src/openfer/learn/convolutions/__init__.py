"""Convolutions that learn quickly on a CPU in bfloat16, where oneDNN has no quick kernel for a gradient.

`quicken` puts them in the place of a network's own; parameters, their names and the numbers stay.
"""

from __future__ import annotations

from typing import TypeVar

from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from openfer.learn.convolutions.depthwise import DepthwiseConv2d
from openfer.learn.convolutions.dilated import DilatedConv2d

Quick = TypeVar("Quick", bound=nn.Conv2d)

__all__ = ["DepthwiseConv2d", "DilatedConv2d", "quicken"]


def quicken(network: nn.Module) -> None:
    """Replace, in place, the dilated and depthwise convolutions of a network that learn slowly and can be replaced."""
    for name, module in list(network.named_modules()):
        if not isinstance(module, nn.Conv2d):
            continue
        if DilatedConv2d.suits(module):
            network.set_submodule(name, _with_weights_of(module, DilatedConv2d))
        elif DepthwiseConv2d.suits(module):
            quick = _with_weights_of(module, DepthwiseConv2d)
            quick.same = isinstance(module, Conv2dSame)
            network.set_submodule(name, quick)


def _with_weights_of(module: nn.Conv2d, kind: type[Quick]) -> Quick:
    quick = kind(
        module.in_channels,
        module.out_channels,
        module.kernel_size,  # type: ignore[arg-type]
        stride=module.stride,  # type: ignore[arg-type]
        padding=module.padding,  # type: ignore[arg-type]
        dilation=module.dilation,  # type: ignore[arg-type]
        groups=module.groups,
        bias=module.bias is not None,
        device="meta",  # no second set of weights
    )
    quick.weight, quick.bias = module.weight, module.bias
    return quick.train(module.training)
