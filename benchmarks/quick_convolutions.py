"""What `openfer.learn.convolutions` saves of a training step in bfloat16 on one CPU thread (needs PyTorch).

python benchmarks/quick_convolutions.py
"""

from __future__ import annotations

import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from openfer.learn.backbones import build_backbone
from openfer.learn.convolutions import quicken
from openfer.learn.options import BackboneOptions

ROUNDS = 10
BATCH = 64
NETWORKS = (
    BackboneOptions(name="resnet10t", size=48, output_stride=8, init="none"),
    BackboneOptions(name="tf_efficientnet_lite0", size=96, init="none"),
    BackboneOptions(name="mobilenetv3_large_100", size=96, init="none"),
    BackboneOptions(name="convnext_atto", size=96, init="none"),
)


def main() -> None:
    """Time steps of every network in turn: in float32, in bfloat16, and there with its convolutions quickened."""
    torch.set_num_threads(1)
    table = Table("network", "float32", "bfloat16", "quickened", title=f"ms a step of {BATCH}, median of {ROUNDS}")
    for options in NETWORKS:
        plain = build_backbone(options).to(memory_format=torch.channels_last).train()
        quick = build_backbone(options).to(memory_format=torch.channels_last).train()
        quicken(quick)
        image = torch.randn(BATCH, 3, options.size, options.size).to(memory_format=torch.channels_last)
        sides = ((plain, False), (plain, True), (quick, True))
        seconds = np.array([[step(network, image, half) for network, half in sides] for _ in range(ROUNDS + 1)])[1:]
        cells = (f"{value:.0f}" for value in np.median(seconds, axis=0) * 1000)
        table.add_row(f"{options.name}, {options.size} px", *cells)
    Console().print(table)


def step(network: nn.Module, image: torch.Tensor, half: bool) -> float:
    """Processor seconds of a forward and a backward pass."""
    begin = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        embedding = network(image)
    embedding.float().square().mean().backward()
    network.zero_grad(set_to_none=True)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
