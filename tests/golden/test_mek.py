"""MEK against arrays that the authors' own code computed; what they hold and how exact: `mek/README.md`."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from openfer.evaluate.metrics import accuracy, confusion, mean_class_accuracy, recall
from openfer.learn.backbones import build_backbone
from openfer.learn.judge import Held, scores
from openfer.learn.losses.cross_entropy import soft_cross_entropy
from openfer.learn.losses.rebalanced import class_weights, flip_consistency, flip_error, smoothing_matrix
from openfer.learn.method import Stage, build_method
from openfer.learn.methods.mek.network import ClassMapper
from openfer.learn.options import BackboneOptions, OptimOptions
from openfer.learn.recipe import MethodChoice
from openfer.learn.samplers import RepeatedList, balanced_chances
from openfer.learn.schedule import lr_factor
from openfer.learn.swin import MEAN, STD, convert, timm_name
from openfer.records import Box
from openfer.vision.align import frame
from tests.golden.arrays import Arrays, close, files, load, tensor

SWIN = BackboneOptions(name="swin_tiny_patch4_window7_224", size=112, patch=2)
"""The authors' backbone."""
KNOWN = {
    *("smooth_labels.npz", "flip_consistency.npz", "head_and_maps.npz", "swin_tables.npz", "small_swin_forward.npz"),
    *("small_train_steps.npz", "full_swin_probe.npz", "lr_schedule.npz", "data_and_metrics.npz", "preprocess.npz"),
}
SMOOTHING, CONSISTENCY = 0.3, 0.1
"""Typed into the released loop."""


def our_name(name: str) -> str:
    """Our network's name of a tensor of the authors'."""
    own = timm_name(name)
    assert own is not None
    return own if own.startswith("head.") else f"backbone.{own}"


def cases(arrays: Arrays, ending: str) -> list[str]:
    """The names of a file's cases: what stands before this ending."""
    return [name.removesuffix(ending) for name in arrays if name.endswith(ending)]


def leaf(values: NDArray[Any]) -> Tensor:
    return tensor(values).requires_grad_()


def normalised(pictures: NDArray[np.uint8], kind: torch.dtype = torch.float32) -> Tensor:
    """uint8 [..., S, S, 3] -> [..., 3, S, S] as the authors' network reads it."""
    return ((tensor(pictures).to(kind) / 255 - 0.5) / 0.5).movedim(-1, -3).contiguous()


def mek(network: ClassMapper, weights: Tensor) -> Any:
    """The method as released, and its buffers for these class weights in the network."""
    options = {"smoothing": SMOOTHING, "consistency": CONSISTENCY}
    network.register_buffer("class_weights", weights, persistent=False)
    network.register_buffer("smoothing_matrix", smoothing_matrix(weights, SMOOTHING), persistent=False)
    return build_method(MethodChoice(name="mek", fidelity="released", options=options))


def terms_of(network: ClassMapper, weights: Tensor, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Any]:
    """RSL and RAC (before its weight) of one step, and the network's output."""
    method, output = mek(network, weights), network(image)
    one_hot = F.one_hot(label, len(weights)).to(weights.dtype)
    if weights.dtype == torch.float64:  # the method's own losses are computed in float32
        rsl = soft_cross_entropy(output.logits, one_hot @ network.get_buffer("smoothing_matrix"))
        return rsl, flip_consistency(*output.maps.unbind(1), weights), output
    batch = {"image": image, "label": label, "target": one_hot, "one_hot": one_hot}
    terms = method.losses(network, batch, output, Stage())
    return terms["smooth_labels"], terms["consistency"] / CONSISTENCY, output


def test_every_file_of_the_set_is_known() -> None:
    assert set(files("mek")) <= KNOWN


def test_smooth_labels() -> None:
    golden = load("mek", "smooth_labels.npz")
    weights = class_weights(tensor(golden["class_count"]))
    close(weights, golden["class_weight"], 1e-6, 0)
    close(smoothing_matrix(weights, 0.3), golden["target_matrix_eps03"], 1e-5, 1e-6)
    rows = smoothing_matrix(weights.double(), 0.3)
    close(-(rows * rows.log()).sum(1), golden["target_entropy_eps03"], 1e-5, 1e-6)
    for case in cases(golden, "_loss_per_sample"):
        own = golden.get(f"{case}_class_weight")
        matrix = smoothing_matrix(weights if own is None else tensor(own), float(golden[f"{case}_epsilon"]))
        target = matrix[tensor(golden[f"{case}_label"])].float()
        logits = leaf(golden[f"{case}_logits"])
        close(target, golden[f"{case}_target"], 1e-5, 1e-6)
        loss = soft_cross_entropy(logits, target)
        loss.backward()  # type: ignore[no-untyped-call]
        close(loss, golden[f"{case}_loss"], 1e-5, 1e-6)
        assert logits.grad is not None
        close(logits.grad, golden[f"{case}_grad_logits"], 1e-4, 1e-6)
        single = [soft_cross_entropy(logits[row : row + 1], target[row : row + 1]) for row in range(len(logits))]
        close(torch.stack(single), golden[f"{case}_loss_per_sample"], 1e-5, 1e-6)


def test_flip_consistency_and_the_whole_loss() -> None:
    golden = load("mek", "flip_consistency.npz")
    weights = tensor(golden["class_weight"])
    for case in cases(golden, "_label"):
        value = {name.removeprefix(f"{case}_"): array for name, array in golden.items() if name.startswith(f"{case}_")}
        one, two, logits = leaf(value["map_view1"]), leaf(value["map_view2"]), leaf(value["logits_view1"])
        close(two.flip(-1), value["map_view2_flipped"], 0, 2e-6)
        error = flip_error(one, two)
        close(error, value["sq_error_per_class"], 1e-4, 1e-5)
        close((error @ weights).view(value["weighted_per_sample"].shape), value["weighted_per_sample"], 1e-4, 1e-5)
        rac = flip_consistency(one, two, weights)
        close(rac, value["consistency"], 1e-4, 1e-5)
        for view, wanted in zip(torch.autograd.grad(rac, (one, two), retain_graph=True), ("1", "2"), strict=True):
            close(view, value[f"consistency_grad_map_view{wanted}"], 1e-4, 1e-5)
        rsl = soft_cross_entropy(logits, smoothing_matrix(weights, SMOOTHING)[tensor(value["label"])])
        total = rsl + CONSISTENCY * rac
        close(rsl, value["rsl_loss"], 1e-4, 1e-5)
        close(total, value["total_loss"], 1e-4, 1e-5)
        gradients = torch.autograd.grad(total, (one, two, logits))
        for gradient, name in zip(gradients, ("map_view1", "map_view2", "logits_view1"), strict=True):
            close(gradient, value[f"total_grad_{name}"], 1e-4, 1e-5)


class Tokens(nn.Module):
    """Stands for an encoder: gives tokens [B, h w, D] that are known, normalised, view after view."""

    def __init__(self, views: list[Tensor]) -> None:
        super().__init__()
        self.views, self.looks, self.num_features = views, 0, views[0].shape[2]
        self.norm = nn.LayerNorm(self.num_features)

    def forward_features(self, image: Tensor) -> Tensor:
        side = round(self.views[0].shape[1] ** 0.5)
        tokens = self.views[self.looks]
        self.looks += 1
        return self.norm(tokens).unflatten(1, (side, side))  # type: ignore[no-any-return]


def test_head_and_maps() -> None:
    golden = load("mek", "head_and_maps.npz")
    weights = tensor(load("mek", "flip_consistency.npz")["class_weight"])
    views = [
        (tensor(golden[f"tokens_view{view}_int8"]).float() * tensor(golden["tokens_scale"])).requires_grad_()
        for view in (1, 2)
    ]
    network = ClassMapper(Tokens(views), SWIN, len(weights))
    state = {"backbone.norm.weight": "norm_weight", "backbone.norm.bias": "norm_bias"}
    state |= {"head.weight": "head_weight", "head.bias": "head_bias"}
    network.load_state_dict({name: tensor(golden[key]) for name, key in state.items()})
    rsl, rac, output = terms_of(network, weights, torch.zeros(1), tensor(golden["label"]))
    for view, maps in enumerate(output.maps.unbind(1), 1):
        close(maps, golden[f"map_view{view}"], 1e-4, 1e-4)
        close(maps.mean((2, 3)) + network.head.bias, golden[f"logits_view{view}"], 1e-4, 1e-5)
    close(output.logits, golden["logits_view1"], 1e-4, 1e-5)
    total = rsl + CONSISTENCY * rac
    for name, loss in {"rsl_loss": rsl, "consistency": rac, "total_loss": total}.items():
        close(loss, golden[name], 1e-4, 1e-5)
    parameters = dict(network.named_parameters())
    for kind, loss in {"rsl": rsl, "consistency": rac, "total": total}.items():
        gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
        for name, gradient in zip(parameters, gradients, strict=True):
            key = f"{kind}_grad_{state[name]}"
            if key in golden:
                assert gradient is not None
                close(gradient, golden[key], 1e-3, 1e-5)
            elif kind == "consistency":
                assert gradient is None, name  # the head: Q3
    for view, gradient in enumerate(torch.autograd.grad(total, views), 1):
        first = golden[f"total_grad_tokens_view{view}_first"]
        close(gradient[0, : len(first)], first, 1e-3, 1e-5)
        close(gradient.double().square().sum(2), golden[f"total_grad_tokens_view{view}_sumsq_per_token"], 1e-3, 1e-5)


def test_backbone_tables() -> None:
    golden = load("mek", "swin_tables.npz")
    rate = float(golden["config_drop_path_rate"])
    swin: Any = build_backbone(BackboneOptions(name=SWIN.name, size=SWIN.size, patch=SWIN.patch, drop_path=rate))
    blocks = [block for stage in swin.layers for block in stage.blocks]
    assert [len(stage.blocks) for stage in swin.layers] == golden["config_depths"].tolist()
    for got, name in (
        (lambda block: block.shift_size[0], "shift"),
        (lambda block: block.window_size[0], "window"),
        (lambda block: block.input_resolution[0], "resolution"),
        (lambda block: block.dim, "dim"),
        (lambda block: block.attn.num_heads, "heads"),
    ):
        assert [got(block) for block in blocks] == golden[f"block_{name}"].tolist(), name
    paths = [getattr(block.drop_path1, "drop_prob", 0.0) for block in blocks]
    np.testing.assert_allclose(paths, golden["block_drop_path"], rtol=1e-6, atol=1e-12)
    assert (blocks[0].attn.relative_position_index.numpy() == golden["relative_position_index_w7"]).all()
    for name in (name for name in golden if name.startswith("shift_mask_")):
        grid = int(name.split("_")[2].removeprefix("r"))
        mask = next(b.attn_mask for b in blocks if b.attn_mask is not None and b.input_resolution[0] == grid)
        assert (mask.numpy() == np.where(golden[name], golden["mask_value"], 0)).all(), name


def test_every_tensor_of_a_released_checkpoint_is_accounted_for() -> None:
    golden = load("mek", "swin_tables.npz")
    shapes = [tuple(map(int, filter(None, shape.split("x")))) for shape in golden["state_shape"].tolist()]
    state = {name: torch.zeros(shape) for name, shape in zip(golden["state_name"].tolist(), shapes, strict=True)}
    swin = build_backbone(SWIN)
    converted = convert(state, swin, "golden", MEAN, STD)
    assert sorted([*converted.loaded, *converted.skipped]) == sorted(state)
    assert not converted.resampled
    unused = ("_index", "_mask"), ("encoder.norm.", "encoder.feature.")
    assert all(name.endswith(unused[0]) or name.startswith(unused[1]) for name in converted.skipped)
    head = {"head.weight", "head.bias"}
    swin.load_state_dict({name: value for name, value in converted.tensors.items() if name not in head})
    assert head <= converted.tensors.keys()


def small_swin(golden: Arrays, kind: torch.dtype = torch.float32) -> ClassMapper:
    """The small network of the golden files, its parameters included."""
    depths, heads = (tuple(golden[f"config_{name}"].tolist()) for name in ("depths", "heads"))
    size, patch, width, window = (
        int(golden[f"config_{name}"]) for name in ("img_size", "patch", "embed_dim", "window")
    )
    backbone = SwinTransformer(size, patch, 3, 0, "", width, depths, heads, window_size=window, drop_path_rate=0.0)
    state = {name.removeprefix("param/"): tensor(value) for name, value in golden.items() if name.startswith("param/")}
    network = ClassMapper(backbone, SWIN, len(state["head.bias"]))
    network.load_state_dict({our_name(name): value for name, value in state.items()})
    return network.to(kind)


def test_small_network() -> None:
    golden = load("mek", "small_swin_forward.npz")
    network = small_swin(golden).eval()
    seen: dict[str, Tensor] = {}
    watched = {
        f"block_{s}_{b}": f"layers.{s}.blocks.{b}"
        for s, depth in enumerate(golden["config_depths"])
        for b in range(depth)
    }
    watched |= {f"merge_{s}": f"layers.{s + 1}.downsample" for s in range(len(golden["config_depths"]) - 1)}
    watched |= {"patch_tokens": "patch_embed", "final_norm": "norm"}
    for name, module in watched.items():
        network.backbone.get_submodule(module).register_forward_hook(
            lambda _module, _given, answer, name=name: seen.__setitem__(name, answer.flatten(1, 2))
        )
    image = normalised(golden["image_uint8_nhwc"]).requires_grad_()
    output = network(image)
    features = [name.removeprefix("feature/") for name in golden if name.startswith("feature/")]
    assert set(features) == set(watched)
    for name in features:
        wanted = golden[f"feature/{name}"]
        close(seen[name][: len(wanted)], wanted, 1e-3, 1e-4)
    close(output.logits, golden["logits"], 1e-3, 1e-4)
    close(output.maps, golden["map"], 1e-3, 1e-4)
    (gradient,) = torch.autograd.grad(output.logits.sum() + output.maps.square().sum(), image)
    wanted = golden["grad_image_of_sum_logits_plus_sum_map_sq"]
    close(gradient[: len(wanted)], wanted, 0, 1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_training_steps(kind: torch.dtype) -> None:
    golden = load("mek", "small_train_steps.npz")
    network = small_swin(load("mek", "small_swin_forward.npz"), kind)
    with torch.no_grad():
        network.head.weight *= float(golden["head_weight_factor"])
    weights = torch.tensor(
        [0.95124031, 4.36690391, 1.71143654, 0.25714585, 0.6191221, 1.74056738, 0.48617274], dtype=kind
    )
    method = mek(network, weights)
    decay, base = float(golden["weight_decay"]), float(golden["base_lr"])
    betas, eps = tuple(golden["adam_betas"].tolist()), float(golden["adam_eps"])
    optimizer = torch.optim.AdamW(method.param_groups(network, decay), lr=base, betas=betas, eps=eps)
    optim = schedule_of(golden, "", lag=1)
    exact = kind == torch.float64
    for step, (pictures, label) in enumerate(zip(golden["image_uint8_nhwc"], golden["label"], strict=True)):
        rate = base * lr_factor(optim, step, int(golden["total_steps"]))
        assert rate == pytest.approx(golden["lr_used"][step], rel=1e-9)
        optimizer.param_groups[0]["lr"] = rate
        rsl, rac, _ = terms_of(network.train(), weights, normalised(pictures, kind), tensor(label))
        total = rsl + CONSISTENCY * rac
        total.backward()  # type: ignore[no-untyped-call]
        if step == 0:
            for name, parameter in named(network):
                assert parameter.grad is not None
                wanted = golden[f"grad_step0/{name}"]
                close(parameter.grad, wanted, 1e-6 if exact else 1e-3, 1e-6 if exact else 1e-4)
        norm = nn.utils.clip_grad_norm_(network.parameters(), float(golden["clip_norm"]))
        for name, value in {
            "rsl_loss": rsl,
            "consistency": rac,
            "total_loss": total,
            "grad_norm_before_clip": norm,
        }.items():
            assert value.item() == pytest.approx(golden[name][step], rel=1e-6 if exact else 1e-3), (name, step)
        optimizer.step()
        optimizer.zero_grad()
    for name, parameter in named(network):
        wanted, got = golden[f"param_after_last/{name}"], parameter
        if name.endswith("qkv.bias") and not exact:  # a key's bias changes nothing; Adam amplifies its rounding
            third = len(wanted) // 3
            keep = np.r_[:third, 2 * third : 3 * third]
            wanted, got = wanted[keep], parameter[torch.from_numpy(keep)]
        close(got, wanted, 1e-6 if exact else 0, 1e-6 if exact else 1e-5)


def named(network: ClassMapper) -> list[tuple[str, nn.Parameter]]:
    """The parameters by the names that the authors give them."""
    golden = load("mek", "small_swin_forward.npz")
    theirs = {our_name(name.removeprefix("param/")): name.removeprefix("param/") for name in golden if "param/" in name}
    return [(theirs[name], parameter) for name, parameter in network.named_parameters()]


def recipe_of(salt: str, name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of the full network by the golden file's rule."""
    generator = np.random.RandomState(zlib.crc32((salt + name).encode()))
    r = generator.standard_normal(int(np.prod(shape))).astype(np.float32).reshape(shape)
    if name.endswith("relative_position_bias_table"):
        return tensor(np.float32(0.2) * r)
    if len(shape) > 1:
        return tensor(r * np.float32(0.8 / np.sqrt(np.prod(shape[1:]))))
    return tensor(1 + np.float32(0.1) * r if name.endswith(".weight") else np.float32(0.02) * r)


def test_full_network() -> None:
    golden = load("mek", "full_swin_probe.npz")
    weights, salt = tensor(load("mek", "flip_consistency.npz")["class_weight"]), str(golden["salt"])
    network = ClassMapper(build_backbone(BackboneOptions(name=SWIN.name, size=112, patch=2)), SWIN, len(weights))
    names = {our_name(name): name for name in golden["param_name"].tolist()}
    own = network.state_dict()
    assert names.keys() == own.keys()
    state = {name: recipe_of(salt, theirs, tuple(own[name].shape)) for name, theirs in names.items()}
    order = [our_name(name) for name in golden["param_name"].tolist()]
    np.testing.assert_allclose([float(state[name].double().norm()) for name in order], golden["param_l2"], rtol=1e-6)
    network.load_state_dict(state)
    generator = np.random.RandomState(zlib.crc32(f"{salt}image".encode()))
    pictures = generator.randint(0, 256, (len(golden["label"]), 112, 112, 3)).astype(np.uint8)
    first = golden["image_uint8_nhwc_first_rows"]
    assert (pictures[:, : first.shape[1], : first.shape[2]] == first).all()
    stages: list[Tensor] = []
    swin: Any = network.backbone
    ends = [*(stage.downsample for stage in swin.layers[1:]), swin.layers[-1]]
    hooks = [end.register_forward_hook(lambda _module, _given, answer: stages.append(answer)) for end in ends]
    network.train()
    for module in network.modules():  # training's two views, without dropped paths
        if hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    image = normalised(pictures)
    rsl, rac, output = terms_of(network, weights, image, tensor(golden["label"]))
    close(output.logits, golden["logits"], 1e-3, 1e-4)
    for maps, name in zip(output.maps.unbind(1), ("map", "map_mirror"), strict=True):
        close(maps, golden[name], 1e-3, 1e-3)
    close(output.maps[:, 1].mean((2, 3)) + network.head.bias, golden["logits_mirror"], 1e-3, 1e-4)
    for index in range(len(ends)):
        hooks[index].remove()
        stage = stages[index].detach().flatten(1, 2)
        wanted = golden[f"stage{index}_output_first"]
        close(stage[0, : wanted.shape[0], : wanted.shape[1]], wanted, 1e-3, 1e-4)
        assert float(stage.double().norm()) == pytest.approx(float(golden[f"stage{index}_output_l2"]), rel=1e-3)
    total = rsl + CONSISTENCY * rac
    for name, loss in {"rsl_loss": rsl, "consistency": rac, "total_loss": total}.items():
        close(loss, golden[name], 1e-3, 1e-4)
    total.backward()  # type: ignore[no-untyped-call]
    gradients = {names[name]: parameter.grad for name, parameter in network.named_parameters()}
    for index, name in enumerate(golden["param_name"].tolist()):
        gradient = gradients[name]
        assert gradient is not None
        assert float(gradient.double().norm()) == pytest.approx(float(golden["grad_l2"][index]), rel=1e-3, abs=1e-4), (
            name
        )
        close(gradient.flatten()[:4], golden["grad_first4"][index][: gradient.numel()], 1e-2, 1e-4)


def schedule_of(golden: Arrays, case: str, lag: int) -> OptimOptions:
    base = float(golden[f"{case}base_lr"])
    start, floor = (float(golden[f"{case}{name}_lr"]) / base for name in ("warmup", "min"))
    warmup = int(golden[f"{case}warmup_steps" if not case else f"{case}warmup"])
    return OptimOptions(schedule="swin", warmup=warmup, start=start, floor=floor, lag=lag)


def test_learning_rates() -> None:
    golden = load("mek", "lr_schedule.npz")
    for case in cases(golden, "total"):
        base, total = float(golden[f"{case}base_lr"]), int(golden[f"{case}total"])
        for lag, name in ((0, "value"), (1, "used")):
            optim = schedule_of(golden, case, lag)
            got = [base * lr_factor(optim, step, total) for step in golden[f"{case}step"].tolist()]
            np.testing.assert_allclose(got, golden[f"{case}{name}"], rtol=1e-9)


def test_order_of_the_pictures_and_scores() -> None:
    golden = load("mek", "data_and_metrics.npz")
    names, codes = golden["label_file_name"].tolist(), golden["label_file_code"]
    train = codes[[name.startswith("train_") for name in names]]
    assert (codes[[name.startswith("test_") for name in names]] - 1 == golden["test_label"]).all()
    source, total = golden["oversample_source_index"], int(golden["oversample_target"])
    assert (train[source] - 1 == golden["oversample_label"]).all()
    sampler = RepeatedList(len(train), 1, int(golden["sampler_seed"]), total)
    for epoch, order in enumerate(golden["sampler_order"]):
        assert np.concatenate(sampler.epoch(epoch)).tolist() == source[order].tolist()
    weight = golden["balanced_sampler_weight"]
    np.testing.assert_allclose(balanced_chances(golden["balanced_sampler_label"]), weight / weight.sum(), rtol=1e-5)
    logits, truth = golden["metric_logits"], golden["metric_label"]
    counts = confusion(truth, logits.argmax(1), logits.shape[1])
    np.testing.assert_allclose(100 * accuracy(counts), golden["metric_top1"], rtol=1e-5)
    np.testing.assert_allclose(recall(counts), golden["metric_per_class"], rtol=1e-5)
    np.testing.assert_allclose(mean_class_accuracy(counts), golden["metric_mean"], rtol=1e-5)
    targets = np.eye(logits.shape[1], dtype=np.float32)[truth]
    held = Held(logits=logits, targets=targets, samples=np.arange(len(truth)))
    np.testing.assert_allclose(scores(held)["loss"], golden["metric_val_ce"], rtol=1e-5)


def test_pictures() -> None:
    """The release resizes by other filters for training and for use; our aligner is one for both, and near (Q20)."""
    golden = load("mek", "preprocess.npz")
    for case in cases(golden, "_train_resized"):
        picture, wanted = golden[f"{case}_image"], golden[f"{case}_train_resized"]
        height, width = picture.shape[:2]
        side, size = min(height, width), wanted.shape[:2]
        top, left = (height - side) // 2, (width - side) // 2
        square = picture[top : top + side, left : left + side]
        resized = Image.fromarray(square).resize(size, Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(np.asarray(resized), wanted)
        ours = frame(square, Box(x=0, y=0, w=side, h=side), 0.0, size[0])
        assert np.abs(ours.astype(float) - wanted).mean() < 2.0  # grey levels; these pictures are noise
        squashed = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(np.asarray(squashed), golden[f"{case}_val_resized"])
    for case in cases(golden, "_val_tensor_channel0"):
        close(normalised(golden[f"{case}_val_resized"])[0], golden[f"{case}_val_tensor_channel0"], 1e-5, 1e-6)
