"""AUE-CRL against arrays that the authors' own code computed; what they hold and how exact: `aue/README.md`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from openfer.evaluate.metrics import accuracy, confusion, mean_class_accuracy
from openfer.labels import LabelSet
from openfer.learn.losses.cross_entropy import soft_cross_entropy
from openfer.learn.method import build_method
from openfer.learn.methods.aue.branches import Decoder, Fusion, GlobalBranch, Pairing, pair_windows, response_norm
from openfer.learn.methods.aue.knowledge import facts, knowledge_of, pairs, places
from openfer.learn.methods.aue.losses import (
    agreement,
    au_dependency,
    bounded,
    pseudo_labels,
    table_error,
    weighted_error,
)
from openfer.learn.methods.aue.method import AueMethod
from openfer.learn.methods.aue.windows import WindowNetworks, au_centres, cut_windows
from openfer.learn.options import OptimOptions
from openfer.learn.recipe import MethodChoice
from openfer.learn.schedule import lr_factor
from openfer.vision.au_locations import AUS, au_locations, window_centres, window_side
from tests.golden.arrays import Arrays, case, cases, close, files, load, tensor

FORWARD = {"rtol": 1e-4, "atol": 1e-5}
ATTENTION = {"rtol": 1e-3, "atol": 1e-5}
GRADIENT = {"rtol": 2e-3, "atol": 2e-6}
DOUBLE = {"rtol": 1e-9, "atol": 1e-12}
ORDER = LabelSet("aue", ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"))
"""Of the authors' codes."""
COMPOUND = LabelSet("compound", tuple(facts()["compound"]))
SIDE = 224
"""Of the authors' network's picture, pixels."""
KNOWN = {
    *("au_locations.npz", "constants.npz", "fusion_head.npz", "loss_au_dependency.npz", "loss_table.npz"),
    *("loss_weighted.npz", "lrn.npz", "metrics.npz", "preprocessing.npz", "pseudo_labels.npz", "small_inputs.npz"),
    *("small_weights_cropnets.npz", "small_weights_decoder.npz", "small_weights_em.npz", "small_weights_fusion.npz"),
    *("stage_au.npz", "stage_au_grads.npz", "stage_em.npz", "stage_em_grads.npz", "stage_fuse.npz"),
    *("stage_fuse_grads.npz", "windows.npz"),
}
NAMES = {
    "reduce_dim_em.": "face.reduce.",
    "pred_em.": "expression.",
    "deconv_layer1.": "decoder.up.0.",
    "deconv_layer2.": "decoder.up.1.",
    "deconv_layer3.": "decoder.up.2.",
    "reduce_dim_1_au.": "decoder.mix.0.",
    "reduce_dim_2_au.": "decoder.mix.1.",
    "reduce_dim_3_au.": "decoder.mix.2.",
    "pred_au.0.": "units.",
    "Crop_Net_1.stacked.0.": "windows.convolution.",
    "Crop_Net_2.stacked.0.": "windows.",
    "PriorKnowledgeTable": "table",
    "fc_em_fuse_3.1.": "fusion.face.",
    "fc_em_fuse_3.2.": "fusion.face_norm.",
    "fc_au_fuse_3.stacked.1.": "fusion.",
    "fc_au_fuse_3.stacked.2.": "fusion.unit_norm.",
    "fc_attention_fuse_3.0.": "fusion.agree.",
    "pred_em_fuse_3.": "fusion.expression.",
}
"""The authors' names -> those of the small network below."""
WEIGHTS = [f"small_weights_{name}.npz" for name in ("em", "decoder", "cropnets", "fusion")]


def test_every_file_of_the_set_is_read() -> None:
    assert set(files("aue")) <= KNOWN


class Small(nn.Module):
    """The method's parts on given feature maps, of the sizes that the arrays have."""

    def __init__(self, pairing: Pairing = "intended") -> None:
        super().__init__()
        inputs = load("aue", "small_inputs.npz")
        weights = {name: value for file in WEIGHTS for name, value in load("aue", file).items()}
        channels = [inputs[f"f{level}"].shape[1] for level in (1, 2, 3, 4)]
        feature, classes = weights["reduce_dim_em.1.bias"].shape[0], weights["pred_em.bias"].shape[0]
        decoder, window = weights["reduce_dim_3_au.1.bias"].shape[0], weights["Crop_Net_2.stacked.0.bias"].shape[1]
        units, width = weights["fc_au_fuse_3.stacked.1.bias"].shape
        self.face, self.expression = GlobalBranch(channels, feature), nn.Linear(feature, classes)
        self.decoder = Decoder(channels, decoder)
        self.windows = WindowNetworks(decoder, inputs["f1"].shape[-1], window, "full", 0.0)
        self.units = nn.Linear(2 * units * window, units)
        self.table = nn.Parameter(torch.zeros(classes, units))
        self.fusion = Fusion(
            feature=feature,
            window=window,
            width=width,
            units=units,
            classes=classes,
            attention="softmax",
            pairing=pairing,
            dropout=0.0,
        )
        own = self.state_dict()
        given = {our_name(name): tensor(value) for name, value in weights.items()}
        self.load_state_dict({name: value.reshape(own[name].shape) for name, value in given.items()}, strict=False)
        left = set(own) - set(given)
        assert all(name.endswith("num_batches_tracked") for name in left), left
        self.levels = [tensor(inputs[f"f{level}"]).requires_grad_() for level in (1, 2, 3, 4)]
        self.centres, self.labels = tensor(inputs["centres"]).flatten(1).view(-1, 34, 2), tensor(inputs["labels"])

    def read_windows(self) -> Tensor:
        features: Tensor = self.windows(self.decoder(self.levels), self.centres)
        return features

    def scores(self) -> Tensor:
        logits: Tensor = self.units(self.read_windows().flatten(1))
        return logits.sigmoid()

    @property
    def targets(self) -> Tensor:
        return nn.functional.one_hot(self.labels, len(ORDER)).float()

    def step(self, names: str) -> torch.optim.SGD:
        """The optimiser of the parameters that begin with these names, as published."""
        moving = [value for name, value in self.named_parameters() if name.startswith(tuple(names.split()))]
        return torch.optim.SGD(moving, lr=0.01, momentum=0.9)


def our_name(name: str) -> str:
    start = next(start for start in NAMES if name.startswith(start))
    return NAMES[start] + name.removeprefix(start)


def check_gradients(network: Small, arrays: Arrays) -> None:
    parameters = dict(network.named_parameters())
    found = [name.removeprefix("grad__") for name in arrays if name.startswith("grad__")]
    assert found
    for name in found:
        gradient, wanted = parameters[our_name(name)].grad, arrays[f"grad__{name}"]
        assert gradient is not None, name
        close(gradient.reshape(wanted.shape), wanted, **GRADIENT)


def check_state(network: Small, arrays: Arrays, prefix: str) -> None:
    state = network.state_dict()
    found = [name.removeprefix(prefix) for name in arrays if name.startswith(prefix)]
    assert found
    for name in found:
        wanted = arrays[prefix + name]
        close(state[our_name(name)].reshape(wanted.shape), wanted, **FORWARD)


def method(fidelity: Any = "intended") -> AueMethod:
    made = build_method(MethodChoice(name="aue", fidelity=fidelity))
    assert isinstance(made, AueMethod)
    return made


def test_knowledge() -> None:
    arrays, known = load("aue", "constants.npz"), knowledge_of(ORDER)
    assert list(AUS) == arrays["au_numbers"].tolist()
    close(known.start, arrays["table_init"], **DOUBLE)
    for kind in ("primary", "secondary", "other"):
        close(getattr(known, kind), arrays[f"mask_{kind}"], **DOUBLE)
    assert known.known.all()
    for kind, name in (("together", "positive_pairs"), ("apart", "negative_pairs")):
        assert pairs(kind).tolist() == arrays[name].tolist()
    for labels, name in ((ORDER, "basic"), (COMPOUND, "compound")):
        table = knowledge_of(labels)
        close((table.primary + 0.5 * table.secondary).double(), arrays[f"{name}_table_train"], **DOUBLE)
        close((table.primary + table.secondary).double(), arrays[f"{name}_table_test"], **DOUBLE)
    assert places([[1, 26]]).tolist() == [[0, 16]]


def test_learning_rates() -> None:
    arrays = load("aue", "constants.npz")
    epochs = len(arrays["lr_epochs"])
    optim = OptimOptions(name="sgd", lr=0.01, schedule="step", decay=0.1, period=15, epochs=epochs)
    rates = [optim.lr * max(0.01, lr_factor(optim, int(epoch) - 1, epochs)) for epoch in arrays["lr_epochs"]]
    np.testing.assert_allclose(rates, arrays["lr_values"])


def test_places_of_action_units() -> None:
    arrays = load("aue", "au_locations.npz")
    for side in (
        int(name.removeprefix("centres_map")) for name in arrays if name.removeprefix("centres_map").isdigit()
    ):
        shares = arrays["landmarks"] / SIDE
        cells = au_locations(shares * side)
        np.testing.assert_array_equal(np.round(cells).reshape(len(cells), -1, 4), arrays[f"centres_map{side}"])
        wanted = arrays[f"centres_map{side}_clipped"]
        np.testing.assert_array_equal(window_centres(cells, side).reshape(wanted.shape), wanted)
        ours = au_centres(tensor(shares), side)  # the network's own
        np.testing.assert_array_equal(ours, wanted.reshape(ours.shape))


def test_response_normalisation() -> None:
    arrays = load("aue", "lrn.npz")
    x = tensor(arrays["x"]).requires_grad_()
    y = response_norm(x)
    y.backward(tensor(arrays["grad_y"]))  # type: ignore[no-untyped-call]
    close(y, arrays["y"], **FORWARD)
    assert x.grad is not None
    close(x.grad, arrays["grad_x"], **FORWARD)


@pytest.mark.parametrize("kind", ["", "_overhanging"])
def test_windows(kind: str) -> None:
    arrays = load("aue", "windows.npz")
    maps, wanted = tensor(arrays["fmap"]).requires_grad_(), arrays[f"windows{kind}"]
    centres = tensor(arrays[f"centres{kind}"]).reshape(len(maps), -1, 2)
    windows = cut_windows(maps, centres, window_side(maps.shape[-1]))
    np.testing.assert_array_equal(windows.detach(), wanted)
    windows.backward(tensor(arrays["grad_windows"]))  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    close(maps.grad, arrays[f"grad_fmap{kind}"], **FORWARD)


def test_windows_of_the_published_size() -> None:
    arrays = load("aue", "windows.npz")
    maps = tensor(arrays["fmap56"])
    centres = tensor(arrays["centres56"]).reshape(len(maps), -1, 2)
    windows = cut_windows(maps, centres, window_side(maps.shape[-1]))
    np.testing.assert_array_equal(windows, arrays["windows56"])


@pytest.mark.parametrize("name", cases("aue", "pseudo_labels.npz"))
def test_pseudo_labels(name: str) -> None:
    arrays, knowledge = case("aue", "pseudo_labels.npz", name), knowledge_of(ORDER)
    table = tensor(arrays["table"]).requires_grad_()
    target = pseudo_labels(table, knowledge, tensor(arrays["labels"]))
    target.backward(tensor(arrays["grad_targets"]))  # type: ignore[no-untyped-call]
    close(target, arrays["targets"], **FORWARD)
    assert table.grad is not None
    close(table.grad, arrays["grad_table"], **FORWARD)
    close(bounded(table, knowledge)[tensor(arrays["labels"])], arrays["targets"], **FORWARD)


@pytest.mark.parametrize("name", cases("aue", "loss_weighted.npz"))
def test_weighted_error(name: str) -> None:
    arrays = case("aue", "loss_weighted.npz", name)
    scores, target = (tensor(arrays[key]).requires_grad_() for key in ("pred", "target"))
    loss = weighted_error(scores, target)
    loss.backward()  # type: ignore[no-untyped-call]
    close(loss, arrays["mse_mean"], **DOUBLE)
    close(loss * scores.numel(), arrays["mse_sum"], **DOUBLE)
    for value, key in ((scores, "pred"), (target, "target")):
        assert value.grad is not None
        close(value.grad, arrays[f"mse_mean_grad_{key}"], **DOUBLE)
        close(value.grad * scores.numel(), arrays[f"mse_sum_grad_{key}"], **DOUBLE)


@pytest.mark.parametrize("name", cases("aue", "loss_au_dependency.npz"))
@pytest.mark.parametrize("kind", ["released", "sign_fixed"])
def test_dependency_of_action_units(name: str, kind: str) -> None:
    arrays = case("aue", "loss_au_dependency.npz", name)
    scores = tensor(arrays["pred"]).requires_grad_()
    loss = au_dependency(scores, released=kind == "released")
    loss.backward()  # type: ignore[no-untyped-call]
    close(loss, arrays[f"{kind}_loss"], **DOUBLE)
    assert scores.grad is not None
    close(scores.grad, arrays[f"{kind}_grad"], **DOUBLE)
    if f"{kind}_loss_float32" in arrays:
        single = tensor(arrays["pred"]).float().requires_grad_()
        loss = au_dependency(single, released=kind == "released")
        loss.backward()  # type: ignore[no-untyped-call]
        close(loss, arrays[f"{kind}_loss_float32"], **FORWARD)
        assert single.grad is not None
        close(single.grad, arrays[f"{kind}_grad_float32"], **FORWARD)
    shown = scores.detach() >= 0.5
    high = scores.detach() * shown
    close(high.mean(0), arrays["p_on"], **DOUBLE)
    close((scores.detach() * ~shown).mean(0), arrays["p_off"], **DOUBLE)
    both = torch.cat([pairs("together"), pairs("apart")])
    close((high.T @ high / len(high))[both[:, 0], both[:, 1]], arrays["p_on_on"], **DOUBLE)


@pytest.mark.parametrize("name", cases("aue", "loss_table.npz"))
def test_table_error(name: str) -> None:
    arrays, knowledge = case("aue", "loss_table.npz", name), knowledge_of(ORDER)
    table = tensor(arrays["table"]).requires_grad_()
    loss = table_error(table, knowledge)
    loss.backward()  # type: ignore[no-untyped-call]
    close(loss, arrays["mean"], **FORWARD)
    assert table.grad is not None
    assert torch.isfinite(table.grad).all()
    if "released_grad" in arrays:  # NaN where an entry is a middle; here the gradient is 0 (Q5)
        finite = np.isfinite(arrays["released_grad"])
        assert not finite.all()
        close(table.grad.numpy()[finite], arrays["released_grad"][finite], **FORWARD)
    else:
        close(table.grad, arrays["mean_grad"], **FORWARD)
        close(loss * table.numel(), arrays["sum"], **FORWARD)
        close(table.grad * table.numel(), arrays["sum_grad"], **FORWARD)


def test_expression_stage() -> None:
    arrays, network = load("aue", "stage_em.npz"), Small()
    with torch.no_grad():
        network.eval()
        last = network.levels[-1].shape[-1]
        pooled = [nn.functional.max_pool2d(level, level.shape[-1] // last) for level in network.levels]
        normed = response_norm(torch.cat(pooled, 1))
        close(normed, arrays["eval__lrn"], **FORWARD)
        close(network.face.reduce(normed), arrays["eval__reduced"], **FORWARD)
        close(network.expression(network.face(network.levels)), arrays["eval__logits"], **FORWARD)
    network.train()
    optimizer = network.step("face expression")
    for number, rate in enumerate((0.01, 0.001), 1):  # the second step is of epoch 16
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = rate
        logits = network.expression(network.face(network.levels))
        loss = soft_cross_entropy(logits, network.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        if number == 1:
            close(logits, arrays["train__logits"], **FORWARD)
            close(loss, arrays["train__loss_total"], **FORWARD)
            check_gradients(network, load("aue", "stage_em_grads.npz"))
            for level, values in enumerate(network.levels, 1):
                assert values.grad is not None
                close(values.grad, arrays[f"grad_input__f{level}"], **GRADIENT)
            check_state(network, arrays, "bn_after__")
        optimizer.step()
        check_state(network, arrays, f"param_after_step{number}__")


def unit_terms(network: Small, made: AueMethod) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Scores, pseudo labels and weighted terms of the stage of action units."""
    knowledge, scores = knowledge_of(ORDER), network.scores()
    target = pseudo_labels(network.table, knowledge, network.labels)
    terms = {
        "weighted_mse": weighted_error(scores, target),
        "au_dependency": made.options.dependency * au_dependency(scores, released=made.fidelity == "released"),
        "table": made.options.table_weight * table_error(network.table, knowledge),
    }
    return scores, target, terms


def test_stage_of_action_units() -> None:
    arrays, network, made = load("aue", "stage_au.npz"), Small(), method("released")
    with torch.no_grad():
        network.eval()
        x = network.levels[-1]
        steps = zip(network.decoder.up, network.decoder.mix, reversed(network.levels[:-1]), strict=True)
        for number, (up, mix, level) in enumerate(steps, 1):
            doubled = up(x)
            x = mix(torch.cat([level, doubled], 1))
            for values, name in ((doubled, f"deconv_layer{number}"), (x, f"reduce_dim_{number}_au")):
                wanted = arrays[f"eval__{name}"]
                close(values[: len(wanted)], wanted, 1e-4, 1e-4)
        close(network.decoder(network.levels), arrays["eval__decoder_lrn"], 1e-4, 1e-4)
        close(network.read_windows(), arrays["eval__window_features"], **FORWARD)
        close(network.scores(), arrays["eval__au_prob"], **FORWARD)
    network.train()
    optimizer = network.step("decoder windows units table")
    for number, rate in enumerate((0.01, 0.001), 1):
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = rate
        scores, target, terms = unit_terms(network, made)
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        if number == 1:
            close(scores, arrays["train__au_prob"], **FORWARD)
            close(target, arrays["train__au_target"], **FORWARD)
            weights = {
                "weighted_mse": 1.0,
                "au_dependency": made.options.dependency,
                "table": made.options.table_weight,
            }
            for name, term in terms.items():
                close(term / weights[name], arrays[f"train__loss_{name}"], **FORWARD)
            close(loss, arrays["train__loss_total"], **FORWARD)
            check_gradients(network, load("aue", "stage_au_grads.npz"))
            check_state(network, arrays, "bn_after__")
        optimizer.step()
        check_state(network, arrays, f"param_after_step{number}__")


def test_fusion_stage() -> None:
    arrays, made = load("aue", "stage_fuse.npz"), method("released")
    for pairing, prefix in (("released", "eval__"), ("intended", "eval_intended_pairing__")):
        network = Small(pairing).eval()
        with torch.no_grad():
            feature, windows = network.face(network.levels), network.read_windows()
            fused, attention = network.fusion(feature, windows)
        close(fused, arrays[f"{prefix}pred2"], **ATTENTION)
        close(attention, arrays[f"{prefix}attention"], **ATTENTION)
        if pairing == "released":
            close(feature, arrays["eval__feature"], **FORWARD)
            close(windows, arrays["eval__window_features"], **FORWARD)
            close(network.expression(feature), arrays["eval__pred1"], **FORWARD)
    network = Small("released").train()
    optimizer = network.step("fusion expression")
    for number, rate in enumerate((0.01, 0.001), 1):
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = rate
        with torch.no_grad():  # frozen, and yet as in training (Q7)
            feature, windows = network.face(network.levels), network.read_windows()
        alone = network.expression(feature)
        fused, attention = network.fusion(feature, windows)
        terms = {
            "ce1": soft_cross_entropy(alone, network.targets),
            "ce2": soft_cross_entropy(fused, network.targets),
            "au_dependency": au_dependency(attention, released=True),
        }
        loss = terms["ce1"] + terms["ce2"] + made.options.fusion_dependency * terms["au_dependency"]
        loss.backward()  # type: ignore[no-untyped-call]
        if number == 1:
            for values, name in ((alone, "pred1"), (fused, "pred2"), (attention, "attention")):
                close(values, arrays[f"train__{name}"], **ATTENTION)
            for name, term in terms.items():
                close(term, arrays[f"train__loss_{name}"], **FORWARD)
            close(loss, arrays["train__loss_total"], **FORWARD)
            check_gradients(network, load("aue", "stage_fuse_grads.npz"))
            check_state(network, arrays, "bn_after__")
        optimizer.step()
        check_state(network, arrays, f"param_after_step{number}__")


@pytest.mark.parametrize("name", cases("aue", "fusion_head.npz"))
def test_fusion_head(name: str) -> None:
    shared, arrays = load("aue", "fusion_head.npz"), case("aue", "fusion_head.npz", name)
    network = Small("released" if name == "released" else "intended").eval()
    feature, windows = (tensor(shared[key]).requires_grad_() for key in ("feature", "window_features"))
    fused, attention = network.fusion(feature, windows)
    outputs = {"pred1": network.expression(feature), "pred2": fused, "attention": attention}
    for key, values in outputs.items():
        close(values, arrays[key], **ATTENTION)
    torch.autograd.backward(list(outputs.values()), [tensor(shared[f"grad_{key}"]) for key in outputs])
    for values, key in ((feature, "feature"), (windows, "window_features")):
        assert values.grad is not None
        close(values.grad, arrays[f"grad_{key}"], **GRADIENT)
    # `case` takes off one pair of underscores; what is left names parameters.
    check_gradients(network, arrays)


def test_pairing_of_windows() -> None:
    windows = torch.arange(34).view(1, 34, 1).float()
    assert pair_windows(windows, "intended")[0, 3].tolist() == [6, 7]
    assert pair_windows(windows, "released")[0, 3].tolist() == [3, 20]


@pytest.mark.parametrize("file", ["stage_em.npz", "stage_au.npz", "stage_fuse.npz"])
def test_what_trains_in_a_stage(file: str) -> None:
    """The modules that learn, and those whose statistics move as released; the backbone is not in the arrays."""
    arrays, stage = load("aue", file), {"stage_em.npz": 0, "stage_au.npz": 1, "stage_fuse.npz": 2}[file]
    released, intended = (method(fidelity).stages()[stage] for fidelity in ("released", "intended"))
    parts = {
        our_name(f"{module}." if not module.startswith("Prior") else module)
        for module in module_names(arrays, "trainable_parameter_modules")
    }
    learning = {"knowledge" if part == "table" else part.split(".")[0] for part in parts}
    everything = {"face", "expression", "decoder", "windows", "units", "knowledge", "fusion"}
    assert everything - set(released.frozen) == learning == everything - set(intended.frozen)
    moving = {
        our_name(f"{module}.").split(".")[0] for module in module_names(arrays, "bn_running_stats_changed_modules")
    }
    norms = {"face", "decoder", "fusion"}
    assert (norms - set(released.frozen)) | (norms & set(released.restless)) == moving
    assert norms - set(intended.frozen) <= moving
    assert not intended.restless


def module_names(arrays: Arrays, key: str) -> list[str]:
    """The authors' names of modules, as they begin in `NAMES`."""
    found = []
    for name in map(str, arrays[key].tolist()):
        match = next((start for start in NAMES if start.startswith(name)), None)
        if match is not None:
            found.append(match.rstrip("."))
    assert found
    return found


@pytest.mark.parametrize("name", cases("aue", "preprocessing.npz"))
def test_preprocessing(name: str) -> None:
    """Crop, resize and normalise as published give the arrays' pixels; our places of action units are theirs."""
    arrays = case("aue", "preprocessing.npz", name)
    left, top, right, bottom = arrays["crop_box"].tolist()
    mirrored = float(arrays["flip_draw"]) > 0.5
    crop = Image.fromarray(arrays["image"]).crop(tuple(round(side) for side in (left, top, right, bottom)))
    points = arrays["landmarks"] - (left, top)
    if mirrored:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        points[:, 0] = (right - left) - points[:, 0]
    shares = points / crop.size
    resized = np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    picture = (resized / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    wanted = arrays["tensor_every16"]
    step = SIDE // wanted.shape[-1]
    np.testing.assert_allclose(picture.transpose(2, 0, 1)[:, ::step, ::step], wanted, atol=0.02)
    centres = au_centres(tensor(shares)[None], 56)[0].numpy().reshape(arrays["au_centres"].shape)
    np.testing.assert_array_equal(centres, arrays["au_centres"])


@pytest.mark.parametrize("name", ["expression", "expression_class_absent"])
def test_expression_metrics(name: str) -> None:
    arrays = case("aue", "metrics.npz", name)
    classes = arrays["scores"].shape[1]
    matrix = confusion(arrays["targets"], arrays["scores"].argmax(1), classes)
    assert accuracy(matrix) == pytest.approx(arrays["acc1"])
    present = matrix.sum(1) > 0
    # Q12: the published mean divides by all classes, also by absent ones; ours by those that are there.
    assert mean_class_accuracy(matrix) * present.sum() / classes == pytest.approx(arrays["acc2_selection_metric"])
    right = matrix.diagonal()
    recall = right / np.maximum(matrix.sum(1), 1)
    precision = right / np.maximum(matrix.sum(0), 1)
    np.testing.assert_allclose(recall, arrays["recall_per_class"])
    np.testing.assert_allclose(recall, arrays["acc2_per_class"])
    np.testing.assert_allclose(precision, arrays["precision_per_class"])
    f1 = 2 * right / np.maximum(matrix.sum(0) + matrix.sum(1), 1)
    for values, key in ((precision, "precision"), (recall, "recall"), (f1, "f1")):
        assert values.mean() == pytest.approx(arrays[f"{key}_macro"])


def test_metrics_of_action_units() -> None:
    arrays = case("aue", "metrics.npz", "au")
    scores, targets = tensor(arrays["scores"]), tensor(arrays["targets"])
    agreed = agreement(scores, targets)
    close(agreed, arrays["acc2_per_class"], **DOUBLE)
    assert float(agreed.mean()) == pytest.approx(arrays["acc1"])
    assert float(agreed.mean()) == pytest.approx(arrays["acc2_selection_metric"])
