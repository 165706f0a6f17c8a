"""CSRN against arrays that the authors' own code computed; what they hold and how exact: `csrn/README.md`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openfer.labels import LabelSet
from openfer.learn.fewshot.encoder import Encoder
from openfer.learn.method import Stage, Task, build_method
from openfer.learn.methods.csrn import network as network_module
from openfer.learn.methods.csrn.method import Csrn, squared_error
from openfer.learn.methods.csrn.network import ChannelSelectiveRelation
from openfer.learn.methods.csrn.prototypes import (
    channel_distances,
    class_average,
    pair_targets,
    prototype_targets,
    select_channels,
)
from openfer.learn.methods.csrn.relation import RelationNetwork
from openfer.learn.methods.csrn.released import draw_places, matching_scores, matching_targets
from openfer.learn.options import BackboneOptions, OptimOptions
from openfer.learn.recipe import Fidelity, MethodChoice
from openfer.learn.schedule import lr_factor
from tests.golden.arrays import Arrays, close, files, load, tensor

EXACT = {"rtol": 1e-5, "atol": 1e-7}
"""Everything is computed in double precision; the arrays are rounded to single."""
VIEWS = {"face": "face", "eyes": "eye", "mouth": "lip"}
"""Our names of the branches -> the authors'."""
PARTS = {"backbone": "enc_", "relation": "rel_"}
FILES = files("csrn")
EPISODES = [name for name in FILES if name.startswith("episode_eval_")]
INTENDED = [name for name in FILES if name.startswith("train_intended_")]
STEPS = [name for name in FILES if name.startswith("train_step_") and not name.endswith("_grads.npz")]
SINGLE = {
    *("encoder_eval.npz", "encoder_train.npz", "losses_only.npz", "predict_ties.npz", "relation_eval.npz"),
    *("relation_train.npz", "sampler.npz", "schedules.npz", "select_channel.npz"),
    *("weights_encoder.npz", "weights_relation.npz"),
}


def grads_of(step: str) -> str:
    return step.replace(".npz", "_grads.npz")


def test_every_file_of_the_set_is_read() -> None:
    assert set(FILES) <= SINGLE | {*EPISODES, *INTENDED, *STEPS, *map(grads_of, STEPS)}


def loaded(module: nn.Module, file: str) -> nn.Module:
    """A network with the given weights, in double precision."""
    module.double().load_state_dict({name: tensor(value) for name, value in load("csrn", file).items()}, strict=False)
    return module


def relation() -> RelationNetwork:
    made = loaded(RelationNetwork(64, 14, 14), "weights_relation.npz")
    assert isinstance(made, RelationNetwork)
    return made


def method(fidelity: Fidelity = "intended", **options: int) -> Csrn:
    made = build_method(MethodChoice(name="csrn", fidelity=fidelity, options=dict(options)))
    assert isinstance(made, Csrn)
    return made


def network(made: Csrn | None = None) -> ChannelSelectiveRelation:
    """The method's network with the given weights, in evaluation mode."""
    labels = LabelSet("own", ("a", "b", "c", "d"))
    task = Task(labels=labels, backbone=BackboneOptions(name="csrn_encoder", size=64), class_counts=np.ones(4, int))
    built = (made or method()).network(task)
    assert isinstance(built, ChannelSelectiveRelation)
    loaded(built.backbone, "weights_encoder.npz")
    loaded(built.relation, "weights_relation.npz")
    return built.double().eval()


def ways(arrays: Arrays) -> tuple[int, int, int]:
    """n, k and q of a file's episodes, whose pictures lie class by class."""
    n_way = len(np.unique(arrays["support_y"][0]))
    return n_way, arrays["support_y"].shape[1] // n_way, arrays["query_y"].shape[1] // n_way


def encoded(built: ChannelSelectiveRelation, arrays: Arrays) -> tuple[Tensor, Tensor]:
    """Supports [b, n, k, V, C, h, w] and queries [b, Q, V, C, h, w], one after the other as published."""
    both = []
    for role in ("support", "query"):
        views = torch.stack([tensor(arrays[f"{role}_{name}_u8"]).double() / 255 for name in VIEWS.values()])
        both.append(by_episode(built.encode_views(views.flatten(1, 2)), views.shape[1]))
    n_way, k_shot, _ = ways(arrays)
    return both[0].view(len(both[0]), n_way, k_shot, *both[0].shape[2:]), both[1]


def step_terms(
    made: Csrn, built: ChannelSelectiveRelation, arrays: Arrays, patch: pytest.MonkeyPatch
) -> dict[str, Tensor]:
    """The method's own terms of a step that goes the engine's way; the file's patches stand for those of its faces."""
    shape, steps = made.options.shape, []
    for name in VIEWS.values():
        support, query = (tensor(arrays[f"{role}_{name}_u8"]).double() / 255 for role in ("support", "query"))
        steps.append(shape.join(support.unflatten(1, (shape.n_way, shape.k_shot)), query))  # type: ignore[no-untyped-call]
    patch.setattr(network_module, "cut_views", lambda image, side, patches: torch.stack(steps))
    output = built(image=steps[0])
    batch = {"label": torch.arange(shape.n_way).repeat_interleave(shape.each).repeat(len(arrays["support_y"]))}
    terms = made.losses(built, batch, output, Stage())
    return {name: terms[name] for name in (*VIEWS, "prototype")}


def by_episode(values: Tensor, episodes: int) -> Tensor:
    return values.reshape(episodes, -1, *values.shape[1:])


def check_gradients(module: nn.Module, arrays: Arrays, prefix: str = "") -> None:
    """Norm, sum, and what the file holds of each parameter's gradient."""
    checked = 0
    for name, parameter in module.named_parameters():
        key = f"__{name}"
        if f"{prefix}grad_l2{key}" not in arrays:
            continue
        assert parameter.grad is not None
        # The gradient of a bias before BatchNorm is rounding alone.
        close(parameter.grad.norm(), arrays[f"{prefix}grad_l2{key}"], 1e-5, 1e-9)
        close(parameter.grad.sum(), arrays[f"{prefix}grad_sum{key}"], 1e-4, 1e-8)
        for stored in (stored for stored in arrays if stored.endswith(key)):
            kind = stored.removesuffix(key).removeprefix(prefix)
            if kind == "grad":
                close(parameter.grad, arrays[stored], **EXACT)
            elif kind.startswith("grad_rows0to"):
                close(parameter.grad[: int(kind.removeprefix("grad_rows0to"))], arrays[stored], **EXACT)
        checked += 1
    assert checked


def check_after(module: nn.Module, arrays: Arrays, prefix: str = "") -> None:
    """What the file says of parameters and running statistics afterwards."""
    state, start = module.state_dict(), f"{prefix}after__"
    names = [name.removeprefix(start) for name in arrays if name.startswith(start)]
    assert names
    for name in names:
        close(state[name], arrays[start + name], **EXACT)


def norm(module: nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


def test_encoder() -> None:
    arrays = load("csrn", "encoder_eval.npz")
    encoder, x = loaded(Encoder(), "weights_encoder.npz").eval(), tensor(arrays["x_u8"]).double() / 255
    for block in ("layer1", "layer2", "layer3", "layer4"):
        x = encoder.get_submodule(block)(x)
        if block != "layer4":
            assert list(x.shape[-len(arrays[f"{block}_shape"]) :]) == arrays[f"{block}_shape"].tolist()
            close(x.mean((2, 3)), arrays[f"{block}_mean"], **EXACT)
    close(x, arrays["out"], **EXACT)


def test_encoder_in_training() -> None:
    arrays = load("csrn", "encoder_train.npz")
    encoder = loaded(Encoder(), "weights_encoder.npz").train()
    assert isinstance(encoder, Encoder)
    x = (tensor(arrays["x_u8"]).double() / 255).requires_grad_()
    out = encoder.forward_features(x)
    loss = out.square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    close(out[:, :8], arrays["out_channels0to8"], **EXACT)
    close(out.mean((2, 3)), arrays["out_mean"], **EXACT)
    close(loss, arrays["loss_mean_square"], **EXACT)
    assert x.grad is not None
    close(x.grad[0], arrays["grad_x_image0"], **EXACT)
    check_gradients(encoder, arrays)
    check_after(encoder, arrays)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_relation_network(mode: str) -> None:
    arrays = load("csrn", f"relation_{mode}.npz")
    made = relation().train(mode == "train")
    pairs = (tensor(load("csrn", "relation_eval.npz")["pair_u8"]).double() / 32).requires_grad_()
    # Each pair as an episode of one support and one query.
    scores = (
        made(pairs[:, None, :64], pairs[:, None, 64:]).flatten()
        if mode == "eval"
        else made.finish(made.layer1[0](pairs))
    )
    loss = squared_error(scores, tensor(arrays["target"]))
    loss.backward()  # type: ignore[no-untyped-call]
    close(scores[:, None], arrays["score"], **EXACT)
    close(loss, arrays["mse"], **EXACT)
    assert pairs.grad is not None
    close(pairs.grad[0, :4], arrays["grad_pair0_channels0to4"], **EXACT)
    close(pairs.grad.flatten(1).norm(dim=1), arrays["grad_pair_l2"], **EXACT)
    check_gradients(made, arrays)
    if mode == "train":
        check_after(made, arrays)
        return
    one = made.layer1(pairs)
    two = made.layer2(one)
    for values, name in ((one, "layer1_out_shape"), (two, "layer2_out_shape")):
        assert list(values.shape[-len(arrays[name]) :]) == arrays[name].tolist()
    close(two.flatten(1), arrays["flat256"], **EXACT)


def select_cases() -> list[str]:
    if "select_channel.npz" not in FILES:
        return []
    return sorted({name.split("_")[0] for name in load("csrn", "select_channel.npz")})


@pytest.mark.parametrize("name", select_cases())
def test_channel_selection(name: str) -> None:
    arrays = {
        key.removeprefix(f"{name}_"): value
        for key, value in load("csrn", "select_channel.npz").items()
        if key.startswith(f"{name}_")
    }
    support = (tensor(arrays["features_u8"]).double() / 32).requires_grad_()
    close(class_average(support).mean((-2, -1)), arrays["class_mean_gap"], **EXACT)
    close(support.mean((-2, -1)), arrays["shot_gap"], **EXACT)
    close(channel_distances(support), arrays["distance"], **EXACT)
    if support.shape[1] == 2:
        return  # both shots are equally near: rounding chose (Q5)
    chosen = select_channels(support)
    close(chosen.mean((-2, -1)), arrays["selected_gap"], **EXACT)
    assert channel_distances(support).argmin(1).numpy().tolist() == arrays["selected_index"].tolist()
    (0.5 * chosen.square().sum()).backward()  # type: ignore[no-untyped-call]
    assert support.grad is not None
    close(support.grad.mean((-2, -1)), arrays["grad_gap"], **EXACT)


@pytest.mark.parametrize("file", EPISODES)
def test_whole_episodes(file: str) -> None:
    arrays, built = load("csrn", file), network()
    n_way, k_shot, n_query = ways(arrays)
    with torch.no_grad():
        support, query = encoded(built, arrays)
        pairs = built.pair_scores(support, query)
        for ours, theirs in VIEWS.items():
            close(pairs[ours].flatten(2), arrays[f"score_{theirs}"], **EXACT)
        average = support.mean(2)
        prototypes = {"face": built.prototypes(support), "eye": average[:, :, 1], "lip": average[:, :, 2]}
        close(prototypes["face"].mean((-2, -1)), arrays["selected_gap_face"], **EXACT)
        for view, (name, values) in enumerate(prototypes.items()):
            if f"proto_intended_{name}" in arrays:
                close(built.relation(values, query[:, :, view]), arrays[f"proto_intended_{name}"], **EXACT)
            for released in (f"proto_released_{name}", f"score_dap_{name}"):
                if released in arrays:
                    matching = matching_scores(built.relation, values, query[:, :, view])[:, :, :1]
                    close(matching.expand(-1, -1, n_way * k_shot), arrays[released], **EXACT)
        base = torch.stack(list(pairs.values())).sum(0)
        without = base.sum(3)
        close(without, arrays["class_score_without_proto"], **EXACT)
        scores = built.score(support, query)
    close(scores, arrays["class_score_intended"], **EXACT)
    assert scores.argmax(2).tolist() == arrays["pred_intended"].tolist()
    assert without.argmax(2).tolist() == arrays["pred_without_proto"].tolist()
    if "base_sum" in arrays:
        close(base.flatten(2), arrays["base_sum"], **EXACT)
    if "support_gap_face" in arrays:
        close(support[:, :, :, 0].mean((-2, -1)), arrays["support_gap_face"], **EXACT)
    for role, faces in (("support", support[:, :, :, 0].flatten(1, 2)), ("query", query[:, :, 0])):
        if f"{role}_feature_gap_face" in arrays:
            close(faces.mean((-2, -1)), arrays[f"{role}_feature_gap_face"], **EXACT)
    if "class_score_released" in arrays:
        with torch.no_grad():
            matching = matching_scores(built.relation, prototypes["face"], query[:, :, 0])[:, :, :1]
        combined = base + built.weight * matching[..., None]
        for name in ("combined", "combined_released"):
            if name in arrays:
                close(combined.flatten(2), arrays[name], **EXACT)
        published = combined.sum(3)
        close(published, arrays["class_score_released"], **EXACT)
        wanted = arrays["pred_released" if "pred_released" in arrays else "pred"]
        # Q1: the published term cannot change an answer.
        assert published.argmax(2).tolist() == without.argmax(2).tolist() == wanted.tolist()
    targets = pair_targets(n_way, k_shot, n_query)
    if "pair_label" in arrays:
        close(targets.flatten(1).expand(len(support), -1, -1), arrays["pair_label"], **EXACT)
    if "correct_total" in arrays:
        right = published.argmax(2).numpy() == arrays["query_y"]
        assert right.sum() == arrays["correct_total"]
        for place, name in enumerate(("anger", "disgust", "fear")):
            assert right[arrays["query_y"] == place].sum() == arrays[f"correct_{name}"]


def test_equal_scores_go_to_the_first_class() -> None:
    arrays = load("csrn", "predict_ties.npz")
    combined = tensor(arrays["combined"])  # equal in single precision
    n_way = round(combined.shape[2] ** 0.5)  # as many shots as classes
    assert (
        combined.view(*combined.shape[:2], n_way, -1).sum(3).argmax(2).tolist()
        == arrays["pred_class_position"].tolist()
    )


def test_losses_of_given_scores() -> None:
    arrays, made = load("csrn", "losses_only.npz"), method("released")
    n_way, k_shot, n_query = ways(arrays)
    scores, matching = (tensor(arrays[name]).double().requires_grad_() for name in ("score", "dap_score"))
    pairs = pair_targets(n_way, k_shot, n_query).flatten(1)
    close(pairs.expand(len(scores), -1, -1), arrays["pair_label"], **EXACT)
    close(matching_targets(n_way).expand(len(scores), -1, -1), arrays["dap_label_released"], **EXACT)
    pair, prototype = squared_error(scores, pairs), squared_error(matching, matching_targets(n_way))
    close(pair, arrays["loss_pair"], **EXACT)
    close(prototype, arrays["loss_dap_released"], **EXACT)
    (pair + made.options.weight * prototype).backward()
    assert scores.grad is not None
    assert matching.grad is not None
    close(scores.grad, arrays["grad_score"], **EXACT)
    close(matching.grad, arrays["grad_dap_score"], **EXACT)


@pytest.mark.parametrize("file", INTENDED)
def test_intended_training(file: str) -> None:
    arrays, made = load("csrn", file), method()
    built = network(made).train()
    support, query = encoded(built, arrays)
    n_way, k_shot, n_query = ways(arrays)
    close(pair_targets(n_way, k_shot, n_query).flatten(1).expand(len(support), -1, -1), arrays["pair_label"], **EXACT)
    close(prototype_targets(n_way, n_query).expand(len(support), -1, -1), arrays["proto_label"], **EXACT)
    terms = made.episode_losses(built, support, query)
    for ours, theirs in VIEWS.items():
        close(terms[ours], arrays[f"loss_{theirs}"], **EXACT)
    close(terms["prototype"] / made.options.weight, arrays["loss_proto"], **EXACT)
    total = torch.stack(list(terms.values())).sum()
    close(total, arrays["loss_total"], **EXACT)
    total.backward()  # type: ignore[no-untyped-call]
    for part, prefix in PARTS.items():
        module = built.get_submodule(part)
        name = "encoder" if part == "backbone" else "relation"
        close(norm(module), arrays[f"gradnorm_{name}"], **EXACT)
        check_gradients(module, arrays, prefix)
        check_after(module, arrays, prefix)
    # The scores themselves, from the same statistics of the batch.
    again = network(made).train()
    with torch.no_grad():
        support, query = encoded(again, arrays)
        close(again.prototypes(support).mean((-2, -1)), arrays["selected_gap_face"], **EXACT)
        for ours, scores in again.pair_scores(support, query).items():
            close(scores.flatten(2), arrays[f"score_{VIEWS[ours]}"], **EXACT)
        close(again.prototype_scores(support, query), arrays["score_proto"], **EXACT)


@pytest.mark.parametrize("file", STEPS)
def test_released_training_step(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, grads = load("csrn", file), load("csrn", grads_of(file))
    n_way, k_shot, n_query = ways(arrays)
    made = method("released", n_way=n_way, k_shot=k_shot, n_query=n_query)
    built = network(made).train()
    terms = step_terms(made, built, arrays, monkeypatch)
    for ours, theirs in VIEWS.items():
        close(terms[ours], arrays[f"loss_{theirs}"], **EXACT)
    close(terms["prototype"] / made.options.weight, arrays["loss_dap_face"], **EXACT)
    total = torch.stack(list(terms.values())).sum()
    close(total, arrays["loss_total"], **EXACT)
    total.backward()  # type: ignore[no-untyped-call]
    groups = made.param_groups(built, 0.0)
    for part, group in zip(PARTS, groups, strict=False):
        name, module = "encoder" if part == "backbone" else "relation", built.get_submodule(part)
        close(norm(module), arrays[f"gradnorm_{name}"], **EXACT)
        check_gradients(module, grads, PARTS[part])
        nn.utils.clip_grad_norm_(group["params"], group["clip"])  # as the engine does
        close(norm(module), arrays[f"gradnorm_{name}_clipped"], 1e-4, 1e-7)  # it adds 1e-6 to the norm
        start = f"{PARTS[part]}clipgrad__"
        for stored in (stored for stored in grads if stored.startswith(start)):
            close(module.get_parameter(stored.removeprefix(start)).grad, grads[stored], 1e-4, 1e-7)  # type: ignore[arg-type]
        torch.optim.Adam(group["params"], lr=float(arrays["lr"])).step()
        check_after(module, grads, PARTS[part])
    again = network(made).train()
    with torch.no_grad():
        support, query = encoded(again, arrays)
        for ours, scores in again.pair_scores(support, query).items():
            close(scores.flatten(2), arrays[f"score_{VIEWS[ours]}"], **EXACT)
        average = support.mean(2)
        for view, (name, prototypes) in enumerate(
            {"face": again.prototypes(support), "eye": average[:, :, 1], "lip": average[:, :, 2]}.items()
        ):
            close(matching_scores(again.relation, prototypes, query[:, :, view]), arrays[f"score_dap_{name}"], **EXACT)
    for name in ("eye", "lip"):
        matching = tensor(arrays[f"score_dap_{name}"]).double()
        wanted = tensor(arrays["dap_label_released"]).double()
        close(F.mse_loss(matching, wanted), arrays[f"loss_dap_{name}_unused"], **EXACT)
    close(matching_targets(n_way).expand(len(matching), -1, -1), arrays["dap_label_released"], **EXACT)


def sampler_cases() -> list[str]:
    if "sampler.npz" not in FILES:
        return []
    return [name.removesuffix("_seed") for name in load("csrn", "sampler.npz") if name.endswith("_seed")]


@pytest.mark.parametrize("name", sampler_cases())
def test_released_sampler(name: str) -> None:
    arrays = load("csrn", "sampler.npz")
    support, query = (arrays[f"{name}_{role}_index"] for role in ("support", "query"))
    k_shot = support.shape[2]
    sizes = arrays[f"{name}_class_sizes"].tolist()
    random = np.random.RandomState(int(arrays[f"{name}_seed"]))
    places = draw_places(sizes, k_shot + query.shape[2], len(support), random)
    assert places[:, :, :k_shot].tolist() == support.tolist()
    assert places[:, :, k_shot:].tolist() == query.tolist()
    for role, each in (("support", k_shot), ("query", query.shape[2])):
        assert arrays[f"{name}_{role}_y"].tolist() == np.repeat(np.arange(len(sizes)), each).tolist()


def test_schedules() -> None:
    arrays = load("csrn", "schedules.npz")
    epochs = arrays["epoch"]
    total = int(epochs.max()) + 1
    step = OptimOptions(schedule="step", decay=0.5, period=100, epochs=total)
    wave = OptimOptions(schedule="wave", period=100)
    for optim, name in ((step, "lr_encoder_released"), (wave, "lr_cosine_T100_from_checkpoints")):
        rates = np.array([1e-3 * lr_factor(optim, int(epoch), total) for epoch in epochs])
        np.testing.assert_allclose(rates, arrays[name], rtol=1e-9, atol=1e-15)
    # Q12: that of the relation network never moves.
    constant = [1e-3 * lr_factor(OptimOptions(schedule="constant"), int(epoch), total) for epoch in epochs]
    np.testing.assert_allclose(constant, arrays["lr_relation_released"])
