"""The method `aue`: stages that leave the others alone, faces without landmarks, windows, whole runs."""

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
from openfer.labels import LABEL_SETS
from openfer.learn.checkpoint import Progress
from openfer.learn.engine import freeze, train
from openfer.learn.export import export
from openfer.learn.method import Task
from openfer.learn.methods.aue.branches import Fusion
from openfer.learn.methods.aue.knowledge import is_compound, knowledge_of
from openfer.learn.methods.aue.method import FUSION, UNITS
from openfer.learn.methods.aue.windows import WINDOWS, WindowNetworks, au_centres, cut_windows
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import Fidelity
from openfer.learn.record import Watch
from openfer.vision.landmarks import MIRROR
from openfer.vision.mean_face import mean_face
from tests.learn.methods.small_aue import BASIC, SMALL, answer, batch, method, network
from tests.learn.tiny import tiny_recipe


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


def test_fidelity_chooses_the_pairing_of_windows() -> None:
    assert network().fusion.pairing == "intended"
    assert network(method("released")).fusion.pairing == "released"


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


def test_neither_biases_nor_the_table_decay() -> None:
    made = method()
    built = network(made)
    groups = made.param_groups(built, 0.05)
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0]
    names = {id(value): name for name, value in built.named_parameters()}
    decayed, spared = ({names[id(value)] for value in group["params"]} for group in groups)
    assert decayed | spared == set(names.values())
    assert {"windows.weight", "fusion.weight", "units.weight", "expression.weight"} <= decayed
    assert {"windows.bias", "fusion.bias", "knowledge.table", "face.reduce.1.weight"} <= spared
    freeze(built, made.stages()[2])
    assert {id(value) for group in made.param_groups(built, 0.05) for value in group["params"]} == {
        id(value) for value in built.parameters() if value.requires_grad
    }


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
