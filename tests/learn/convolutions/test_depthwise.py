"""Quickened depthwise convolutions say and learn what PyTorch's and timm's own do."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from openfer.learn.backbones import build_backbone
from openfer.learn.convolutions import DepthwiseConv2d, quicken
from openfer.learn.convolutions.depthwise import input_gradient, weight_gradient
from openfer.learn.options import BackboneOptions


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.integers(1, 3),
    side=st.integers(9, 14),
    seed=st.integers(0, 99),
)
def test_the_gradients_are_autograds(kernel: int, stride: int, side: int, seed: int) -> None:
    torch.manual_seed(seed)
    image = torch.randn(3, 4, side, side - 1, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    output = F.conv2d(image, weight, stride=stride, groups=4)
    gradient = torch.randn_like(output)
    to_image, to_weight = torch.autograd.grad(output, (image, weight), gradient)
    torch.testing.assert_close(input_gradient(image.shape, weight.detach(), gradient, stride), to_image)
    torch.testing.assert_close(weight_gradient(image.detach(), gradient, kernel, stride), to_weight)


def learned(network: nn.Module, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The answer in training, and every gradient, the image's included."""
    image = image.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        answer = network.train()(image)
    answer.float().square().mean().backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    assert image.grad is not None
    gradients["image"] = image.grad
    network.zero_grad()
    return answer.float(), gradients


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 5, stride=2, padding=(2, 1), groups=8),
        nn.Conv2d(8, 8, 7, padding=3, groups=8),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
        Conv2dSame(8, 8, 5, stride=2, groups=8, bias=False),
        Conv2dSame(8, 8, 3, stride=2, groups=8),
    ],
    ids=["5", "5, stride 2, bias", "7, bias", "3, stride 2", "same 5, stride 2", "same 3, stride 2, bias"],
)
@pytest.mark.parametrize("side", [11, 12])
def test_a_quickened_layer_answers_and_learns_as_before(layer: nn.Conv2d, side: int) -> None:
    plain = nn.Sequential(layer)
    quick = copy.deepcopy(plain)
    quicken(quick)
    assert isinstance(quick[0], DepthwiseConv2d), "nothing was quickened: the test says nothing"
    image = torch.randn(4, 8, side, side)
    (answer, expected), (same, found) = learned(plain, image), learned(quick, image)
    assert found.keys() == expected.keys()
    torch.testing.assert_close(same, answer, atol=0.05, rtol=0.02)
    for name, gradient in expected.items():
        # bfloat16 keeps 8 binary digits; sums are rounded at other places.
        assert (found[name] - gradient).norm() <= 0.02 * gradient.norm(), name
    with torch.inference_mode():
        torch.testing.assert_close(quick.eval()(image), plain.eval()(image))


def test_names_and_weights_of_efficientnet_stay() -> None:
    torch.manual_seed(0)
    plain = build_backbone(BackboneOptions(name="tf_efficientnet_lite0", size=64, init="none"))
    quick = copy.deepcopy(plain)
    quicken(quick)
    assert list(plain.state_dict()) == list(quick.state_dict())
    replaced = [module for module in quick.modules() if isinstance(module, DepthwiseConv2d)]
    # Nine kernels of 5 x 5, and two of 3 x 3 with a stride.
    assert len(replaced) == 11
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(quick.eval()(image), plain.eval()(image))


def test_others_stay_as_they_are() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 1, stride=2, groups=4),
        nn.Conv2d(4, 4, 4, stride=2, groups=4),
        nn.Conv2d(4, 8, 5, groups=4),
        nn.Conv2d(4, 4, 5),
        nn.Conv2d(4, 4, 5, groups=2),
        nn.Conv2d(4, 4, (5, 3), groups=4),
        nn.Conv2d(4, 4, 5, stride=(1, 2), groups=4),
        nn.Conv2d(4, 4, 5, groups=4, dilation=2),
        nn.Conv2d(4, 4, 5, groups=4, padding="same"),
        nn.Conv2d(4, 4, 5, groups=4, padding=2, padding_mode="reflect"),
    )
    quicken(network)
    assert not any(isinstance(module, DepthwiseConv2d) for module in network.modules())
