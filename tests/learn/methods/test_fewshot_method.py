"""The method `fewshot`, the parts that episodic methods share, and easyfsl behind their contract."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from easyfsl.methods import PTMAP, MatchingNetworks, PrototypicalNetworks, RelationNetworks, SimpleShot
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from openfer.bundle.load import load_bundle
from openfer.data.manifest import load_manifest
from openfer.errors import ConfigError, DataError
from openfer.evaluate.episodes.draw import draw, pool_of
from openfer.evaluate.episodes.score import score_episodes
from openfer.labels import LABEL_SETS
from openfer.learn.engine import train
from openfer.learn.export import bundle_of_run
from openfer.learn.fewshot.contract import EpisodicNetwork
from openfer.learn.fewshot.easyfsl import EasyFSL
from openfer.learn.fewshot.holdout import judge_episodes
from openfer.learn.fewshot.judge import episodic_model
from openfer.learn.fewshot.sampler import EpisodeBatches, EpisodeShape
from openfer.learn.method import Method, Task, build_method
from openfer.learn.methods.fewshot.network import FewShotNetwork
from openfer.learn.options import BackboneOptions
from openfer.learn.recipe import MethodChoice, parse_recipe
from tests.learn.tiny import SECTIONS

LABELS = LABEL_SETS["basic7"]
BASE = ("neutral", "happiness", "surprise", "sadness")
LEARNERS = ("prototypical", "relation", "matching")
SHAPE = EpisodeShape(n_way=3, k_shot=2, n_query=2)
each = pytest.mark.parametrize("learner", LEARNERS)


def build(learner: str, **options: Any) -> tuple[Method, FewShotNetwork]:
    torch.manual_seed(0)
    chosen = {"learner": learner, "n_way": 3, "k_shot": 2, "n_query": 2, **options}
    method = build_method(MethodChoice(name="fewshot", options=chosen))
    backbone = BackboneOptions(name="csrn_encoder", size=32)
    network = method.network(Task(labels=LABELS, backbone=backbone, class_counts=np.ones(7, dtype=np.int64)))
    assert isinstance(network, FewShotNetwork)
    return method, network


def pictures(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


# Steps of episodes


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_step_is_whole_episodes_of_different_samples(data: st.DataObject) -> None:
    shape = EpisodeShape(
        n_way=data.draw(st.integers(2, 4)), k_shot=data.draw(st.integers(1, 3)), n_query=data.draw(st.integers(1, 3))
    )
    together, seed, epoch = (data.draw(st.integers(1, top)) for top in (3, 99, 9))
    labels = data.draw(st.permutations([c for c in range(5) for _ in range(shape.each + c)]))
    sampler = EpisodeBatches(np.array(labels), together * shape.pictures + 1, seed, shape)
    steps = sampler.epoch(epoch)
    assert len(steps) == max(1, len(labels) // (together * shape.pictures + 1))
    for step in steps:
        grid = step.reshape(together, shape.n_way, shape.each)
        of = np.array(labels)[grid]
        assert (of == of[:, :, :1]).all(), "a class's samples stand together"
        assert (np.diff(np.sort(of[:, :, 0], axis=1), axis=1) > 0).all(), "the classes of an episode are different"
        flat = np.sort(grid.reshape(together, -1), axis=1)
        assert (np.diff(flat, axis=1) > 0).all(), "no query among the supports"
    assert all(np.array_equal(*pair) for pair in zip(steps, sampler.epoch(epoch), strict=True))


def test_a_place_in_an_episode_says_nothing_of_the_class() -> None:
    """All classes are in every episode, and any of them comes first as often as another."""
    labels = np.repeat(np.arange(3), 400)
    steps = EpisodeBatches(labels, 12, 0, SHAPE).epoch(0)
    first = np.bincount([labels[step[0]] for step in steps], minlength=3)
    assert first.sum() == 100
    assert first.min() > 20


def test_supports_stand_before_queries() -> None:
    values = torch.arange(24)
    support, query = SHAPE.cut(values)
    assert support.tolist() == [[[0, 1], [4, 5], [8, 9]], [[12, 13], [16, 17], [20, 21]]]
    assert query.tolist() == [[2, 3, 6, 7, 10, 11], [14, 15, 18, 19, 22, 23]]
    assert SHAPE.join(support, query).tolist() == values.tolist()
    with pytest.raises(ConfigError, match="13 pictures are not whole episodes of 12"):
        SHAPE.cut(torch.arange(13))


def test_too_small_steps_and_classes_are_refused() -> None:
    labels = np.array([0] * 9 + [1] * 9 + [2] * 3)
    with pytest.raises(ConfigError, match=r"optim.batch: 11 pictures are less than an episode of 12"):
        EpisodeBatches(labels, 11, 0, SHAPE).epoch(0)
    with pytest.raises(DataError, match=r"method.n_way: 2 classes have the 4 training pictures .* expected 3"):
        EpisodeBatches(labels, 24, 0, SHAPE).epoch(0)
    just_enough = np.repeat(np.arange(3), 4)
    (step,) = EpisodeBatches(just_enough, 12, 0, SHAPE).epoch(0)
    assert sorted(step) == list(range(12))


# easyfsl


def easy(classifier: Any, support: Tensor, query: Tensor) -> Tensor:
    """An episode as easyfsl's own examples answer it."""
    n, k = support.shape[:2]
    classifier.process_support_set(support.flatten(0, 1), torch.arange(n).repeat_interleave(k))
    scores: Tensor = classifier(query)
    return scores


@pytest.mark.parametrize(
    "make",
    [
        PrototypicalNetworks,
        lambda: MatchingNetworks(feature_dimension=5),
        SimpleShot,
        lambda: RelationNetworks(feature_dimension=5),
    ],
)
def test_a_classifier_of_easyfsl_plugs_in(make: Any) -> None:
    torch.manual_seed(0)
    classifier = make().eval()
    place = (4, 4) if isinstance(classifier, RelationNetworks) else ()
    support, query = torch.randn(3, 4, 2, 5, *place), torch.randn(3, 6, 5, *place)
    with torch.no_grad():
        got = EasyFSL(copy.deepcopy(classifier)).score(support, query)
        wanted = torch.stack([easy(classifier, *pair) for pair in zip(support, query, strict=True)])
    assert got.shape == (3, 6, 4)
    torch.testing.assert_close(got, wanted)


def test_a_transductive_classifier_is_refused() -> None:
    with pytest.raises(ConfigError, match="PTMAP is transductive"):
        EasyFSL(PTMAP())


def test_prototypical_scores_are_distances_to_the_means() -> None:
    _, network = build("prototypical", cells=2)
    support, query = torch.randn(2, 3, 4, 8), torch.randn(2, 5, 8)
    wanted = -(query[:, :, None] - support.mean(2)[:, None]).norm(dim=3)
    torch.testing.assert_close(network.score(support, query), wanted)


@each
def test_an_answer_depends_on_its_episodes_supports_alone(learner: str) -> None:
    _, network = build(learner)
    network.eval()
    with torch.no_grad():
        features = network.encode(pictures(20))
        support, query = features[:12].reshape(2, 3, 2, *features.shape[1:]), features[12:].unflatten(0, (2, 4))
        whole = network.score(support, query)
        assert whole.shape == (2, 4, 3)
        torch.testing.assert_close(network.score(support[1:], query[1:, 2:3]), whole[1:, 2:3], rtol=1e-4, atol=1e-5)
        if learner != "matching":  # an LSTM reads the supports one after the other
            turned = network.score(support[:, [2, 0, 1]][:, :, [1, 0]], query)
            torch.testing.assert_close(turned, whole[:, :, [2, 0, 1]], rtol=1e-4, atol=1e-5)


# The method


@each
def test_losses_fit_the_queries_and_the_read_out_moves_nothing_else(learner: str) -> None:
    method, network = build(learner)
    label = torch.arange(3).repeat_interleave(4).repeat(2)
    batch = {"image": pictures(24), "label": label}
    output = network.train()(batch["image"])
    assert output.maps is not None
    terms = method.losses(network, batch, output, method.stages()[0])
    scores = network.score(*SHAPE.cut(output.maps)).flatten(0, 1)
    way = torch.arange(3).repeat_interleave(2).repeat(2)
    wanted = {
        "prototypical": lambda: F.cross_entropy(scores, way),
        "matching": lambda: -scores[torch.arange(12), way].mean(),
        "relation": lambda: ((scores - torch.eye(3)[way]) ** 2).mean(),
    }[learner]()
    torch.testing.assert_close(terms[learner], wanted, rtol=1e-4, atol=1e-5)
    terms["readout"].backward()  # type: ignore[no-untyped-call]
    moved = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert moved == {"readout"}


@each
def test_a_network_can_be_copied_in_the_middle_of_a_step(learner: str) -> None:
    _, network = build(learner)
    features = network.train().encode(pictures(12))
    network.score(*SHAPE.cut(features)).sum().backward()  # type: ignore[no-untyped-call]
    again = copy.deepcopy(network)
    assert again.state_dict().keys() == network.state_dict().keys()


class Telling(nn.Module):
    """Features are the label that is painted into the picture; classes above `known` all look alike."""

    def __init__(self, known: int) -> None:
        super().__init__()
        self.known, self.encoded = known, 0

    def encode(self, image: Tensor) -> Tensor:
        self.encoded += len(image)
        return image[:, :1, 0, 0].clamp(max=self.known)

    def score(self, support: Tensor, query: Tensor) -> Tensor:
        return -(support.mean(2)[:, None] - query[:, :, None]).abs().sum(3)


def painted(labels: Tensor) -> Tensor:
    """Different pictures [N, 3, 2, 2]: the label in the first corner, the picture's number in the last."""
    image = labels.float().view(-1, 1, 1, 1).repeat(1, 3, 2, 2)
    image[:, 0, 1, 1] = torch.arange(len(labels)).float()
    return image


def in_sevens(image: Tensor, labels: Tensor) -> list[dict[str, Tensor]]:
    """Batches of seven."""
    starts = range(0, len(labels), 7)
    return [{"image": image[start : start + 7], "label": labels[start : start + 7]} for start in starts]


def test_holdout_episodes_are_the_same_every_time() -> None:
    labels = torch.arange(4).repeat(10)
    batches = in_sevens(painted(labels), labels)
    right = Telling(3)
    assert isinstance(right, EpisodicNetwork)
    scores = judge_episodes(right, batches, ("image",), SHAPE, episodes=50)
    assert scores is not None
    assert (scores["accuracy"], scores["mean_class_accuracy"]) == (1.0, 1.0)
    assert right.encoded == 40
    half = [judge_episodes(Telling(2), batches, ("image",), SHAPE, episodes=400) for _ in range(2)]
    assert half[0] == half[1]
    assert half[0] == judge_episodes(Telling(2), batches, ("image",), SHAPE, episodes=400, seed=0)
    assert half[0] != judge_episodes(Telling(2), batches, ("image",), SHAPE, episodes=400, seed=1)
    # Two of four classes look alike: both stand in half of the episodes, and then the second is taken for the first.
    assert half[0] is not None
    assert half[0]["accuracy"] == pytest.approx(1 - 1 / 6, abs=0.02)
    assert judge_episodes(right, batches[:2], ("image",), SHAPE) is None, "too few pictures"


class Recalling(nn.Module):
    """Knows a picture when it sees it again, and nothing else."""

    def encode(self, image: Tensor) -> Tensor:
        return image[:, 0, 1, 1]

    def score(self, support: Tensor, query: Tensor) -> Tensor:
        return (support[:, None] == query[:, :, None, None]).float().sum(3)


def test_in_the_holdout_no_query_is_a_copy_of_a_support() -> None:
    labels = torch.arange(3).repeat(10)
    image = painted(labels)
    twice = in_sevens(torch.cat([image, image]), torch.cat([labels, labels]))
    scores = judge_episodes(Recalling(), twice, ("image",), SHAPE, episodes=50)
    assert scores is not None
    assert scores["accuracy"] == pytest.approx(1 / 3), "everything is the first class"
    assert scores == judge_episodes(Recalling(), in_sevens(image, labels), ("image",), SHAPE, episodes=50)
    torn = in_sevens(torch.cat([image, image]), torch.cat([labels, labels.clamp(max=1)]))
    assert judge_episodes(Recalling(), torn, ("image",), SHAPE) is None, "what stands in two classes is left out"


def test_a_class_that_is_never_drawn_is_told() -> None:
    for name in ("fewshot", "csrn"):
        method = build_method(MethodChoice(name=name, options={"n_way": 3, "k_shot": 2, "n_query": 2}))
        for counts, told in (([4, 9, 9, 9, 9, 9, 9], []), ([9, 3, 9, 9, 9, 9, 0], [1, 6])):
            backbone = BackboneOptions(name="csrn_encoder", size=64)
            network = method.network(Task(labels=LABELS, backbone=backbone, class_counts=np.array(counts)))
            names = ", ".join(f"{LABELS.names[place]} ({counts[place]})" for place in told)
            assert [note.split(";")[0] for note in method.notes(network)] == [f"never in an episode: {names}"] * bool(
                told
            )


def test_the_authors_encoder_is_a_backbone_like_any_other() -> None:
    from openfer.learn.backbones import blank_map, build_feature_backbone, normalisation
    from openfer.learn.fewshot.encoder import csrn_encoder

    options = BackboneOptions(name="csrn_encoder", size=64)
    network = build_feature_backbone(options)
    encoder, image = csrn_encoder().eval(), torch.rand(2, 3, 64, 40)
    torch.testing.assert_close(encoder(image), encoder.forward_features(image).mean((2, 3)))
    assert blank_map(network, options).shape == (1, 64, 14, 14)
    assert sum(parameter.numel() for parameter in network.parameters()) == 113_088
    assert normalisation("csrn_encoder") == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    with pytest.raises(ConfigError, match="takes no 'output_stride'"):
        build_feature_backbone(BackboneOptions(name="csrn_encoder", size=64, output_stride=8))


def test_a_run_answers_episodes_with_its_own_score(tmp_path: Path) -> None:
    sections = {
        **SECTIONS,
        "method": {"name": "fewshot", "n_way": 3, "k_shot": 2, "n_query": 1},
        "data": {**SECTIONS["data"], "manifest": "mini:140", "classes": list(BASE)},
        "optim": {**SECTIONS["optim"], "batch": 18},
    }
    train(parse_recipe(sections, "tiny"), tmp_path / "run")
    log = (tmp_path / "run" / "log.csv").read_text()
    assert "train_loss_prototypical" in log
    assert "holdout_accuracy" in log
    bundle = load_bundle(bundle_of_run(tmp_path / "run"), threads=1)
    assert set(bundle.card.labels) == set(BASE)
    model = episodic_model(tmp_path / "run", bundle)
    assert model is not None
    manifest = load_manifest("mini:140")
    episodes = draw(pool_of(manifest, ("anger", "disgust", "fear"), ()), episodes=5)
    found = score_episodes(model, manifest, episodes, detector=None)
    assert len(found) == 15
    facts = found.context.episodes
    assert facts is not None
    assert facts.scored_by == "the score of method fewshot"
    assert not found.context.warnings, "these classes were never seen"
