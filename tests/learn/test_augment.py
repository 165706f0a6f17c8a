"""Random changes of pictures: each does what its option says, to each picture by its own numbers alone."""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

from openfer.learn.augment import COUNT, augment, blur, erase, light, mixup, rescale, warp, warp_landmarks
from openfer.learn.chance import uniforms
from openfer.learn.options import AugmentOptions
from openfer.vision.landmarks import MIRROR

ALL = AugmentOptions(
    flip=0.5, affine=(20, 0.2, 0.1), brightness=0.3, contrast=0.4, blur=30, rescale=0.4, erase=0.5, mixup=0.2
)
OFF = AugmentOptions(flip=0.0)
EACH: dict[str, AugmentOptions] = {
    "flip": AugmentOptions(flip=0.5),
    "affine": AugmentOptions(flip=0, affine=(20, 0.2, 0.1)),
    "light": AugmentOptions(flip=0, brightness=0.3, contrast=0.4),
    "blur": AugmentOptions(flip=0, blur=30),
    "rescale": AugmentOptions(flip=0, rescale=0.4),
    "erase": AugmentOptions(flip=0, erase=0.5),
    "all": ALL,
}


def pictures(count: int, channels: int = 1, side: int = 24, seed: int = 0) -> Tensor:
    """Smooth random pictures, 0 to 1."""
    rng = np.random.default_rng(seed)
    raw = gaussian_filter(rng.random((count, channels, side, side)), sigma=(0, 0, 2, 2), mode="nearest")
    low, high = raw.min((1, 2, 3), keepdims=True), raw.max((1, 2, 3), keepdims=True)
    return torch.from_numpy((raw - low) / (high - low)).float()


def chances(count: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(uniforms((seed,), np.arange(count), COUNT))


def halves(count: int, columns: int) -> Tensor:
    """Numbers that leave every signed change at 0."""
    return torch.full((count, columns), 0.5)


@settings(max_examples=30, deadline=None)
@given(
    place=st.tuples(st.floats(0.35, 0.65), st.floats(0.35, 0.65)),
    seed=st.integers(0, 1000),
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    affine=st.sampled_from([(0.0, 0.0, 0.0), (30.0, 0.2, 0.1)]),
)
def test_landmarks_go_where_their_pixels_go(
    place: tuple[float, float], seed: int, flip: float, affine: tuple[float, float, float]
) -> None:
    side, point, u = 96, 31, chances(4, seed)[:, :5]
    middles = (torch.arange(side) + 0.5) / side
    spot = torch.exp(-((middles - place[0]) ** 2 + (middles[:, None] - place[1]) ** 2) / 0.001)
    points = torch.full((4, 68, 2), torch.nan)
    points[:, point] = torch.tensor(place)
    moved = warp_landmarks(points, u, flip, affine)
    seen = warp(spot.expand(4, 1, side, side), u, flip, affine)[:, 0]
    found = torch.stack([(seen * middles).sum((1, 2)), (seen * middles[:, None]).sum((1, 2))], 1)
    names = torch.where(u[:, 0] < flip, int(MIRROR[point]), point)  # left is right in a mirrored picture
    torch.testing.assert_close(moved[torch.arange(4), names], found / seen.sum((1, 2))[:, None], atol=5e-3, rtol=0)
    assert int(moved.isnan().sum()) == 4 * 67 * 2


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_range_are_kept_and_something_changes(name: str, channels: int) -> None:
    x = pictures(32, channels)
    before = x.clone()
    result = augment(x, chances(32), EACH[name])
    assert result.shape == x.shape
    assert result.dtype == torch.float32
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(x, before)
    changed = (result != x).flatten(1).any(1).float().mean()
    assert changed > (0.9 if name in ("affine", "light", "all") else 0.2)


def test_everything_off_changes_nothing() -> None:
    x = pictures(8)
    assert torch.equal(augment(x, chances(8), OFF), x)


@pytest.mark.parametrize("name", EACH)
def test_a_picture_does_not_depend_on_its_batch(name: str) -> None:
    x, u = pictures(24, 3), chances(24)
    whole = augment(x, u, EACH[name])
    order = torch.from_numpy(np.random.default_rng(0).permutation(24))
    torch.testing.assert_close(augment(x[order], u[order], EACH[name]), whole[order], rtol=0, atol=1e-6)
    alone = torch.cat([augment(x[i : i + 1], u[i : i + 1], EACH[name]) for i in range(24)])
    torch.testing.assert_close(alone, whole, rtol=0, atol=1e-6)


def test_flip_is_an_exact_mirror_at_its_probability() -> None:
    x, u = pictures(2000, side=4), chances(2000)
    result = augment(x, u, AugmentOptions(flip=0.3))
    mirrored = (result == x.flip(-1)).flatten(1).all(1)
    same = (result == x).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert abs(float(mirrored.float().mean()) - 0.3) < 0.04
    assert torch.equal(augment(x, u, AugmentOptions(flip=1.0)), x.flip(-1))


def dot(x: float, y: float, side: int = 48) -> Tensor:
    """A smooth dot at (x, y), pixels from the picture's centre, x right and y down: [1, 1, side, side]."""
    line = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    return torch.exp(-0.5 * ((line[None, :] - x) ** 2 + (line[:, None] - y) ** 2) / 2.0**2)[None, None]


def centre(picture: Tensor) -> tuple[float, float]:
    """Where a picture's dot lies, pixels from the centre."""
    side = picture.shape[-1]
    line = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    mass = picture[0, 0] / picture.sum()
    return float((mass * line[None, :]).sum()), float((mass * line[:, None]).sum())


@settings(max_examples=40, deadline=None)
@given(
    turn=st.floats(0, 0.999),
    scale=st.floats(0, 0.999),
    dx=st.floats(0, 0.999),
    dy=st.floats(0, 0.999),
    flip=st.booleans(),
)
def test_a_dot_moves_where_rotation_scale_shift_and_mirror_take_it(
    turn: float, scale: float, dx: float, dy: float, flip: bool
) -> None:
    degrees, share, shift = 30.0, 0.2, 0.1
    u = torch.tensor([[0.0 if flip else 0.9, turn, scale, dx, dy]])
    got = centre(warp(dot(7, -4), u, 0.5, (degrees, share, shift)))
    # The picture at p shows what was at factor * R(angle) (mirror p) + shift, so the dot is where that gives (7, -4).
    angle, factor = radians((2 * turn - 1) * degrees), 1 + (2 * scale - 1) * share
    x, y = 7 - (2 * dx - 1) * shift * 48, -4 - (2 * dy - 1) * shift * 48
    x, y = (cos(angle) * x + sin(angle) * y) / factor, (-sin(angle) * x + cos(angle) * y) / factor
    assert got == pytest.approx((-x if flip else x, y), abs=0.1)


@pytest.mark.parametrize(
    ("affine", "column", "moved"),
    [
        ((0, 0, 0.25), 3, (-12, 0)),  # a quarter of 48 px
        ((0, 0, 0.25), 4, (0, -12)),
        ((0, 0.5, 0), 2, (0, 0)),  # the dot in the middle stays
        ((90, 0, 0), 1, (0, 0)),
    ],
)
def test_the_largest_change_is_what_the_option_says(
    affine: tuple[float, float, float], column: int, moved: tuple[float, float]
) -> None:
    u = halves(1, 5)
    u[0, column] = 1.0
    assert centre(warp(dot(0, 0), u, 0.0, affine)) == pytest.approx(moved, abs=0.1)


def test_beyond_the_picture_its_border_is_repeated() -> None:
    x = torch.arange(8.0).expand(1, 1, 8, 8) / 7
    u = halves(1, 5)
    u[0, 3] = 1.0
    right = warp(x, u, 0.0, (0, 0, 0.5))
    torch.testing.assert_close(right[0, 0, 0], torch.tensor([4, 5, 6, 7, 7, 7, 7, 7]) / 7)


@pytest.mark.parametrize("u", [0.51, 0.7, 0.999])
def test_blur_is_a_gaussian(u: float) -> None:
    x = pictures(3, 2)
    largest = 2.3
    got = blur(x, torch.full((3,), u), largest)
    wanted = gaussian_filter(
        x.double().numpy(), sigma=(0, 0, *[(2 * u - 1) * largest] * 2), mode="nearest", radius=(0, 0, 7, 7)
    )
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-5)


def test_blur_leaves_half_the_pictures_and_keeps_a_plain_one() -> None:
    x = pictures(4)
    assert torch.equal(blur(x, torch.tensor([0.0, 0.2, 0.4999, 0.5]), 3.0), x)
    plain = torch.full((4, 3, 16, 16), 0.3)
    torch.testing.assert_close(blur(plain, torch.tensor([0.1, 0.6, 0.8, 0.99]), 2.0), plain)


def test_blur_is_a_share_of_the_side() -> None:
    # 50 thousandths of 24 px at the largest number: sigma just below 1.2 px.
    x, u = pictures(1), chances(1)
    u[0, 6] = 0.9999
    got = augment(x, u, AugmentOptions(flip=0, blur=50))
    wanted = gaussian_filter(x.double().numpy(), sigma=(0, 0, 1.2, 1.2), mode="nearest", radius=(0, 0, 4, 4))
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-3)


def test_rescale_loses_detail_but_not_the_mean_of_half_the_pictures() -> None:
    fine = (torch.arange(48) % 2).float().expand(1, 1, 48, 48)
    coarse = pictures(1, side=48)
    numbers = torch.tensor([0.01, 0.13, 0.26, 0.38, 0.51, 0.99])
    stripes = rescale(fine.expand(6, 1, 48, 48), numbers, 0.5)
    contrast = stripes.std((1, 2, 3))
    assert torch.equal(stripes[4:], fine.expand(2, 1, 48, 48))
    # 0.5, 0.625, 0.75 and 0.875 of the side: the smaller, the less is left of stripes of one pixel.
    assert contrast[0] < 0.05
    assert (contrast[:4].diff() > 0).all()
    assert contrast[3] < 0.4 < contrast[4]
    assert (rescale(coarse, numbers[:1], 0.5) - coarse).abs().mean() < 0.02  # no shift either
    plain = torch.full((6, 3, 48, 48), 0.7)
    torch.testing.assert_close(rescale(plain, numbers, 0.3), plain)


def test_light_adds_to_every_pixel_and_stretches_about_the_mean() -> None:
    x = torch.tensor([0.4, 0.5, 0.5, 0.6]).view(1, 1, 2, 2)
    brighter = light(x, torch.tensor([[0.5, 1.0]]), 0.2, 0.0)
    torch.testing.assert_close(brighter.flatten(), torch.tensor([0.6, 0.7, 0.7, 0.8]))
    flatter = light(x, torch.tensor([[0.0, 0.5]]), 0.0, 0.5)
    torch.testing.assert_close(flatter.flatten(), torch.tensor([0.45, 0.5, 0.5, 0.55]))
    both = light(x, torch.tensor([[1.0, 0.0]]), 0.2, 0.5)
    torch.testing.assert_close(both.flatten(), torch.tensor([0.15, 0.3, 0.3, 0.45]))
    assert light(x, torch.tensor([[0.5, 1.0]]), 1.0, 0.0).max() == 1.0


def test_erase_paints_one_rectangle_of_the_promised_size() -> None:
    side, count = 64, 4000
    x = torch.full((count, 1, side, side), 2.0)  # a value that no paint has
    u = chances(count)[:, :6]
    result = erase(x, u, 0.4)
    painted = result[:, 0] != 2.0
    hit = painted.flatten(1).any(1)
    assert abs(float(hit.float().mean()) - 0.4) < 0.03
    masks, values = painted[hit], result[hit]
    area = masks.float().mean((1, 2))
    assert 0.015 < area.min() < 0.03
    assert 0.18 < area.max() < 0.21
    assert abs(float(area.mean()) - 0.11) < 0.005
    height, width = masks.any(2).sum(1), masks.any(1).sum(1)
    assert torch.equal(height * width, masks.sum((1, 2)))  # a full rectangle
    ratio = height / width
    assert 0.28 < ratio.min() < 0.5
    assert 2 < ratio.max() < 3.6
    assert abs(float((ratio > 1).float().mean()) - 0.5) < 0.05
    paint = torch.where(masks, values[:, 0], 0.0).amax((1, 2))
    torch.testing.assert_close(paint, u[hit, 5])
    reached = masks.float().mean(0)
    torch.testing.assert_close(reached, reached.flip(0, 1), rtol=0, atol=0.06)  # no side is spared
    assert reached[0].any()
    assert reached[:, -1].any()


def test_erase_at_its_ends() -> None:
    x, u = pictures(50), chances(50)[:, :6]
    assert torch.equal(erase(x, u, 0.0), x)
    assert (erase(x, u, 1.0) != x).flatten(1).any(1).all()


@pytest.mark.parametrize("shape", [(4, 7), (4, 3, 5, 5)])
def test_mixup_weighs_the_first_by_its_weight(shape: tuple[int, ...]) -> None:
    one, other = torch.rand(shape), torch.rand(shape)
    mixed = mixup(one, other, 0.7)
    np.testing.assert_allclose(mixed.numpy(), 0.7 * one.numpy() + 0.3 * other.numpy(), rtol=1e-5)
    assert torch.equal(mixup(one, other, 1.0), one)


def test_numbers_of_one_change_do_not_move_another() -> None:
    """Switching one change on leaves the random numbers of the others as they were."""
    x, u = pictures(16), chances(16)
    flipped = augment(x, u, AugmentOptions(flip=0.5))
    options: dict[str, Any] = {"flip": 0.5, "brightness": 0.2}
    both = augment(x, u, AugmentOptions(**options))
    torch.testing.assert_close(both, light(flipped, u[:, 7:9], 0.2, 0.0))


def test_no_two_changes_share_a_random_number() -> None:
    x, base = pictures(1, side=16).expand(60, 1, 16, 16), chances(60)
    used: dict[str, set[int]] = {}
    for name in ("flip", "affine", "light", "blur", "rescale", "erase"):
        before = augment(x, base, EACH[name])
        for column in range(COUNT):
            u = base.clone()
            u[:, column] = u[:, column].flip(0)
            if not torch.equal(augment(x, u, EACH[name]), before):
                used.setdefault(name, set()).add(column)
    columns = [column for found in used.values() for column in found]
    assert [len(found) for found in used.values()] == [1, 4, 2, 1, 1, 6]
    assert len(set(columns)) == len(columns)


def test_noise_has_its_strength_and_never_falls_on_a_mirrored_picture() -> None:
    x, u = torch.full((600, 1, 16, 16), 0.5), chances(600)
    x[..., :8] = 0.4
    result = augment(x, u, AugmentOptions(flip=0.25, noise=(0.25, 5.0, 0)))
    same, mirrored = ((result == other).flatten(1).all(1) for other in (x, x.flip(-1)))
    noisy = ~(same | mirrored)
    assert abs(float(noisy.float().mean()) - 0.25) < 0.05
    assert abs(float(mirrored.float().mean()) - 0.25) < 0.05
    added = (result - x)[noisy]
    assert float(added.std()) == pytest.approx(5 / 255, rel=0.02)
    assert abs(float(added.mean())) < 2e-4
    assert len(added.flatten(1).unique(dim=0)) == len(added)  # every picture has its own


def test_noise_can_be_as_coarse_as_a_smaller_picture() -> None:
    x, u = torch.full((200, 3, 32, 32), 0.5), torch.full((200, COUNT), 0.9)
    u[:, 15] = torch.linspace(0, 0.99, 200)
    fine, coarse = (augment(x, u, AugmentOptions(flip=0, noise=(1.0, 5.0, grid))) - x for grid in (0, 8))
    rough = [float((part[..., 1:] - part[..., :-1]).square().mean()) for part in (fine, coarse)]
    assert rough[1] < 0.1 * rough[0]
    assert augment(x, u, AugmentOptions(flip=0, noise=(1.0, 2000.0, 0))).max() == 1.0


def test_a_rectangle_has_the_area_sides_and_colour_asked_for() -> None:
    x, u = torch.zeros(400, 1, 64, 64), chances(400)
    options = AugmentOptions(flip=0, erase=1.0, erase_area=(0.1, 0.3), erase_sides=2.0, erase_fill="mean")
    result = augment(x, u, options, (0.2, 0.4, 0.6))
    assert result.shape == (400, 3, 64, 64)
    painted = result[:, 0] > 0
    for channel, colour in enumerate((0.2, 0.4, 0.6)):
        assert torch.equal(result[:, channel][painted].unique(), torch.tensor([colour]))
    share = painted.float().mean((1, 2))
    assert 0.08 < float(share.min()) < 0.13
    assert 0.27 < float(share.max()) < 0.32
    heights, widths = painted.any(2).sum(1), painted.any(1).sum(1)
    ratio = heights / widths
    assert 0.45 < float(ratio.min()) < 0.6
    assert 1.7 < float(ratio.max()) < 2.2
