"""The method `mek`: its network, what `released` changes, weights of others, calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.errors import ConfigError, DataError, ModelError
from openfer.evaluate.metrics import expected_calibration_error
from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.backbones import build_backbone, build_feature_backbone, load_initial, normalisation
from openfer.learn.calibrate import fit_temperature
from openfer.learn.losses.rebalanced import class_weights, smoothing_matrix
from openfer.learn.method import Method, Stage, Task, build_method, known_methods
from openfer.learn.methods.mek.network import ClassMapper
from openfer.learn.options import BackboneOptions
from openfer.learn.patches import fold_kernel, fold_normalisation
from openfer.learn.recipe import MethodChoice
from openfer.learn.samplers import BalancedDraws, RepeatedList, ShuffledBatches
from openfer.learn.swin import timm_name
from openfer.predict.maps import METHODS_WITH_MAPS

LABELS = LABEL_SETS["rafdb"]
COUNTS = np.array([1290, 281, 717, 4772, 1982, 705, 2524])
SMALL = BackboneOptions(
    name="swin_tiny_patch4_window7_224",
    size=28,
    patch=2,
    arguments={"embed_dim": 12, "depths": [1, 1], "num_heads": [1, 2], "window_size": 7},
)


def build(
    backbone: BackboneOptions | None = None, fidelity: Any = "intended", labels: LabelSet = LABELS, **options: object
) -> tuple[Method, ClassMapper]:
    torch.manual_seed(0)
    method = build_method(MethodChoice(name="mek", fidelity=fidelity, options=options))
    backbone = backbone or BackboneOptions(name="test_efficientnet", size=32)
    network = method.network(Task(labels=labels, backbone=backbone, class_counts=COUNTS))
    assert isinstance(network, ClassMapper)
    return method, network


def batch_of(count: int = 6, size: int = 32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    label = torch.arange(count) % 7
    one_hot = F.one_hot(label, 7).float()
    image = torch.randn(count, 3, size, size, generator=generator)
    return {"image": image, "label": label, "one_hot": one_hot, "target": 0.6 * one_hot + 0.4 / 7}


def terms_of(method: Method, network: ClassMapper, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return method.losses(network, batch, network(batch["image"]), Stage())


def test_the_authors_numbers_are_the_defaults() -> None:
    assert vars(build()[0].options) == {
        "smoothing": 0.3,
        "consistency": 0.1,
        "soft_targets": True,
        "draws": "shuffled",
    }


def test_weights_and_labels_come_from_the_counts_of_the_training_rows() -> None:
    _, network = build(smoothing=0.2)
    weights = class_weights(torch.from_numpy(COUNTS).double())
    torch.testing.assert_close(network.get_buffer("class_weights"), weights.float())
    torch.testing.assert_close(network.get_buffer("smoothing_matrix"), smoothing_matrix(weights, 0.2).float())
    assert not {"class_weights", "smoothing_matrix"} & network.state_dict().keys()


def test_predict_knows_which_methods_have_maps() -> None:
    having = set()
    for name, kind in known_methods().items():
        if kind.__module__.startswith("openfer."):
            wide = BackboneOptions(name="test_efficientnet", size=96, output_stride="none" if name == "aue" else 8)
            task = Task(labels=LABELS, backbone=wide, class_counts=COUNTS)
            network = build_method(MethodChoice(name=name)).network(task).eval()
            maps = network(image=torch.zeros(1, 3, 96, 96)).maps
            if maps is not None:
                assert maps.shape[:2] == (1, len(LABELS)), name
                having.add(name)
    assert having == set(METHODS_WITH_MAPS)


def test_maps_of_few_columns_are_mentioned() -> None:
    method, network = build()
    assert method.notes(network) == [
        "the last feature map is 1 cell wide, so that there is little to mirror: set backbone.output_stride=8 or 16, "
        "or enlarge backbone.size"
    ]
    method, network = build(BackboneOptions(name="test_efficientnet", size=96))
    assert "is 3 cells wide" in method.notes(network)[0]
    method, network = build(BackboneOptions(name="test_efficientnet", size=128))
    assert method.notes(network) == []
    method, network = build(consistency=0)
    assert method.notes(network) == []


def test_training_looks_at_the_mirror_images_and_use_does_not() -> None:
    _, network = build()
    image = batch_of()["image"]
    maps = network.eval()(image).maps
    mirrored = network(image.flip(-1)).maps
    assert maps.shape == (6, 7, 1, 1)
    for module in network.modules():  # statistics of the batch would differ between the modes
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
            module.track_running_stats = False
    both = network.train()(image).maps
    assert both.shape == (6, 2, 7, 1, 1)
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            assert module.p == 0
    network.training = True  # the two views alone, in evaluation mode
    torch.testing.assert_close(network(image).maps, torch.stack([maps, mirrored], 1))


def test_terms_are_weighted_and_can_be_left_out() -> None:
    batch = batch_of()
    method, network = build()
    full = terms_of(method, network.train(), batch)
    assert full.keys() == {"smooth_labels", "consistency"}
    method, network = build(consistency=0.4)
    torch.testing.assert_close(terms_of(method, network.train(), batch)["consistency"], 4 * full["consistency"])
    method, network = build(consistency=0, smoothing=0, soft_targets=False)
    plain = terms_of(method, network.train(), batch)
    assert plain.keys() == {"smooth_labels"}
    torch.testing.assert_close(plain["smooth_labels"], F.cross_entropy(network(batch["image"]).logits, batch["label"]))


def test_votes_are_smoothed_as_the_mean_of_their_labels() -> None:
    batch = batch_of()
    soft, network = build(consistency=0)
    hard, _ = build(consistency=0, soft_targets=False)
    votes = terms_of(
        soft, network.eval(), {**batch, "target": 0.25 * batch["one_hot"] + 0.75 * batch["one_hot"].roll(1, 0)}
    )
    parts = [
        terms_of(hard, network, {**batch, "one_hot": batch["one_hot"].roll(turn, 0)})["smooth_labels"]
        for turn in (0, 1)
    ]
    torch.testing.assert_close(votes["smooth_labels"], 0.25 * parts[0] + 0.75 * parts[1])
    released, _ = build(fidelity="released", consistency=0)
    torch.testing.assert_close(terms_of(released, network, batch)["smooth_labels"], parts[0])


def test_consistency_does_not_move_the_classifier() -> None:
    method, network = build()
    terms_of(method, network.train(), batch_of())["consistency"].backward()  # type: ignore[no-untyped-call]
    assert network.head.weight.grad is None
    assert network.head.bias.grad is None
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())


def decayed(method: Method, network: nn.Module) -> set[str]:
    groups = method.param_groups(network, 0.05)
    moved = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
    return {name for name, parameter in network.named_parameters() if id(parameter) in moved}


def test_released_decays_everything_and_begins_with_a_new_last_normalisation() -> None:
    method, network = build(SMALL)
    names = decayed(method, network)
    assert "head.weight" in names
    assert not [name for name in names if name.endswith((".bias", "_table")) or "norm" in name]
    grouped = [id(parameter) for group in method.param_groups(network, 0.05) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())
    assert isinstance(network.norm, nn.Identity)
    method, network = build(SMALL, "released")
    assert decayed(method, network) == {name for name, _ in network.named_parameters()}
    assert "norm.weight" in network.state_dict()
    assert not [name for name in network.state_dict() if name.startswith("backbone.norm")]
    features = network.features(torch.randn(2, 3, 28, 28))
    torch.testing.assert_close(features.mean(1), torch.zeros_like(features[:, 0]), atol=1e-5, rtol=0)


def test_samplers() -> None:
    labels = np.repeat(np.arange(3), [80, 15, 5])
    shuffled = build()[0].sampler(labels, 10, 0)
    assert isinstance(shuffled, ShuffledBatches)
    released = build(fidelity="released")[0].sampler(labels, 10, 0)
    assert isinstance(released, RepeatedList)
    assert released.total == 1_000_000
    balanced = build(draws="balanced")[0].sampler(labels, 10, 0)
    assert isinstance(balanced, BalancedDraws)


def test_balanced_draws_take_every_class_as_often() -> None:
    labels = np.repeat(np.arange(3), [1600, 300, 100])
    steps = BalancedDraws(labels, 64, 0).epoch(0)
    assert {len(step) for step in steps} == {64}
    assert len(steps) == 2000 // 64
    drawn = np.bincount(labels[np.concatenate(steps)], minlength=3)
    assert abs(drawn - drawn.sum() / 3).max() < 100
    assert [len(step) for step in BalancedDraws(labels[:5], 64, 0).epoch(0)] == [5]
    first = [
        np.concatenate(BalancedDraws(labels, 64, seed).epoch(epoch)).tolist() for seed in (0, 1) for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in first}) == 4
    assert first[0] == np.concatenate(steps).tolist()


def test_a_repeated_list_holds_every_sample_as_often_but_for_one() -> None:
    steps = RepeatedList(7, 4, 3, total=30).epoch(2)
    assert [len(step) for step in steps] == [4] * 7
    every = np.concatenate(RepeatedList(7, 1, 3, total=30).epoch(2))
    assert np.bincount(every).tolist() == [5, 5, 4, 4, 4, 4, 4]
    assert len(RepeatedList(7, 1, 0, total=3).epoch(0)) == 7


def test_smaller_patches_see_the_picture_enlarged() -> None:
    weight, picture = torch.randn(5, 3, 4, 4, dtype=torch.float64), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    enlarged = F.interpolate(picture, scale_factor=2, mode="nearest")
    torch.testing.assert_close(
        F.conv2d(picture, fold_kernel(weight, 2), stride=2), F.conv2d(enlarged, weight, stride=4)
    )
    assert torch.equal(fold_kernel(weight, 4), weight)
    for patch in (3, 8):
        with pytest.raises(ConfigError, match=rf"backbone.patch: {patch} px do not divide the 4 px"):
            fold_kernel(weight, patch)


def test_another_normalisation_gives_the_same_answers() -> None:
    weight, bias = torch.randn(5, 3, 2, 2, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    pixels, old, new = torch.rand(2, 3, 4, 4, dtype=torch.float64), ((0.5,) * 3, (0.25,) * 3), normalisation("resnet18")

    def view(values: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
        mean, std = (torch.tensor(one, dtype=torch.float64).view(3, 1, 1) for one in values)
        return (pixels - mean) / std

    moved = fold_normalisation(weight, bias, mean=old[0], std=old[1], new_mean=new[0], new_std=new[1])
    torch.testing.assert_close(F.conv2d(view(new), *moved, stride=2), F.conv2d(view(old), weight, bias, stride=2))


def authors_state(network: ClassMapper, *, whole: bool) -> dict[str, Tensor]:
    """The network's tensors as the authors would call them, with what they keep beside."""
    state: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        plain = name.removeprefix("backbone.")
        parts = plain.split(".")
        if parts[2:3] == ["downsample"]:
            plain = ".".join([parts[0], str(int(parts[1]) - 1), *parts[2:]])
        own = plain.startswith(("head.", "norm."))
        if whole or not plain.startswith("head."):
            state[f"encoder.{plain}" if whole and not own else plain] = value
    prefix = "encoder." if whole else ""
    state[f"{prefix}feature.0.weight"] = torch.zeros(3, 3)
    state[f"{prefix}layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.int64)
    if whole:
        state["encoder.norm.weight"] = torch.zeros(24)
    return state


def test_a_face_encoder_of_the_authors_is_a_beginning(tmp_path: Path) -> None:
    _, given = build(SMALL)
    with torch.no_grad():
        for parameter in given.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    state = {f"module.{name}": value for name, value in authors_state(given, whole=False).items()}
    torch.save({"state_dict_backbone": state, "step": 3}, tmp_path / "start_0.pt")
    options = BackboneOptions(**{**vars(SMALL), "init": str(tmp_path / "start_0.pt")})
    network = ClassMapper(build_feature_backbone(SMALL), SMALL, 7)
    told: list[str] = []
    assert load_initial(network, options, LABELS, told.append) == ["head.weight", "head.bias"]
    count = len(given.backbone.state_dict())
    assert told == [
        f"backbone.init: start_0.pt: {count} tensors loaded; 2 skipped (0.weight, attn.relative_position_index)"
    ]
    pixels = torch.rand(2, 3, 28, 28)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation(SMALL.name))
    wanted = given.eval()((pixels - 0.5) / 0.5).embedding
    torch.testing.assert_close(network.eval()((pixels - mean) / std).embedding, wanted, rtol=1e-4, atol=1e-5)


def test_a_face_encoder_for_larger_patches_and_windows_is_resampled(tmp_path: Path) -> None:
    wide = BackboneOptions(**{**vars(SMALL), "size": 56, "patch": 4})
    _, given = build(wide)
    torch.save(authors_state(given, whole=False), tmp_path / "start.pth")
    window = BackboneOptions(
        **{**vars(SMALL), "init": str(tmp_path / "start.pth"), "arguments": {**SMALL.arguments, "window_size": 3}}
    )
    network = ClassMapper(build_feature_backbone(BackboneOptions(**{**vars(window), "init": "none"})), window, 7)
    told: list[str] = []
    load_initial(network, window, LABELS, told.append)
    assert "3 resampled (proj.weight, attn.relative_position_bias_table)" in told[0]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: state.pop("norm.bias"), "no tensor for 'norm.bias'; expected a Swin of this depth"),
        (
            lambda state: state.update({"patch_embed.proj.bias": torch.zeros(5)}),
            r"'patch_embed.proj.bias' has the shape \[5\], the network needs \[12\]",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, spoil: Any, says: str) -> None:
    _, network = build(SMALL)
    state = authors_state(network, whole=False)
    spoil(state)
    torch.save(state, tmp_path / "start.pt")
    options = BackboneOptions(**{**vars(SMALL), "init": str(tmp_path / "start.pt")})
    with pytest.raises(ModelError, match=says):
        load_initial(network, options, LABELS)


@pytest.mark.parametrize("fidelity", ["intended", "released"])
def test_a_trained_network_of_the_authors_gives_its_answers_in_any_order_of_classes(fidelity: Any) -> None:
    _, given = build(SMALL)
    with torch.no_grad():
        given.backbone.norm.weight.add_(torch.rand(24))  # type: ignore[union-attr, operator]
    other = LabelSet("mine", tuple(reversed(LABELS.names)))
    method, network = build(SMALL, fidelity, other)
    method.import_weights(network, authors_state(given, whole=True), other)
    pixels = torch.rand(2, 3, 28, 28)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation(SMALL.name))
    wanted = given.eval()((pixels - 0.5) / 0.5)
    got = network.eval()((pixels - mean) / std)
    torch.testing.assert_close(got.logits, wanted.logits.flip(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got.maps, wanted.maps.flip(1), rtol=1e-4, atol=1e-5)


def test_imported_networks_must_be_whole_and_of_the_same_classes() -> None:
    method, network = build(SMALL)
    with pytest.raises(DataError, match="the authors' classes are surprise, fear"):
        method.import_weights(network, authors_state(network, whole=True), LABEL_SETS["ferplus"])
    with pytest.raises(ModelError, match="no classifier: give an encoder alone to backbone"):
        method.import_weights(network, authors_state(network, whole=False), LABELS)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("encoder.layers.1.downsample.norm.bias", "layers.2.downsample.norm.bias"),
        ("layers.1.blocks.0.norm1.bias", "layers.1.blocks.0.norm1.bias"),
        ("encoder.norm.weight", None),
        ("norm.weight", "norm.weight"),
        ("feature.2.weight", None),
        ("layers.0.blocks.1.attn_mask", None),
        ("head.bias", "head.bias"),
    ],
)
def test_names(name: str, ours: str | None) -> None:
    assert timm_name(name) == ours


def test_imagenet_weights_are_folded_to_the_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    real, donor = timm.create_model, build_backbone(BackboneOptions(**{**vars(SMALL), "size": 56, "patch": 4}))

    def create(name: str, *, pretrained: bool = False, **arguments: Any) -> nn.Module:
        return donor if pretrained else real(name, **arguments)

    monkeypatch.setattr(timm, "create_model", create)
    network = build_backbone(BackboneOptions(**{**vars(SMALL), "init": "imagenet"})).eval()
    picture = torch.randn(2, 3, 28, 28)
    enlarged = F.interpolate(picture, scale_factor=2, mode="nearest")
    torch.testing.assert_close(network(picture), donor.eval()(enlarged), rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match=r"backbone.patch: at 28 px with patches of 2 px the ImageNet weights"):
        build_backbone(BackboneOptions(**{**vars(SMALL), "init": "imagenet", "arguments": {"embed_dim": 24}}))
    monkeypatch.setattr(timm, "create_model", lambda name, **arguments: real("test_efficientnet", num_classes=0))
    with pytest.raises(ConfigError, match="'resnet18' does not begin with one layer of patches"):
        build_backbone(BackboneOptions(name="resnet18", size=32, patch=2, init="imagenet"))


def test_a_temperature_undoes_the_ceiling_of_smooth_labels() -> None:
    """The loss is smallest for q = R^T p; one number brings confidences near to what they say."""
    rng = np.random.default_rng(0)
    truth = rng.choice(7, 6000, p=COUNTS / COUNTS.sum())
    scores = rng.normal(0, 1.2, (6000, 7)) + np.log(COUNTS / COUNTS.sum())
    scores[np.arange(6000), truth] += 4.5
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    labels = (p.cumsum(1) > rng.random((6000, 1))).argmax(1)  # so that p is what happens
    matrix = smoothing_matrix(class_weights(torch.from_numpy(COUNTS).double()), 0.3).numpy()
    logits = np.log(p @ matrix)

    def error(temperature: float) -> float:
        powers = np.exp(logits / temperature)
        return expected_calibration_error(powers / powers.sum(1, keepdims=True), labels)

    temperature = fit_temperature(logits[:3000].astype(np.float32), labels[:3000])
    assert temperature < 0.7
    assert error(1.0) > 0.15
    assert error(temperature) < 0.05
