"""The method `csrn`: what its network may and may not depend on, its variants, and the authors' own weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openfer.errors import ConfigError, DataError, ModelError
from openfer.labels import LabelSet
from openfer.learn.method import Output, Stage, Task, build_method
from openfer.learn.methods.csrn.method import Csrn, squared_error
from openfer.learn.methods.csrn.network import BLOCK, ChannelSelectiveRelation
from openfer.learn.methods.csrn.prototypes import pair_targets, select_channels
from openfer.learn.methods.csrn.relation import RelationNetwork
from openfer.learn.methods.csrn.released import FirstClasses, matching_scores, matching_targets
from openfer.learn.methods.csrn.views import cut_views
from openfer.learn.options import BackboneOptions
from openfer.learn.published import read_published
from openfer.learn.recipe import Fidelity, MethodChoice
from openfer.vision.patches import REGIONS, cut_patches

RELEASED = Path(__file__).parents[4] / "shared" / "models" / "csrn_released"
LABELS = LabelSet("own", ("a", "b", "c", "d"))
SMALL = BackboneOptions(name="csrn_encoder", size=48)


def method(fidelity: Fidelity = "intended", **options: object) -> Csrn:
    made = build_method(MethodChoice(name="csrn", fidelity=fidelity, options={"side": 32, **options}))
    assert isinstance(made, Csrn)
    return made


def network(made: Csrn | None = None, backbone: BackboneOptions = SMALL) -> ChannelSelectiveRelation:
    torch.manual_seed(0)
    built = (made or method()).network(Task(labels=LABELS, backbone=backbone, class_counts=np.ones(4, int)))
    assert isinstance(built, ChannelSelectiveRelation)
    for module in built.modules():  # statistics as after some training
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    for linear in (built.relation.fc1, built.relation.fc2):  # scores that differ, as after some training
        torch.nn.init.normal_(linear.weight, 0.0, 0.3)
        torch.nn.init.zeros_(linear.bias)
    return built.eval()


def episode(built: ChannelSelectiveRelation, b: int, n: int, k: int, q: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    views, channels = len(built.views), built.relation.channels
    support = torch.rand(b, n, k, views, channels, 6, 6, generator=generator)
    return support, torch.rand(b, n * q, views, channels, 6, 6, generator=generator)


@settings(max_examples=10, deadline=None)
@given(n=st.integers(2, 4), k=st.integers(1, 4), q=st.integers(1, 2), seed=st.integers(0, 99))
def test_an_answer_depends_on_the_supports_of_its_episode_alone(n: int, k: int, q: int, seed: int) -> None:
    built = network()
    support, query = episode(built, 3, n, k, q, seed)
    for parameter in built.parameters():
        parameter.requires_grad_(False)
    scores = built.score(support, query)
    assert scores.shape == (3, n * q, n)
    alone = built.score(support[1:2], query[1:2, -1:])  # one query, one episode
    torch.testing.assert_close(alone[0, 0], scores[1, -1])
    order = torch.randperm(k, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(built.score(support[:, :, order], query), scores)
    way = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(built.score(support[:, way], query), scores[:, :, way])
    fewer = built.score(support[:, :-1], query) if n > 2 else scores[:, :, :-1]
    torch.testing.assert_close(fewer, scores[:, :, :-1])


@settings(max_examples=30, deadline=None)
@given(k=st.integers(1, 6), channels=st.integers(1, 5), seed=st.integers(0, 999))
def test_every_channel_is_an_unchanged_channel_of_a_shot(k: int, channels: int, seed: int) -> None:
    support = torch.rand(2, k, channels, 3, 3, generator=torch.Generator().manual_seed(seed))
    chosen = select_channels(support)
    if k == 2:
        torch.testing.assert_close(chosen, support.mean(1))
        return
    same = (support == chosen[:, None]).all(-1).all(-1)
    assert same.any(1).all()
    # No other shot's channel is nearer to the average, in its mean over the map.
    means = support.mean((-2, -1))
    nearest = (means - means.mean(1, keepdim=True)).abs().min(1).values
    torch.testing.assert_close((chosen.mean((-2, -1)) - means.mean(1)).abs(), nearest)


def test_the_network_is_given_what_a_person_would_cut() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    face, eyes, mouth = cut_views(image, 64, patches=True)[:, 0]
    for view, name in ((eyes, "eyes"), (mouth, "mouth")):
        patch = torch.tensor(cut_patches(picture, side=64)[name]).permute(2, 0, 1).float()
        inside = (slice(None), slice(3, -3), slice(3, -3))  # at its border Pillow looks beyond the region
        assert (view - patch)[inside].abs().max() <= 1.0  # and rounds to whole grey levels
    (whole,) = torch.nn.functional.interpolate(image, (64, 64), mode="bilinear")
    torch.testing.assert_close(face, whole)
    assert cut_views(image, 64, patches=False).shape == (1, 1, 3, 64, 64)


def test_what_is_made_smaller_is_smoothed() -> None:
    """Stripes of a pixel become grey, also of a region that only gets narrower."""
    stripes = (torch.arange(96) % 2).float().expand(1, 3, 96, 96)
    face, eyes, mouth = cut_views(stripes, 48, patches=True)[:, 0]
    for view, name in ((face, None), (eyes, "eyes"), (mouth, "mouth")):
        box = REGIONS[name] if name else None
        assert box is None or round(box.h * 96) <= 48 < round(box.w * 96), "narrower alone"
        inside = view[:, :, 2:-2]
        assert inside.std() < 0.2, name


def test_the_relation_network_begins_as_published() -> None:
    torch.manual_seed(0)
    begun = RelationNetwork(64, 14, 14)
    assert begun.fc1.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert begun.fc1.weight.mean().item() == pytest.approx(0, abs=0.002)
    assert begun.fc2.weight.abs().max() < 0.05
    assert (begun.fc1.bias == 1).all()
    assert (begun.fc2.bias == 1).all()
    for part in (begun.layer1[0], begun.layer2[0]):
        assert isinstance(part, torch.nn.Conv2d)
        assert part.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
        assert part.weight.mean().item() == pytest.approx(0, abs=0.002)
    wide = RelationNetwork(64, 14, 14, spread=0.1)
    assert wide.fc1.weight.std().item() == pytest.approx(0.1, rel=0.1)
    assert not wide.fc1.bias.any()


@pytest.mark.parametrize(
    ("height", "width", "padding"),
    [(14, 14, 0), (15, 11, 0), (10, 13, 0), (10, 10, 0), (9, 14, 1), (7, 7, 1), (4, 5, 1)],
)
def test_maps_of_any_form_are_compared(height: int, width: int, padding: int) -> None:
    """As published down to 10 cells; smaller maps are padded, down to 4."""
    compare = RelationNetwork(3, height, width).eval()
    assert compare.layer1[0].padding == (padding, padding)
    scores = compare(torch.rand(2, 3, 3, height, width), torch.rand(2, 5, 3, height, width))
    assert scores.shape == (2, 5, 3)


def test_in_training_all_episodes_share_their_statistics() -> None:
    built = network().train()
    support, query = episode(built, BLOCK + 1, 2, 1, 1)
    once = network().train()
    wanted = once.pair_scores(support, query)
    pairs = torch.stack(list(wanted.values())).sum(0).sum(3)
    torch.testing.assert_close(built.score(support, query), pairs + once.weight * once.prototype_scores(support, query))


def test_the_embedding_is_the_mean_of_the_maps() -> None:
    built = network()
    image = torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(built(image=image).embedding, built.encode(image).mean((-2, -1)).flatten(1))


def test_squared_errors_have_the_digits_of_single_precision_or_more() -> None:
    scores, targets = torch.rand(2, 3, 4), torch.eye(3, 4)
    half = squared_error(scores.bfloat16(), targets)
    assert half.dtype == torch.float32
    assert half == (scores.bfloat16().float() - targets).square().mean()
    assert squared_error(scores.double(), targets).dtype == torch.float64


def test_the_defaults_are_the_authors() -> None:
    options = build_method(MethodChoice(name="csrn", options={})).options
    assert (options.side, options.weight, options.spread, options.clip) == (64, 0.7, 0.01, 0.5)
    assert (options.n_way, options.k_shot, options.n_query) == (4, 4, 1)


def test_variants_leave_out_what_they_say() -> None:
    whole, plain = network(), network(method(select=False, weight=0.7))
    plain.load_state_dict(whole.state_dict())
    support, query = episode(whole, 1, 3, 4, 1)
    with torch.no_grad():
        pairs = sum(scores.sum(3) for scores in whole.pair_scores(support, query).values())
        for built in (whole, plain):
            class_scores = built.relation(built.prototypes(support), query[:, :, 0])
            torch.testing.assert_close(built.score(support, query), pairs + 0.7 * 4 * class_scores)
    assert not torch.equal(whole.prototypes(support), plain.prototypes(support))
    torch.testing.assert_close(plain.prototypes(support), support[:, :, :, 0].mean(2))
    face = network(method(patches=False))
    assert face.views == ("face",)
    assert face.encode(torch.rand(2, 3, 48, 48)).shape == (2, 1, 64, 6, 6)


@pytest.mark.parametrize(("name", "size"), [("test_efficientnet", 64), ("resnet10t", 64)])
def test_any_backbone_with_a_map_may_encode(name: str, size: int) -> None:
    built = network(method(side=size), BackboneOptions(name=name, size=48, output_stride=8))
    output: Output = built(image=torch.rand(2, 3, 48, 48))
    assert output.logits.shape == (2, 4)
    assert output.embedding is not None
    assert output.embedding.shape == (2, 3 * built.relation.channels)
    features = built.encode(torch.rand(9, 3, 48, 48))
    assert built.score(features[:6].view(1, 3, 2, *features.shape[1:]), features[None, 6:]).shape == (1, 3, 3)


def test_a_map_that_is_too_small_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 x 2 cells, the relation network needs 4 x 4"):
        network(method(side=64), BackboneOptions(name="resnet10t", size=48))


def test_losses_are_those_of_the_formula() -> None:
    made = method(n_way=3, k_shot=3, n_query=2, weight=0.5)
    built = network(made)
    support, query = episode(built, 2, 3, 3, 2)
    terms = made.episode_losses(built, support, query)
    truth = torch.arange(3).repeat_interleave(2)
    pairs = built.pair_scores(support, query)
    assert list(terms) == ["face", "eyes", "mouth", "prototype"]
    for name in ("face", "eyes", "mouth"):
        wanted = (truth[:, None] == torch.arange(3).repeat_interleave(3)).float()
        torch.testing.assert_close(terms[name], (pairs[name].flatten(2) - wanted).square().mean())
    wanted = (truth[:, None] == torch.arange(3)).float()
    torch.testing.assert_close(
        terms["prototype"], 0.5 * (built.prototype_scores(support, query) - wanted).square().mean()
    )
    assert pair_targets(3, 3, 2).sum() == 3 * 3 * 2


def test_the_readout_moves_nothing_else() -> None:
    made = method(n_way=2, k_shot=1, n_query=1)
    built = network(made).train()
    image, label = torch.rand(4, 3, 48, 48), torch.tensor([0, 0, 1, 1])
    output = built(image=image)
    made.losses(built, {"label": label}, output, Stage())["readout"].backward()  # type: ignore[no-untyped-call]
    moved = {name for name, parameter in built.named_parameters() if parameter.grad is not None}
    assert moved == {"readout.linear.weight", "readout.linear.bias"}


def test_encoder_and_relation_network_are_clipped_apart() -> None:
    built = network()
    groups = method(clip=0.25).param_groups(built, 0.01)
    assert [group["clip"] for group in groups] == [0.25, 0.25, 0.0]
    assert sum(len(group["params"]) for group in groups) == len(list(built.parameters()))


def test_as_released_only_matching_pairs_count_and_one_class_is_never_right() -> None:
    made = method("released")
    built = network(made)
    support, query = episode(built, 1, 4, 3, 1)
    matching = matching_scores(built.relation, built.prototypes(support), query[:, :, 0])
    wanted = built.prototype_scores(support, query)[0].diagonal()
    torch.testing.assert_close(matching[0], wanted[:, None].expand(-1, 4))
    assert matching_targets(4).diagonal().tolist() == [1, 1, 1, 0]
    with pytest.raises(ConfigError, match="those of 4 ways, got 3"):
        matching_targets(3)
    with pytest.raises(ConfigError, match="one query a class, got 2"):
        matching_scores(built.relation, built.prototypes(support), query[:, :, 0].repeat(1, 2, 1, 1, 1))


@pytest.mark.parametrize(("fidelity", "calls"), [("intended", 1), ("released", 2)])
def test_as_released_supports_and_queries_are_encoded_apart(fidelity: Fidelity, calls: int) -> None:
    made = method(fidelity, k_shot=2)
    image, shape = torch.rand(24, 3, 48, 48), made.options.shape
    built = network(made).train()
    maps = built(image=image).maps
    assert maps is not None
    assert built.backbone.state_dict()["layer1.1.num_batches_tracked"] == calls
    again = network(made).train()
    support, query = (
        again.encode(part.flatten(0, -4)).reshape(*part.shape[:-3], *maps.shape[1:]) for part in shape.cut(image)
    )
    apart, together = shape.join(support, query), again.encode(image)
    torch.testing.assert_close(maps, apart if fidelity == "released" else together)
    assert not torch.allclose(apart, together, atol=0.01)
    assert built.eval()(image=image[:7]).logits.shape == (7, 4), "in use there are no episodes"
    if fidelity == "released":
        with pytest.raises(ConfigError, match="7 pictures are not whole episodes of 12"):
            built.train()(image=image[:7])


def test_as_released_episodes_are_made_of_the_first_classes() -> None:
    labels = np.repeat(np.arange(5), 30)
    sampler = method("released").sampler(labels, 100, 3)
    assert isinstance(sampler, FirstClasses)
    steps = sampler.epoch(0)
    assert len(steps) == 1
    assert [labels[row] for row in steps[0]] == 5 * np.repeat(np.arange(4), 5).tolist()
    assert all(len(set(part)) == 20 for part in steps[0].reshape(5, 20))
    assert not np.array_equal(steps[0], sampler.epoch(1)[0])
    assert np.array_equal(steps[0], sampler.epoch(0)[0])
    # A seed draws the same on every machine, today and tomorrow.
    assert steps[0][:10].tolist() == [29, 5, 18, 9, 14, 42, 48, 58, 46, 59]
    few = np.repeat(np.arange(4), 5)  # just enough
    for batch, expected in ((10, 2), (30, 1)):  # less than an episode, more than there is
        steps = method("released").sampler(few, batch, 3).epoch(0)
        assert [sorted(step) for step in steps] == [list(range(20))] * expected
    with pytest.raises(DataError, match="expected 4 classes of 5 training pictures"):
        method("released").sampler(labels[:60], 100, 3).epoch(0)


def published(built: ChannelSelectiveRelation) -> dict[str, Tensor]:
    prefixes = {"backbone.": "feature_embed_state_dict.", "relation.": "Relation_score_state_dict."}
    return {
        prefixes[ours] + name.removeprefix(ours): value
        for name, value in built.state_dict().items()
        for ours in prefixes
        if name.startswith(ours)
    }


def test_a_published_file_is_taken_whole_or_refused(tmp_path: Path) -> None:
    source, target = network(), network(method())
    weights = published(source)
    path = tmp_path / "both.pth"
    nested: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        part, _, inner = name.partition(".")
        nested.setdefault(part, {})[inner] = value
    torch.save({"epoch": 3, "best": torch.tensor(0.7), **nested}, path)
    assert read_published(path).keys() == weights.keys()
    method().import_weights(target, read_published(path), LABELS)
    support, query = episode(source, 1, 2, 3, 1)
    torch.testing.assert_close(target.score(support, query), source.score(support, query))
    image = torch.rand(2, 3, 48, 48)  # the published files read blue first
    torch.testing.assert_close(target.encode(image), source.encode(image.flip(1)))
    assert not target.readout.linear.weight.any()
    with pytest.raises(ModelError, match=r"no 'relation\."):
        method().import_weights(target, {k: v for k, v in weights.items() if k.startswith("feature")}, LABELS)
    with pytest.raises(ModelError, match="expected the tensors of feature_embed_state_dict"):
        method().import_weights(target, {"layer1": torch.zeros(1)}, LABELS)


@pytest.mark.skipif(not RELEASED.is_dir(), reason="the authors' weights are not at hand")
def test_the_authors_weights_give_the_authors_scores() -> None:
    built = network(method(side=64), BackboneOptions(name="csrn_encoder", size=64))
    weights = read_published(next(iter(sorted(RELEASED.glob("*.pth")))))
    method().import_weights(built, weights, LABELS)
    with np.load(RELEASED / "probe.npz") as probe, torch.no_grad():
        support, query = (
            built.encode_views(
                torch.stack(
                    [
                        torch.from_numpy(probe[f"{role}_{name}_u8"]).float().div(255)[:, None].expand(-1, 3, -1, -1)
                        for name in ("face", "eye", "lip")
                    ]
                )
            )
            for role in ("support", "query")
        )
        np.testing.assert_allclose(support[:, 0].mean((2, 3)), probe["support_feature_mean"], rtol=1e-4, atol=1e-5)
        scores = built.pair_scores(support.view(1, 3, 3, *support.shape[1:]), query[None])
        for ours, theirs in (("face", "face"), ("eyes", "eye"), ("mouth", "lip")):
            np.testing.assert_allclose(scores[ours][0].flatten(1), probe[f"score_{theirs}"], rtol=1e-4, atol=1e-5)
        total = sum(part.sum(3) for part in scores.values())
        assert isinstance(total, Tensor)
        assert total[0].argmax(1).tolist() == probe["pred"].tolist()
