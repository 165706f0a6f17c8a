"""The method `arm`: what its options do, what a run keeps, what is exported, what may only be evaluated."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from openfer.bundle.load import load_bundle
from openfer.data.manifest import load_manifest, write_manifest
from openfer.errors import ConfigError, DataError, ModelError
from openfer.evaluate.report.build import evaluate_predictions
from openfer.evaluate.report.write import write_report
from openfer.evaluate.score import score_manifest
from openfer.labels import LABEL_SETS
from openfer.learn.backbones import build_feature_backbone, feature_map
from openfer.learn.card import report_metrics
from openfer.learn.coupled import coupled_model, flagged
from openfer.learn.engine import train
from openfer.learn.export import bundle_of_run, export
from openfer.learn.importing import import_checkpoint
from openfer.learn.judge import Held
from openfer.learn.method import Method, Output, Task, build_method
from openfer.learn.methods.arm.network import Amended
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import MethodChoice
from openfer.learn.record import Watch
from openfer.learn.samplers import MinimalResampling, ShuffledBatches
from tests.learn.tiny import tiny_recipe, weights

BACKBONE = {"name": "test_efficientnet", "size": 32, "output_stride": 8}
LABELS = LABEL_SETS["basic7"]


def build(fidelity: Any = "intended", backbone: dict[str, Any] = BACKBONE, **options: Any) -> tuple[Method, Amended]:
    torch.manual_seed(0)
    method = build_method(MethodChoice(name="arm", fidelity=fidelity, options=options))
    task = Task(labels=LABELS, backbone=BackboneOptions(**backbone), class_counts=np.ones(7, dtype=np.int64))
    network = method.network(task)
    assert isinstance(network, Amended)
    return method, network


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one epoch. Do not write into it."""
    out = tmp_path_factory.mktemp("arm") / "run"
    train(tiny_recipe(method={"name": "arm", "dropout": 0.1}, backbone=BACKBONE), out)
    return out


def test_without_options_it_is_the_authors_head_on_its_own_terms() -> None:
    method, _ = build()
    assert method.batch_coupled
    assert asdict(method.options) == {
        "affinity": "running",
        "momentum": 0.1,
        "shuffle": "none",
        "kernel": "none",
        "stride": "none",
        "dropout": 0.0,
        "soft_targets": True,
        "resample": False,
        "cap": 0,
        "decay_all": False,
    }


def test_options_reach_the_head() -> None:
    _, network = build(shuffle=4, kernel=6, stride=5, momentum=0.3, dropout=0.2, affinity="batch")
    head = network.head
    assert (head.geometry.shuffle, head.geometry.kernel, head.geometry.stride) == (4, 6, 5)
    assert (head.momentum, head.dropout.p, head.affinity) == (0.3, 0.2, "batch")
    assert build()[1].head.affinity == "running"
    assert build("released")[1].head.affinity == "batch"
    assert build("released", affinity="off")[1].head.affinity == "off"


@pytest.mark.parametrize(
    ("size", "stride", "words"),
    [
        (32, 8, None),
        (40, 8, None),
        (64, 32, "2 x 2 cells, which leaves arm's head 1 f"),
        (48, 16, "9 features;"),
    ],
)
def test_a_small_last_map_is_noted(size: int, stride: int, words: str | None) -> None:
    method, network = build(backbone={"name": "test_efficientnet", "size": size, "output_stride": stride})
    notes = method.notes(network)
    cells = size // stride
    assert bool(notes) == (cells < 5)
    if words:
        assert words in notes[0]
        assert "output_stride" in notes[0]


def test_the_note_is_told_before_training(tmp_path: Path) -> None:
    told: list[str] = []

    class Listening(Watch):
        def note(self, text: str) -> None:
            told.append(text)

        def epoch(self, progress: object) -> None:
            assert told

    train(tiny_recipe(method={"name": "arm", "dropout": 0.0}, backbone=BACKBONE), tmp_path / "run", watch=Listening())
    assert len(told) == 1
    assert "4 x 4 cells" in told[0]


def test_a_map_of_one_cell_is_refused(tmp_path: Path) -> None:
    recipe = tiny_recipe(method={"name": "arm"}, backbone={"name": "test_efficientnet", "size": 32})
    with pytest.raises(ConfigError, match=r"has 1 x 1 cells.*enlarge backbone.size, or set backbone.output_stride"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_targets_are_votes_or_labels() -> None:
    logits = torch.randn(4, 7, dtype=torch.float32)
    one_hot = nn.functional.one_hot(torch.tensor([0, 1, 2, 3]), 7).float()
    batch = {"target": torch.full((4, 7), 1 / 7), "one_hot": one_hot}
    for soft, name in ((True, "target"), (False, "one_hot")):
        method, network = build(soft_targets=soft)

        terms = method.losses(network, batch, Output(logits=logits), method.stages()[0])
        assert list(terms) == ["cross_entropy"]
        torch.testing.assert_close(terms["cross_entropy"], nn.functional.cross_entropy(logits, batch[name]))


def test_the_sampler_is_chosen_by_the_options() -> None:
    labels = np.array([0] * 30 + [1] * 6)
    assert isinstance(build()[0].sampler(labels, 4, 0), ShuffledBatches)
    assert build(resample=True, cap=9)[0].sampler(labels, 4, 7) == MinimalResampling(labels, 4, 7, 9)


def test_decay_can_reach_everything_as_the_authors() -> None:
    method, network = build(decay_all=True)
    (group,) = method.param_groups(network, 0.3)
    assert group["weight_decay"] == 0.3
    assert len(group["params"]) == len(list(network.parameters()))
    bare = next(part for part in build()[0].param_groups(network, 0.3) if part["weight_decay"] == 0)
    assert any(parameter is network.head.alpha for parameter in bare["params"])
    network.head.alpha.requires_grad_(False)
    assert len(method.param_groups(network, 0.3)[0]["params"]) == len(list(network.parameters())) - 1


def test_a_run_keeps_the_generic_feature_and_judges_what_is_exported(run: Path) -> None:
    tensors = weights(run, "best")
    assert tensors["head.batches"] > 0
    assert tensors["head.generic"].abs().max() > 0
    held = Held.read(run / "holdout.npz")
    bundle = bundle_of_run(run)
    card = json.loads((bundle / "card.json").read_text())
    assert card["method"]["options"]["affinity"] == "running"
    assert card["outputs"] == ["logits", "embedding"]
    assert np.isfinite(held.logits).all()


def test_export_never_couples(run: Path) -> None:
    for fidelity, affinity in (("intended", "batch"), ("released", "running"), ("intended", "off")):
        method, network = build(fidelity, affinity=affinity)
        used = method.export_network(network.eval())
        image = torch.randn(6, 3, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(used(image=image).logits[:2], used(image=image[:2]).logits, rtol=1e-4, atol=1e-5)
            embedding = used(image=image).embedding
        assert embedding is not None
        assert embedding.shape == (6, network.head.geometry.features)
        torch.testing.assert_close(network.head.classifier(embedding), used(image=image).logits, rtol=1e-4, atol=1e-5)
        assert network.head.affinity == ("batch" if affinity != "off" else "off")
    with pytest.raises(ConfigError, match="without --coupled"):
        build(affinity="off")[0].coupled_network(build(affinity="off")[1])


def test_the_coupled_form_is_evaluated_flagged_and_never_in_the_card(run: Path, tmp_path: Path) -> None:
    model = coupled_model(run)
    manifest = load_manifest("mini:200")
    split = "test" if "test" in manifest.column("split") else "validation"
    scores = [
        score_manifest(model, manifest, split, detector=None, batch=batch, labels="intersection").probabilities
        for batch in (5, 6)
    ]
    assert not np.allclose(scores[0], scores[1])
    bundle = load_bundle(bundle_of_run(run))
    used = score_manifest(bundle, manifest, split, detector=None, batch=5, labels="intersection")
    assert not np.allclose(used.probabilities, scores[0])
    predictions = flagged(score_manifest(model, manifest, split, detector=None, batch=5, labels="intersection"), 5)
    report = evaluate_predictions(predictions, card=model.card, draws=50)
    assert "5 at once" in report.warnings[0]
    assert report.context.model == "run (coupled)"
    write_report(report, tmp_path / "report")
    with pytest.raises(ModelError, match="judges the model"):
        report_metrics(tmp_path / "report" / "report.json", bundle.card)


def test_only_a_run_can_be_evaluated_coupled(run: Path) -> None:
    with pytest.raises(ModelError, match="--coupled needs a folder of `openfer train`"):
        coupled_model(bundle_of_run(run))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("test_resnet", 64),
        ("test_convnext", 64),
        ("test_vit", 48),
        ("mobilenetv3_small_050", 64),
        ("mixer_s32_224", 224),
    ],
)
def test_any_backbone_gives_its_last_map_with_a_gradient_everywhere(name: str, size: int) -> None:
    options = BackboneOptions(name=name, size=size)
    backbone = build_feature_backbone(options)
    maps = feature_map(backbone, torch.randn(2, 3, size, size), options)
    assert maps.shape[:2] == (2, backbone.num_features)
    assert maps.ndim == 4
    maps.sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_tokens_keep_their_place() -> None:
    options = BackboneOptions(name="test_vit", size=48)
    backbone = build_feature_backbone(options).eval()
    image = torch.randn(1, 3, 48, 48)
    maps, tokens = feature_map(backbone, image, options), backbone.forward_features(image)  # type: ignore[operator]
    prefix = backbone.num_prefix_tokens
    for row in range(3):
        for column in range(3):
            torch.testing.assert_close(maps[0, :, row, column], tokens[0, prefix + 3 * row + column])  # type: ignore[operator]


# What the authors published, under their names, with numbers of our own.


def published(network: nn.Module) -> dict[str, Tensor]:
    """A network's state as the authors' program would have saved it, shifted so that loading shows."""
    theirs = {
        "backbone.conv1.": "features.0.",
        "backbone.bn1.": "features.1.",
        **{f"backbone.layer{stage}.": f"features.{stage + 3}." for stage in range(1, 5)},
        "head.kernel.": "arm.de_albino.",
        "head.norm.": "arm.bn.",
        "head.alpha": "arm.alpha",
        "head.classifier.": "fc.",
    }
    state = {}
    for name, value in network.state_dict().items():
        for ours, other in theirs.items():
            if name.startswith(ours):
                state[other + name.removeprefix(ours)] = value * 0.5 + 0.25 if value.is_floating_point() else value
    return state


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    _, network = build(backbone={"name": "resnet18", "size": 64, "output_stride": 16})
    state = published(network)
    file = tmp_path / "epoch59.pth"
    torch.save({"iter": 59, "model_state_dict": state, "optimizer_state_dict": {"state": {}}}, file)
    return file, state


@pytest.fixture
def rafdb_manifest(tmp_path: Path) -> str:
    """Generated faces under RAF-DB's names of classes."""

    manifest = load_manifest("mini:60")
    write_manifest(replace(manifest, labels=LABEL_SETS["rafdb"]), tmp_path / "faces.parquet")
    return str(tmp_path / "faces.parquet")


def recipe_for(manifest: str) -> Any:
    return tiny_recipe(
        method={"name": "arm", "dropout": 0.0},
        backbone={"name": "resnet18", "size": 64, "output_stride": 16},
        data={"manifest": manifest},
    )


def test_a_published_checkpoint_becomes_a_calibrated_run(
    checkpoint: tuple[Path, dict[str, Tensor]], rafdb_manifest: str, tmp_path: Path
) -> None:
    file, state = checkpoint
    assert import_checkpoint(recipe_for(rafdb_manifest), file, tmp_path / "run") == len(state)
    ours = weights(tmp_path / "run", "best")
    assert torch.equal(ours["head.classifier.weight"], state["fc.weight"])
    assert torch.equal(ours["backbone.layer4.1.bn2.running_var"], state["features.7.1.bn2.running_var"])
    assert ours["head.generic"].abs().max() > 0
    assert ours["head.batches"] == 1
    bundle = export(tmp_path / "run", tmp_path / "bundle")
    assert bundle.card.training.selection.startswith("imported: epoch59.pth, sha256 ")
    assert bundle.card.temperature == 1.0


def test_a_checkpoint_of_several_processes_is_read_too(
    checkpoint: tuple[Path, dict[str, Tensor]], rafdb_manifest: str, tmp_path: Path
) -> None:
    file, state = checkpoint
    torch.save({f"module.{name}": value for name, value in state.items()}, file)
    assert import_checkpoint(recipe_for(rafdb_manifest), file, tmp_path / "run") == len(state)


def test_what_does_not_fit_is_refused_by_name(
    checkpoint: tuple[Path, dict[str, Tensor]], rafdb_manifest: str, tmp_path: Path
) -> None:
    file, state = checkpoint
    changes: list[tuple[Any, str]] = [
        ({name: value for name, value in state.items() if name != "fc.bias"}, "has no 'head.classifier.bias'"),
        ({**state, "fc.bias": torch.zeros(8)}, r"'head.classifier.bias' has the shape \[8\]"),
        ({**state, "fc2.bias": torch.zeros(7)}, "'fc2.bias' has no place"),
        ({"iter": 3}, "no tensors by name"),
        (Path("not plain data"), "cannot be read as tensors"),
    ]
    for values, message in changes:
        torch.save(values, file)
        with pytest.raises(ModelError, match=message):
            import_checkpoint(recipe_for(rafdb_manifest), file, tmp_path / "run")
        assert not (tmp_path / "run").exists()
    torch.save(state, file)
    with pytest.raises(DataError, match="the authors' classes are surprise"):
        import_checkpoint(recipe_for("mini:60"), file, tmp_path / "run")
    baseline = tiny_recipe(data={"manifest": rafdb_manifest})
    with pytest.raises(ConfigError, match="no published checkpoints"):
        import_checkpoint(baseline, file, tmp_path / "run")
