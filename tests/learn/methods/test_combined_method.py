"""The method `combined`: each part alone is its method, all eight combinations learn, maps add up to the answer."""

from __future__ import annotations

from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from openfer.errors import ConfigError
from openfer.labels import LABEL_SETS
from openfer.learn.engine import train
from openfer.learn.heads.embeddings import ParallelEmbeddings
from openfer.learn.losses.rebalanced import flip_consistency
from openfer.learn.method import Method, Output, Stage, Task, build_method
from openfer.learn.methods.combined.network import Combined
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import MethodChoice
from tests.learn.tiny import tiny_recipe, weights

LABELS = LABEL_SETS["basic7"]
COUNTS = np.array([40, 30, 20, 10, 5, 3, 2])
CONVOLUTIONS = BackboneOptions(name="test_efficientnet", size=32, output_stride=8)
ATTENTION = BackboneOptions(name="test_vit", size=32)
SMALL = {"embeddings": 3, "width": 5}
PLAIN = {"amend": False, "correlations": False, "smoothing": 0, "consistency": 0}
AMEND, CORRELATE = {"amend": True}, {"correlations": True, **SMALL}
MINE = {"smoothing": 0.3, "consistency": 0.1}
EIGHT = [
    {**PLAIN, **(AMEND if amend else {}), **(MINE if mine else {}), **(CORRELATE if correlate else {})}
    for amend, mine, correlate in product((False, True), repeat=3)
]
ALONE = [
    ("baseline", {"dropout": 0.3}, {"dropout": 0.3}),
    ("baseline", {"dropout": 0.0, "soft_targets": False}, {"soft_targets": False}),
    ("arm", {"dropout": 0.3}, {**AMEND, "dropout": 0.3}),
    ("arm", {"affinity": "off", "shuffle": 2}, {**AMEND, "affinity": "off", "shuffle": 2}),
    ("arm", {"momentum": 0.3, "kernel": 6, "stride": 2}, {**AMEND, "momentum": 0.3, "kernel": 6, "stride": 2}),
    ("mek", {}, MINE),
    ("mek", {"smoothing": 0.2, "consistency": 0, "soft_targets": False}, {"smoothing": 0.2, "soft_targets": False}),
    ("mek", {"smoothing": 0, "consistency": 0.5}, {"consistency": 0.5}),
    ("adcorre", SMALL, {**CORRELATE, "dropout": 0.5}),
    ("adcorre", {**SMALL, "cross_entropy": 9, "feature": 2, "mean": 3, "embedding": 4, "absent": "batch_mean"}, None),
]


def build(name: str, options: dict[str, Any], backbone: BackboneOptions = CONVOLUTIONS) -> tuple[Method, Any]:
    torch.manual_seed(0)
    method = build_method(MethodChoice(name=name, options=options))
    return method, method.network(Task(labels=LABELS, backbone=backbone, class_counts=COUNTS))


def batch_of(seed: int = 1, count: int = 8) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, len(LABELS), (count,), generator=generator)
    one_hot = torch.eye(len(LABELS))[label]
    image = torch.randn(count, 3, 32, 32, generator=generator)
    return {"image": image, "label": label, "one_hot": one_hot, "target": 0.65 * one_hot + 0.05}


def steps(method: Method, network: nn.Module) -> list[Tensor]:
    """Logits, embeddings and losses of three steps down the gradient, then the answers in evaluation."""
    seen: list[Tensor] = []
    optimizer = torch.optim.AdamW(method.param_groups(network, 0.05), lr=1e-3)
    torch.manual_seed(5)  # of dropout
    for seed in range(3):
        batch = batch_of(seed)
        output: Output = network.train()(batch["image"])
        terms = method.losses(network, batch, output, Stage())
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        seen += [value.detach() for value in (*output, *terms.values()) if value is not None]
    with torch.no_grad():
        output = method.export_network(network).eval()(batch_of(9)["image"])
    # What few-shot compares faces by is no part of the idea: `baseline` offers it, `combined` its embedding.
    return seen + [value for value in output._replace(features=None) if value is not None]


@pytest.mark.parametrize("backbone", [CONVOLUTIONS, ATTENTION], ids=lambda backbone: backbone.name)
@pytest.mark.parametrize(("name", "options", "switches"), ALONE)
def test_a_part_alone_is_its_method(
    name: str, options: dict[str, Any], switches: dict[str, Any] | None, backbone: BackboneOptions
) -> None:
    """Same seed, same weights; the same losses, answers and maps while both learn."""
    if switches is None:
        switches = {**options, "correlations": True, "dropout": 0.5}
    got = steps(*build("combined", {**PLAIN, **switches}, backbone))
    wanted = steps(*build(name, options, backbone))
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_part_alone_begins_with_the_same_bits() -> None:
    for name, options, switches in ALONE[:-1]:
        assert switches is not None
        _, ours = build("combined", {**PLAIN, **switches})
        _, theirs = build(name, options)
        pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
        assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("options", EIGHT)
def test_every_combination_learns_with_all_its_parameters(options: dict[str, Any]) -> None:
    method, network = build("combined", options)
    batch = batch_of()
    first = None
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    for _ in range(4):
        terms = method.losses(network, batch, network.train()(batch["image"]), Stage())
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        assert all(parameter.grad is not None for parameter in network.parameters())
        optimizer.step()
        first = total.detach() if first is None else first
    assert first is not None
    assert total < first
    terms_of_adcorre = {"feature", "mean", "embedding"} if options["correlations"] else set()
    consistency = {"consistency"} if options["consistency"] else set()
    assert set(terms) == {"cross_entropy"} | terms_of_adcorre | consistency


@pytest.mark.parametrize("options", [options for options in EIGHT if options["consistency"]])
def test_maps_and_a_number_a_class_are_the_logits(options: dict[str, Any]) -> None:
    method, network = build("combined", options)
    steps(method, network)
    output = network.eval()(batch_of()["image"])
    rest = output.logits - output.maps.mean((2, 3))
    assert output.maps.std((2, 3)).min() > 0
    if isinstance(network.head, ParallelEmbeddings):  # lengths, and so the biases' share, are a face's own
        raw = network.head.embed.bias.view(3, 5) / network.head.embed(network.look(batch_of()["image"])[1]).view(
            -1, 3, 5
        ).norm(dim=2, keepdim=True)
        rest = rest - raw.flatten(1) @ network.head.classify.weight.T
    torch.testing.assert_close(rest, rest[:1].expand_as(rest), rtol=1e-4, atol=1e-5)


def test_the_classifier_has_no_gradient_from_its_maps() -> None:
    for options in (MINE, {**MINE, **AMEND}, {**MINE, **CORRELATE}, {**MINE, **AMEND, **CORRELATE}):
        _, network = build("combined", {**PLAIN, **options})
        maps, mirrored = network.train()(batch_of()["image"]).maps.unbind(1)
        flip_consistency(maps, mirrored, network.class_weights).backward()
        assert all(parameter.grad is None for parameter in network.head.parameters())
        assert any(parameter.grad is not None for parameter in network.backbone.parameters())


def test_the_second_maps_are_those_of_the_mirror_images() -> None:
    for options in ({**MINE, **AMEND}, {**MINE, **CORRELATE}):
        method, network = build("combined", {**PLAIN, **options})
        image = batch_of()["image"]
        output = network.train()(image)
        other = network.train()(image.flip(-1))
        torch.testing.assert_close(output.maps[:, 1], other.maps[:, 0], rtol=1e-4, atol=1e-5)
        assert method.losses(network, {**batch_of()}, output, Stage())["consistency"] > 0


@pytest.mark.parametrize("amend", [{}, AMEND])
def test_the_consistency_keeps_its_proportion_to_the_cross_entropy(amend: dict[str, Any]) -> None:
    """With Ad-Corre's terms off, everything is 50 / K times what MEK's loss is, and ARM's maps count by the place."""
    options = {**PLAIN, **MINE, **CORRELATE, **amend, "feature": 0, "mean": 0, "embedding": 0}
    method, network = build("combined", options)
    places = output_places(network)
    batch = batch_of()
    output = network.train()(batch["image"])
    terms = method.losses(network, batch, output, Stage())
    plain, _ = build("mek", {})
    wanted = plain.losses(network, batch, output, Stage())
    torch.testing.assert_close(terms["cross_entropy"], 50 / 7 * wanted["smooth_labels"])
    torch.testing.assert_close(terms["consistency"], 50 / 7 / places * wanted["consistency"])
    assert (places > 1) == bool(amend)


def output_places(network: Any) -> int:
    """Places of ARM's maps, each with a weight of its own; 1 without them."""
    return 1 if network.pool is None else int(np.prod(network.pool.geometry.output))


def test_notes_are_those_of_the_parts() -> None:
    small = BackboneOptions(name="test_efficientnet", size=48, output_stride=16)
    for options, words in ((AMEND, "leaves arm's head 9 features"), (MINE, "is 3 cells wide"), (CORRELATE, "")):
        method, network = build("combined", {**PLAIN, **options}, small)
        notes = method.notes(network)
        assert bool(notes) == bool(words)
        assert not notes or words in notes[0]
        assert network.training
        assert network.backbone.training


def test_only_an_amended_network_has_a_coupled_form() -> None:
    for options in (MINE, CORRELATE, {**AMEND, "affinity": "off"}):
        method, network = build("combined", {**PLAIN, **options})
        with pytest.raises(ConfigError, match="without --coupled"):
            method.coupled_network(network)
    method, network = build("combined", {**PLAIN, **AMEND, "affinity": "batch"})
    assert method.batch_coupled  # is told by `openfer methods`
    assert method.coupled_network(network).pool.affinity == "batch"  # type: ignore[union-attr]
    assert method.export_network(network).pool.affinity == "running"  # type: ignore[union-attr]
    assert network.pool.affinity == "batch"


def test_parts_that_are_off_leave_no_weights_and_no_maps() -> None:
    _, network = build("combined", PLAIN)
    assert isinstance(network, Combined)
    names = {name.partition(".")[0] for name in network.state_dict()}
    assert names == {"backbone", "head"}
    assert network.eval()(batch_of()["image"]).maps is None


def test_layers_after_the_pooling_stay_where_the_backbone_pools() -> None:
    late = BackboneOptions(name="mobilenetv3_small_050", size=32)
    (_, plain), (_, alone), (_, mapped) = (
        build(name, options, late)
        for name, options in (("baseline", {}), ("combined", PLAIN), ("combined", {**PLAIN, **MINE}))
    )
    assert list(alone.backbone.state_dict()) == list(plain.backbone.state_dict())
    assert alone.head.in_features == 1024
    image = batch_of()["image"]
    assert torch.equal(alone.eval()(image).logits, plain.eval()(image).logits)
    # Maps are made of what there is before.
    assert "conv_head.weight" not in mapped.backbone.state_dict()
    assert mapped.head.in_features == mapped.eval()(image).embedding.shape[1] == 288


def test_the_defaults_are_those_of_the_three_methods() -> None:
    ours = asdict(build_method(MethodChoice(name="combined")).options)
    assert ours.pop("amend")
    assert ours.pop("correlations")
    assert ours.pop("dropout") == 0
    for name in ("arm", "mek", "adcorre"):
        theirs = asdict(build_method(MethodChoice(name=name)).options)
        assert all(ours[key] == value for key, value in theirs.items() if key in ours)


def test_a_run_keeps_what_it_needs(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        method={"name": "combined", **SMALL}, backbone={"output_stride": 8}, data={"manifest": "mini:84"}
    )
    train(recipe, tmp_path / "run")
    kept = weights(tmp_path / "run")
    assert kept["loss.history.seen"] > 0
    assert kept["pool.batches"] == 2 * kept["loss.history.seen"]  # its mean is that of both views
    assert not {"class_weights", "smoothing_matrix"} & kept.keys()
