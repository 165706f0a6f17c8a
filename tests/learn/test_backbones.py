"""One door to timm: names, arguments and weights, and one line for everything that does not fit."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from openfer.bundle.card import write_card
from openfer.bundle.load import CARD, WEIGHTS, Bundle
from openfer.errors import ConfigError, ModelError, OpenFERError
from openfer.files import sha256_of
from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.backbones import (
    OFFLINE,
    build_backbone,
    check_size,
    embed,
    embedding_width,
    load_initial,
    normalisation,
)
from openfer.learn.method import Task, build_method
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import MethodChoice
from tests.learn.tiny import weights

DRAWN = LABEL_SETS["basic7"]
OWN = LabelSet("own", ("awake", "tired"))


def options(name: str = "test_efficientnet", size: int = 32, **others: Any) -> BackboneOptions:
    return BackboneOptions(name=name, size=size, **others)


def classifier(backbone: BackboneOptions, labels: LabelSet = DRAWN, seed: int = 1) -> nn.Module:
    """The whole network of `baseline`."""
    torch.manual_seed(seed)
    counts = np.ones(len(labels), dtype=np.int64)
    method = build_method(MethodChoice(name="baseline"))
    return method.network(Task(labels=labels, backbone=backbone, class_counts=counts))


def refused(kind: type[OpenFERError], backbone: BackboneOptions) -> str:
    with pytest.raises(kind) as caught:
        build_backbone(backbone)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    """Names of the tensors that are equal, at the precision that bundles keep."""
    return {
        name
        for name in one
        if one[name].shape == other[name].shape and torch.allclose(one[name].float(), other[name].float(), atol=2e-3)
    }


@pytest.mark.parametrize(
    "name",
    ["test_resnet", "test_vit", "test_convnext", "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "ghostnet_050"],
)
def test_any_backbone_gives_an_embedding_of_its_width(name: str) -> None:
    """Some put a layer between their features and their embedding; transformers are set to the picture's size."""
    backbone = build_backbone(options(name))
    with torch.no_grad():
        embedding = backbone.eval()(torch.zeros(2, 3, 32, 32))
    assert embedding.shape == (2, embedding_width(backbone))


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [
        ("test_resnet", 32, 96),  # one cell
        ("test_vit", 32, 64 * 4),
        ("tf_efficientnet_lite0", 96, 320 * 9),  # the map before the expansion to 1,280
        ("tf_efficientnet_lite0", 224, 320 * 9),  # 7 x 7 cells become 3 x 3
        ("mobilenetv3_small_050", 64, 288 * 4),
    ],
)
def test_features_are_cells_of_length_1_before_the_embedding(name: str, size: int, width: int) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(options(name, size)).eval()
    image = torch.randn(3, 3, size, size)
    with torch.no_grad():
        embedding, features = embed(backbone, image)
        torch.testing.assert_close(embedding, backbone(image))
        (values,) = backbone.forward_intermediates(image, indices=1, intermediates_only=True)  # type: ignore[operator]
    assert features is not None
    assert features.shape == (3, width)
    cells = features.view(3, values.shape[1], -1)
    torch.testing.assert_close(cells.norm(dim=1) * cells.shape[2] ** 0.5, torch.ones(3, cells.shape[2]))
    if values.shape[2] <= 3:  # the map as it is
        cosines = torch.nn.functional.cosine_similarity(values[:1], values[1:]).mean((1, 2))
        torch.testing.assert_close(features[:1] @ features[1:].T, cosines[None])


def test_a_network_without_maps_has_no_features() -> None:
    with torch.no_grad():
        embedding, features = embed(build_backbone(options("csrn_encoder")).eval(), torch.zeros(2, 3, 32, 32))
    assert embedding.shape == (2, 64)
    assert features is None


def test_imagenet_weights_come_from_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package, _ = OFFLINE["tf_efficientnet_lite0"]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    create = timm.create_model

    def offline(*args: Any, pretrained: bool = False, **others: Any) -> Any:
        assert not pretrained
        return create(*args, pretrained=pretrained, **others)

    monkeypatch.setattr(timm, "create_model", offline)
    torch.manual_seed(0)
    random = build_backbone(options("tf_efficientnet_lite0"))
    loaded = build_backbone(options("tf_efficientnet_lite0", init="imagenet"))
    for name, value in loaded.state_dict().items():
        if name.endswith(("weight", "running_mean", "running_var")):
            assert not torch.equal(value, random.state_dict()[name]), name
    # Trained filters of the first layer respond to edges: they are far larger than fresh ones.
    assert loaded.get_parameter("conv_stem.weight").std() > 1.5 * random.get_parameter("conv_stem.weight").std()
    assert loaded.get_buffer("bn2.running_var").max() > 1e-3


def test_damaged_offline_weights_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "holds_weights"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(OFFLINE, "test_resnet", ("holds_weights", "some.pth"))
    wanted = options("test_resnet", init="imagenet")
    assert refused(ModelError, wanted).endswith("holds_weights holds no weights; install it again")
    torch.save({"other": torch.zeros(3)}, package / "some.pth")
    assert "of holds_weights does not fit this timm" in refused(ModelError, wanted)
    full = {name: value + 1 for name, value in build_backbone(options("test_resnet")).state_dict().items()}
    torch.save({f"other.{name}": value for name, value in full.items()} | {"fc": torch.zeros(9)}, package / "some.pth")
    loaded = build_backbone(wanted).state_dict()
    assert all(torch.equal(loaded[name], full[name]) for name in full)


def test_an_unknown_backbone_asks_what_was_meant() -> None:
    assert refused(ConfigError, options("resnet_18")).endswith("timm has no 'resnet_18'; did you mean 'resnet18'?")


@pytest.mark.parametrize(
    ("backbone", "says"),
    [
        (options("test_vit", output_stride=8), "'test_vit' does not take {'output_stride': 8}"),
        (options("vgg11", output_stride=8), "'vgg11' does not take {'output_stride': 8}"),
        (options("resnet10t", arguments={"depth": 3}), "'resnet10t' does not take {'depth': 3}"),
        (options("resnet10t", arguments={"act_layer": "relux"}), "does not take {'act_layer': 'relux'} ('relux')"),
    ],
)
def test_what_a_backbone_does_not_take_is_one_line(backbone: BackboneOptions, says: str) -> None:
    assert says in refused(ConfigError, backbone)


def test_a_size_that_a_transformer_cannot_be_set_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fussy(nn.Module):
        def set_input_size(self, img_size: int) -> None:
            assert img_size % 7 == 0

    monkeypatch.setattr(timm, "create_model", lambda *args, **others: Fussy())
    assert build_backbone(options("test_vit", size=70))
    assert "'test_vit' does not take pictures of 32 px (" in refused(ConfigError, options("test_vit"))


def test_a_size_that_fails_only_when_it_is_used_is_refused() -> None:
    backbone = options("test_vit", size=33)
    with pytest.raises(ConfigError, match=r"backbone\.size: 'test_vit' does not take pictures of 33 px \(Input height"):
        check_size(classifier(backbone), backbone)
    check_size(classifier(options("test_vit", size=48)), options("test_vit", size=48))


def test_imagenet_weights_that_cannot_be_fetched_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def without_network(*args: Any, pretrained: bool = False, **others: Any) -> Any:
        if pretrained:
            raise OSError("no route to the hub\nand a long story")
        return create(*args, pretrained=pretrained, **others)

    monkeypatch.setattr(timm, "create_model", without_network)
    message = refused(ModelError, options("resnet10t", init="imagenet", arguments={"in_chans": 3}))
    assert message == (
        "backbone.init: ImageNet weights of 'resnet10t' could not be fetched (no route to the hub); "
        "go online once, give a file, or train with init: none"
    )
    build_backbone(options("resnet10t"))


@pytest.mark.parametrize(("stride", "cells"), [("none", 2), (16, 4), (8, 8)])
def test_output_stride_is_pixels_per_cell(stride: Any, cells: int) -> None:
    backbone: Any = build_backbone(options("resnet10t", size=64, output_stride=stride))
    assert backbone.eval().forward_features(torch.zeros(1, 3, 64, 64)).shape[-2:] == (cells, cells)


def test_drop_path_and_arguments_reach_the_network() -> None:
    plain = build_backbone(options("test_convnext"))
    dropping = build_backbone(options("test_convnext", drop_path=0.3))
    assert not any(getattr(module, "drop_prob", 0) for module in plain.modules())
    assert max(getattr(module, "drop_prob", None) or 0 for module in dropping.modules()) == pytest.approx(0.3)
    assert build_backbone(options("resnet10t", arguments={"in_chans": 1})).get_parameter("conv1.0.weight").shape[1] == 1


def test_normalisation_is_the_backbones_own() -> None:
    assert normalisation("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normalisation("tf_efficientnet_lite0") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_init_from_a_file_of_ours_keeps_all_where_the_classes_are_as_many(trained: Path) -> None:
    saved = weights(trained, "best")
    network = classifier(options(init=str(trained / "best.safetensors")))
    assert load_initial(network, options(init=str(trained / "best.safetensors")), DRAWN) == []
    assert same(network.state_dict(), saved) == set(saved)


def test_init_from_a_file_makes_a_new_head_for_another_number_of_classes(trained: Path) -> None:
    backbone = options(init=str(trained / "best.safetensors"))
    network, untouched = classifier(backbone, OWN), classifier(backbone, OWN)
    assert load_initial(network, backbone, OWN) == ["head.weight", "head.bias"]
    state, saved = network.state_dict(), weights(trained, "best")
    assert all(torch.equal(state[name], saved[name]) for name in saved if name.startswith("backbone."))
    assert torch.equal(state["head.weight"], untouched.state_dict()["head.weight"])


def test_init_from_a_file_of_timm(tmp_path: Path) -> None:
    torch.manual_seed(5)
    theirs = timm.create_model("test_resnet", num_classes=10)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    backbone = options("test_resnet", init=str(tmp_path / "theirs.safetensors"))
    network = classifier(backbone)
    assert load_initial(network, backbone, DRAWN) == ["head.weight", "head.bias"]
    assert torch.equal(network.state_dict()["backbone.conv1.0.weight"], theirs.state_dict()["conv1.0.weight"])


def test_init_from_a_bundle_keeps_all_for_the_same_classes(trained: Path, exported: Bundle) -> None:
    backbone = options(init=str(exported.path))
    network = classifier(backbone)
    assert load_initial(network, backbone, DRAWN) == []
    assert same(network.state_dict(), weights(trained, "best")) == set(network.state_dict())


@pytest.mark.parametrize(
    "labels", [OWN, LabelSet("own", tuple("abcdefg")), LabelSet("turned", DRAWN.names[::-1])], ids=lambda v: v.name
)
def test_init_from_a_bundle_makes_a_new_head_for_other_classes(
    labels: LabelSet, trained: Path, exported: Bundle
) -> None:
    """Also where they are as many, or the same in another order: a column belongs to a name."""
    backbone = options(init=str(exported.path))
    network, untouched = classifier(backbone, labels), classifier(backbone, labels)
    assert load_initial(network, backbone, labels) == ["head.weight", "head.bias"]
    state, saved = network.state_dict(), weights(trained, "best")
    kept = {name for name in saved if name.startswith("backbone.")}
    assert same({name: state[name] for name in kept}, saved) == kept
    assert torch.equal(state["head.weight"], untouched.state_dict()["head.weight"])


def test_a_bundle_of_another_backbone_is_refused(exported: Bundle) -> None:
    backbone = options("test_resnet", init=str(exported.path))
    with pytest.raises(ModelError, match="holds a 'test_efficientnet', the recipe asks for 'test_resnet'"):
        load_initial(classifier(backbone), backbone, DRAWN)


def test_a_file_of_another_backbone_is_refused(trained: Path) -> None:
    backbone = options("test_resnet", init=str(trained / "best.safetensors"))
    with pytest.raises(ModelError, match=r"backbone\.init: 'backbone\.conv1.*' is missing in .* or has another shape"):
        load_initial(classifier(backbone), backbone, DRAWN)


def test_a_bundle_without_weights_is_refused(exported: Bundle, tmp_path: Path) -> None:
    folder = shutil.copytree(exported.path, tmp_path / "bare")
    card = exported.card.model_copy(update={"graphs": {"model.onnx": sha256_of(folder / "model.onnx")}})
    write_card(card, folder / CARD)
    (folder / WEIGHTS).unlink()
    backbone = options(init=str(folder))
    with pytest.raises(ModelError, match=r"comes without model\.safetensors; export it again with its weights"):
        load_initial(classifier(backbone), backbone, DRAWN)


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_weights_that_cannot_be_read_are_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    if content is not None:
        path.write_bytes(content)
    backbone = options(init=str(path))
    with pytest.raises(ModelError, match=r"some\.safetensors: weights cannot be read") as caught:
        load_initial(classifier(backbone), backbone, DRAWN)
    assert "\n" not in str(caught.value)


def test_init_that_is_nothing_known_asks_what_was_meant() -> None:
    backbone = options(init="imagenett")
    with pytest.raises(ModelError, match="model 'imagenett': neither a folder nor a model in the package"):
        load_initial(classifier(options()), backbone, DRAWN)
