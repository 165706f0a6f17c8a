"""Random changes of training pictures: batched tensor operations, on the device that trains."""

from __future__ import annotations

from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from openfer.learn.chance import normals
from openfer.learn.options import AugmentOptions
from openfer.learn.randaugment import NUMBERS, randaugment
from openfer.vision.landmarks import MIRROR

COUNT = 32
"""Uniform numbers that one picture's changes use."""
RESCALE_STEPS = 4
"""Shrinking happens to one of so many sizes, so that a batch needs only so many resizes."""


def augment(
    pictures: Tensor,
    u: Tensor,
    options: AugmentOptions,
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Tensor:
    """Change every picture by its own random numbers.

    Args:
        pictures: [B, C, S, S] float, 0 to 1.
        u: [B, COUNT] uniform numbers in [0, 1).
        options: the recipe's `augment` section.
        mean: the colour that normalisation takes to 0, 0 to 1.
        std: what normalisation takes to 1.

    Returns:
        [B, C, S, S] float, 0 to 1; C becomes 3 where grey pictures are painted over with a colour.
    """
    x = warp(pictures, u[:, 0:5], options.flip, options.affine)
    for first in range(16, 16 + NUMBERS * options.randaugment[0], NUMBERS):
        x = randaugment(x, u[:, first : first + NUMBERS], *options.randaugment[1:])
    if options.noise[0] > 0:
        x = noise(x, u[:, 0], u[:, 15], *options.noise)
    if options.rescale < 1:
        x = rescale(x, u[:, 5], options.rescale)
    if options.blur > 0:
        x = blur(x, u[:, 6], options.blur / 1000 * x.shape[-1])
    if options.brightness > 0 or options.contrast > 0:
        x = light(x, u[:, 7:9], options.brightness, options.contrast)
    if options.erase > 0:
        middle, spread = (x.new_tensor(values).view(1, 3, 1, 1) for values in (mean, std))
        fill = None if options.erase_fill == "grey" else middle
        if options.erase_fill == "noise":
            height, width = x.shape[-2:]
            grains = normals(u[:, 14], 3 * height * width).view(-1, 3, height, width)
            fill = middle + grains * spread
        x = erase(x, u[:, 9:15], options.erase, area=options.erase_area, sides=options.erase_sides, fill=fill)
    return x


def _signed(u: Tensor) -> Tensor:
    return 2 * u - 1


def warp(x: Tensor, u: Tensor, flip: float, affine: tuple[float, float, float]) -> Tensor:
    """Mirror, rotate, scale and shift in one resampling; beyond the picture its border is repeated.

    Args:
        x: [B, C, S, S]; u: [B, 5] uniform; flip: probability; affine: degrees, share, share of the side.
    """
    if flip == 0 and not any(affine):
        return x
    if not any(affine):
        return torch.where((u[:, 0] < flip).view(-1, 1, 1, 1), x.flip(-1), x)
    grid = F.affine_grid(_theta(u, flip, affine), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def warp_landmarks(points: Tensor, u: Tensor, flip: float, affine: tuple[float, float, float]) -> Tensor:
    """Move landmarks as `warp` moves their pictures. In a mirrored one, left and right change their names, too.

    Args:
        points: [B, 68, 2] (x, y), shares of the picture's side; NaN stays NaN.
        u, flip, affine: those of the picture.

    Returns:
        [B, 68, 2].
    """
    if flip == 0 and not any(affine):
        return points
    theta = _theta(u, flip, affine).to(points)
    # theta says where a place of the result comes from; a point goes the other way.
    came_from = 2 * points - 1 - theta[:, None, :, 2]
    moved = came_from @ torch.linalg.inv(theta[:, :, :2]).transpose(1, 2) / 2 + 0.5
    mirrored = moved[:, torch.from_numpy(MIRROR).to(points.device)]
    return torch.where((u[:, 0] < flip).view(-1, 1, 1), mirrored, moved)


def _theta(u: Tensor, flip: float, affine: tuple[float, float, float]) -> Tensor:
    """[B, 2, 3]: where the places of a changed picture lie in the old one; both span -1 to 1."""
    degrees, scale, shift = affine
    mirror = torch.where(u[:, 0] < flip, -1.0, 1.0)
    angle = _signed(u[:, 1]) * degrees * pi / 180
    factor = 1 + _signed(u[:, 2]) * scale
    dx, dy = 2 * _signed(u[:, 3]) * shift, 2 * _signed(u[:, 4]) * shift  # the grid spans -1 to 1: twice a share
    cos, sin = factor * torch.cos(angle), factor * torch.sin(angle)
    return torch.stack([torch.stack([cos * mirror, -sin, dx], 1), torch.stack([sin * mirror, cos, dy], 1)], 1)


def rescale(x: Tensor, u: Tensor, smallest: float) -> Tensor:
    """Shrink half the pictures by a factor between `smallest` and 1, and enlarge them again.

    Args:
        x: [B, C, S, S]; u: [B] uniform; smallest: the strongest factor.
    """
    side = x.shape[-1]
    step = (u * 2 * RESCALE_STEPS).long()  # the upper half stays as it is
    result = x.clone()
    for index in range(RESCALE_STEPS):
        chosen = torch.nonzero(step == index).squeeze(1)
        if len(chosen):
            small = max(4, round(side * (smallest + (1 - smallest) * index / RESCALE_STEPS)))
            shrunk = F.interpolate(x[chosen], size=(small, small), mode="bilinear", antialias=True)
            result[chosen] = F.interpolate(shrunk, size=(side, side), mode="bicubic").clamp(0, 1)
    return result


def blur(x: Tensor, u: Tensor, largest: float) -> Tensor:
    """Blur half the pictures, each with a Gaussian of its own: sigma from 0 to `largest` pixels.

    Args:
        x: [B, C, S, S]; u: [B] uniform; largest: pixels.
    """
    batch, channels, side, _ = x.shape
    sigma = ((2 * u - 1) * largest).clamp(min=1e-3)  # the lower half stays as it is
    reach = max(1, round(3 * largest))
    offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets[None, :] / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    groups = batch * channels
    # One group a channel of a picture: every picture has a kernel of its own.
    flat = F.pad(x.reshape(1, groups, side, side), (reach,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel.view(groups, 1, 1, -1), groups=groups)
    flat = F.conv2d(flat, kernel.view(groups, 1, -1, 1), groups=groups)
    return flat.view(batch, channels, side, side)


def light(x: Tensor, u: Tensor, brightness: float, contrast: float) -> Tensor:
    """Change brightness (added) and contrast (about the picture's mean).

    Args:
        x: [B, C, S, S]; u: [B, 2] uniform; brightness, contrast: largest change.
    """
    factor = (1 + _signed(u[:, 0]) * contrast).view(-1, 1, 1, 1)
    shift = (_signed(u[:, 1]) * brightness).view(-1, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * factor + mean + shift).clamp(0, 1)


def noise(x: Tensor, chance: Tensor, seed: Tensor, probability: float, sigma: float, grid: int) -> Tensor:
    """Add Gaussian noise to pictures whose `chance` is high: never to one that was mirrored for a low one.

    Args:
        x: [B, C, S, S]; chance, seed: [B] uniform.
        probability: of a picture to be changed, those with chance >= 1 - probability.
        sigma: standard deviation, grey levels of 255.
        grid: pixels across of the noise, enlarged to S like a smaller picture with noise; 0 = S.
    """
    chosen = torch.nonzero(chance >= 1 - probability).squeeze(1)
    if not len(chosen):
        return x
    side, across = x.shape[-1], grid or x.shape[-1]
    values = normals(seed[chosen], x.shape[1] * across * across).view(-1, x.shape[1], across, across)
    if across != side:
        values = F.interpolate(values, size=(side, side), mode="bilinear")
    result = x.clone()
    result[chosen] = (x[chosen] + values.to(x) * sigma / 255).clamp(0, 1)
    return result


def erase(
    x: Tensor,
    u: Tensor,
    probability: float,
    *,
    area: tuple[float, float] = (0.02, 0.2),
    sides: float = 3.0,
    fill: Tensor | None = None,
) -> Tensor:
    """Paint over a rectangle.

    Args:
        x: [B, C, S, S]; u: [B, 6] uniform; probability: of a picture to be changed.
        area: smallest and largest share of the picture.
        sides: largest ratio of height and width, either way.
        fill: colours, of a shape that fits [B, C, S, S]; None for one random grey.

    Source: Zhong et al., Random Erasing Data Augmentation, AAAI 2020.
    """
    side = x.shape[-1]
    area_px = (area[0] + (area[1] - area[0]) * u[:, 1]) * side * side
    ratio = torch.exp(_signed(u[:, 2]) * log(sides))
    height, width = (area_px * ratio).sqrt(), (area_px / ratio).sqrt()
    top, left = u[:, 3] * (side - height), u[:, 4] * (side - width)
    line = torch.arange(side, device=x.device, dtype=x.dtype)[None, :] + 0.5  # middles of pixels
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    chosen = rows[:, None, :, None] & columns[:, None, None, :] & (u[:, 0] < probability).view(-1, 1, 1, 1)
    colour = u[:, 5].view(-1, 1, 1, 1) if fill is None else fill
    return torch.where(chosen, colour, x)


def mixup(values: Tensor, partners: Tensor, weight: float) -> Tensor:
    """Mix pictures (or targets) with those of their partners: weight x values + (1 - weight) x partners, any shape.

    Source: Zhang et al., mixup, ICLR 2018.
    """
    return weight * values + (1 - weight) * partners
