"""Depthwise convolutions (MobileNet, EfficientNet, ConvNeXt) whose gradients are quick in bfloat16 on a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

TAPS = 3
"""Side of the only depthwise kernel whose weight gradient oneDNN computes quickly."""


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that learns by the gradients which oneDNN computes quickly.

    Of a training step of EfficientNet-Lite0 at 96 px two thirds went into the weight gradients of kernels above 3 x 3
    and the input gradients of strides above 1 (`benchmarks/quick_convolutions.py`). Parameters, their names and the
    numbers are those of `nn.Conv2d`, or of timm's `Conv2dSame` where `same` is set.
    """

    same = False

    @staticmethod
    def suits(module: nn.Conv2d) -> bool:
        """Whether a convolution is a depthwise one that learns slowly and can be replaced."""
        if type(module) not in (nn.Conv2d, Conv2dSame):
            return False
        kernel, stride = module.kernel_size, module.stride
        depthwise = module.groups == module.in_channels == module.out_channels and module.groups > 1
        plain = module.padding_mode == "zeros" and module.dilation == (1, 1) and not isinstance(module.padding, str)
        square = kernel[0] == kernel[1] and stride[0] == stride[1]
        slow = kernel[0] > TAPS or stride[0] > 1
        return depthwise and plain and square and slow and kernel[0] % 2 == 1 and kernel[0] >= TAPS

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.same:
            padded = pad_same(input, list(self.kernel_size), list(self.stride))
        else:
            rows, columns = int(self.padding[0]), int(self.padding[1])
            padded = F.pad(input, (columns, columns, rows, rows))
        if not (self.training and torch.is_autocast_enabled("cpu")):
            return F.conv2d(padded, weight, bias, self.stride, groups=self.groups)
        half = torch.get_autocast_dtype("cpu")
        output: Tensor = _Depthwise.apply(padded.to(half), weight.to(half), self.stride[0])
        return output if bias is None else output + bias.to(half)[:, None, None]


class _Depthwise(torch.autograd.Function):
    """The convolution without padding, with both gradients given."""

    @staticmethod
    def forward(context: Any, image: Tensor, weight: Tensor, stride: int) -> Tensor:
        context.save_for_backward(image, weight)
        context.stride = stride
        return F.conv2d(image, weight, stride=stride, groups=len(weight))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        image, weight = context.saved_tensors
        to_image = to_weight = None
        if context.needs_input_grad[0]:
            to_image = input_gradient(image.shape, weight, gradient, context.stride)
        if context.needs_input_grad[1]:
            to_weight = weight_gradient(image, gradient, weight.shape[-1], context.stride)
        return to_image, to_weight, None


def input_gradient(shape: torch.Size, weight: Tensor, gradient: Tensor, stride: int) -> Tensor:
    """Gradient of a depthwise convolution's input: for a stride, the forward kernel over a gradient spread by it.

    Args:
        shape: of the input, which had its padding already, [B, C, H, W].
        weight: [C, 1, k, k]; gradient: [B, C, h, w] of the output; stride: of rows and columns.

    Returns:
        [B, C, H, W].
    """
    batch, channels, height, width = shape
    if stride == 1:
        plain: Tensor = conv2d_input(shape, weight, gradient, groups=channels)  # type: ignore[no-untyped-call]
        return plain
    border = weight.shape[-1] - 1
    rows, columns = gradient.shape[2:]
    spread = gradient.new_zeros(batch, height + border, width + border, channels).permute(0, 3, 1, 2)
    into_rows = slice(border, border + (rows - 1) * stride + 1, stride)
    into_columns = slice(border, border + (columns - 1) * stride + 1, stride)
    spread[:, :, into_rows, into_columns] = gradient
    return F.conv2d(spread, weight.flip(2, 3), groups=channels)


def weight_gradient(image: Tensor, gradient: Tensor, kernel: int, stride: int) -> Tensor:
    """Gradient of a depthwise convolution's weights, in blocks of 3 x 3 taps: four for a kernel of 5 x 5.

    A block's gradient is that of a 3 x 3 convolution of the image moved by the block's place.

    Args:
        image: [B, C, H, W], with its padding already; gradient: [B, C, h, w] of the output.
        kernel: its side k, odd and at least 3; stride: of rows and columns.

    Returns:
        [C, 1, k, k].
    """
    channels = image.shape[1]
    height, width = ((side - 1) * stride + TAPS for side in gradient.shape[2:])
    taps = image.new_empty(channels, 1, kernel, kernel)
    # Neighbours share a row or a column of taps, so that every odd kernel is covered.
    for row in range(0, kernel - 1, TAPS - 1):
        for column in range(0, kernel - 1, TAPS - 1):
            moved = image[:, :, row : row + height, column : column + width]
            taps[:, :, row : row + TAPS, column : column + TAPS] = conv2d_weight(  # type: ignore[no-untyped-call]
                moved.contiguous(memory_format=torch.channels_last),
                (channels, 1, TAPS, TAPS),
                gradient,
                stride=stride,
                groups=channels,
            )
    return taps
