"""Swin weights in the form of MEK's authors become weights of timm's Swin, with a report of every tensor.

Two kinds of files are read: an encoder trained on identities, from which the authors start (names such as
`layers.0.blocks.0.norm1.weight`), and a whole trained MEK network (the same names under `encoder.`, with `norm.` and
`head.` beside them).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timm.layers.pos_embed_rel import resize_rel_pos_bias_table
from torch import Tensor, nn

from openfer.errors import ModelError
from openfer.learn.patches import Channels, fold_kernel, fold_normalisation

MEAN = STD = (0.5, 0.5, 0.5)
"""The authors' normalisation, of pixels 0 to 1."""
UNUSED = ("feature.", "encoder.feature.", "encoder.norm.")
"""A face embedding's layers; and a last normalisation in whose place the authors' network has its own, `norm`."""
CONSTANTS = ("relative_position_index", "attn_mask")
KERNEL, BIAS, TABLE = "patch_embed.proj.weight", "patch_embed.proj.bias", "relative_position_bias_table"


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of a file's tensors.

    Args:
        tensors: by timm's names; a whole network's `head.` stays as it is called.
        loaded: the file's names whose tensors are taken.
        resampled: those whose shape was changed.
        skipped: those that the network does not need.
    """

    tensors: dict[str, Tensor]
    loaded: tuple[str, ...]
    resampled: tuple[str, ...]
    skipped: tuple[str, ...]

    def __str__(self) -> str:
        rest = {"resampled": self.resampled, "skipped": self.skipped}
        more = [f"{len(names)} {word} ({_groups(names)})" for word, names in rest.items() if names]
        return "; ".join([f"{len(self.loaded)} tensors loaded", *more])


def timm_name(name: str) -> str | None:
    """timm's name of a tensor in the authors' form; None for one that is not needed."""
    if name.startswith(UNUSED) or name.endswith(CONSTANTS):
        return None
    name = name.removeprefix("encoder.")
    parts = name.split(".")
    if parts[2:3] == ["downsample"]:  # timm merges patches at the beginning of a stage, the authors at its end
        parts[1] = str(int(parts[1]) + 1)
    return ".".join(parts)


def convert(weights: Mapping[str, Tensor], swin: nn.Module, source: str, mean: Channels, std: Channels) -> Converted:
    """Tensors in the authors' form as those of a timm Swin, its patches, windows and normalisation included.

    Args:
        weights: by the authors' names.
        swin: the network that they are for.
        source: what errors call them.
        mean, std: of the pictures that the network will see, per channel, of pixels 0 to 1.

    Raises:
        ModelError: a tensor is missing or has another shape.
    """
    wanted, tensors = swin.state_dict(), {}
    fates: dict[str, list[str]] = {"loaded": [], "resampled": [], "skipped": []}
    for name, value in weights.items():
        plain = name.removeprefix("module.")
        own = timm_name(plain)
        if own is None or not (own in wanted or own.startswith("head.")):
            fates["skipped"].append(plain)
            continue
        fitted = _fitted(value, swin, own, f"{source}: '{name}'") if own in wanted else value
        fates["loaded" if fitted.shape == value.shape else "resampled"].append(plain)
        tensors[own] = fitted.float().contiguous()
    if missing := [name for name in wanted if name not in tensors]:
        raise ModelError(f"{source}: no tensor for '{missing[0]}'; expected a Swin of this depth in the authors' form")
    tensors[KERNEL], tensors[BIAS] = fold_normalisation(
        tensors[KERNEL], tensors[BIAS], mean=MEAN, std=STD, new_mean=mean, new_std=std
    )
    return Converted(tensors=tensors, **{fate: tuple(names) for fate, names in fates.items()})


def _fitted(value: Tensor, swin: nn.Module, name: str, place: str) -> Tensor:
    wanted = swin.state_dict()[name]
    if value.shape == wanted.shape:
        return value
    if name == KERNEL and value.ndim == 4 and value.shape[:2] == wanted.shape[:2]:
        return fold_kernel(value, wanted.shape[-1])
    if name.endswith(TABLE) and value.ndim == 2 and value.shape[1] == wanted.shape[1]:
        window: Any = swin.get_submodule(name.removesuffix(f".{TABLE}")).window_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            resized: Tensor = resize_rel_pos_bias_table(value, window, tuple(wanted.shape))
        return resized
    raise ModelError(f"{place} has the shape {list(value.shape)}, the network needs {list(wanted.shape)}")


def _groups(names: tuple[str, ...]) -> str:
    """Many names in few words: their ends, each once."""
    return ", ".join(dict.fromkeys(".".join(name.split(".")[-2:]) for name in names))
