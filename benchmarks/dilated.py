"""What `openfer.learn.dilated` saves of a training step in bfloat16 on one CPU thread (needs PyTorch).

python benchmarks/dilated.py
"""

from __future__ import annotations

import time

import numpy as np
import torch
from rich.console import Console
from torch import nn

from openfer.learn.backbones import build_backbone
from openfer.learn.dilated import quicken
from openfer.learn.options import BackboneOptions

ROUNDS = 20


def main() -> None:
    """Time steps of both in turn."""
    torch.set_num_threads(1)
    options = BackboneOptions(name="resnet10t", size=48, output_stride=8, init="none")
    networks = [build_backbone(options).to(memory_format=torch.channels_last).train() for _ in range(2)]
    quicken(networks[1])
    image = torch.randn(64, 3, 48, 48).to(memory_format=torch.channels_last)
    seconds = np.array([[step(network, image) for network in networks] for _ in range(ROUNDS + 2)])[2:]
    plain, quick = np.median(seconds, axis=0) * 1000
    Console().print(
        f"ResNet-10-T, 48 px, output stride 8, batch 64, forward and backward, median of {ROUNDS}: "
        f"{plain:.0f} ms as timm makes it, {quick:.0f} ms quickened"
    )


def step(network: nn.Module, image: torch.Tensor) -> float:
    """Seconds of a forward and a backward pass."""
    begin = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        embedding = network(image)
    embedding.float().square().mean().backward()
    network.zero_grad(set_to_none=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
