"""The trained network as the graph and the card that come with the package."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from openfer.errors import ModelError
from openfer.files import replacing
from openfer.learn.export import trace
from openfer.learn.half import halve_initialisers
from openfer.learn.landmarks.network import LandmarkNet, Shipped
from openfer.vision.landmarks import OUTPUTS, SIZE, Landmarker

PARITY = 0.1
"""Largest difference of a point between PyTorch and the graph, pixels of the crop."""


def export(network: LandmarkNet, path: Path) -> None:
    """Write the graph: normalisation folded into the convolutions, weights as float16.

    Args:
        network: trained.
        path: of the file, which is replaced.

    Raises:
        ModelError: the graph's points differ from PyTorch's.
    """
    shipped = Shipped(folded(network)).eval()
    crops = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)
    graph = halve_initialisers(trace(shipped, {"crops": torch.from_numpy(crops)}, OUTPUTS))
    with replacing(path) as beside:
        beside.write_bytes(graph.SerializeToString())
        with torch.no_grad():
            wanted = shipped(torch.from_numpy(crops))[0].numpy()
        got = np.stack([found.points for found in Landmarker(path=beside).find_crops(crops)])
        apart = float(np.abs(got - wanted).max())
        if not apart <= PARITY:
            raise ModelError(f"{path}: the graph's points differ from PyTorch's by {apart:.2g} px (limit {PARITY})")


def folded(network: LandmarkNet) -> LandmarkNet:
    """A copy in which every batch normalisation is part of the convolution before it."""
    result = copy.deepcopy(network).eval()
    for module in list(result.modules()):
        if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
            convolution = module[0]
            assert isinstance(convolution, nn.Conv2d)
            module[0], module[1] = fuse_conv_bn_eval(convolution, module[1]), nn.Identity()
    return result
