"""ARM's head: it amends a feature map whose border is eroded by zero padding, and classifies it.

Shi, Zhu, Liang: Learning to Amend Facial Expression Representation via De-albino and Affinity, arXiv:2103.10189.
Read it from `arrange` to `AmendingHead.forward`: channels become a few large planes, one big kernel without padding
goes over every plane, the planes' mean gets a multiple of a feature that all faces share, and a linear layer answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.errors import ConfigError

Affinity = Literal["running", "batch", "off"]
SHUFFLES = (32, 16, 8, 4, 2)
"""Factors of the arrangement that our rule chooses from."""
FEWEST_CELLS = 5
"""Below, so few features are left that the head says less than a plain average: 4 cells leave 25, 3 leave 9, 2 one."""


@dataclass(frozen=True, kw_only=True)
class AmendingGeometry:
    """Sizes of an amending head.

    Args:
        channels: C of the feature map.
        height, width: of the feature map, cells.
        shuffle: r; r * r channels become an r x r block of a plane.
        kernel, stride: k and t of the de-albino convolution, in pixels of a plane.
    """

    channels: int
    height: int
    width: int
    shuffle: int
    kernel: int
    stride: int

    @property
    def planes(self) -> int:
        """P, planes after the arrangement."""
        return self.channels // self.shuffle**2

    @property
    def plane(self) -> tuple[int, int]:
        """Height and width of a plane."""
        return self.height * self.shuffle, self.width * self.shuffle

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the convolved planes."""
        high, wide = self.plane
        return (high - self.kernel) // self.stride + 1, (wide - self.kernel) // self.stride + 1

    @property
    def features(self) -> int:
        """D, numbers that the classifier reads."""
        high, wide = self.output
        return high * wide


def amending_geometry(
    channels: int,
    height: int,
    width: int,
    *,
    shuffle: int | None = None,
    kernel: int | None = None,
    stride: int | None = None,
) -> AmendingGeometry:
    """The sizes for a feature map [B, C, height, width], those not given by our rule.

    The rule: r is the largest power of two up to 32 for which r * r divides C at least twice; k = 2 r and t = r / 2, a
    window of 2 x 2 cells that moves by half a cell. For ResNet-18 at 224 px these are the authors' 16, 32 and 8.

    Raises:
        ConfigError: the channels do not arrange, the kernel does not fit, or its steps miss the last rows.
    """
    if shuffle is None:
        fitting = [r for r in SHUFFLES if channels % r**2 == 0 and channels // r**2 >= 2]
        if not fitting:
            raise ConfigError(
                f"method 'arm': {channels} channels do not arrange into planes (a multiple of 4, at least 8, would); "
                "choose another backbone"
            )
        shuffle = fitting[0]
    if channels % shuffle**2:
        raise ConfigError(
            f"method.shuffle: {shuffle} x {shuffle} does not divide the backbone's {channels} channels; "
            "leave it away for the largest that does"
        )
    geometry = AmendingGeometry(
        channels=channels,
        height=height,
        width=width,
        shuffle=shuffle,
        kernel=kernel or 2 * shuffle,
        stride=stride or max(1, shuffle // 2),
    )
    for side in geometry.plane:
        if geometry.kernel > side:
            raise ConfigError(
                f"method 'arm': the last feature map has {height} x {width} cells, a kernel of {geometry.kernel} px "
                f"needs {-(-geometry.kernel // shuffle)}; enlarge backbone.size, or set backbone.output_stride"
            )
        if (side - geometry.kernel) % geometry.stride:
            raise ConfigError(
                f"method.stride: steps of {geometry.stride} px from a kernel of {geometry.kernel} px do not end at the "
                f"plane's {side} px, so that its last rows would never be seen; choose a stride that divides "
                f"{side - geometry.kernel}"
            )
    return geometry


def narrowness(geometry: AmendingGeometry) -> list[str]:
    """What one should know before training a head of these sizes: a sentence where the map is small, else nothing."""
    if min(geometry.height, geometry.width) >= FEWEST_CELLS:
        return []
    return [
        f"the last feature map has {geometry.height} x {geometry.width} cells, which leaves arm's head "
        f"{geometry.features} feature{'s' * (geometry.features != 1)}; at least {FEWEST_CELLS} x {FEWEST_CELLS} "
        "are advised: set backbone.output_stride=8 or 16, or enlarge backbone.size"
    ]


def coverage(side: int, kernel: int, stride: int) -> Tensor:
    """How many windows along one axis see each pixel: int64 [side]. Few at the border: that is how it weighs less."""
    pixel = torch.arange(side)
    last = torch.clamp(pixel // stride, max=(side - kernel) // stride)
    first = torch.clamp(-((kernel - 1 - pixel) // stride), min=0)
    return last - first + 1


def arrange(maps: Tensor, shuffle: int) -> Tensor:
    """Feature arrangement: [B, P r r, h, w] -> planes [B, P, h r, w r]; a cell becomes a block and keeps its place."""
    return F.pixel_shuffle(maps, shuffle)


def de_albino(planes: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """One kernel over every plane by itself, without padding: [B, P, H, W] and [1, 1, k, k] -> [B, P, n, m]."""
    convolved = F.conv2d(planes.flatten(0, 1).unsqueeze(1), kernel, stride=stride)
    return convolved.view(-1, planes.shape[1], *convolved.shape[2:])


def share(features: Tensor, generic: Tensor, alpha: Tensor) -> Tensor:
    """Sharing affinity: [B, D] features plus alpha times the generic feature [D]."""
    return features + alpha * generic


class AmendingPool(nn.Module):
    """Feature map [B, C, h, w] -> amended features [B, D]: ARM's head without its classifier.

    In training the generic feature is the batch's mean, with gradient, as released. What it is in evaluation is
    `affinity`; `running` and `off` give answers that do not depend on the batch.

    Args:
        geometry: its sizes.
        affinity: `running` (a moving average kept in the buffer `generic`), `batch` (this batch's mean, as released)
            or `off` (nothing is shared, in training neither).
        momentum: of the moving average; the first batch starts it.
    """

    generic: Tensor
    batches: Tensor

    def __init__(self, geometry: AmendingGeometry, *, affinity: Affinity = "running", momentum: float = 0.1) -> None:
        super().__init__()
        self.geometry, self.affinity, self.momentum = geometry, affinity, momentum
        self.kernel = nn.Conv2d(1, 1, geometry.kernel, geometry.stride, bias=False)
        self.norm = nn.BatchNorm2d(geometry.planes)
        if affinity != "off":
            self.alpha = nn.Parameter(torch.ones(1))
            self.register_buffer("generic", torch.zeros(geometry.features))
            self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def features(self, maps: Tensor) -> Tensor:
        """What the classifier reads: maps [B, C, h, w] -> [B, D]."""
        own = self.own(maps)
        if self.affinity == "off":
            return own
        if self.training:
            mean = own.mean(0)
            self._follow(mean.detach())
        else:
            mean = own.mean(0) if self.affinity == "batch" else self.generic
        return share(own, mean, self.alpha)

    def own(self, maps: Tensor) -> Tensor:
        """A face's features before anything is shared: [B, D], n x m row by row."""
        planes = arrange(maps.to(self.kernel.weight.dtype), self.geometry.shuffle)
        convolved: Tensor = self.norm(de_albino(planes, self.kernel.weight, self.geometry.stride))
        return convolved.mean(1).flatten(1)

    def _follow(self, mean: Tensor) -> None:
        # The first batch counts whole; asked of the device, so that no step waits for it.
        self.generic.lerp_(mean, torch.where(self.batches > 0, self.momentum, 1.0).to(mean))
        self.batches += 1

    @torch.no_grad()
    def calibrate(self, maps: Iterable[Tensor]) -> None:
        """Replace the generic feature by the exact mean over these feature maps, taken in evaluation mode.

        For weights that come without it, such as the authors', and to close the small gap between the batches of
        training and evaluation.
        """
        if self.affinity == "off":
            return
        training = self.training
        self.eval()
        total, count = torch.zeros_like(self.generic, dtype=torch.float64), 0
        for part in maps:
            total, count = total + self.own(part).double().sum(0), count + len(part)
        self.train(training)
        self.generic.copy_(total / count)
        self.batches.clamp_(min=1)


class AmendingHead(AmendingPool):
    """Feature map [B, C, h, w] -> logits [B, K]: amended features and a linear classifier.

    Args:
        geometry: see `AmendingPool`, as for the next two.
        affinity: `running`, `batch` or `off`.
        momentum: of the running generic feature.
        classes: K.
        dropout: share of the features that a training step leaves out, before the classifier.
    """

    def __init__(
        self,
        geometry: AmendingGeometry,
        classes: int,
        *,
        affinity: Affinity = "running",
        momentum: float = 0.1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(geometry, affinity=affinity, momentum=momentum)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(geometry.features, classes)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """maps [B, C, h, w] -> logits [B, K], features [B, D]."""
        # A sum of k * k products and means over a batch are worth full precision.
        with torch.autocast(maps.device.type, enabled=False):
            features = self.features(maps)
            return self.classifier(self.dropout(features)), features


@torch.no_grad()
def fold(head: AmendingHead) -> nn.Conv2d:
    """The whole head, as it answers in evaluation without the batch, as one convolution as large as the feature map.

    Everything from the arrangement to the classifier is affine, so that logits = conv(maps) [B, K, 1, 1].
    """
    geometry, norm = head.geometry, head.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * scale
    weight = head.classifier.weight.double()
    high, wide = geometry.output
    # The transposed convolution takes a classifier's weight back to the pixels that it is made from.
    spread = F.conv_transpose2d(weight.view(-1, 1, high, wide), head.kernel.weight.double(), stride=geometry.stride)
    down, right = geometry.plane[0] - spread.shape[2], geometry.plane[1] - spread.shape[3]
    planes = F.pad(spread, (0, right, 0, down)) * (scale / geometry.planes).view(1, -1, 1, 1)
    bias = head.classifier.bias.double() + shift.mean() * weight.sum(1)
    if head.affinity != "off":
        bias = bias + head.alpha.double() * (weight @ head.generic.double())
    folded = nn.Conv2d(geometry.channels, len(weight), (geometry.height, geometry.width), dtype=torch.float64)
    folded.weight.copy_(F.pixel_unshuffle(planes, geometry.shuffle))
    folded.bias.copy_(bias)  # type: ignore[union-attr]
    return folded.to(head.classifier.weight)
