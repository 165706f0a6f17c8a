"""Class maps where every place is classified by itself, or every face in its own way."""

from __future__ import annotations

import torch

from openfer.learn.heads.class_maps import class_maps, class_maps_of_places


def test_maps_of_places_are_maps_of_features_that_are_each_in_one_place() -> None:
    generator = torch.Generator().manual_seed(0)
    features, weight = torch.randn(2, 3, 4, generator=generator), torch.randn(5, 12, generator=generator)
    spread = torch.diag_embed(features.flatten(1)).view(2, 12, 3, 4)
    torch.testing.assert_close(class_maps_of_places(features, weight), 12 * class_maps(spread, weight))
    own = torch.stack([weight, 2 * weight])
    torch.testing.assert_close(class_maps(spread, own)[1], 2 * class_maps(spread, weight)[1])
    torch.testing.assert_close(class_maps_of_places(features, own)[1], 2 * class_maps_of_places(features, weight)[1])


def test_the_weight_is_held() -> None:
    weight = torch.randn(5, 12, requires_grad=True)
    features = torch.randn(2, 3, 4, requires_grad=True)
    class_maps_of_places(features, weight).square().sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is None
    assert features.grad is not None
