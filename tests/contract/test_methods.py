"""What every method of the project must satisfy, whatever its idea: one sweep over all of them and two backbones."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from openfer.errors import ConfigError
from openfer.labels import LABEL_SETS
from openfer.learn.export import to_onnx
from openfer.learn.method import INPUTS, Method, Output, Stage, Task, build_method, in_use, known_methods
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import FIDELITIES, MethodChoice, parse_recipe

LABELS = LABEL_SETS["basic7"]
SIZE = 32
METHODS = sorted(name for name, kind in known_methods().items() if kind.__module__.startswith("openfer."))
BACKBONES = {  # with BatchNorm and without, convolutions and attention; some heads need a map of several cells
    "test_efficientnet": BackboneOptions(name="test_efficientnet", size=SIZE, output_stride=8),
    "test_vit": BackboneOptions(name="test_vit", size=SIZE),
}
FIRST = next(iter(BACKBONES))
PYRAMIDS = {  # what stands in their place for a method that reads maps of four levels
    "test_efficientnet": BackboneOptions(name="test_efficientnet", size=64),
    "test_vit": BackboneOptions(name="test_convnext", size=64),
}
PYRAMIDAL = ("aue",)
SMALL: dict[str, dict[str, Any]] = {"aue": {"feature": 32, "decoder": 8, "window": 8, "fusion": 16}}
"""Options of methods that are large as published."""


def task_of(name: str, backbone: str) -> Task:
    backbones = PYRAMIDS if name in PYRAMIDAL else BACKBONES
    return Task(labels=LABELS, backbone=backbones[backbone], class_counts=np.array([40, 30, 20, 10, 5, 3, 2]))


def build(name: str, backbone: str, fidelity: Any = "intended") -> tuple[Method, nn.Module]:
    torch.manual_seed(0)
    method = build_method(MethodChoice(name=name, fidelity=fidelity, options=SMALL.get(name, {})))
    return method, method.network(task_of(name, backbone))


def batch_of(method: Method, labels: list[int]) -> dict[str, Tensor]:
    """A batch with soft targets, whose largest columns are these labels."""
    generator = torch.Generator().manual_seed(1)
    label = torch.tensor(labels)
    one_hot = nn.functional.one_hot(label, len(LABELS)).float()
    batch = {
        "target": 0.7 * one_hot + 0.3 / len(LABELS),
        "label": label,
        "one_hot": one_hot,
        "row": torch.arange(len(labels)),
    }
    size = task_of(method.name, FIRST).backbone.size
    for name in method.inputs:
        batch[name] = torch.randn(len(labels), 3, size, size, generator=generator)
        if name == "landmarks":
            batch[name] = 0.2 + 0.6 * torch.rand(len(labels), 68, 2, generator=generator)
    return batch


def inputs_of(method: Method, labels: list[int]) -> dict[str, Tensor]:
    """What a network in use is given, of a batch."""
    batch = batch_of(method, labels)
    return {name: batch[name] for name in in_use(method.inputs)}


def step_of(method: Method, labels: list[int]) -> dict[str, Tensor]:
    """A batch of a training step: of these labels, or a whole episode for a method that learns from episodes."""
    shape = getattr(method.options, "shape", None)
    if shape is not None:
        labels = [way for way in range(shape.n_way) for _ in range(shape.k_shot + shape.n_query)]
    return batch_of(method, labels)


def loss_of(method: Method, network: nn.Module, batch: dict[str, Tensor], stage: Stage) -> Tensor:
    output = network(**{name: batch[name] for name in method.inputs})
    terms = method.losses(network, batch, output, stage)
    assert terms
    for name, value in terms.items():
        assert value.shape == (), name
        assert torch.isfinite(value), name
    total = sum(terms.values())
    assert isinstance(total, Tensor)
    return total


both = pytest.mark.parametrize("backbone", BACKBONES)
each = pytest.mark.parametrize("name", METHODS)


def test_the_sweep_sees_the_projects_methods() -> None:
    assert "baseline" in METHODS


@each
def test_facts_and_options(name: str) -> None:
    method, _ = build(name, FIRST)
    assert method.name == name
    assert method.source.strip()
    assert isinstance(method.batch_coupled, bool)
    assert set(method.inputs) <= set(INPUTS)
    assert "image" in method.inputs
    options = method.options
    assert dataclasses.is_dataclass(options)
    assert not isinstance(options, type)
    assert type(options) is method.Options
    first = dataclasses.fields(options)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, first, getattr(options, first))
    values = dataclasses.asdict(options)
    assert json.loads(json.dumps(values)) == values
    assert method.Options.__doc__
    assert all(f"{field.name}" in method.Options.__doc__ for field in dataclasses.fields(options))
    # Written out in full, a recipe builds the same method.
    recipe = parse_recipe(
        {"method": {"name": name, **values}, "backbone": {"name": "resnet18"}, "data": {"manifest": "m"}}, "r"
    )
    assert build_method(recipe.method).options == options


@each
@both
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_forward_gives_what_the_contract_says(name: str, backbone: str, fidelity: Any) -> None:
    method, network = build(name, backbone, fidelity)
    batch = step_of(method, [0, 1, 2, 3, 4])
    rows, used = len(batch["label"]), {key: batch[key] for key in in_use(method.inputs)}
    outputs = [network.train()(**{key: batch[key] for key in method.inputs}), network.eval()(**used)]
    outputs.append(network.eval()(image=batch["image"]))  # what else a face has may be unknown
    for output in outputs:
        assert isinstance(output, Output)
        assert output.logits.shape == (rows, len(LABELS))
        assert output.embedding is not None
        assert output.embedding.shape[0] == rows
        assert output.embedding.ndim == 2
        assert all(torch.isfinite(value).all() for value in output if value is not None)


@each
@both
@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4, 5, 6, 0], [3, 3, 3, 3], [6, 6]], ids=["mixed", "one class", "two"])
def test_losses_are_finite_and_reach_every_parameter(name: str, backbone: str, labels: list[int]) -> None:
    method, network = build(name, backbone)
    reached: set[str] = set()
    for stage in method.stages():
        network.zero_grad()
        loss_of(method, network.train(), step_of(method, labels), stage).backward()  # type: ignore[no-untyped-call]
        for key, parameter in network.named_parameters():
            if parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all(), key
                reached.add(key)
    missing = {key for key, parameter in network.named_parameters() if parameter.requires_grad} - reached
    assert not missing


@each
@both
def test_a_small_step_down_the_gradient_lowers_the_loss(name: str, backbone: str) -> None:
    method, network = build(name, backbone)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    batch, stage = step_of(method, [0, 1, 2, 3, 4, 5, 6, 0]), method.stages()[0]
    before = loss_of(method, network.train(), batch, stage)
    before.backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    norm = torch.sqrt(sum((value.square().sum() for value in gradients), torch.zeros(())))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-2 * parameter.grad / norm)
    assert loss_of(method, network, batch, stage) < before


@each
@both
def test_param_groups_hold_every_parameter_once(name: str, backbone: str) -> None:
    method, network = build(name, backbone)
    groups = method.param_groups(network, 0.1)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(set(grouped)) == len(grouped)
    assert set(grouped) == {id(parameter) for parameter in network.parameters()}
    assert {group["weight_decay"] for group in groups} <= {0.0, 0.1}


@each
def test_stages_freeze_modules_that_exist(name: str) -> None:
    method, network = build(name, FIRST)
    stages = method.stages()
    assert len({stage.name for stage in stages}) == len(stages) >= 1
    names = {module for module, _ in network.named_modules()}
    assert all(set(stage.frozen) <= names for stage in stages)


@each
def test_the_sampler_depends_on_seed_and_epoch_alone(name: str) -> None:
    method, _ = build(name, FIRST)
    labels = np.random.default_rng(0).integers(0, len(LABELS), 200)

    def steps(seed: int, epoch: int) -> list[list[int]]:
        return [step.tolist() for step in method.sampler(labels, 20, seed).epoch(epoch)]

    assert steps(0, 1) == steps(0, 1)
    assert steps(0, 1) != steps(0, 2) != steps(1, 2)
    assert all(0 <= sample < 200 for step in steps(0, 1) for sample in step)


@each
@both
def test_an_answer_does_not_depend_on_batch_mates(name: str, backbone: str) -> None:
    method, network = build(name, backbone)
    used = method.export_network(network).eval()
    given = inputs_of(method, [0] * 9)
    order = torch.tensor([4, 0, 8, 2, 6, 1, 3, 7, 5])
    with torch.no_grad():
        whole = used(**given)
        turned = used(**{key: value[order] for key, value in given.items()})
        alone = [used(**{key: value[row : row + 1] for key, value in given.items()}) for row in range(9)]
        others = used(**{key: torch.cat([value[:3], 5 * torch.ones_like(value[3:])]) for key, value in given.items()})
    for field in (name for name in Output._fields if getattr(whole, name) is not None):
        value = getattr(whole, field)
        torch.testing.assert_close(getattr(turned, field), value[order], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(torch.cat([getattr(one, field) for one in alone]), value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(getattr(others, field)[:3], value[:3], rtol=1e-4, atol=1e-5)
    assert float(whole.logits.std(0).max()) > 1e-4  # and it does depend on the picture


@each
def test_export_leaves_the_trained_network_as_it_is(name: str) -> None:
    method, network = build(name, FIRST)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    method.export_network(network)
    assert network.training
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@each
def test_only_a_method_that_says_so_has_a_form_that_depends_on_the_batch(name: str) -> None:
    method, network = build(name, FIRST)
    image = inputs_of(method, [0] * 6)["image"]
    if not method.batch_coupled:
        with pytest.raises(ConfigError, match="without --coupled"):
            method.coupled_network(network)
        return
    coupled = method.coupled_network(network).eval()
    with torch.no_grad():
        assert not torch.allclose(coupled(image=image).logits[:3], coupled(image=image[:3]).logits, atol=1e-5)


@each
@both
def test_the_exported_graph_gives_the_same_answers(name: str, backbone: str) -> None:
    method, network = build(name, backbone)
    used = method.export_network(network).eval()
    given = inputs_of(method, [0] * 5)
    graph = to_onnx(used, task_of(name, backbone).backbone.size, in_use(method.inputs))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(in_use(method.inputs))
    with torch.no_grad():
        wanted = used(**given)
    names = [value.name for value in session.get_outputs()]
    assert {"logits", "embedding"} <= set(names)
    for count in (1, 5):
        got = session.run(names, {key: value[:count].numpy() for key, value in given.items()})
        for field, values in zip(names, got, strict=True):
            np.testing.assert_allclose(values, getattr(wanted, field)[:count].numpy(), rtol=1e-3, atol=1e-4)


@each
@both
def test_weights_survive_saving(name: str, backbone: str) -> None:
    method, network = build(name, backbone)
    torch.manual_seed(99)
    counts = np.ones(len(LABELS), dtype=np.int64)
    other = method.network(dataclasses.replace(task_of(name, backbone), class_counts=counts))
    other.load_state_dict(network.state_dict())
    given = inputs_of(method, [0, 1])
    with torch.no_grad():
        assert torch.equal(other.eval()(**given).logits, network.eval()(**given).logits)
