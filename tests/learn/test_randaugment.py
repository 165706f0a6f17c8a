"""RandAugment on tensors against timm's, which works on one Pillow picture at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from timm.data import auto_augment
from torch import Tensor

from openfer.learn.augment import COUNT, augment
from openfer.learn.options import AugmentOptions
from openfer.learn.randaugment import NUMBERS, OPERATIONS, randaugment

FACE = np.ascontiguousarray(astronaut()[40:168:2, 150:278:2])
ROUGH = {"resample": Image.Resampling.BICUBIC, "fillcolor": (128, 128, 128)}

TIMM: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "autocontrast": lambda image, m: auto_augment.auto_contrast(image),
    "equalize": lambda image, m: auto_augment.equalize(image),
    "invert": lambda image, m: auto_augment.invert(image),
    "rotate": lambda image, m: auto_augment.rotate(image, 3 * m, **ROUGH),
    "posterize": lambda image, m: auto_augment.posterize(image, max(1, 4 - int(0.4 * abs(m)))),
    "solarize": lambda image, m: auto_augment.solarize(image, 256 - int(25.6 * abs(m))),
    "solarize_add": lambda image, m: auto_augment.solarize_add(image, int(11 * abs(m))),
    "colour": lambda image, m: auto_augment.color(image, max(0.1, 1 + 0.09 * m)),
    "contrast": lambda image, m: auto_augment.contrast(image, max(0.1, 1 + 0.09 * m)),
    "brightness": lambda image, m: auto_augment.brightness(image, max(0.1, 1 + 0.09 * m)),
    "sharpness": lambda image, m: auto_augment.sharpness(image, max(0.1, 1 + 0.09 * m)),
    "shear_x": lambda image, m: auto_augment.shear_x(image, 0.03 * m, **ROUGH),
    "shear_y": lambda image, m: auto_augment.shear_y(image, 0.03 * m, **ROUGH),
    "translate_x": lambda image, m: auto_augment.translate_x_rel(image, 0.045 * m, **ROUGH),
    "translate_y": lambda image, m: auto_augment.translate_y_rel(image, 0.045 * m, **ROUGH),
}
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def tensor(*pictures: Any) -> Tensor:
    return torch.stack([torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255 for picture in pictures])


def numbers(name: str, seed: int, *, negative: bool) -> Tensor:
    """One row of random numbers for which this operation happens."""
    place = (list(OPERATIONS).index(name) + 0.5) / len(OPERATIONS)
    return torch.tensor([[place, 0.0, np.random.default_rng(seed).uniform(), 0.0 if negative else 0.9]])


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("magnitude", [0.0, 4.0, 9.0, 10.0])
@pytest.mark.parametrize("negative", [False, True])
def test_each_operation_is_timms(name: str, magnitude: float, negative: bool) -> None:
    got = randaugment(tensor(FACE), numbers(name, 0, negative=negative), magnitude, 0.0)[0] * 255
    wanted = tensor(TIMM[name](Image.fromarray(FACE), -magnitude if negative else magnitude))[0] * 255
    apart = (got - wanted).abs()
    if name in MOVES:  # another bicubic filter
        inner = apart[:, 12:-12, 12:-12]
        assert inner.mean() < 2
        moved = (wanted - tensor(FACE)[0] * 255)[:, 12:-12, 12:-12].abs().mean()
        assert inner.mean() < max(0.4 * moved, 0.5)
    else:
        assert apart.max() <= 1.01
        assert apart.mean() < 0.6  # Pillow cuts off where we round


def test_a_grey_picture_stays_grey() -> None:
    grey = tensor(FACE).mean(1, keepdim=True)
    for name in OPERATIONS:
        got = randaugment(grey, numbers(name, 0, negative=True), 9.0, 0.5)
        assert got.shape == grey.shape
        assert 0 <= got.min() <= got.max() <= 1


def test_every_operation_happens_to_about_its_share_of_the_pictures() -> None:
    generator = torch.Generator().manual_seed(0)
    u = torch.rand(3000, NUMBERS, generator=generator)
    pictures = torch.rand(3000, 1, 24, 24, generator=generator)
    rounded = (pictures * 255).round() / 255
    changed = (randaugment(pictures, u, 9.0, 0.5) != rounded).flatten(1).any(1)
    assert abs(float(changed.float().mean()) - 14 / 30) < 0.06
    for index in range(len(OPERATIONS)):
        share = float((changed & ((u[:, 0] * len(OPERATIONS)).long() == index)).float().mean())
        low = 0.0 if list(OPERATIONS)[index] == "colour" else 0.01  # grey pictures have none
        assert low <= share < 0.06, list(OPERATIONS)[index]


def test_pictures_are_changed_one_by_one() -> None:
    u = torch.rand(6, COUNT, generator=torch.Generator().manual_seed(3))
    options = AugmentOptions(
        randaugment=(2, 9.0, 0.5), erase=1.0, erase_fill="noise", erase_area=(0.1, 0.3), erase_sides=3.3
    )
    pictures = tensor(*[FACE] * 6)
    whole = augment(pictures, u, options)
    alone = torch.cat([augment(pictures[row : row + 1], u[row : row + 1], options) for row in range(6)])
    torch.testing.assert_close(whole, alone)
    assert len({picture.numpy().tobytes() for picture in whole}) == 6


def test_erased_places_are_noise_after_normalisation() -> None:
    u = torch.rand(64, COUNT, generator=torch.Generator().manual_seed(5))
    u[:, 9] = 0
    options = AugmentOptions(flip=0, erase=1.0, erase_fill="noise", erase_area=(0.3, 0.4))
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    flat = torch.full((64, 3, 32, 32), -9.0)
    got = augment(flat, u, options, mean, std)
    for channel in range(3):
        values = got[:, channel][got[:, channel] > -9]
        normal = (values - mean[channel]) / std[channel]
        assert abs(float(normal.mean())) < 0.02
        assert abs(float(normal.std()) - 1) < 0.02
