"""The formulas of Ad-Corre against slow loops, and what must hold for any faces."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from openfer.learn.losses.confusion import ConfusionHistory
from openfer.learn.losses.correlations import (
    class_means,
    correlation,
    cross_entropy,
    embedding_discriminator,
    feature_discriminator,
    mean_discriminator,
    pair_weights,
    released_cross_entropy,
)

B, E, D, K = 6, 3, 5, 4
LABELS = torch.tensor([0, 2, 0, 1, 2, 0])  # no 3


def embeddings_of(seed: int = 0, batch: int = B) -> Tensor:
    """[B, E, D] float64."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, E, D)))


def confusion_of(seed: int = 0) -> Tensor:
    """[K, K] float64, rows sum to 1."""
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(K), K))


def r(u: Tensor, v: Tensor) -> float:
    """NumPy's Pearson correlation."""
    return float(np.corrcoef(u.numpy(), v.numpy())[0, 1])


def test_correlation_is_numpys() -> None:
    vectors = embeddings_of()
    got = correlation(vectors)
    assert got.shape == (B, E, E)
    for sample, matrix in zip(vectors, got, strict=True):
        np.testing.assert_allclose(matrix, np.corrcoef(sample.numpy()), atol=1e-12)


def test_a_constant_vector_correlates_with_nothing_and_has_a_finite_gradient() -> None:
    vectors = torch.stack(
        [torch.full((D,), 0.3), torch.zeros(D), torch.arange(D, dtype=torch.float32)]
    ).requires_grad_()
    got = correlation(vectors)
    torch.testing.assert_close(got.detach(), torch.diag(torch.tensor([0.0, 0.0, 1.0])))
    got.sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


def test_correlation_of_short_vectors() -> None:
    vectors = embeddings_of()
    torch.testing.assert_close(correlation(1e-5 * vectors), correlation(vectors), atol=1e-8, rtol=0)


@given(seed=st.integers(0, 100), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
@settings(deadline=None, max_examples=20)
def test_correlation_does_not_see_scale_or_shift(seed: int, scale: float, shift: float) -> None:
    vectors = embeddings_of(seed)
    torch.testing.assert_close(correlation(scale * vectors + shift), correlation(vectors), atol=1e-8, rtol=0)


def test_pair_weights_grow_with_what_is_missed() -> None:
    confusion = confusion_of()
    got = pair_weights(LABELS, confusion)
    for i in range(B):
        for j in range(B):
            missed = [1 - float(confusion[LABELS[k], LABELS[k]]) for k in (i, j)]
            assert float(got[i, j]) == pytest.approx(0 if i == j else 1 + missed[0] + missed[1])


def test_truncated_weights_are_whole_numbers() -> None:
    confusion = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.0, 0.0, 0.0]])
    got = pair_weights(torch.tensor([0, 1, 2, 2]), confusion, truncate=True)
    assert got.tolist() == [[0, 1, 2, 2], [1, 0, 2, 2], [2, 2, 0, 3], [2, 2, 3, 0]]


@pytest.mark.parametrize("weighted", [False, True])
def test_feature_discriminator_is_its_formula(weighted: bool) -> None:
    values = embeddings_of()
    weights = pair_weights(LABELS, confusion_of()) if weighted else None
    total = 0.0
    for m in range(E):
        for i in range(B):
            for j in range(B):
                wanted = 1 if LABELS[i] == LABELS[j] else -1
                w = 1.0 if weights is None else float(weights[i, j])
                total += w * abs(wanted - r(values[i, m], values[j, m]))
    assert float(feature_discriminator(values, LABELS, weights)) == pytest.approx(total / (E * B**2), rel=1e-9)


def slow_means(values: Tensor, m: int) -> list[Tensor]:
    means = []
    for c in range(K):
        a = [1.0 if int(label) == c else 1e-7 for label in LABELS]
        means.append(torch.stack([weight * values[i, m] for i, weight in enumerate(a)]).sum(0) / sum(a))
    return means


def test_class_means_are_their_formula() -> None:
    values = embeddings_of()
    got = class_means(values, LABELS, K)
    for m in range(E):
        torch.testing.assert_close(got[m], torch.stack(slow_means(values, m)), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(got[:, 3], values.mean(0))  # nobody is of class 3


@pytest.mark.parametrize("absent", ["mask", "batch_mean"])
def test_mean_discriminator_is_its_formula(absent: str) -> None:
    values = embeddings_of()
    taken = [0, 1, 2] if absent == "mask" else [0, 1, 2, 3]
    total = 0.0
    for m in range(E):
        means = slow_means(values, m)
        total += sum(1 + r(means[c], means[d]) for c in taken for d in taken if c != d)
    got = mean_discriminator(values, LABELS, K, absent)  # type: ignore[arg-type]
    assert float(got) == pytest.approx(total / (E * len(taken) ** 2), rel=1e-9)


def test_absent_classes_push_nothing_when_masked() -> None:
    values = embeddings_of().requires_grad_()
    more, fewer = (torch.autograd.grad(mean_discriminator(values, LABELS, k), values)[0] for k in (K, K - 1))
    torch.testing.assert_close(more, fewer)


@pytest.mark.parametrize(("absent", "wanted"), [("mask", 0.0), ("batch_mean", 2 * (K - 1) / K)])
def test_mean_discriminator_of_one_class(absent: str, wanted: float) -> None:
    got = mean_discriminator(embeddings_of(), torch.ones(B, dtype=torch.int64), K, absent)  # type: ignore[arg-type]
    assert float(got) == pytest.approx(wanted)


def test_embedding_discriminator_is_its_formula() -> None:
    values = embeddings_of()
    total = sum(1 + r(values[i, m], values[i, n]) for i in range(B) for m in range(E) for n in range(E) if m != n)
    assert float(embedding_discriminator(values)) == pytest.approx(total / (B * E**2), rel=1e-9)


@given(seed=st.integers(0, 1000), batch=st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_terms_keep_their_ranges_and_do_not_see_the_order(seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    values, labels = embeddings_of(seed, batch), torch.from_numpy(rng.integers(0, K, batch))
    order = torch.from_numpy(rng.permutation(batch))
    present = len(labels.unique())

    def terms(values: Tensor, labels: Tensor) -> list[float]:
        weights = pair_weights(labels, confusion_of(seed))
        found = [feature_discriminator(values, labels), feature_discriminator(values, labels, weights)]
        found += [mean_discriminator(values, labels, K), mean_discriminator(values, labels, K, "batch_mean")]
        return [float(value) for value in (*found, embedding_discriminator(values))]

    got = terms(values, labels)
    tops = [2, 6, 2 * (present - 1) / present, 2 * (K - 1) / K, 2 * (E - 1) / E]
    assert all(-1e-9 <= value <= top + 1e-9 for value, top in zip(got, tops, strict=True))
    assert terms(values[order], labels[order]) == pytest.approx(got)
    if batch == 1:
        assert got[:3] == pytest.approx([0, 0, 0], abs=1e-9)


def test_the_best_and_the_worst_embeddings() -> None:
    one = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    best = torch.stack([one, 3 * one, -one, -2 * one])[:, None]
    assert float(feature_discriminator(best, labels)) == pytest.approx(0, abs=1e-12)
    assert float(feature_discriminator(best, torch.tensor([0, 1, 0, 1]))) == pytest.approx(1.0)
    assert float(mean_discriminator(best, labels, 2)) == pytest.approx(0, abs=1e-6)
    alike = one.expand(2, 3, 4)
    assert float(embedding_discriminator(alike)) == pytest.approx(4 / 3)
    assert float(embedding_discriminator(torch.stack([one, -one])[None])) == pytest.approx(0, abs=1e-12)


def test_gradients_are_those_of_differences() -> None:
    values = embeddings_of().requires_grad_()
    weights = pair_weights(LABELS, confusion_of())
    assert torch.autograd.gradcheck(
        lambda x: (
            feature_discriminator(x, LABELS, weights),
            mean_discriminator(x, LABELS, K),
            mean_discriminator(x, LABELS, K, "batch_mean"),
            embedding_discriminator(x),
        ),
        (values,),
    )


def test_cross_entropies_are_their_formulas() -> None:
    rng = np.random.default_rng(0)
    logits, target = torch.from_numpy(rng.normal(0, 2, (B, K))), torch.from_numpy(rng.dirichlet(np.ones(K), B))
    soft = hard = 0.0
    for i in range(B):
        scale = log(sum(exp(float(value)) for value in logits[i]))
        soft -= sum(float(target[i, c]) * (float(logits[i, c]) - scale) for c in range(K))
        hard -= float(logits[i, LABELS[i]]) - scale
    assert float(cross_entropy(logits, target)) == pytest.approx(soft / (B * K))
    probabilities = torch.softmax(logits, 1)
    assert float(released_cross_entropy(probabilities, LABELS)) == pytest.approx(hard / (B * K))
    assert float(released_cross_entropy(5 * probabilities, LABELS)) == pytest.approx(hard / (B * K))


def test_the_released_cross_entropy_gives_up_on_hopeless_samples() -> None:
    logits = torch.tensor([[0.0, 40.0], [0.0, 1.0]], requires_grad=True)
    loss = released_cross_entropy(torch.softmax(logits, 1), torch.tensor([0, 0]))
    assert loss.item() == pytest.approx((-log(1e-7) + log(1 + exp(1))) / 4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0].tolist() == [0, 0]
    assert float(logits.grad[1, 1]) > 0
    intended = cross_entropy(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert float(torch.autograd.grad(intended, logits)[0][0, 1]) == pytest.approx(0.25)


@given(seed=st.integers(0, 1000), window=st.integers(1, 5), steps=st.integers(1, 8))
@settings(deadline=None, max_examples=25)
def test_the_history_is_the_confusion_of_the_last_batches(seed: int, window: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    history = ConfusionHistory(K, window)
    batches = [rng.integers(0, K, (2, rng.integers(1, 7))) for _ in range(steps)]
    for labels, answers in batches:
        history.update(torch.from_numpy(labels), torch.from_numpy(answers))
    counts = np.zeros((K, K))
    for labels, answers in batches[-window:]:
        for truth, answer in zip(labels, answers, strict=True):
            counts[truth, answer] += 1
    assert history.counts.sum(2).tolist() == counts.tolist()
    assert int(history.seen) == steps
    sums = counts.sum(1, keepdims=True)
    np.testing.assert_allclose(history.matrix(torch.float64), np.where(sums > 0, counts / np.maximum(sums, 1), 0))


def test_an_empty_history_makes_every_class_count_most() -> None:
    history = ConfusionHistory(K, 3)
    assert history.matrix().tolist() == [[0.0] * K] * K
    weights = pair_weights(LABELS, history.matrix())
    assert weights.unique().tolist() == [0, 3]
