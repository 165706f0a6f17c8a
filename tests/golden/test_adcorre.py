"""Ad-Corre against arrays of the authors' own code; keys, relations and tolerances are in `adcorre/README.md`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from skimage.transform import resize
from torch import Tensor, nn

from openfer.evaluate import metrics
from openfer.labels import LABEL_SETS, canonical
from openfer.learn.heads.embeddings import ParallelEmbeddings
from openfer.learn.losses.adcorre import AdCorreLoss
from openfer.learn.losses.confusion import ConfusionHistory
from openfer.learn.losses.correlations import (
    class_means,
    correlation,
    embedding_discriminator,
    feature_discriminator,
    mean_discriminator,
    pair_weights,
    released_cross_entropy,
)
from openfer.learn.optimizers import KerasAdam
from openfer.learn.options import OptimOptions
from openfer.learn.schedule import lr_factor
from tests.golden.arrays import FOLDER, Arrays, close, files, load, tensor

VALUE, GRADIENT = (1e-5, 2e-6), (1e-4, 2e-6)


def prefixes(file: str, suffix: str) -> list[str]:
    """Names of the cases in a file whose keys are `<case>_<name>`: those that have this name."""
    path = FOLDER / "adcorre" / file
    if not path.is_file():
        return []
    with np.load(path, allow_pickle=False) as values:
        return [key.removesuffix(suffix) for key in values.files if key.endswith(suffix)]


def gradient(value: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(value, of, retain_graph=True)[0]


def test_every_file_has_a_test() -> None:
    tested = {"cross_entropy", "correlation_terms", "confusion_history", "train_step", "adam_decay"}
    tested |= {"fer2013_prepare", "evaluation", "xception_formula_weights"}  # the last in test_adcorre_xception.py
    assert {file.removesuffix(".npz") for file in files("adcorre")} <= tested


@pytest.mark.parametrize("name", prefixes("cross_entropy.npz", "_labels"))
def test_cross_entropy(name: str) -> None:
    arrays = load("adcorre", "cross_entropy.npz")
    labels = tensor(arrays[f"{name}_labels"])
    probabilities = tensor(arrays[f"{name}_probs"]).requires_grad_()
    loss = released_cross_entropy(probabilities, labels)
    close(loss, arrays[f"{name}_loss"], 1e-5, 1e-6)
    right = (probabilities.argmax(1) == labels).float().mean()
    close(right, arrays[f"{name}_accuracy"], 1e-5, 1e-6)
    if f"{name}_grad_probs" in arrays:
        close(gradient(loss, probabilities), arrays[f"{name}_grad_probs"], 1e-4, 1e-6)
    if f"{name}_grad_logits" in arrays:
        logits = tensor(arrays[f"{name}_logits"]).requires_grad_()
        loss = released_cross_entropy(torch.softmax(logits, 1), labels)
        close(loss, arrays[f"{name}_loss"], 1e-5, 1e-6)
        close(gradient(loss, logits), arrays[f"{name}_grad_logits"], 1e-4, 1e-6)


@pytest.mark.parametrize("name", prefixes("correlation_terms.npz", "_labels"))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_correlation_terms(name: str, dtype: torch.dtype) -> None:
    arrays = load("adcorre", "correlation_terms.npz")
    wanted = {key.removeprefix(f"{name}_"): value for key, value in arrays.items() if key.startswith(f"{name}_")}
    by_embedding = tensor(wanted["emb"]).to(dtype).requires_grad_()  # [E, B, D]
    embeddings, labels = by_embedding.transpose(0, 1), tensor(wanted["labels"])
    classes, confusion = int(arrays["num_classes"]), tensor(arrays["confusion_matrix"]).to(dtype)
    close(correlation(by_embedding), wanted["phi"], 0, 1e-6)
    close(class_means(embeddings, labels, classes), wanted["class_means"], *VALUE)
    weights, truncated = (pair_weights(labels, confusion, truncate=value) for value in (False, True))
    close(weights, wanted["weights"], *VALUE)
    close(truncated, wanted["weights_truncated"], *VALUE)
    for key, used in (("fd_weighted", weights), ("fd_weighted_truncated", truncated)):
        for values, one in zip(embeddings.split(1, dim=1), wanted[f"{key}_per_embedding"], strict=True):
            close(feature_discriminator(values, labels, used), one, *VALUE)
    terms = {
        "ed": embedding_discriminator(embeddings),
        "fd": feature_discriminator(embeddings, labels),
        "fd_weighted": feature_discriminator(embeddings, labels, weights),
        "md": mean_discriminator(embeddings, labels, classes, "batch_mean"),
    }
    if "md_present_only" in wanted:
        terms["md_present_only"] = mean_discriminator(embeddings, labels, classes, "mask")
    for key, value in terms.items():
        close(value, wanted[key], *VALUE)
        close(gradient(value, by_embedding), wanted[f"{key}_grad_emb"], *GRADIENT)
    released = AdCorreLoss(classes, fidelity="released")
    logits = torch.zeros(len(labels), classes, dtype=dtype)
    for key, value in zip(
        ("fd", "md", "ed"), list(released.terms(embeddings, logits, labels).values())[1:], strict=True
    ):
        close(value, wanted[key], *VALUE)
        assert value.requires_grad == (not wanted[f"{key}_released_gradient_is_none"])


def test_the_confusion_matrix_of_the_terms() -> None:
    arrays = load("adcorre", "correlation_terms.npz")
    history = ConfusionHistory(int(arrays["num_classes"]), 1)
    history.update(tensor(arrays["confusion_gt"]), tensor(arrays["confusion_pred"]))
    close(history.matrix(torch.float64), arrays["confusion_matrix"], 1e-12, 0)


@pytest.mark.parametrize("name", prefixes("confusion_history.npz", "_history_frame"))
def test_confusion_history(name: str) -> None:
    arrays = load("adcorre", "confusion_history.npz")
    truth, answers = tensor(arrays[f"{name}_gt"]), tensor(arrays[f"{name}_pred"])
    classes = arrays[f"{name}_confusion"].shape[1]
    window = -(-int(arrays[f"{name}_history_frame"]) // int(arrays[f"{name}_batch_size"]))
    history = ConfusionHistory(classes, window)
    for step in range(len(truth)):
        history.update(truth[step], answers[step])
        close(history.matrix(torch.float64), arrays[f"{name}_confusion"][step], 1e-12, 0)
        assert history.counts.sum() == arrays[f"{name}_length_after"][step]
    final = metrics.confusion(arrays[f"{name}_final_gt"], arrays[f"{name}_final_pred"], classes)
    assert history.counts.sum(2).numpy().tolist() == final.tolist()


class Masked(nn.Module):
    """The stored dropout: what is kept counts twice."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, values: Tensor) -> Tensor:
        return values * self.mask * 2


class Step:
    """The released head with the stored weights, on features of a backbone that gives what it gets."""

    def __init__(self, arrays: Arrays) -> None:
        self.count, self.width = int(arrays["k"]), int(arrays["embedding_size"])
        features, classes = arrays["init_emb0_kernel"].shape[0], arrays["init_out_kernel"].shape[1]
        self.classes = classes
        self.head = ParallelEmbeddings(features, classes, embeddings=self.count, width=self.width, dropout=0.5)
        with torch.no_grad():
            for key, place in self.places(self.head.state_dict(keep_vars=True)):
                place.copy_(tensor(arrays[f"init_{key}"]))

    def places(self, tensors: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """The authors' names, and the part of our tensors that each one is."""
        for m, (kernel, bias) in enumerate(
            zip(tensors["embed.weight"].split(self.width), tensors["embed.bias"].split(self.width), strict=True)
        ):
            yield f"emb{m}_kernel", kernel.T
            yield f"emb{m}_bias", bias
        yield "out_kernel", tensors["classify.weight"].T
        yield "out_bias", tensors["classify.bias"]

    def compare(self, tensors: dict[str, Tensor], arrays: Arrays, prefix: str, rtol: float, atol: float) -> None:
        for key, value in self.places(tensors):
            close(value, arrays[f"{prefix}{key}"], rtol, atol)

    def gradients(self, value: Tensor) -> dict[str, Tensor]:
        names, parameters = zip(*self.head.named_parameters(), strict=True)
        return dict(zip(names, torch.autograd.grad(value, parameters, retain_graph=True), strict=True))


def test_the_head_at_evaluation() -> None:
    arrays = load("adcorre", "train_step.npz")
    step = Step(arrays)
    logits, embeddings = step.head.eval()(tensor(arrays["eval_features"]).mean((1, 2)))
    close(torch.softmax(logits, 1), arrays["eval_probs"], *VALUE)
    close(embeddings.transpose(0, 1), arrays["eval_embeddings"], *VALUE)


def test_training_steps() -> None:
    arrays = load("adcorre", "train_step.npz")
    step, weight = Step(arrays), float(arrays["lambda_ce"])
    loss = AdCorreLoss(step.classes, cross_entropy=weight, fidelity="released")
    rate, betas = float(arrays["learning_rate"]), (float(arrays["beta1"]), float(arrays["beta2"]))
    optimizer = KerasAdam(step.head.parameters(), betas=betas, epsilon=float(arrays["adam_epsilon"]))
    optim = OptimOptions(lr=rate, schedule="inverse", decay=float(arrays["decay"]))
    for j in range(len([key for key in arrays if key.endswith("_dropout_mask")])):
        features = tensor(arrays[f"s{j}_features"]).requires_grad_()
        labels = tensor(arrays[f"s{j}_labels"])
        step.head.dropout = Masked(tensor(arrays[f"s{j}_dropout_mask"]))
        logits, embeddings = step.head.train()(features.mean((1, 2)))
        close(torch.softmax(logits, 1), arrays[f"s{j}_probs"], *VALUE)
        close(embeddings.transpose(0, 1), arrays[f"s{j}_embeddings"], *VALUE)
        close((logits.argmax(1) == labels).float().mean(), arrays[f"s{j}_accuracy"], *VALUE)
        terms = loss.terms(embeddings, logits, labels)
        close(terms["cross_entropy"], weight * arrays[f"s{j}_ce"], 1e-5, 1e-5)
        for ours, theirs in (("feature", "fd"), ("mean", "md"), ("embedding", "ed")):
            close(terms[ours], arrays[f"s{j}_{theirs}"], *VALUE)
        total = torch.stack(list(terms.values())).sum()
        close(total, arrays[f"s{j}_total"], 1e-5, 1e-5)
        close(loss.history.matrix(torch.float64), arrays[f"s{j}_confusion"], 1e-12, 0)
        close(gradient(total, features), arrays[f"s{j}_grad_features"], 1e-3, 2e-5)
        step.compare(step.gradients(total), arrays, f"s{j}_grad_", 1e-3, 2e-5)
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.param_groups[0]["lr"] = optim.lr * lr_factor(optim, j, 100)
        optimizer.step()
        step.compare(step.head.state_dict(), arrays, f"s{j}_after_", 0, 2e-6)


def test_the_differentiable_form() -> None:
    arrays = load("adcorre", "train_step.npz")
    step, weight = Step(arrays), float(arrays["lambda_ce"])
    step.head.dropout = Masked(tensor(arrays["s0_dropout_mask"]))
    labels = tensor(arrays["s0_labels"])
    logits, embeddings = step.head(tensor(arrays["s0_features"]).mean((1, 2)))
    loss = AdCorreLoss(step.classes, cross_entropy=weight, absent="batch_mean")
    terms = loss.terms(embeddings, logits, labels)
    close(terms["feature"], arrays["diff_fd_weighted"], *VALUE)
    weighted = torch.stack(list(terms.values())).sum()
    close(weighted, arrays["diff_total_weighted"], 1e-5, 1e-5)
    step.compare(step.gradients(weighted), arrays, "diff_weighted_grad_", 1e-3, 2e-5)
    unweighted = weighted - terms["feature"] + feature_discriminator(embeddings, labels)
    close(unweighted, arrays["diff_total_unweighted"], 1e-5, 1e-5)
    step.compare(step.gradients(unweighted), arrays, "diff_unweighted_grad_", 1e-3, 2e-5)


@pytest.mark.parametrize("name", prefixes("adam_decay.npz", "_decay"))
def test_adam(name: str) -> None:
    arrays = load("adcorre", "adam_decay.npz")
    gradients, wanted = (tensor(arrays[f"{name}_{key}"]) for key in ("grads", "params"))
    optim = OptimOptions(lr=float(arrays["learning_rate"]), schedule="inverse", decay=float(arrays[f"{name}_decay"]))
    parameter = nn.Parameter(wanted[0].clone())
    optimizer = KerasAdam([parameter])
    for t, value in enumerate(gradients):
        parameter.grad = value.clone()
        optimizer.param_groups[0]["lr"] = optim.lr * lr_factor(optim, t, len(gradients))
        optimizer.step()
        close(parameter, wanted[t + 1].numpy(), 1e-5, 1e-7)


def test_pictures_of_the_published_converter() -> None:
    arrays = load("adcorre", "fer2013_prepare.npz")
    for before, after in [
        *zip(arrays["gray_in"], arrays["gray_out"], strict=True),
        (arrays["gray224_in"], arrays["gray224_out"]),
        (arrays["rgb_in"], arrays["rgb_out"]),
    ]:
        # Theirs is scikit-image's resize, as the page on the method says; ours is the one aligner's.
        theirs = np.round(255 * resize(before, after.shape, anti_aliasing=True)).astype(int)
        apart = np.abs(theirs - after)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.03
    names = [canonical(str(folder)) for folder in arrays["class_folders"]]
    assert [LABEL_SETS["affectnet7"].index(str(name)) for name in names] == arrays["labels_out"].tolist()


@pytest.mark.parametrize("name", prefixes("evaluation.npz", "_average_accuracy"))
def test_scores(name: str) -> None:
    arrays = load("adcorre", "evaluation.npz")
    classes = len(arrays[f"{name}_confusion"])
    counts = metrics.confusion(arrays["gt"], arrays["pred"], classes)
    # AffectNet's rows are divided by the 500 pictures that its validation has of each class, whatever was judged.
    rows = np.full((classes, 1), 500) if name.startswith("affectnet") else counts.sum(1, keepdims=True)
    close(counts / rows, arrays[f"{name}_confusion"], 1e-9, 0)
    close(np.diagonal(counts / rows).mean(), arrays[f"{name}_average_accuracy"], 1e-9, 0)
    close(metrics.accuracy(counts), arrays[f"{name}_accuracy"], 1e-9, 0)
    close(np.nan_to_num(metrics.precision(counts)), arrays[f"{name}_precision"], 1e-9, 0)
    close(np.nan_to_num(metrics.recall(counts)), arrays[f"{name}_recall"], 1e-9, 0)
    close(np.nan_to_num(metrics.f1(counts)), arrays[f"{name}_fscore"], 1e-9, 0)
    assert metrics.support(counts).tolist() == arrays[f"{name}_support"].tolist()
