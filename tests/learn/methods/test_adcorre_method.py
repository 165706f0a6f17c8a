"""The method `adcorre`: its network, its options, and trainings that go on after a kill."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

import openfer.heads
import openfer.losses
from openfer.labels import LABEL_SETS
from openfer.learn.backbones import normalisation
from openfer.learn.engine import train
from openfer.learn.heads.embeddings import ParallelEmbeddings
from openfer.learn.losses.adcorre import AdCorreLoss
from openfer.learn.method import Method, Stage, Task, build_method
from openfer.learn.methods.adcorre import network as network_module
from openfer.learn.methods.adcorre.network import as_keras
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import MethodChoice
from tests.learn.tiny import StopAfter, StoppedError, distance, tiny_recipe, weights

LABELS = LABEL_SETS["ferplus"]
SMALL = {"embeddings": 3, "width": 5}


def build(fidelity: Any = "intended", **options: Any) -> tuple[Method, Any]:
    """The method and its network on a small backbone."""
    torch.manual_seed(0)
    method = build_method(MethodChoice(name="adcorre", fidelity=fidelity, options={**SMALL, **options}))
    backbone = BackboneOptions(name="test_efficientnet", size=32)
    counts = np.ones(len(LABELS), dtype=np.int64)
    return method, method.network(Task(labels=LABELS, backbone=backbone, class_counts=counts))


def batch_of(count: int = 6) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(0, len(LABELS), (count,), generator=generator)
    one_hot = torch.eye(len(LABELS))[label]
    return {
        "image": torch.randn(count, 3, 32, 32, generator=generator),
        "label": label,
        "one_hot": one_hot,
        "target": 0.6 * one_hot + 0.05,
    }


def test_embeddings_have_unit_length_and_the_classifier_reads_all_of_them() -> None:
    _, network = build()
    output = network.eval()(batch_of()["image"])
    parts = output.embedding.view(6, 3, 5)
    torch.testing.assert_close(parts.norm(dim=2), torch.ones(6, 3))
    torch.testing.assert_close(output.logits, network.head.classify(output.embedding))
    raw = network.head.embed(network.backbone(batch_of()["image"])).view(6, 3, 5)
    torch.testing.assert_close(parts, raw / raw.norm(dim=2, keepdim=True))


def test_dropout_is_before_the_classifier_alone() -> None:
    head = ParallelEmbeddings(8, 4, embeddings=3, width=5, dropout=0.5)
    features = torch.randn(2, 8)
    (one, values), (other, again) = head.train()(features), head(features)
    torch.testing.assert_close(values, again)
    assert not torch.allclose(one, other)
    assert torch.equal(head.eval()(features)[0], head(features)[0])
    assert head.dropout.p == 0.5


def test_weights_begin_glorot_uniform_map_by_map() -> None:
    head = ParallelEmbeddings(300, 7, embeddings=4, width=100, dropout=0.5)
    for layer, bound in ((head.embed, (6 / 400) ** 0.5), (head.classify, (6 / 407) ** 0.5)):
        largest = float(layer.weight.detach().abs().max())
        assert 0.98 * bound < largest <= bound
        assert float(layer.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
        assert not layer.bias.detach().any()


def test_short_features_have_embeddings_of_unit_length_too() -> None:
    head = ParallelEmbeddings(8, 4, embeddings=3, width=5, dropout=0.0)
    features = torch.randn(2, 8)
    torch.testing.assert_close(head(1e-4 * features)[1], head(features)[1])


def test_a_feature_of_zeros_has_a_finite_gradient() -> None:
    head = ParallelEmbeddings(8, 4, embeddings=3, width=5, dropout=0.0)
    features = torch.zeros(2, 8, requires_grad=True)
    logits, _ = head(features)
    logits.sum().backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_released_shows_the_backbone_pixels_of_zero_to_one() -> None:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation("test_efficientnet"))
    pixels = torch.rand(2, 3, 32, 32)
    for fidelity, wanted in (("intended", (pixels - mean) / std), ("released", pixels)):
        _, network = build(fidelity)
        seen: list[Tensor] = []
        network.backbone.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        network.eval()((pixels - mean) / std)
        torch.testing.assert_close(seen[0], wanted)


def test_xception_becomes_that_of_keras_and_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    _, network = build()
    assert all(m.eps == 1e-5 for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.device("meta"):
        xception = timm.create_model("legacy_xception", num_classes=0)
    monkeypatch.setattr(network_module, "build_backbone", lambda _: xception)
    method = build_method(MethodChoice(name="adcorre"))
    counts = np.ones(len(LABELS), dtype=np.int64)
    backbone = BackboneOptions(name="legacy_xception", size=64)
    whole = method.network(Task(labels=LABEL_SETS["basic7"], backbone=backbone, class_counts=counts))
    kept = whole.get_submodule("backbone")
    norms = [module for module in kept.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(module.eps == 1e-3 and module.momentum == 0.01 for module in norms)
    assert sum(type(module).__name__ == "MaxPool2dSame" for module in kept.modules()) == 4
    assert sum(parameter.numel() for parameter in kept.parameters()) == 20_806_952
    # With those of the head as many as the authors' model has.
    assert sum(parameter.numel() for parameter in whole.parameters()) == 20_806_952 + 3_684_359


def test_same_pooling_pads_after_even_maps_and_around_odd_ones() -> None:
    network = nn.Sequential(nn.MaxPool2d(3, 2, 1))
    as_keras(network)
    line = torch.tensor([5.0, 1.0, 2.0, 7.0, 3.0, 9.0])
    square = line[:, None].maximum(line[None, :])[None, None]
    assert network(square)[0, 0].diagonal().tolist() == [5, 7, 9]
    assert network(square[..., :5, :5])[0, 0].diagonal().tolist() == [5, 7, 7]
    assert network(-square - 10).max() < 0  # what is padded never wins


def test_terms_are_those_of_the_loss_with_the_methods_options() -> None:
    weights = {"cross_entropy": 9.0, "feature": 2.0, "mean": 3.0, "embedding": 4.0}
    for fidelity in ("intended", "released"):
        for options in ({}, {"absent": "batch_mean", "soft_targets": False}):
            method, network = build(fidelity, **weights, window=4, **options)
            batch = batch_of()
            output = network(batch["image"])
            got = method.losses(network, batch, output, Stage())
            loss = AdCorreLoss(8, **weights, absent=options.get("absent", "mask"), fidelity=fidelity)  # type: ignore
            target = batch["one_hot" if options else "target"]
            wanted = loss.terms(output.embedding.view(6, 3, 5), output.logits, batch["label"], target)
            torch.testing.assert_close(got, wanted)
            assert network.loss.history.counts.shape == (8, 8, 4)


def test_the_options_are_the_authors() -> None:
    method = build_method(MethodChoice(name="adcorre"))
    assert asdict(method.options) == {
        **{"embeddings": 7, "width": 256, "dropout": 0.5, "window": 20, "absent": "mask", "soft_targets": True},
        **{"cross_entropy": 50.0, "feature": 1.0, "mean": 1.0, "embedding": 1.0},
    }


def test_only_weights_and_the_history_are_saved() -> None:
    _, network = build()
    own = {name for name in network.state_dict() if not name.startswith("backbone.")}
    parts = {f"head.{layer}.{value}" for layer in ("embed", "classify") for value in ("weight", "bias")}
    assert own == parts | {"loss.history.counts", "loss.history.seen"}


def test_eight_embeddings_of_width_two_fit_too() -> None:
    method, network = build(embeddings=8, width=2, dropout=0.0)
    batch = batch_of()
    output = network(batch["image"])
    assert output.embedding.shape == (6, 16)
    assert set(method.losses(network, batch, output, Stage())) == {"cross_entropy", "feature", "mean", "embedding"}
    assert network.head.dropout.p == 0.0


def test_parts_are_public() -> None:
    assert openfer.losses.AdCorreLoss is AdCorreLoss
    assert openfer.heads.ParallelEmbeddings is ParallelEmbeddings


def test_a_stopped_run_goes_on_with_its_history_to_the_same_bits(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        method={"name": "adcorre", "dropout": 0.3, **SMALL, "window": 5},
        optim={"epochs": 2, "name": "adam_keras", "schedule": "inverse", "decay": 1e-3},
    )
    train(recipe, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(recipe, tmp_path / "stopped", watch=StopAfter(1))
    half = weights(tmp_path / "stopped")
    train(recipe, tmp_path / "stopped", resume=True)
    whole = weights(tmp_path / "whole")
    assert distance(whole, weights(tmp_path / "stopped")) == 0
    assert whole["loss.history.seen"] == 2 * half["loss.history.seen"]
    assert whole["loss.history.counts"].sum(2).sum() == 5 * 14
