"""Dilated convolutions whose gradients are quick in bfloat16 on a CPU (`backbone.output_stride` makes some)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input


class DilatedConv2d(nn.Conv2d):
    """A dilated convolution whose weight gradient is one matrix product.

    oneDNN has no quick kernel for this gradient: of a training step of ResNet-10-T at 48 px with an output stride of 8
    it took a third (`benchmarks/quick_convolutions.py`). Parameters, their names and the numbers are those of
    `nn.Conv2d`.
    """

    @staticmethod
    def suits(module: nn.Conv2d) -> bool:
        """Whether a convolution is a dilated one that can be replaced."""
        if type(module) is not nn.Conv2d:
            return False
        # Padding by name ("same") is no pair of equal numbers either.
        square = all(len(set(pair)) == 1 for pair in (module.kernel_size, module.padding, module.dilation))
        plain = module.bias is None and module.groups == 1 and module.padding_mode == "zeros"
        return square and plain and module.stride == (1, 1) and module.dilation[0] > 1

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not (self.training and torch.is_autocast_enabled("cpu")):
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        half = torch.get_autocast_dtype("cpu")
        padding, dilation = int(self.padding[0]), self.dilation[0]
        output: Tensor = _Convolution.apply(input.to(half), weight.to(half), padding, dilation)
        return output


class _Convolution(torch.autograd.Function):
    """The convolution, with both gradients given."""

    @staticmethod
    def forward(context: Any, image: Tensor, weight: Tensor, padding: int, dilation: int) -> Tensor:
        context.save_for_backward(image, weight)
        context.padding, context.dilation = padding, dilation
        return F.conv2d(image, weight, padding=padding, dilation=dilation)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        image, weight = context.saved_tensors
        padding, dilation = context.padding, context.dilation
        to_image = to_weight = None
        if context.needs_input_grad[0]:
            to_image = conv2d_input(  # type: ignore[no-untyped-call]
                image.shape, weight, gradient, padding=padding, dilation=dilation
            )
        if context.needs_input_grad[1]:
            to_weight = weight_gradient(image, gradient, weight.shape[-1], padding, dilation)
        return to_image, to_weight, None, None


def weight_gradient(image: Tensor, gradient: Tensor, kernel: int, padding: int, dilation: int) -> Tensor:
    """Gradient of a dilated convolution's weights.

    Args:
        image: [B, C, H, W]; gradient: [B, D, h, w] of the output; kernel: side of the kernel, k.

    Returns:
        [D, C, k, k].
    """
    batch, width = gradient.shape[:2]
    rows, columns = gradient.shape[2:]
    padded = F.pad(image, (padding,) * 4).permute(0, 2, 3, 1).contiguous()
    over_batch, over_rows, over_columns, _ = padded.stride()
    # What every tap of the kernel saw at every place: views, copied once by the reshape.
    seen = padded.as_strided(
        (batch, rows, columns, kernel, kernel, image.shape[1]),
        (over_batch, over_rows, over_columns, over_rows * dilation, over_columns * dilation, 1),
    )
    product = gradient.permute(0, 2, 3, 1).reshape(-1, width).t() @ seen.reshape(batch * rows * columns, -1)
    return product.view(width, kernel, kernel, -1).permute(0, 3, 1, 2)
