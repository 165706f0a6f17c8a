"""Ad-Corre's backbone against activations of Keras's Xception, whose weights are given by a formula."""

from __future__ import annotations

import numpy as np
import timm
import torch
from timm.models.xception import Xception
from torch import Tensor, nn

from openfer.learn.methods.adcorre.network import as_keras
from tests.golden.arrays import close, load, tensor


def formula(number: int, count: int, seed: int) -> Tensor:
    """The stored weights' formula: [count] numbers of -1 to 1 for tensor `number`."""
    h = np.arange(count, dtype=np.uint64) + np.uint64((number * 0x9E3779B9 + seed * 0x85EBCA6B) % 2**32)
    h = h.astype(np.uint32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return torch.from_numpy(h / 2.0**31 - 1)


def layers(network: Xception) -> list[nn.Module]:
    """Convolutions and normalisations in the order of Keras: a block's main branch before its skip."""
    blocks = [getattr(network, f"block{number}") for number in range(1, 13)]
    chained = [network.conv1, network.bn1, network.conv2, network.bn2]
    for block in blocks:
        chained += [*block.rep, *([block.skip, block.skipbn] if block.skip is not None else [])]
    chained += [network.conv3, network.bn3, network.conv4, network.bn4]
    return [
        part
        for layer in chained
        for part in ([layer.conv1, layer.pointwise] if hasattr(layer, "pointwise") else [layer])
    ]


def fill(network: Xception, seed: int) -> int:
    """Set every weight by the formula; the number of tensors."""
    number = 0
    for layer in layers(network):
        if isinstance(layer, nn.Conv2d):
            out, within, high, wide = layer.weight.shape
            u = formula(number, layer.weight.numel(), seed)
            if layer.groups > 1:  # Keras's layout: height, width, channel, 1
                layer.weight.data = (u.view(high, wide, out, 1) * (3 / 9) ** 0.5).permute(2, 3, 0, 1).float()
            else:  # height, width, in, out
                scale = (6 / (high * wide * within)) ** 0.5
                layer.weight.data = (u.view(high, wide, within, out) * scale).permute(3, 2, 0, 1).float()
            number += 1
        elif isinstance(layer, nn.BatchNorm2d):
            parts = [formula(number + part, layer.num_features, seed) for part in range(4)]
            layer.weight.data, layer.bias.data = (1 + 0.2 * parts[0]).float(), (0.1 * parts[1]).float()
            layer.running_mean, layer.running_var = (0.1 * parts[2]).float(), (1 + 0.3 * parts[3]).float()
            number += 4
    return number


def test_xception_is_that_of_keras() -> None:
    arrays = load("adcorre", "xception_formula_weights.npz")
    network = timm.create_model("legacy_xception", num_classes=0)
    as_keras(network)
    assert fill(network, int(arrays["weight_seed"])) == int(arrays["n_weight_tensors"])
    named = {"block1_conv1_act": network.act1, "block1_conv2_act": network.act2}
    named |= {f"block{number + 1}_out": getattr(network, f"block{number}") for number in range(1, 13)}
    named |= {"block14_sepconv1_act": network.act3, "block14_sepconv2_act": network.act4}
    maps: dict[str, Tensor] = {}
    for name, module in named.items():
        module.register_forward_hook(lambda _, __, output, name=name: maps.update({name: output.clone()}))
    image = tensor(arrays["image_uint8"]).permute(0, 3, 1, 2).float() / 255
    for mode in ("eval", "train"):
        network.train(mode == "train")
        with torch.no_grad():
            pooled = network(image)
        close(
            pooled, arrays[f"{mode}_mean_block14_sepconv2_act"], 1e-3, 2e-4 * float(maps["block14_sepconv2_act"].max())
        )
        for name, value in maps.items():
            atol = 2e-4 * float(value.abs().max())
            close(value.mean((2, 3)), arrays[f"{mode}_mean_{name}"], 1e-3, atol)
            count, channels, high, wide = value.shape
            assert [count, high, wide, channels] == arrays[f"{mode}_shape_{name}"].tolist()
            if f"{mode}_first16_{name}" in arrays:
                close(value[:, :16].permute(0, 2, 3, 1), arrays[f"{mode}_first16_{name}"], 1e-3, atol)
    for name, norm in (("block1_conv1_bn", network.bn1), ("block14_sepconv2_bn", network.bn4)):
        close(norm.running_mean, arrays[f"after_{name}_moving_mean"], 0, 1e-5)
        close(norm.running_var, arrays[f"after_{name}_moving_variance"], 0, 1e-5)
