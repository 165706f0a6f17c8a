"""ARM's head: its sizes, what it does with the border, what it shares, and that it folds into one affine map."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openfer.errors import ConfigError
from openfer.learn.heads.amending import (
    AmendingGeometry,
    AmendingHead,
    AmendingPool,
    amending_geometry,
    arrange,
    coverage,
    de_albino,
    fold,
)


def small(
    affinity: str = "running", channels: int = 8, height: int = 4, width: int = 4, **options: float
) -> AmendingHead:
    torch.manual_seed(0)
    geometry = amending_geometry(channels, height, width, shuffle=2)
    head = AmendingHead(geometry, 3, affinity=affinity, **options).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for value in head.parameters():
            value.add_(0.1 * torch.randn_like(value))
        head.norm.running_mean.normal_()  # type: ignore[union-attr]
        head.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return head


def maps_of(head: AmendingHead, count: int = 5, seed: int = 1) -> Tensor:
    geometry = head.geometry
    generator = torch.Generator().manual_seed(seed)
    shape = (count, geometry.channels, geometry.height, geometry.width)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("channels", "cells", "shuffle", "planes", "output"),
    [
        (512, 7, 16, 2, 11),  # ResNet-18 at 224 px: the authors' own
        (512, 4, 16, 2, 5),
        (2048, 7, 32, 2, 11),
        (1280, 7, 16, 5, 11),
        (960, 7, 8, 15, 11),
        (768, 7, 16, 3, 11),
        (192, 6, 8, 3, 9),
        (64, 2, 4, 4, 1),
        (8, 2, 2, 2, 1),
        (8192, 3, 32, 8, 3),
    ],
)
def test_the_rule_for_any_feature_map(channels: int, cells: int, shuffle: int, planes: int, output: int) -> None:
    got = amending_geometry(channels, cells, cells)
    assert (got.shuffle, got.planes, got.kernel, got.stride) == (shuffle, planes, 2 * shuffle, shuffle // 2)
    assert got.output == (output, output)
    assert got.features == output**2
    assert output == 2 * cells - 3


def test_each_axis_has_its_own_size() -> None:
    geometry = amending_geometry(8, 5, 3)
    assert geometry.plane == (10, 6)
    assert geometry.output == (7, 3)
    assert geometry.features == 21
    head = AmendingHead(geometry, 4).eval()
    assert head(torch.zeros(2, 8, 5, 3))[0].shape == (2, 4)
    assert fold(head).weight.shape == (4, 8, 5, 3)


def test_an_odd_factor_moves_by_whole_pixels() -> None:
    assert amending_geometry(18, 3, 3, shuffle=3).stride == 1
    assert amending_geometry(2, 3, 3, shuffle=1).stride == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 510, "height": 7, "width": 7}, "510 channels do not arrange"),
        ({"channels": 4, "height": 7, "width": 7}, "4 channels do not arrange"),
        ({"channels": 512, "height": 7, "width": 7, "shuffle": 3}, "method.shuffle: 3 x 3 does not divide"),
        ({"channels": 8, "height": 7, "width": 7, "shuffle": 4}, "method.shuffle: 4 x 4 does not divide"),
        ({"channels": 512, "height": 1, "width": 1}, "kernel of 32 px needs 2; enlarge backbone.size"),
        ({"channels": 512, "height": 7, "width": 1}, "has 7 x 1 cells"),
        ({"channels": 512, "height": 7, "width": 7, "kernel": 113}, "kernel of 113 px needs 8"),
        ({"channels": 512, "height": 7, "width": 7, "stride": 7}, "a stride that divides 80"),
    ],
)
def test_sizes_that_cannot_be_are_refused_in_one_line(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        amending_geometry(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_one_plane_can_be_asked_for() -> None:
    assert amending_geometry(4, 4, 4, shuffle=2).planes == 1
    assert amending_geometry(512, 7, 7, kernel=112, stride=1).output == (1, 1)


@settings(max_examples=60, deadline=None)
@given(side=st.integers(1, 40), kernel=st.integers(1, 40), stride=st.integers(1, 12))
def test_coverage_counts_windows(side: int, kernel: int, stride: int) -> None:
    kernel = min(kernel, side)
    starts = range(0, side - kernel + 1, stride)
    wanted = [sum(start <= pixel < start + kernel for start in starts) for pixel in range(side)]
    assert coverage(side, kernel, stride).tolist() == wanted


def test_a_cell_becomes_a_block_and_keeps_its_place() -> None:
    maps = torch.randn(2, 8, 3, 4)
    planes = arrange(maps, 2)
    assert planes.shape == (2, 2, 6, 8)
    for b, c, h, w in product(range(2), range(8), range(3), range(4)):
        plane, i, j = c // 4, c % 4 // 2, c % 2
        assert planes[b, plane, 2 * h + i, 2 * w + j] == maps[b, c, h, w]


def test_one_kernel_goes_over_every_plane_by_itself() -> None:
    planes, kernel = torch.randn(2, 3, 7, 5, dtype=torch.float64), torch.randn(1, 1, 3, 3, dtype=torch.float64)
    got = de_albino(planes, kernel, 2)
    assert got.shape == (2, 3, 3, 2)
    for b, c, p, q in product(range(2), range(3), range(3), range(2)):
        window = planes[b, c, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3]
        assert float(got[b, c, p, q]) == pytest.approx(float((window * kernel[0, 0]).sum()))


def test_weights_begin_as_the_authors() -> None:
    head = AmendingHead(amending_geometry(512, 7, 7), 7)
    assert head.kernel.weight.shape == (1, 1, 32, 32)
    assert head.kernel.bias is None
    assert float(head.kernel.weight.detach().abs().max()) == pytest.approx(1 / 32, rel=0.02)
    assert float(head.classifier.weight.detach().abs().max()) == pytest.approx(1 / 11, rel=0.05)
    assert float(head.alpha.detach()) == 1.0
    assert sum(value.numel() for value in head.parameters()) == 1883


def test_training_shares_the_batchs_mean_with_its_gradient() -> None:
    head = small(dropout=0.0)
    maps = maps_of(head)
    logits, features = head(maps)
    own = head.own(maps)
    wanted = own + head.alpha * own.mean(0)
    torch.testing.assert_close(features, wanted)
    torch.testing.assert_close(logits, wanted @ head.classifier.weight.T + head.classifier.bias)
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    assert head.alpha.grad is not None
    error = (2 * logits @ head.classifier.weight).detach()
    torch.testing.assert_close(head.alpha.grad, (error.sum(0) @ own.mean(0)).detach().view(1))


def test_the_generic_feature_follows_the_batches() -> None:
    head = small(momentum=0.25)
    means = []
    for seed in range(3):
        maps = maps_of(head, seed=seed)
        with torch.no_grad():
            means.append(head.own(maps).mean(0))
        head(maps)
    wanted = means[0]
    for mean in means[1:]:
        wanted = 0.75 * wanted + 0.25 * mean
    torch.testing.assert_close(head.generic, wanted)
    assert not head.generic.requires_grad
    assert head.batches == 3
    assert {"generic", "batches"} <= set(head.state_dict())
    head.eval()
    head(maps_of(head, seed=9))
    torch.testing.assert_close(head.generic, wanted)
    assert head.batches == 3


def test_the_default_momentum_is_a_tenth() -> None:
    head = small()
    for seed in range(2):
        head(maps_of(head, seed=seed))
    first, second = (head.own(maps_of(head, seed=seed)).mean(0) for seed in range(2))
    torch.testing.assert_close(head.generic, (0.9 * first + 0.1 * second).detach())
    assert AmendingPool(head.geometry).momentum == head.momentum


@pytest.mark.parametrize("affinity", ["running", "off"])
def test_answers_do_not_depend_on_the_batch(affinity: str) -> None:
    head = small(affinity)
    head(maps_of(head, seed=3))
    head.eval()
    maps = maps_of(head)
    whole = head(maps)[0]
    torch.testing.assert_close(torch.cat([head(row[None])[0] for row in maps]), whole)
    torch.testing.assert_close(head(maps.flip(0))[0].flip(0), whole)


def test_as_released_they_do_and_one_face_is_its_own_mean() -> None:
    head = small("batch").eval()
    maps = maps_of(head)
    whole, alone = head(maps)[0], torch.cat([head(row[None])[0] for row in maps])
    assert not torch.allclose(whole, alone)
    own = head.own(maps)
    torch.testing.assert_close(alone, (1 + head.alpha) * own @ head.classifier.weight.T + head.classifier.bias)
    torch.testing.assert_close(head(maps.flip(0))[0].flip(0), whole)
    same = head(maps[:1].expand(4, -1, -1, -1))[0]
    torch.testing.assert_close(same, same[:1].expand(4, -1))


def test_nothing_shared_is_alpha_of_nothing() -> None:
    shared, off = small(), small("off")
    assert "alpha" not in dict(off.named_parameters())
    assert not {"alpha", "generic", "batches"} & set(off.state_dict())
    off.load_state_dict({name: value for name, value in shared.state_dict().items() if name in off.state_dict()})
    with torch.no_grad():
        shared.alpha.zero_()
    maps = maps_of(off)
    torch.testing.assert_close(off(maps)[0], shared(maps)[0])
    off.calibrate([maps])  # nothing to set


def test_dropout_is_for_training_and_before_the_classifier() -> None:
    head = small("off", dropout=0.5)
    maps = maps_of(head, count=200)
    features = head(maps)[1]
    torch.manual_seed(0)
    first, second = head(maps)[0], head(maps)[0]
    assert not torch.allclose(first, second)
    torch.testing.assert_close(features, head.own(maps))  # the embedding is whole
    head.eval()
    torch.testing.assert_close(head(maps)[0], head(maps)[0])


def test_calibration_is_the_mean_in_evaluation_whatever_the_batches() -> None:
    head, maps = small(), maps_of(small(), count=7)
    head(maps)
    statistics = head.norm.running_mean.clone()  # type: ignore[union-attr]
    head.calibrate(maps.split(3))
    assert head.training
    torch.testing.assert_close(head.norm.running_mean, statistics)
    torch.testing.assert_close(head.generic, head.eval().own(maps).mean(0).detach())
    fresh = small()
    fresh.calibrate([maps])
    assert fresh.batches == 1  # so that further training follows on from it


@pytest.mark.parametrize("affinity", ["running", "batch", "off"])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 5)])
def test_the_head_folds_into_one_affine_map(affinity: str, height: int, width: int) -> None:
    head = small(affinity, height=height, width=width)
    head(maps_of(head, seed=5))
    head.eval()
    affine = fold(head)
    assert affine.weight.shape == (3, 8, height, width)
    assert affine.weight.dtype == torch.float64
    maps = maps_of(head)
    if affinity == "batch":
        head.affinity = "running"  # the fold is what may be used
    torch.testing.assert_close(affine(maps).flatten(1), head(maps)[0])


def test_the_fold_knows_rows_that_no_window_sees() -> None:
    geometry = AmendingGeometry(channels=8, height=4, width=4, shuffle=2, kernel=3, stride=2)
    head = AmendingHead(geometry, 3).double().eval()
    maps = maps_of(head)
    torch.testing.assert_close(fold(head)(maps).flatten(1), head(maps)[0])


def test_half_precision_maps_are_answered_in_full_precision() -> None:
    head = AmendingHead(amending_geometry(8, 4, 4), 3)
    maps = torch.randn(4, 8, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, features = head(maps.bfloat16())
    assert logits.dtype == features.dtype == torch.float32
    wanted = AmendingHead(amending_geometry(8, 4, 4), 3)
    wanted.load_state_dict({**head.state_dict(), "norm.running_mean": torch.zeros(2)})
    torch.testing.assert_close(logits, wanted(maps.bfloat16().float())[0])
