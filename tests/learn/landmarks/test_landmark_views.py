"""Views of faces: the points move with the pixels, and a view of nothing random is what the package cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from openfer.learn.landmarks.faces import AROUND, FRAME, SIDE
from openfer.learn.landmarks.nonfaces import draw_nonfaces
from openfer.learn.landmarks.views import ViewOptions, blurred, make_views, plain_views
from openfer.records import Box
from openfer.vision.landmarks import MIRROR, SIZE, cut_crop, square_of_frame

GEOMETRY = ViewOptions(rotate=20, scale=0.16, shift=0.07, flip=0.5, gamma=0, blur=0, noise=0, erase=0)


def with_a_spot(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Dark pictures with one bright spot, where all of their points are."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(28, 44, (count, 2))
    x = np.arange(SIDE) + 0.5
    away = (x[None, None, :] - places[:, 0, None, None]) ** 2 + (x[None, :, None] - places[:, 1, None, None]) ** 2
    pictures = (255 * np.exp(-away / 8)).astype(np.uint8)
    points = np.repeat(places[:, None], 68, axis=1).astype(np.float32)
    return torch.from_numpy(pictures), torch.from_numpy(points)


def centres(crops: torch.Tensor) -> torch.Tensor:
    """Centre of brightness of each crop, as shares of its side."""
    weights = crops[:, 0] / crops[:, 0].sum((1, 2), keepdim=True)
    x = (torch.arange(SIZE) + 0.5) / SIZE
    return torch.stack([(weights.sum(1) * x).sum(1), (weights.sum(2) * x).sum(1)], dim=1)


def test_points_stay_on_what_they_mark() -> None:
    crops, points = make_views(*with_a_spot(40, 0), GEOMETRY, torch.Generator().manual_seed(0))
    assert crops.shape == (40, 1, SIZE, SIZE)
    torch.testing.assert_close(points[:, 0], centres(crops), atol=0.004, rtol=0)
    assert points[:, 0].std() > 0.03  # and they move


def test_a_mirrored_view_swaps_left_and_right() -> None:
    pictures, points = with_a_spot(6, 1)
    points = points + torch.arange(68).view(1, 68, 1) * 0.01
    still = replace(GEOMETRY, rotate=0, scale=0, shift=0)
    crops, shares = make_views(pictures, points, replace(still, flip=0), torch.Generator().manual_seed(0))
    mirrored, swapped = make_views(pictures, points, replace(still, flip=1), torch.Generator().manual_seed(0))
    torch.testing.assert_close(mirrored, crops.flip(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(1 - swapped[:, MIRROR, 0], shares[:, :, 0])


def test_a_plain_view_is_the_crop_that_the_package_cuts() -> None:
    rng = np.random.default_rng(2)
    small = torch.from_numpy(rng.uniform(0, 255, (1, 1, 9, 9)).astype(np.float32))
    frame = torch.nn.functional.interpolate(small, size=FRAME, mode="bicubic")[0, 0].clamp(0, 255).byte().numpy()
    picture = np.pad(frame, AROUND, mode="edge")
    crops, _ = plain_views(torch.from_numpy(picture)[None], torch.zeros(1, 68, 2))
    cut = cut_crop(np.repeat(frame[:, :, None], 3, axis=2), square_of_frame(Box(x=0, y=0, w=FRAME, h=FRAME)))
    assert np.abs(crops[0, 0].numpy() - cut).mean() < 1.0


def test_the_same_seed_gives_the_same_views() -> None:
    faces = with_a_spot(8, 3)
    one, again, other = (
        make_views(*faces, ViewOptions(), torch.Generator().manual_seed(seed))[0] for seed in (5, 5, 6)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 255


def test_blur_of_nothing_changes_nothing_and_keeps_brightness() -> None:
    crops = 255 * torch.rand(2, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    soft = blurred(crops, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(soft[0], crops[0], atol=1e-3, rtol=0)
    assert soft[1].std() < 0.5 * crops[1].std()
    assert soft[1].mean() == pytest.approx(float(crops[1].mean()), rel=0.01)


def test_pictures_without_a_face_are_drawn_in_the_faces_shape() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE), dtype=np.uint8)
    made = draw_nonfaces(24, faces, np.random.default_rng(1))
    assert made.shape == (24, SIDE, SIDE)
    assert made.dtype == np.uint8
    assert len(np.unique(made.reshape(24, -1), axis=0)) == 24
