"""Quickened dilated convolutions say and learn what PyTorch's own do."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from openfer.learn.backbones import build_backbone
from openfer.learn.convolutions import DilatedConv2d, quicken
from openfer.learn.convolutions.dilated import weight_gradient
from openfer.learn.options import BackboneOptions


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5]),
    dilation=st.integers(1, 4),
    padding=st.integers(0, 8),
    side=st.integers(18, 20),
    seed=st.integers(0, 99),
)
def test_the_weight_gradient_is_autograds(kernel: int, dilation: int, padding: int, side: int, seed: int) -> None:
    torch.manual_seed(seed)
    image = torch.randn(3, 4, side, side - 1, dtype=torch.float64)
    weight = torch.randn(5, 4, kernel, kernel, dtype=torch.float64, requires_grad=True)
    output = torch.nn.functional.conv2d(image, weight, padding=padding, dilation=dilation)
    gradient = torch.randn_like(output)
    (expected,) = torch.autograd.grad(output, weight, gradient)
    torch.testing.assert_close(weight_gradient(image, gradient, kernel, padding, dilation), expected)


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, nn.Module]:
    """A network with dilated convolutions, and its quickened copy."""
    torch.manual_seed(0)
    plain = build_backbone(BackboneOptions(name="resnet10t", size=32, output_stride=8, init="none"))
    plain = plain.to(memory_format=torch.channels_last)
    quick = copy.deepcopy(plain)
    quicken(quick)
    return plain, quick


def learned(network: nn.Module, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The answer, and every parameter's gradient."""
    with torch.autocast("cpu", torch.bfloat16):
        answer = network.train()(image)
    answer.float().square().mean().backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return answer.float(), gradients


def test_a_quickened_network_answers_and_learns_as_before(pair: tuple[nn.Module, nn.Module]) -> None:
    plain, quick = pair
    image = torch.randn(8, 3, 32, 32)
    (answer, expected), (same, found) = learned(plain, image), learned(quick, image)
    torch.testing.assert_close(same, answer)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        # bfloat16 keeps 8 binary digits.
        assert (found[name] - gradient).norm() <= 0.01 * gradient.norm(), name


def test_names_and_weights_stay(pair: tuple[nn.Module, nn.Module]) -> None:
    plain, quick = (network.state_dict() for network in pair)
    assert list(plain) == list(quick)
    dilated = [module for module in pair[1].modules() if isinstance(module, DilatedConv2d)]
    assert dilated, "nothing was quickened: the test says nothing"
    assert all(module.dilation[0] > 1 for module in dilated)


def test_others_stay_as_they_are() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, dilation=2, groups=2, bias=False),
        nn.Conv2d(4, 4, 3, dilation=2, stride=2, bias=False),
        nn.Conv2d(4, 4, 3, dilation=2, padding="same", bias=False),
        nn.Conv2d(4, 4, 3, dilation=2, padding_mode="reflect", padding=2, bias=False),
        nn.Conv2d(4, 4, (3, 1), dilation=2, bias=False),
        nn.Conv2d(4, 4, 3, dilation=2),
    )
    quicken(network)
    assert not any(isinstance(module, DilatedConv2d) for module in network.modules())
