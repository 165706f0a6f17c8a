"""The method `aue`: stages that leave the others alone, faces without landmarks, and a table that never breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from openfer.errors import ConfigError
from openfer.files import sha256_of
from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.checkpoint import Progress
from openfer.learn.engine import freeze, train
from openfer.learn.export import export
from openfer.learn.method import Output, Task, build_method
from openfer.learn.methods.aue.branches import Fusion
from openfer.learn.methods.aue.knowledge import facts, is_compound, knowledge_of
from openfer.learn.methods.aue.losses import INTERVALS, au_dependency, pseudo_labels, table_error, weighted_error
from openfer.learn.methods.aue.method import FUSION, UNITS, AueMethod, judge_units
from openfer.learn.methods.aue.network import Aue
from openfer.learn.methods.aue.windows import WINDOWS, WindowNetworks, au_centres, cut_windows
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import Fidelity, MethodChoice
from openfer.learn.record import Watch
from openfer.vision.landmarks import MIRROR
from openfer.vision.mean_face import mean_face
from tests.learn.tiny import tiny_recipe

SMALL = {"feature": 16, "decoder": 4, "window": 4, "fusion": 8, "dropout": 0.0}
BASIC = LABEL_SETS["basic7"]


def method(fidelity: Fidelity = "intended", **options: Any) -> AueMethod:
    made = build_method(MethodChoice(name="aue", fidelity=fidelity, options={**SMALL, **options}))
    assert isinstance(made, AueMethod)
    return made


def network(made: AueMethod | None = None, labels: LabelSet = BASIC, backbone: str = "test_resnet") -> Aue:
    torch.manual_seed(0)
    task = Task(
        labels=labels,
        backbone=BackboneOptions(name=backbone, size=64),
        class_counts=np.ones(len(labels), dtype=np.int64),
    )
    built = (made or method()).network(task)
    assert isinstance(built, Aue)
    return built


def batch(rows: int = 6, unknown: tuple[int, ...] = (), labels: LabelSet = BASIC) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    landmarks = torch.tensor(mean_face("fer2013"), dtype=torch.float32)
    landmarks = landmarks + 0.03 * torch.randn(rows, 68, 2, generator=generator)
    landmarks[list(unknown)] = torch.nan
    label = torch.arange(rows) % len(labels)
    one_hot = nn.functional.one_hot(label, len(labels)).float()
    image = torch.randn(rows, 3, 64, 64, generator=generator)
    return {
        "image": image,
        "landmarks": landmarks,
        "label": label,
        "target": one_hot,
        "one_hot": one_hot,
        "row": torch.arange(rows),
    }


def answer(built: Aue, given: dict[str, Tensor]) -> Output:
    output: Output = built(image=given["image"], landmarks=given["landmarks"])
    return output


def state(built: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in built.state_dict().items()}


@pytest.mark.parametrize("fidelity", ["intended", "released"])
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_what_a_stage_freezes_stands_still_to_the_bit(fidelity: Fidelity, stage: int) -> None:
    made = method(fidelity)
    built, part, given = network(made), made.stages()[stage], batch()
    freeze(built, part)
    built.train()
    for prefix in part.frozen:  # as the engine does
        built.get_submodule(prefix).train(prefix in part.restless)
    before = state(built)
    groups = made.param_groups(built, 0.0)
    optimizer = torch.optim.SGD([value for group in groups for value in group["params"]], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.stack(list(made.losses(built, given, answer(built, given), part).values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    moved = {name for name, value in state(built).items() if not torch.equal(value, before[name])}
    still = {name for name in before if name.startswith(tuple(f"{prefix}." for prefix in part.frozen))}
    statistics = {name for name in before if "running" in name or "tracked" in name}
    restless = {name for name in statistics if name.startswith(tuple(f"{prefix}." for prefix in part.restless))}
    assert moved & still <= restless
    assert bool(moved & restless) == bool(restless)
    learning = {name.split(".")[0] for name in moved - still}
    assert learning == {name.split(".")[0] for name in before} - set(part.frozen)


def test_stages_compute_only_what_they_read() -> None:
    made = method()
    built, given = network(made), batch()
    known: list[tuple[bool, bool]] = []
    for part in made.stages():
        freeze(built, part)
        output = answer(built.train(), given)
        known.append((output.aus is not None, output.attention is not None))
    assert known == [(False, False), (True, False), (True, True)]


def test_a_face_without_landmarks_is_answered_by_the_global_branch() -> None:
    built, given = network().eval(), batch(unknown=(1, 4))
    with torch.no_grad():
        output, alone = answer(built, given), built(image=given["image"])
    assert output.aus is not None
    assert output.attention is not None
    for row in range(6):
        unknown = row in (1, 4)
        assert bool(output.aus[row].isnan().all()) == bool(output.attention[row].isnan().all()) == unknown
        assert torch.equal(output.logits[row], alone.logits[row]) == unknown
    assert output.logits.isfinite().all()
    torch.testing.assert_close(output.attention[0].sum(), torch.tensor(1.0))


@pytest.mark.parametrize("stage", [1, 2])
def test_a_face_without_landmarks_teaches_action_units_nothing(stage: int) -> None:
    made = method(dependency=0.5, fusion_dependency=0.5)
    part, given = made.stages()[stage], batch(unknown=(0, 5))
    terms = made.losses(network(made).eval(), given, _trained(network(made), given), part)
    rest = {name: value[1:5] for name, value in given.items()}
    alone = made.losses(network(made).eval(), rest, _trained(network(made), rest), part)
    for name in {"units", "dependency", "table", "fused"} & set(terms):
        torch.testing.assert_close(terms[name], alone[name])
    nobody = {**given, "landmarks": torch.full_like(given["landmarks"], torch.nan)}
    empty = made.losses(network(made).eval(), nobody, _trained(network(made), nobody), part)
    assert all(bool(value.isfinite()) for value in empty.values())
    assert all(not bool(empty[name].any()) for name in {"units", "dependency", "fused"} & set(empty))


def _trained(built: Aue, given: dict[str, Tensor]) -> Output:
    """What a network says in training, its BatchNorm as in use, so that rows do not depend on each other."""
    for module in built.modules():
        module.training = not isinstance(module, nn.modules.batchnorm._BatchNorm)
    return answer(built, given)


def test_an_unknown_class_teaches_action_units_nothing() -> None:
    labels = LABEL_SETS["ferplus"]
    made = method()
    built = network(made, labels)
    assert knowledge_of(labels).known.tolist() == [name != "contempt" for name in labels]
    assert made.notes(built) == ["1 of the classes have no entry in the table of action units and teach them nothing"]
    given = batch(8, labels=labels)
    part = made.stages()[1]
    whole = made.losses(built, given, _trained(built, given), part)["units"]
    rest = {name: value[given["label"] != labels.index("contempt")] for name, value in given.items()}
    torch.testing.assert_close(whole, made.losses(built, rest, _trained(built, rest), part)["units"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_pseudo_labels_lie_in_their_intervals_and_mind_their_own_row(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    knowledge = knowledge_of(BASIC)
    table = 3 * torch.rand(7, 17, generator=generator) - 1
    label = torch.randint(0, 7, (5,), generator=generator)
    target = pseudo_labels(table, knowledge, label)
    for kind, (low, high) in INTERVALS.items():
        entries = target[getattr(knowledge, kind)[label] > 0]
        assert ((entries >= low) & (entries <= high)).all()
    other = int(next(row for row in range(7) if row not in label.tolist()))
    table[other] = torch.nan
    torch.testing.assert_close(pseudo_labels(table, knowledge, label), target)


def test_thousands_of_steps_of_the_table_stay_numbers_whatever_the_seed() -> None:
    knowledge, generator = knowledge_of(BASIC), torch.Generator().manual_seed(0)
    table = nn.Parameter(knowledge.start.clone())
    optimizer = torch.optim.SGD([table], lr=0.01, momentum=0.9)
    for _ in range(1000):  # the published table breaks in the first epochs, of 191 steps (Q5)
        label = torch.randint(0, 7, (64,), generator=generator)
        scores = torch.rand(64, 17, generator=generator)
        optimizer.zero_grad()
        target = pseudo_labels(table, knowledge, label)
        loss = weighted_error(scores, target) + 0.5 * au_dependency(scores) + table_error(table, knowledge)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert table.isfinite().all()
    assert (table != knowledge.start).any()


def test_the_tables_middles_have_a_gradient_of_zero() -> None:
    knowledge = knowledge_of(BASIC)
    middles = torch.stack([getattr(knowledge, kind) * sum(ends) / 2 for kind, ends in INTERVALS.items()]).sum(0)
    table = middles.clone().requires_grad_()
    table_error(table, knowledge).backward()  # type: ignore[no-untyped-call]
    assert table.grad is not None
    assert not table.grad.any()


def test_pairs_pull_the_way_that_is_known() -> None:
    """Units 6 and 12 show together, 12 and 15 do not: it is so that the loss falls when they do as they should."""
    units = facts()["together"], facts()["apart"]
    assert [6, 12] in units[0]
    assert [12, 15] in units[1]
    together, alone = torch.zeros(4, 17), torch.zeros(4, 17)
    together[:2, [4, 8]] = 0.9  # AU6 and AU12 in the same faces
    alone[:2, 4], alone[2:, 8] = 0.9, 0.9
    assert au_dependency(together) < au_dependency(alone)
    wrong, right = torch.zeros(4, 17), torch.zeros(4, 17)
    wrong[:2, [8, 9]] = 0.9  # AU12 and AU15
    right[:2, 8], right[2:, 9] = 0.9, 0.9
    assert au_dependency(right) < au_dependency(wrong)


def test_centres_of_a_mirrored_face_are_mirrored() -> None:
    landmarks = torch.tensor(mean_face("fer2013"), dtype=torch.float64)[None]
    turned = landmarks[:, torch.from_numpy(MIRROR)].clone()
    turned[..., 0] = 1 - turned[..., 0]
    centres, mirrored = (au_centres(points, 56).view(17, 2, 2) for points in (landmarks, turned))
    expected = centres.clone()
    expected[..., 0] = 56 - expected[..., 0]
    # Two places of a unit change sides with each other, or lie on the middle and stay; halves go to even cells.
    apart = torch.stack([(expected.flip(1) - mirrored).abs(), (expected - mirrored).abs()]).amax((2, 3)).amin(0)
    symmetric = [unit for unit in range(17) if unit not in (13, 14)]  # AU23 and AU24 are not, in the paper's code
    assert apart[symmetric].max() <= 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), size=st.sampled_from([2, 4, 6]))
def test_windows_are_what_slices_would_cut(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(2, 3, 8, 8, generator=generator)
    centres = torch.randint(-4, 12, (2, 5, 2), generator=generator)
    windows = cut_windows(maps, centres, size)
    wide = nn.functional.pad(maps, (16, 16, 16, 16))
    for face in range(2):
        for window, (x, y) in enumerate(centres[face].tolist()):
            rows, columns = (slice(16 + at - size // 2, 16 + at + size // 2) for at in (y, x))
            torch.testing.assert_close(windows[face, window], wide[face, :, rows, columns])


@pytest.mark.parametrize("kind", ["full", "pooled"])
def test_every_window_has_a_network_of_its_own(kind: Any) -> None:
    torch.manual_seed(0)
    networks = WindowNetworks(3, 16, 16, kind, 0.0).eval()
    maps = torch.rand(1, 3, 16, 16)
    centres = torch.full((1, WINDOWS, 2), 8)
    features = networks(maps, centres)
    assert features.shape == (1, WINDOWS, 16)
    assert len({tuple(row) for row in features[0].tolist()}) == WINDOWS  # the same window, 34 answers
    with torch.no_grad():
        networks.bias[7] += 1
    changed = (networks(maps, centres) != features).any(2)[0]
    assert changed.nonzero().flatten().tolist() == [7]


def test_compound_expressions_attend_by_sigmoids() -> None:
    assert is_compound(LABEL_SETS["rafdb_compound"])
    assert not is_compound(BASIC)
    built = network(labels=LABEL_SETS["rafdb_compound"])
    assert built.fusion.attention == "sigmoid"
    assert knowledge_of(LABEL_SETS["rafdb_compound"]).known.all()
    assert network(method(attention="softmax"), LABEL_SETS["rafdb_compound"]).fusion.attention == "softmax"


def test_attention_begins_alive() -> None:
    built, given = network(), batch()
    output = answer(built.train(), given)
    assert output.attention is not None
    output.attention.square().sum().backward()  # type: ignore[no-untyped-call]
    assert isinstance(built.fusion, Fusion)
    assert built.fusion.agree.weight.grad is not None
    assert built.fusion.agree.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("backbone", "size", "says"),
    [
        ("test_vit", 64, "expected four that halve"),
        ("test_resnet", 128, "windows of 13, expected an even number"),
    ],
)
def test_what_does_not_fit_is_refused(backbone: str, size: int, says: str) -> None:
    task = Task(labels=BASIC, backbone=BackboneOptions(name=backbone, size=size), class_counts=np.ones(7, int))
    with pytest.raises(ConfigError, match=says):
        method().network(task)


def test_action_units_are_judged_by_their_agreement_with_the_pseudo_labels() -> None:
    built, given = network().eval(), batch(unknown=(0,))
    found = judge_units(built, [given])
    assert found is not None
    output = answer(built, given)
    assert output.aus is not None
    target = pseudo_labels(built.knowledge.table, built.knowledge.knowledge, given["label"])[1:]
    agreed = (output.aus[1:].sigmoid() >= 0.5) == (target >= 0.5)
    assert found["accuracy"] == pytest.approx(float(agreed.double().mean()))
    assert judge_units(built, [{**given, "landmarks": torch.full_like(given["landmarks"], torch.nan)}]) is None


class StopAfter(Watch):
    """Ends a run after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def epoch(self, progress: Progress) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_run_that_is_stopped_in_any_stage_ends_with_the_same_bits(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        method={"name": "aue", **SMALL, "dropout": 0.3, "expression_epochs": 2, "unit_epochs": 2, "fusion_epochs": 2},
        backbone={"name": "test_resnet", "size": 64},
        data={"manifest": "mini:42"},
        run={"ema": 0.5},
    )
    train(recipe, tmp_path / "whole")
    for epochs in (1, 2, 1, 1):  # inside the first stage, at the end of the second, inside the third, at the end
        try:
            train(recipe, tmp_path / "stopped", resume=True, watch=StopAfter(epochs))
        except KeyboardInterrupt:
            continue
    train(recipe, tmp_path / "stopped", resume=True)
    for file in ("best.safetensors", "last.safetensors", "holdout.npz"):
        assert sha256_of(tmp_path / "stopped" / file) == sha256_of(tmp_path / "whole" / file), file


def test_a_run_goes_through_its_stages_and_can_be_exported(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        method={"name": "aue", **SMALL, "expression_epochs": 1, "unit_epochs": 1, "fusion_epochs": 2},
        backbone={"name": "test_resnet", "size": 64},
        data={"manifest": "mini:70"},
    )
    progress = train(recipe, tmp_path / "run")
    assert [row["stage"] for row in progress.log] == ["expression", UNITS, FUSION, FUSION]
    bundle = export(tmp_path / "run", tmp_path / "bundle")
    assert bundle.card.inputs == ("image", "landmarks")
    assert bundle.card.outputs == ("logits", "embedding", "aus", "attention")
    faces = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    landmarks = np.stack([mean_face("fer2013"), np.full((68, 2), np.nan)]).astype(np.float32)
    logits, aus = bundle.run(faces, landmarks=landmarks, outputs=("logits", "aus"))
    assert np.isfinite(logits).all()
    assert np.isfinite(aus[0]).all()
    assert np.isnan(aus[1]).all()
    np.testing.assert_array_equal(bundle.run(faces)[0][1], logits[1])  # nobody's landmarks
