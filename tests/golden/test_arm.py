"""ARM against the authors' code: every array of `arm/`, gradients included.

The arrays are in "batch" mode: the generic feature is the mean of the given batch, in evaluation too, as released.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from openfer.data.layouts import reader
from openfer.data.layouts.common import ScanOptions
from openfer.evaluate.metrics import accuracy, confusion, recall
from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.augment import COUNT, augment
from openfer.learn.backbones import normalisation
from openfer.learn.heads.amending import AmendingGeometry, AmendingHead, arrange, coverage, de_albino, fold, share
from openfer.learn.method import Task, build_method
from openfer.learn.methods.arm.method import Arm, ArmOptions
from openfer.learn.methods.arm.network import Amended
from openfer.learn.methods.arm.released import our_names
from openfer.learn.options import AugmentOptions, BackboneOptions, OptimOptions
from openfer.learn.recipe import MethodChoice
from openfer.learn.schedule import lr_factor
from tests.golden.arrays import Arrays, case, cases, close, files, load, tensor
from tests.layouts import save_face, write_lines

DOUBLE = {"rtol": 1e-8, "atol": 1e-10}
SINGLE = {"rtol": 1e-4, "atol": 2e-5}
SINGLE_INPUT = {"rtol": 1e-3, "atol": 1e-7}
WHOLE = {"rtol": 1e-7, "atol": 1e-8}
KNOWN = {
    "adam_steps_f64.npz",
    "arrangement.npz",
    "confusion.npz",
    "dataset_index.npz",
    "edge_cases_f64.npz",
    "end_to_end_f64.npz",
    "geometry.npz",
    "head_eval_f64.npz",
    "head_full_f32.npz",
    "head_train_f64.npz",
    "leak_demo_f32.npz",
    "lr_schedule.npz",
    "preprocess.npz",
    "state_dict_layout.npz",
}
PARAMETERS = {
    "conv_w": "kernel.weight",
    "bn_w": "norm.weight",
    "bn_b": "norm.bias",
    "alpha": "alpha",
    "fc_w": "classifier.weight",
    "fc_b": "classifier.bias",
}
STATISTICS = {"bn_running_mean": "norm.running_mean", "bn_running_var": "norm.running_var"}


def test_every_file_of_the_set_is_known() -> None:
    assert set(files("arm")) <= KNOWN


def geometry_in(arrays: Arrays) -> AmendingGeometry:
    channels, side, shuffle, kernel, stride = arrays["geometry"][:5].tolist()
    return AmendingGeometry(channels=channels, height=side, width=side, shuffle=shuffle, kernel=kernel, stride=stride)


def head_in(arrays: Arrays, geometry: AmendingGeometry, prefix: str = "", affinity: Any = "batch") -> AmendingHead:
    """A head with the weights of a file, in their precision."""
    weight = arrays[f"{prefix}fc_w"]
    head = AmendingHead(geometry, len(weight), affinity=affinity).to(tensor(weight).dtype)
    state = {ours: tensor(arrays[prefix + theirs]) for theirs, ours in (PARAMETERS | STATISTICS).items()}
    assert not head.load_state_dict(state, strict=False).unexpected_keys
    return head


def check_pass(arrays: Arrays, head: AmendingHead, maps: Tensor, tolerance: dict[str, float], prefix: str = "") -> None:
    """Every intermediate value of a forward pass that the file has, by the same functions that the head calls."""
    geometry, (high, wide) = head.geometry, head.geometry.output
    convolved = de_albino(arrange(maps, geometry.shuffle), head.kernel.weight, geometry.stride)
    normed = F.batch_norm(
        convolved,
        None if head.training else head.norm.running_mean,
        None if head.training else head.norm.running_var,
        head.norm.weight,
        head.norm.bias,
        training=head.training,
    )
    own = normed.mean(1).flatten(1)
    generic = own.mean(0)
    feature = share(own, generic, head.alpha)
    values = {
        "conv_out": convolved,
        "bn_out": normed,
        "xmean": own.view(-1, 1, high, wide),
        "global_mean": generic.view(high, wide),
        "feature": feature.view(-1, 1, high, wide),
    }
    for name, value in values.items():
        if prefix + name in arrays:
            close(value, arrays[prefix + name], **tolerance)


def check_gradients(arrays: Arrays, head: AmendingHead, tolerance: dict[str, float]) -> None:
    for theirs, ours in PARAMETERS.items():
        gradient = head.get_parameter(ours).grad
        assert gradient is not None, ours
        close(gradient, arrays[f"grad_{theirs}"], **tolerance)


def check_statistics(arrays: Arrays, head: AmendingHead, tolerance: dict[str, float]) -> None:
    for theirs, ours in STATISTICS.items():
        close(head.get_buffer(ours), arrays[f"{theirs}_after"], **tolerance)


def check_head(arrays: Arrays, *, training: bool, tolerance: dict[str, float]) -> AmendingHead:
    """Outputs, loss, gradients and statistics of a file with one pass."""
    head = head_in(arrays, geometry_in(arrays)).train(training)
    maps = tensor(arrays["input"]).requires_grad_()
    check_pass(arrays, head, maps, tolerance)
    logits, features = head(maps)
    loss = F.cross_entropy(logits, tensor(arrays["target"]))
    loss.backward()  # type: ignore[no-untyped-call]
    close(features.view(arrays["feature"].shape), arrays["feature"], **tolerance)
    close(logits, arrays["logits"], **tolerance)
    close(loss, arrays["loss"], **tolerance)
    assert maps.grad is not None
    close(maps.grad, arrays["grad_input"], **tolerance)
    check_gradients(arrays, head, tolerance)
    if training:
        check_statistics(arrays, head, tolerance)
        close(head.generic.view(arrays["global_mean"].shape), arrays["global_mean"], **tolerance)  # the first batch's
    return head


def test_arrangement() -> None:
    arrays = load("arm", "arrangement.npz")
    factor = int(arrays["factor"])
    assert torch.equal(arrange(tensor(arrays["small_in"]), factor), tensor(arrays["small_out"]))
    planes, side, _ = arrays["full_source_index"].shape
    for shuffle in (r for r in range(2, side) if side % r == 0):
        shape = (1, planes * shuffle**2, side // shuffle, side // shuffle)
        index = torch.arange(int(np.prod(shape))).view(shape)
        if torch.equal(arrange(index, shuffle)[0], tensor(arrays["full_source_index"]).long()):
            return
    pytest.fail("no factor gives the full arrangement")


def test_geometry_and_coverage() -> None:
    arrays = load("arm", "geometry.npz")
    for (side, shuffle, kernel, stride, n, d), seen in zip(arrays["rows"].tolist(), arrays["coverage_1d"], strict=True):
        geometry = AmendingGeometry(
            channels=2 * shuffle**2, height=side, width=side, shuffle=shuffle, kernel=kernel, stride=stride
        )
        assert geometry.plane == (side * shuffle, side * shuffle)
        assert geometry.output == (n, n)
        assert geometry.features == d
        assert geometry.planes == 2
        got = coverage(side * shuffle, kernel, stride)
        assert got.tolist() == seen[: side * shuffle].tolist()
        assert not seen[side * shuffle :].any()


def test_head_in_training() -> None:
    check_head(load("arm", "head_train_f64.npz"), training=True, tolerance=DOUBLE)


@pytest.mark.parametrize("name", cases("arm", "edge_cases_f64.npz"))
def test_head_at_its_edges(name: str) -> None:
    arrays = case("arm", "edge_cases_f64.npz", name)
    check_head(arrays, training=bool(arrays["geometry"][5]), tolerance=DOUBLE)


@torch.no_grad()
def test_head_in_evaluation() -> None:
    arrays = load("arm", "head_eval_f64.npz")
    with torch.enable_grad():
        head = check_head(arrays, training=False, tolerance=DOUBLE)
    maps = tensor(arrays["input"])
    alone = torch.cat([head(maps[row : row + 1])[0] for row in range(len(maps))])
    close(alone, arrays["logits_one_by_one"], **DOUBLE)
    first = arrays["logits_first3_alone"]
    close(head(maps[: len(first)])[0], first, **DOUBLE)
    order = tensor(arrays["permutation"])
    close(head(maps[order])[0], arrays["logits_permuted"], **DOUBLE)
    close(arrays["logits"][arrays["permutation"]], arrays["logits_permuted"], **DOUBLE)


@torch.no_grad()
def test_the_folded_head_is_the_released_one_for_a_single_face() -> None:
    arrays = load("arm", "head_eval_f64.npz")
    head = head_in(arrays, geometry_in(arrays), affinity="running").eval()
    affine = fold(head)  # its generic feature is still 0
    twice = 1 + head.alpha
    close(twice * affine.weight, arrays["single_jacobian"], **DOUBLE)
    assert affine.bias is not None
    zero = twice * (affine.bias - head.classifier.bias) + head.classifier.bias
    close(zero, arrays["single_logits_of_zero_input"], **DOUBLE)


@torch.no_grad()
@pytest.mark.parametrize("affinity", ["running", "off"])
def test_intended_answers_are_the_folded_ones_whatever_the_batch(affinity: str) -> None:
    arrays = load("arm", "head_eval_f64.npz")
    geometry, maps = geometry_in(arrays), tensor(arrays["input"])
    head = head_in(arrays, geometry, affinity="running").eval()
    head.calibrate([maps[:2], maps[2:]])
    close(head.generic.view(geometry.output), arrays["global_mean"], **DOUBLE)
    if affinity == "off":
        plain = AmendingHead(geometry, len(arrays["fc_w"]), affinity="off").double().eval()
        plain.load_state_dict({name: head.state_dict()[name] for name in plain.state_dict()})
        head = plain
        wanted = arrays["xmean"].reshape(len(maps), -1) @ arrays["fc_w"].T + arrays["fc_b"]
    else:
        wanted = arrays["logits"]  # the mean of this batch is the generic feature
    close(head(maps)[0], wanted, **DOUBLE)
    close(fold(head)(maps).flatten(1), wanted, **DOUBLE)
    close(torch.cat([head(row[None])[0] for row in maps]), wanted, **DOUBLE)
    close(head(maps[tensor(arrays["permutation"])])[0], wanted[arrays["permutation"]], **DOUBLE)


def test_head_of_the_original_size() -> None:
    arrays = load("arm", "head_full_f32.npz")
    maps = (tensor(arrays["input_times_16"]).float() / 16).requires_grad_()
    _, channels, side, _ = maps.shape
    planes, kernel, n = arrays["conv_out"].shape[1], arrays["conv_w"].shape[-1], arrays["conv_out"].shape[-1]
    shuffle = round((channels / planes) ** 0.5)
    stride = (side * shuffle - kernel) // (n - 1)
    geometry = AmendingGeometry(
        channels=channels, height=side, width=side, shuffle=shuffle, kernel=kernel, stride=stride
    )
    head = head_in(arrays, geometry)
    check_pass(arrays, head, maps, SINGLE)
    logits, _ = head(maps)
    loss = F.cross_entropy(logits, tensor(arrays["target"]))
    loss.backward()  # type: ignore[no-untyped-call]
    close(logits, arrays["logits"], **SINGLE)
    close(loss, arrays["loss"], **SINGLE)
    check_gradients(arrays, head, SINGLE)
    check_statistics(arrays, head, SINGLE)
    gradient = maps.grad
    assert gradient is not None
    close(gradient[:, arrays["grad_input_channels"]], arrays["grad_input_selected"], **SINGLE_INPUT)
    sums = gradient.double().flatten(1)
    close(sums.sum(1), arrays["grad_input_sum_per_sample"], rtol=1e-3, atol=1e-4)
    close(sums.abs().sum(1), arrays["grad_input_abs_sum_per_sample"], rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        head.eval()
        check_pass(arrays, head, maps, SINGLE, "eval_")
        close(head(maps)[0], arrays["eval_logits"], **SINGLE)
        close(F.cross_entropy(head(maps)[0], tensor(arrays["target"])), arrays["eval_loss"], **SINGLE)
        alone = torch.cat([head(row[None])[0] for row in maps])
        close(alone, arrays["eval_logits_one_by_one"], **SINGLE)


@torch.no_grad()
def test_the_leak_and_its_end() -> None:
    arrays = load("arm", "leak_demo_f32.npz")
    maps, target = tensor(arrays["input_times_64"]).float() / 64, arrays["target"]
    size, order = int(arrays["batch_size"]), tensor(arrays["shuffle_order"])
    released = head_in(arrays, geometry_in(arrays)).eval()

    def answer(head: AmendingHead, parts: Any) -> NDArray[np.float32]:
        return torch.cat([head(part)[0] for part in parts]).numpy()

    def scattered(head: AmendingHead) -> NDArray[np.float32]:
        result = np.empty((len(maps), len(arrays["fc_w"])), dtype=np.float32)
        result[order.numpy()] = answer(head, maps[order].split(size))
        return result

    runs = {
        "logits_sorted_batches_of_bs": lambda head: answer(head, maps.split(size)),
        "logits_shuffled_batches_of_bs": scattered,
        "logits_batch_of_one": lambda head: answer(head, maps.split(1)),
        "logits_whole_set_one_batch": lambda head: answer(head, [maps]),
    }
    classes = len(arrays["fc_w"])
    for (name, run), wanted in zip(runs.items(), arrays["accuracy"], strict=True):
        close(run(released), arrays[name], **SINGLE)
        scores = accuracy(confusion(target, run(released).argmax(1), classes))
        assert scores == pytest.approx(wanted, abs=1e-6)
    intended = head_in(arrays, geometry_in(arrays), affinity="running").eval()
    intended.calibrate(maps.split(size))
    close(runs["logits_whole_set_one_batch"](intended), arrays["logits_whole_set_one_batch"], **SINGLE)
    for run in runs.values():
        close(run(intended), arrays["logits_whole_set_one_batch"], **SINGLE)


def test_steps_of_adam() -> None:
    arrays = load("arm", "adam_steps_f64.npz")
    head = head_in(arrays, geometry_in(arrays), "init_")
    method = Arm(ArmOptions(decay_all=True))
    optimizer = torch.optim.Adam(method.param_groups(head, 1e-4), lr=float(arrays["lrs"][0]))
    for step, (maps, target) in enumerate(zip(arrays["inputs"], arrays["targets"], strict=True)):
        for group in optimizer.param_groups:
            group["lr"] = float(arrays["lrs"][step])
        loss = F.cross_entropy(head(tensor(maps))[0], tensor(target))
        close(loss, arrays["losses"][step], **DOUBLE)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for theirs, ours in (PARAMETERS | STATISTICS).items():
            close(head.state_dict()[ours], arrays[f"after_{theirs}"][step], **DOUBLE)


def test_learning_rates() -> None:
    for rates in load("arm", "lr_schedule.npz").values():
        optim = OptimOptions(schedule="exponential", decay=0.1, epochs=len(rates))
        got = [lr_factor(optim, 3 * epoch + 2, 3 * len(rates)) * rates[0] for epoch in range(len(rates))]
        close(np.array(got), rates, **DOUBLE)


def test_random_changes_and_normalisation() -> None:
    arrays = load("arm", "preprocess.npz")
    image = torch.from_numpy(arrays["image_rgb"].copy()).permute(2, 0, 1)[None].double() / 255
    flipped = augment(image, torch.zeros(1, COUNT), AugmentOptions(flip=1.0))
    assert torch.equal((flipped * 255).round()[0].permute(1, 2, 0).byte(), tensor(arrays["flipped"]))
    rows, columns = arrays["noise_crop_rows_cols"].tolist()
    noisy = (image[0, :, :rows, :columns] + tensor(arrays["noise"]).permute(2, 0, 1) / 255).clamp(0, 1)
    released = (noisy * 255 + 1e-9).floor().permute(1, 2, 0).byte()  # they cut the fraction off, which darkens by 0.5
    assert torch.equal(released, tensor(arrays["noisy_crop"]))
    side = arrays["resized_224_uint8"].shape[1]
    picture = Image.fromarray(arrays["image_rgb"]).resize((side, side), Image.Resampling.BILINEAR)
    assert np.array_equal(np.asarray(picture)[arrays["resized_224_rows"]], arrays["resized_224_uint8"])
    mean, std = normalisation("resnet18")
    wanted = arrays["normalized_selected"]
    step = side // wanted.shape[1]
    normalised = (np.asarray(picture)[::step, ::step] / 255 - mean) / std
    close(normalised.transpose(2, 0, 1), wanted, rtol=0, atol=1e-5)


def network_of(classes: int, size: int = 224) -> Amended:
    labels = LabelSet("golden", tuple(f"class {column}" for column in range(classes)))
    method = build_method(MethodChoice(name="arm", fidelity="released"))
    task = Task(
        labels=labels,
        backbone=BackboneOptions(name="resnet18", size=size),
        class_counts=np.ones(classes, dtype=np.int64),
    )
    network = method.network(task)
    assert isinstance(network, Amended)
    return network


def test_names_of_the_authors_checkpoints() -> None:
    arrays = load("arm", "state_dict_layout.npz")
    texts = zip(arrays["names"].tolist(), arrays["shapes"].tolist(), arrays["dtypes"].tolist(), strict=True)
    theirs = {
        name: torch.zeros([int(part) for part in shape.split("x") if part], dtype=getattr(torch, kind))
        for name, shape, kind in texts
    }
    network = network_of(theirs["fc.weight"].shape[0])
    state, ours = network.state_dict(), our_names(theirs)
    assert set(state) - set(ours) == {"head.generic", "head.batches"}
    assert set(ours) <= set(state)
    assert all(value.shape == state[name].shape and value.dtype == state[name].dtype for name, value in ours.items())
    trainable = our_names(dict.fromkeys(arrays["parameter_names"].tolist(), torch.zeros(())))
    assert set(trainable) == {name for name, _ in network.named_parameters()}


def hashed(count: int, number: int, seed: int) -> NDArray[np.float64]:
    """u(N, t) of the README: N values in [-1, 1)."""
    mask = np.uint64(2**32 - 1)
    values = np.arange(count, dtype=np.uint64) * np.uint64(2654435761) & mask
    values = (values + np.uint64((number * 40503 + seed) % 2**32)) & mask
    for _ in range(2):
        values = (values ^ (values >> np.uint64(16))) * np.uint64(0x45D9F3B) & mask
    values = values ^ (values >> np.uint64(16))
    return 2 * values.astype(np.float64) / 2.0**32 - 1


def hashed_tensor(name: str, shape: torch.Size, number: int, seed: int) -> Tensor:
    u = hashed(shape.numel(), number, seed)
    if name.endswith("running_mean"):
        values = 0.1 * u
    elif name.endswith("running_var"):
        values = 1 + 0.5 * np.abs(u)
    elif name == "arm.alpha":
        values = 1 + 0.5 * u
    elif len(shape) >= 2:
        values = u * np.sqrt(6 / shape[1:].numel())
    elif name.endswith("weight"):
        values = 1 + 0.1 * u
    else:
        values = 0.1 * u
    return torch.from_numpy(values).view(shape)


def test_whole_network() -> None:
    arrays = load("arm", "end_to_end_f64.npz")
    seed, count, classes = int(arrays["seed"]), *arrays["eval_logits"].shape
    size = 32 * arrays["features_slice"].shape[-1]
    network: nn.Module = network_of(classes, size).double()
    state = network.state_dict()
    for number, theirs in enumerate(arrays["tensor_names"].tolist()):
        (ours,) = our_names({theirs: torch.zeros(())})
        state[ours] = hashed_tensor(theirs, state[ours].shape, number, seed)
        assert float(state[ours].flatten()[0]) == pytest.approx(arrays["first_values"][number], rel=1e-12)
        assert float(state[ours].sum()) == pytest.approx(arrays["tensor_sums"][number], rel=1e-9, abs=1e-9)
    network.load_state_dict(state)
    image = torch.from_numpy(hashed(count * 3 * size**2, 1000, seed)).view(count, 3, size, size)
    close(image.flatten()[: len(arrays["image_first8"])], arrays["image_first8"], rtol=1e-12, atol=0)
    assert isinstance(network, Amended)
    with torch.no_grad():
        network.eval()
        maps = network.maps(image)
        close(maps[:, ::32], arrays["features_slice"], **WHOLE)
        close(maps.mean((1, 2, 3)), arrays["features_mean"], **WHOLE)
        close(network.head(maps)[0], arrays["eval_logits"], **WHOLE)
        alone = torch.cat([network.head(row[None])[0] for row in maps])
        close(alone, arrays["eval_logits_one_by_one"], **WHOLE)
    logits = network.train()(image=image).logits
    loss = F.cross_entropy(logits, tensor(arrays["target"]))
    loss.backward()  # type: ignore[no-untyped-call]
    close(logits, arrays["train_logits"], **WHOLE)
    close(loss, arrays["train_loss"], **WHOLE)
    for theirs in ("fc_w", "alpha", "conv_w"):
        gradient = network.get_parameter(f"head.{PARAMETERS[theirs]}").grad
        assert gradient is not None
        close(gradient, arrays[f"grad_{theirs}"], **WHOLE)
    names = our_names(dict.fromkeys(load("arm", "state_dict_layout.npz")["parameter_names"].tolist(), torch.zeros(())))
    norms = [float(network.get_parameter(name).grad.norm()) for name in names]  # type: ignore[union-attr]
    close(np.array(norms), arrays["grad_norm_per_parameter"], **WHOLE)


def test_confusion() -> None:
    arrays = load("arm", "confusion.npz")
    counts = confusion(arrays["target"], arrays["prediction"], len(arrays["class_short_names"]))
    assert np.array_equal(counts, arrays["counts"])
    close(recall(counts), np.diag(arrays["row_normalised"]), **DOUBLE)
    close(counts / counts.sum(1, keepdims=True), arrays["row_normalised"], **DOUBLE)


def test_list_of_rafdb(tmp_path: Path) -> None:
    arrays = load("arm", "dataset_index.npz")
    write_lines(tmp_path / "EmoLabel" / "list_patition_label.txt", arrays["list_lines"].tolist())
    wanted: dict[str, tuple[str, str]] = {}
    for split in ("train", "test"):
        paths, labels = arrays[f"{split}_relative_paths"].tolist(), arrays[f"{split}_labels"].tolist()
        for path, label in zip(paths, labels, strict=True):
            save_face(tmp_path / path, 0, 20)
            wanted[Path(path).name] = (split, LABEL_SETS["rafdb"].names[label])
    rows = reader("rafdb")(tmp_path, ScanOptions()).rows
    assert {Path(row["image"]["path"]).name: (row["split"], row["label"]) for row in rows} == wanted
