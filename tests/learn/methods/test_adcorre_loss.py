"""Ad-Corre's loss in somebody's own training loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from openfer.errors import ConfigError
from openfer.learn.losses.adcorre import AdCorreLoss
from openfer.learn.losses.correlations import (
    cross_entropy,
    embedding_discriminator,
    feature_discriminator,
    mean_discriminator,
    pair_weights,
    released_cross_entropy,
)

B, E, D, K = 8, 3, 6, 4
NAMES = ["cross_entropy", "feature", "mean", "embedding"]


def case(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, logits, labels."""
    generator = torch.Generator().manual_seed(seed)
    embeddings, logits = torch.randn(B, E, D, generator=generator), torch.randn(B, K, generator=generator)
    return embeddings.requires_grad_(), logits.requires_grad_(), torch.randint(0, K, (B,), generator=generator)


def test_intended_terms_are_the_formulas_with_their_weights() -> None:
    embeddings, logits, labels = case()
    loss = AdCorreLoss(K, cross_entropy=5, feature=2, mean=3, embedding=4)
    terms = loss.terms(embeddings, logits, labels)
    confusion = loss.history.matrix()
    target = torch.eye(K)[labels]
    wanted = [
        5 * cross_entropy(logits, target),
        2 * feature_discriminator(embeddings, labels, pair_weights(labels, confusion)),
        3 * mean_discriminator(embeddings, labels, K, "mask"),
        4 * embedding_discriminator(embeddings),
    ]
    assert list(terms) == NAMES
    torch.testing.assert_close(list(terms.values()), wanted)
    for value in wanted[1:]:
        assert float(torch.autograd.grad(value, embeddings, retain_graph=True)[0].abs().max()) > 0
    torch.testing.assert_close(AdCorreLoss(K, cross_entropy=5, feature=2, mean=3, embedding=4)(*case()), sum(wanted))


def test_the_defaults_are_the_authors() -> None:
    embeddings, logits, labels = case()
    embeddings, logits = embeddings.detach(), logits.detach()
    plain, ones = AdCorreLoss(K), AdCorreLoss(K, cross_entropy=1)
    terms, single = plain.terms(embeddings, logits, labels), ones.terms(embeddings, logits, labels)
    assert float(terms["cross_entropy"]) == pytest.approx(50 * float(single["cross_entropy"]))
    assert all(torch.equal(terms[name], single[name]) for name in NAMES[1:])
    assert plain.history.counts.shape == (K, K, 20)


def test_released_terms_are_shown_and_teach_nothing() -> None:
    embeddings, logits, labels = case()
    loss = AdCorreLoss(K, fidelity="released", absent="mask")
    terms = loss.terms(embeddings, logits, labels, torch.full((B, K), 1 / K))
    wanted = [
        50 * released_cross_entropy(torch.softmax(logits, 1), labels),
        feature_discriminator(embeddings, labels),
        mean_discriminator(embeddings, labels, K, "batch_mean"),
        embedding_discriminator(embeddings),
    ]
    torch.testing.assert_close(list(terms.values()), [*wanted[:1], *(value.detach() for value in wanted[1:])])
    sum(terms.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is None
    assert logits.grad is not None


def test_votes_teach_the_cross_entropy_alone() -> None:
    embeddings, logits, labels = case()
    target = torch.softmax(torch.randn(B, K, generator=torch.Generator().manual_seed(3)), 1)
    soft, hard = (AdCorreLoss(K).terms(embeddings, logits, labels, value) for value in (target, None))
    torch.testing.assert_close(soft["cross_entropy"], 50 * cross_entropy(logits, target))
    assert all(torch.equal(soft[name], hard[name]) for name in NAMES[1:])


def test_the_batch_counts_before_its_pairs_are_weighed() -> None:
    embeddings, logits, labels = case()
    right = 9 * torch.eye(K)[labels]
    loss = AdCorreLoss(K)
    weighted = loss.terms(embeddings, right, labels)["feature"]
    off = 1 - torch.eye(B)
    torch.testing.assert_close(weighted, feature_discriminator(embeddings, labels, off))
    # The same pairs weigh more after a batch whose answers were all wrong.
    loss(embeddings, 9 * torch.eye(K)[(labels + 1) % K], labels)
    assert loss.eval().terms(embeddings, logits, labels)["feature"].item() > weighted.item()


def test_only_training_adds_to_the_history_and_it_is_saved() -> None:
    embeddings, logits, labels = case()
    loss = AdCorreLoss(K, window=2)
    loss.eval()(embeddings, logits, labels)
    assert int(loss.history.seen) == 0
    loss.train()(embeddings, logits, labels)
    assert int(loss.history.seen) == 1
    assert int(loss.history.counts.sum()) == B
    again = AdCorreLoss(K, window=2)
    again.load_state_dict(loss.state_dict())
    torch.testing.assert_close(again(*case(1)), loss(*case(1)))


def test_one_embedding_may_come_without_its_axis() -> None:
    embeddings, logits, labels = case()
    flat = AdCorreLoss(K).terms(embeddings[:, 0], logits, labels)
    whole = AdCorreLoss(K).terms(embeddings[:, :1], logits, labels)
    torch.testing.assert_close(flat, whole)
    assert flat["embedding"].item() == 0


def test_half_precision_is_computed_in_single() -> None:
    embeddings, logits, labels = case()
    half = embeddings.detach().bfloat16(), logits.detach().bfloat16()
    wanted = AdCorreLoss(K)(half[0].float(), half[1].float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = AdCorreLoss(K)(*half, labels)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)
    double = AdCorreLoss(K)(embeddings.double(), logits.double(), labels)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), AdCorreLoss(K)(embeddings, logits, labels))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(B)}, r"labels: expected int64 \[B\] with B of 1 or more, got torch.float32 \[8\]"),
        ({"labels": torch.zeros(B, 1, dtype=torch.int64)}, r"labels: .* got torch.int64 \[8, 1\]"),
        ({"labels": torch.zeros(0, dtype=torch.int64)}, r"labels: .* got torch.int64 \[0\]"),
        ({"labels": torch.tensor([0, 1, 2, 3, 4, 0, 0, 0])}, "labels: expected 0 to 3, got 0 to 4"),
        ({"labels": torch.tensor([0, 1, 2, 3, -1, 0, 0, 0])}, "labels: expected 0 to 3, got -1 to 3"),
        ({"embeddings": torch.zeros(B)}, r"embeddings: expected \[B, E, D\] or \[B, D\] with B = 8, got \[8\]"),
        ({"embeddings": torch.zeros(B - 1, E, D)}, r"embeddings: .* got \[7, 3, 6\]"),
        ({"logits": torch.zeros(B, K + 1)}, r"logits: expected \[B, K\] = \[8, 4\], got \[8, 5\]"),
        ({"target": torch.zeros(B)}, r"target: expected \[B, K\] = \[8, 4\], got \[8\]"),
    ],
)
def test_a_wrong_shape_is_one_line(change: dict[str, Any], message: str) -> None:
    embeddings, logits, labels = case()
    values = {"embeddings": embeddings, "logits": logits, "labels": labels, **change}
    with pytest.raises(ConfigError, match=f"^{message}$"):
        AdCorreLoss(K)(**values)


@pytest.mark.parametrize(("classes", "window"), [(1, 20), (K, 0)])
def test_sizes_are_checked(classes: int, window: int) -> None:
    with pytest.raises(ConfigError, match="AdCorreLoss: expected 2 classes"):
        AdCorreLoss(classes, window=window)


def test_two_classes_and_a_window_of_one_are_enough() -> None:
    loss = AdCorreLoss(2, window=1)
    assert torch.isfinite(loss(torch.randn(3, 2, 4), torch.zeros(3, 2), torch.tensor([0, 1, 1])))
    assert loss.history.counts.shape == (2, 2, 1)


def test_what_other_processes_counted_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda counts: counts.add_(torch.arange(K * K)))
    embeddings, logits, labels = case()
    loss, alone = AdCorreLoss(K), AdCorreLoss(K)
    loss(embeddings, logits, labels)
    monkeypatch.undo()
    alone(embeddings, logits, labels)
    both = alone.history.counts.sum(2) + torch.arange(K * K).view(K, K)
    assert torch.equal(loss.history.counts.sum(2), both)
