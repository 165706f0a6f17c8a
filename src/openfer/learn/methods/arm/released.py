"""Tensors of the authors' checkpoints by our names: their network is torchvision's ResNet-18 in an `nn.Sequential`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

NAMES = {
    "features.0.": "backbone.conv1.",
    "features.1.": "backbone.bn1.",
    "features.4.": "backbone.layer1.",
    "features.5.": "backbone.layer2.",
    "features.6.": "backbone.layer3.",
    "features.7.": "backbone.layer4.",
    "arm.alpha": "head.alpha",
    "arm.de_albino.": "head.kernel.",
    "arm.bn.": "head.norm.",
    "fc.": "head.classifier.",
    # The oldest public checkpoint.
    "element_attention_x.elm.": "head.kernel.",
    "element_attention_x.bn.": "head.norm.",
}
"""Beginnings of names: theirs -> ours."""


def our_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of the authors' network by our names; an unknown name stays as it is.

    Args:
        weights: their `model_state_dict`, also as saved from `DistributedDataParallel` (names begin with `module.`).
    """
    return {_our_name(name.removeprefix("module.")): value for name, value in weights.items()}


def _our_name(name: str) -> str:
    for theirs, ours in NAMES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name
