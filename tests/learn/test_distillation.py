"""Distillation: teachers answer the pictures of a step, and their mean answer is learned beside the labels."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import nn

from openfer.bundle.load import CARD, Bundle, load_bundle, normalise
from openfer.errors import ConfigError, DataError, ModelError
from openfer.learn.distillation import Teacher, Teachers, distillation_loss, load_teachers, network_of
from openfer.learn.engine import train
from openfer.learn.export import export, real_faces
from openfer.learn.method import Output
from openfer.learn.options import DistillationOptions
from openfer.learn.recipe import Recipe
from tests.bundles import make_bundle
from tests.learn.tiny import StopAfter, StoppedError, distance, rows_of, tiny_recipe, weights


def taught(*teachers: str | Path, **changes: dict[str, Any]) -> Recipe:
    return tiny_recipe(**changes, distillation={"teachers": [str(name) for name in teachers], "temperature": 2.0})


class Says(nn.Module):
    """A network that answers the mean of each channel."""

    def forward(self, image: torch.Tensor) -> Output:
        return Output(logits=image.mean((2, 3)))


def test_the_loss_is_the_divergence_from_the_mean_of_the_teachers_times_the_temperature_squared() -> None:
    rng = np.random.default_rng(0)
    logits, answers = rng.normal(0, 2, (5, 4)), rng.normal(0, 2, (3, 5, 4))
    wanted = rel_entr(softmax(answers / 3, axis=2).mean(0), softmax(logits / 3, axis=1)).sum(1).mean() * 9
    got = distillation_loss(torch.from_numpy(logits), torch.from_numpy(answers), 3.0)
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_the_loss_is_zero_where_the_teacher_says_the_same() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    loss = distillation_loss(logits, logits.detach()[None] + 7, 2.0)  # what all classes have in common does not count
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_the_weight_scales_the_loss_and_no_gradient_reaches_a_teacher() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> Output:
            return Output(logits=self.network(image))

    image = torch.rand(4, 3, 2, 2, requires_grad=True)
    logits = torch.rand(4, 3, requires_grad=True)
    teacher = Teacher(Linear(), 2, torch.ones(3), torch.zeros(3))
    once, twice = (
        Teachers([teacher], ["it"], DistillationOptions(weight=weight)).loss(image, logits) for weight in (1.0, 2.0)
    )
    assert twice.item() == pytest.approx(2 * once.item())
    once.backward()
    assert logits.grad is not None
    assert image.grad is None
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_teacher_sees_the_picture_in_its_own_size_and_normalisation() -> None:
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    its_mean, its_std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7])
    seen: list[torch.Tensor] = []

    class Looks(Says):
        def forward(self, image: torch.Tensor) -> Output:
            seen.append(image)
            return super().forward(image)

    pixels = torch.rand(2, 3, 1, 1).expand(2, 3, 8, 8)
    scale, shift = std / its_std, (mean - its_mean) / its_std
    answer = Teacher(Looks(), 6, scale, shift)((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    assert seen[0].shape == (2, 3, 6, 6)
    torch.testing.assert_close(answer, (pixels[:, :, 0, 0] - its_mean) / its_std)


def test_a_bundle_teaches_what_its_graph_answers(exported: Bundle) -> None:
    faces = real_faces(exported.card.input.alignment())
    (wanted,) = exported.run(faces, outputs=("logits",))
    network = network_of(exported)
    with torch.no_grad():
        got = network(image=torch.from_numpy(normalise(faces, exported.card))).logits
    np.testing.assert_allclose(got.numpy(), wanted, atol=2e-2)
    assert not network.training


def test_a_taught_run_logs_the_term_and_names_its_teachers(exported: Bundle, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(taught(exported.path), run)
    assert float(rows_of(run)[-1]["train_loss_distillation"]) > 0
    assert weights(run).keys() == network_of(exported).state_dict().keys(), "no teacher among the weights"
    name = f"drawn, sha256 {exported.card.graphs['model.onnx']}"
    assert json.loads((run / "run.json").read_text())["data"]["teachers"] == [name]
    assert export(run, tmp_path / "bundle").card.training.teachers == (name,)


def test_a_taught_run_goes_on_to_the_same_bits(exported: Bundle, tmp_path: Path) -> None:
    recipe = taught(exported.path, optim={"epochs": 2})
    train(recipe, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(recipe, tmp_path / "halves", watch=StopAfter(1))
    train(recipe, tmp_path / "halves", resume=True)
    assert distance(weights(tmp_path / "whole"), weights(tmp_path / "halves")) == 0


def test_a_run_does_not_go_on_with_another_teacher(exported: Bundle, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(exported.path, teacher)
    recipe = taught(teacher, optim={"epochs": 2})
    with pytest.raises(StoppedError):
        train(recipe, tmp_path / "run", watch=StopAfter(1))
    card = json.loads((teacher / CARD).read_text())
    (teacher / CARD).write_text(json.dumps(card | {"name": "another"}))
    with pytest.raises(DataError, match="teachers differs"):
        train(recipe, tmp_path / "run", resume=True)


def test_what_a_teacher_says_is_learned(exported: Bundle, tmp_path: Path) -> None:
    def apart(weight: float) -> float:
        recipe = tiny_recipe(
            augment={"flip": 0.0, "affine": [0, 0, 0]},
            optim={"epochs": 4},
            distillation={"teachers": [str(exported.path)], "weight": weight},
        )
        out = tmp_path / str(weight)
        train(recipe, out)
        return float(rows_of(out)[-1]["train_loss_distillation"]) / weight

    assert apart(10.0) < 0.8 * apart(1e-6)


def test_a_run_can_teach(trained: Path, exported: Bundle, tmp_path: Path) -> None:
    run = tmp_path / "finished"
    shutil.copytree(trained, run)  # it is exported into its own folder
    teachers = load_teachers(taught(run), exported.card.label_names())
    assert teachers is not None
    assert teachers.names[0].startswith("finished, sha256 ")


def test_a_recipe_without_teachers_has_none(exported: Bundle) -> None:
    assert load_teachers(tiny_recipe(), exported.card.label_names()) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": {"colour": "rgb"}}, "was trained with data.colour grey, this recipe has rgb"),
        ({"data": {"align": "arcface"}}, "was trained with data.align fer2013, this recipe has arcface"),
    ],
)
def test_a_teacher_of_other_faces_is_refused(changes: dict[str, Any], says: str, exported: Bundle) -> None:
    with pytest.raises(ConfigError, match=says):
        load_teachers(taught(exported.path, **changes), exported.card.label_names())


def test_a_teacher_of_other_classes_is_refused(exported: Bundle) -> None:
    recipe = taught("default")
    with pytest.raises(ConfigError, match=r"distillation\.teachers: default answers neutral, .*; the manifest has "):
        load_teachers(recipe, exported.card.label_names())


def test_a_teacher_that_reads_landmarks_is_refused(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "units", units=True))
    with pytest.raises(ConfigError, match="also reads landmarks"):
        load_teachers(taught(bundle.path), bundle.card.label_names())


def test_a_teacher_without_weights_for_pytorch_is_refused(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "plain"))
    with pytest.raises(ModelError, match=r"comes without model\.safetensors"):
        network_of(bundle)


def test_a_teacher_whose_card_says_something_else_is_refused(exported: Bundle, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(exported.path, other)
    card = json.loads((other / CARD).read_text())
    card["method"]["backbone"]["name"] = "test_resnet"
    (other / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=rf"does not fit {re.escape(str(other / CARD))} .*export it again"):
        network_of(load_bundle(other))
