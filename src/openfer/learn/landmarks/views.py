"""Random views of framed faces: turned, shifted, resized, mirrored, with other light, blur, noise and things in front.

All faces of a batch at once; what is random about a step comes from its generator alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Generator, Tensor

from openfer.learn.landmarks.faces import FRAME, SIDE
from openfer.learn.options import Below1, Share
from openfer.vision.landmarks import ENLARGE, MIRROR, SIZE

NotNegative = Annotated[float, Ge(0)]
SQUARE = ENLARGE * FRAME
"""Side of the network's square in pixels of `Faces.pictures`."""
BLUR_TAPS = torch.arange(-3, 4).float()


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How far views go.

    Args:
        rotate: largest rotation to either side, degrees.
        scale: largest change of size, as a share.
        shift: largest shift along each axis, as a share of the square's side.
        flip: probability of mirroring.
        gamma: largest logarithm of the exponent on grey levels from 0 to 1.
        blur: largest Gaussian blur of half of the pictures, sigma in pixels of the crop.
        noise: largest standard deviation of the noise, grey levels of 255.
        erase: probability that a rectangle of up to `erase_side` (shares of the side) is painted over.
    """

    rotate: NotNegative = 20.0
    scale: Below1 = 0.16
    shift: Below1 = 0.07
    flip: Share = 0.5
    gamma: NotNegative = 0.4
    blur: NotNegative = 1.0
    noise: NotNegative = 8.0
    erase: Share = 0.3
    erase_side: Share = 0.4


def make_views(pictures: Tensor, points: Tensor, options: ViewOptions, generator: Generator) -> tuple[Tensor, Tensor]:
    """One random view of each face.

    Args:
        pictures: uint8 [B, SIDE, SIDE].
        points: float32 [B, 68, 2], pixels of `pictures`.
        options: how far views go.
        generator: source of chance.

    Returns:
        crops [B, 1, 64, 64], 0 to 255, and the points in them [B, 68, 2], as shares of the crop's side.
    """
    count = len(pictures)

    def spread(*columns: int) -> Tensor:
        return 2 * torch.rand(count, *columns, generator=generator) - 1

    angle = torch.deg2rad(options.rotate * spread())
    side = SQUARE * torch.exp(torch.log1p(torch.tensor(options.scale)) * spread())
    centre = SIDE / 2 + options.shift * SQUARE * spread(2)
    mirrored = torch.rand(count, generator=generator) < options.flip
    crops, shares = cut(pictures, points, centre, side, angle, mirrored)
    return photographed(crops, options, generator), shares


def plain_views(pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """The faces as they stand, in the shapes of `make_views`."""
    count = len(pictures)
    centre, side = torch.full((count, 2), SIDE / 2), torch.full((count,), SQUARE)
    return cut(pictures, points, centre, side, torch.zeros(count), torch.zeros(count, dtype=torch.bool))


def cut(
    pictures: Tensor, points: Tensor, centre: Tensor, side: Tensor, angle: Tensor, mirrored: Tensor
) -> tuple[Tensor, Tensor]:
    """Squares [B] around centres [B, 2] with sides [B], turned by angles [B] (radians, clockwise), some mirrored."""
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)  # [B, 2, 2], for rows (x, y)
    signs = torch.stack([1.0 - 2.0 * mirrored.float(), torch.ones_like(angle)], -1)
    places = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
    grid = torch.stack(torch.meshgrid(places, places, indexing="xy"), -1).view(1, -1, 2) * signs[:, None]
    at = centre[:, None] + side[:, None, None] * (grid @ turn)
    sampled = F.grid_sample(
        pictures.float().unsqueeze(1),
        at.view(-1, SIZE, SIZE, 2) * (2 / SIDE) - 1,
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    )
    shares = ((points - centre[:, None]) @ turn.transpose(1, 2)) / side[:, None, None] * signs[:, None] + 0.5
    order = torch.from_numpy(MIRROR)
    return sampled.clamp(0, 255), torch.where(mirrored[:, None, None], shares[:, order], shares)


def photographed(crops: Tensor, options: ViewOptions, generator: Generator) -> Tensor:
    """Other light, blur, noise, and a rectangle in front of some: [B, 1, 64, 64], 0 to 255."""
    count = len(crops)

    def chance(*columns: int) -> Tensor:
        return torch.rand(count, *columns, generator=generator)

    exponent = torch.exp(options.gamma * (2 * chance() - 1)).view(-1, 1, 1, 1)
    crops = 255 * (crops / 255) ** exponent
    crops = blurred(crops, options.blur * (2 * chance() - 1).clamp(min=0))
    crops = crops + (options.noise * chance()).view(-1, 1, 1, 1) * torch.randn(crops.shape, generator=generator)
    half = 0.5 * options.erase_side * (0.25 + 0.75 * chance(2))
    away = ((torch.arange(SIZE) + 0.5) / SIZE).view(1, 1, -1) - chance(2)[:, :, None]
    inside = away.abs() < half[:, :, None]  # [B, 2, 64]: columns, rows
    erased = (inside[:, 1, :, None] & inside[:, 0, None, :]).unsqueeze(1)
    erased &= (chance() < options.erase).view(-1, 1, 1, 1)
    return torch.where(erased, (255 * chance()).view(-1, 1, 1, 1), crops).clamp(0, 255)


def blurred(crops: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with a sigma (pixels) for each crop: [B, 1, H, W], [B]."""
    weights = torch.exp(-0.5 * (BLUR_TAPS / sigma.clamp(min=0.05)[:, None]) ** 2)
    weights = (weights / weights.sum(1, keepdim=True)).view(-1, 1, 1, len(BLUR_TAPS))
    count, spare = len(crops), len(BLUR_TAPS) // 2
    channels = F.pad(crops.transpose(0, 1), (spare, spare, spare, spare), mode="replicate")
    along = F.conv2d(channels, weights, groups=count)
    return F.conv2d(along, weights.transpose(2, 3), groups=count).transpose(0, 1)
