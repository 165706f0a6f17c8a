"""The engine: it learns, repeats itself to the bit, goes on where it was stopped, and refuses what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from openfer import __version__
from openfer.data.manifest import load_manifest, write_manifest
from openfer.errors import ConfigError, DataError, ModelError
from openfer.files import sha256_of
from openfer.learn.batches import BatchMaker
from openfer.learn.checkpoint import Progress
from openfer.learn.engine import build_network, make_accelerator, train
from openfer.learn.judge import Held, scores
from openfer.learn.method import build_method
from openfer.learn.pictures import load_training_data
from openfer.learn.recipe import Recipe, parse_recipe
from openfer.learn.record import Watch
from tests.learn.tiny import StopAfter, StoppedError, distance, learning_recipe, rows_of, tiny_recipe, weights

VIT = {"name": "test_vit", "size": 32}
"""A network without BatchNorm: its answer to a picture does not depend on the batch, not even in training."""
PLAIN_SGD = {"name": "sgd", "momentum": 0.0, "lr": 0.1}


def initial(recipe: Recipe) -> dict[str, torch.Tensor]:
    """The weights that a run begins with."""
    data = load_training_data(recipe.data, recipe.backbone.size, recipe.run.seed)
    network = build_network(recipe, build_method(recipe.method), data, fresh=True)
    return {name: value.clone() for name, value in network.state_dict().items()}


def trained_weights(out: Path, **changes: dict[str, Any]) -> dict[str, torch.Tensor]:
    train(tiny_recipe(**changes), out)
    return weights(out)


def test_it_learns(trained: Path) -> None:
    rows = rows_of(trained)
    losses = [float(row["train_loss_cross_entropy"]) for row in rows]
    assert losses[0] > 1.7  # the logarithm of seven is 1.95
    assert losses[-1] < 0.5 * losses[0]
    assert losses == sorted(losses, reverse=True)
    assert float(rows[-1]["train_accuracy"]) > 0.7 > 0.3 > float(rows[0]["train_accuracy"])


def test_the_log_has_a_row_an_epoch_and_a_column_a_fact(trained: Path) -> None:
    rows = rows_of(trained)
    assert list(rows[0]) == [
        "stage",
        "epoch",
        "steps",
        "lr",
        "train_loss_cross_entropy",
        "train_accuracy",
        "holdout_accuracy",
        "holdout_mean_class_accuracy",
        "holdout_loss",
        "best_epoch",
    ]
    assert [(row["stage"], row["epoch"], row["steps"]) for row in rows] == [
        ("train", str(n), str(10 * n)) for n in range(1, 9)
    ]
    assert {float(row["lr"]) for row in rows} == {1e-3}


def test_the_best_epoch_is_the_one_the_holdout_says(trained: Path) -> None:
    rows = rows_of(trained)
    best = int(rows[-1]["best_epoch"])
    assert best < 8
    assert distance(weights(trained, "best"), weights(trained)) > 1e-3
    assert best == 1 + int(np.argmin([float(row["holdout_loss"]) for row in rows]))
    held = Held.read(trained / "holdout.npz")
    assert scores(held) == {
        name: pytest.approx(float(rows[best - 1][f"holdout_{name}"]))
        for name in ("accuracy", "mean_class_accuracy", "loss")
    }


def test_the_run_says_what_was_trained_on_what(trained: Path) -> None:
    facts = json.loads((trained / "run.json").read_text())
    assert facts["openfer"] == __version__
    assert (
        facts["versions"]["torch"] == torch.__version__.split("+")[0] or facts["versions"]["torch"] == torch.__version__
    )
    assert facts["labels"] == list(load_manifest("mini:7").labels)
    assert facts["label_set"] == "basic7"
    assert facts["data"]["manifest"] == load_manifest("mini:560").digest
    assert (facts["data"]["layout"], facts["data"]["rule"]) == ("synth", "as drawn")
    held = len(Held.read(trained / "holdout.npz").samples)
    assert (facts["data"]["rows"], facts["data"]["holdout"]) == (301, held)
    assert facts["data"]["cut"] == {"points": 301 + held}
    assert list((trained / "tensorboard").iterdir())
    assert not list(trained.glob(".*"))


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        train(tiny_recipe(run={"seed": seed, "ema": 0.9}, method={"dropout": 0.2}), tmp_path / name)
    for file in ("best.safetensors", "last.safetensors", "holdout.npz", "log.csv"):
        assert sha256_of(tmp_path / "one" / file) == sha256_of(tmp_path / "two" / file)
    assert distance(weights(tmp_path / "one"), weights(tmp_path / "other")) > 1e-2


@pytest.mark.parametrize(("batch", "parts"), [(14, 7), (60, 5)])
def test_accumulated_parts_are_one_batch(tmp_path: Path, batch: int, parts: int) -> None:
    """60 is more than there are: one step of 42 pictures, in parts of 8, 9, 8, 9 and 8."""
    changes: dict[str, Any] = {"backbone": VIT, "augment": {"mixup": 0.3}}
    optim = {**PLAIN_SGD, "batch": batch}
    whole = trained_weights(tmp_path / "whole", **changes, optim=optim)
    shared = trained_weights(tmp_path / "parts", **changes, optim={**optim, "accumulate": parts})
    assert distance(whole, shared) < 1e-5
    assert distance(whole, initial(tiny_recipe(**changes))) > 1e-3
    logs = [rows_of(tmp_path / name)[0]["train_loss_cross_entropy"] for name in ("whole", "parts")]
    assert float(logs[0]) == pytest.approx(float(logs[1]), rel=1e-5)


@pytest.mark.parametrize(
    ("optim", "says"),
    [
        ({"batch": 14, "accumulate": 4}, "optim.batch: 14 pictures do not divide into 4 equal parts"),
        ({"batch": 60, "accumulate": 60}, "optim.accumulate: a step of 42 pictures does not divide into 60 parts"),
    ],
)
def test_steps_that_do_not_divide_are_refused(tmp_path: Path, optim: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        train(tiny_recipe(optim=optim), tmp_path / "run")
    assert str(caught.value) == says


def test_ema_is_what_is_judged_and_kept(tmp_path: Path) -> None:
    one = trained_weights(tmp_path / "one", optim={"steps": 1})
    two = trained_weights(tmp_path / "two", optim={"steps": 2})
    mean = trained_weights(tmp_path / "mean", optim={"steps": 2}, run={"ema": 0.8})
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.8 * one[name] + 0.2 * two[name], rtol=1e-5, atol=1e-6)
    assert distance(weights(tmp_path / "mean", "best"), mean) == 0


def test_steps_are_taken_instead_of_epochs(tmp_path: Path) -> None:
    train(tiny_recipe(optim={"steps": 5, "epochs": 50, "schedule": "cosine"}), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert [row["steps"] for row in rows] == ["3", "5"]
    assert float(rows[-1]["lr"]) == pytest.approx(3e-3 * (1 + np.cos(np.pi * 4 / 5)) / 2)


def test_select_last_keeps_the_last_and_trains_the_same(tmp_path: Path, trained: Path) -> None:
    values = learning_recipe().to_dict()
    values["run"] |= {"select": "last", "tensorboard": False}
    train(parse_recipe(values, "r"), tmp_path / "run")
    assert [row["best_epoch"] for row in rows_of(tmp_path / "run")] == list("12345678")
    assert distance(weights(tmp_path / "run", "best"), weights(tmp_path / "run")) == 0
    assert distance(weights(tmp_path / "run"), weights(trained)) == 0


def test_of_equals_the_first_epoch_is_best(tmp_path: Path) -> None:
    train(tiny_recipe(optim={"epochs": 3, "lr": 1e-12}, run={"ema": 0.999999}), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert len({row["holdout_accuracy"] for row in rows}) == 1
    assert rows[-1]["best_epoch"] == "1"


def test_without_a_holdout_the_last_epoch_counts(tmp_path: Path) -> None:
    train(tiny_recipe(data={"holdout": 0.0}, optim={"epochs": 2}), tmp_path / "run")
    assert not (tmp_path / "run" / "holdout.npz").exists()
    assert distance(weights(tmp_path / "run", "best"), weights(tmp_path / "run")) == 0
    rows = rows_of(tmp_path / "run")
    assert rows[-1]["best_epoch"] == "2"
    assert not any(name.startswith("holdout") for name in rows[0])
    assert not (tmp_path / "run" / "tensorboard").exists()


def norm_of_change(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> float:
    return float(torch.sqrt(sum((after[n].double() - before[n].double()).square().sum() for n in before)))


def test_clip_bounds_the_whole_gradient(tmp_path: Path) -> None:
    optim = {**PLAIN_SGD, "lr": 1.0, "steps": 1}
    changes = {"backbone": VIT}
    before = initial(tiny_recipe(**changes))
    free = trained_weights(tmp_path / "free", **changes, optim=optim)
    clipped = trained_weights(tmp_path / "clipped", **changes, optim={**optim, "clip": 0.01})
    loose = trained_weights(tmp_path / "loose", **changes, optim={**optim, "clip": 1e6})
    assert norm_of_change(before, free) > 0.1
    assert norm_of_change(before, clipped) == pytest.approx(0.01, rel=1e-2)
    assert distance(free, loose) < 1e-6
    for name in before:  # the direction stays
        one, other = free[name] - before[name], clipped[name] - before[name]
        if one.norm() > 1e-3 * norm_of_change(before, free):
            assert torch.cosine_similarity(one.flatten(), other.flatten(), 0) > 0.99


def test_weight_decay_spares_biases_and_normalisation(tmp_path: Path) -> None:
    changes = {"backbone": VIT}
    optim = {**PLAIN_SGD, "steps": 1}
    before = initial(tiny_recipe(**changes))
    without = trained_weights(tmp_path / "without", **changes, optim=optim)
    decayed = trained_weights(tmp_path / "with", **changes, optim={**optim, "weight_decay": 0.5})
    for name, value in without.items():
        wanted = value - 0.1 * 0.5 * before[name] if value.ndim > 1 else value
        torch.testing.assert_close(decayed[name], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_optimiser_moves_the_weights(tmp_path: Path, name: str) -> None:
    after = trained_weights(tmp_path / "run", optim={"name": name, "steps": 2})
    assert norm_of_change(initial(tiny_recipe()), after) > 1e-5


def test_watch_is_told_of_cuts_steps_and_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENFER_CACHE", str(tmp_path / "cache"))
    told: list[Any] = []

    class Told(Watch):
        def cut(self, done: int, count: int) -> None:
            told.append(("cut", done, count))

        def step(self, progress: Progress, steps: int, total: int) -> None:
            told.append(("step", progress.epoch, progress.step, steps, total))

        def epoch(self, progress: Progress) -> None:
            told.append(("epoch", progress.log[-1]["epoch"]))

    train(tiny_recipe(optim={"batch": 3, "epochs": 2}), tmp_path / "run", watch=Told())
    cuts = [item for item in told if item[0] == "cut"]
    assert cuts[-1][1] == cuts[-1][2] == len(cuts)
    assert [item for item in told if item[0] != "cut"] == [
        ("step", 0, 10, 14, 28),
        ("epoch", 1),
        ("step", 1, 10, 14, 28),
        ("epoch", 2),
    ]


def test_every_step_has_random_numbers_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[tuple[int, ...]] = []
    states: list[bytes] = []
    make = BatchMaker.train

    def recording(self: BatchMaker, chosen: Any, key: tuple[int, ...], part: slice = slice(None)) -> Any:
        keys.append(key)
        states.append(torch.get_rng_state().numpy().tobytes())  # what dropout will draw from
        return make(self, chosen, key, part)

    monkeypatch.setattr(BatchMaker, "train", recording)
    train(tiny_recipe(optim={"epochs": 2}), tmp_path / "run")
    assert len(keys) == len(set(keys)) == len(set(states)) == 6


def test_a_folder_that_holds_a_run_is_refused(trained: Path, tmp_path: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    with pytest.raises(ConfigError, match=r"holds a run already \(checkpoint\.pt\); add --resume to go on, or choose"):
        train(tiny_recipe(), trained)
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file: is a file; choose another --out"):
        train(tiny_recipe(), tmp_path / "file")
    with pytest.raises(ConfigError, match=r"run: cannot be made .*; choose another --out"):
        train(tiny_recipe(), tmp_path / "file" / "run")


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"manifest": "nothing.parquet"}},
        {"data": {"align": "fer2031"}},
        {"backbone": {"name": "test_efficientnett"}},
        {"backbone": {"name": "test_vit", "size": 33}},
        {"method": {"smothing": 1}},
    ],
)
def test_a_recipe_that_does_not_hold_leaves_no_folder(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        train(tiny_recipe(**changes), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_resume_without_a_checkpoint_starts_afresh(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for name in ("best.safetensors", "log.csv", "holdout.npz", ".last.safetensors.1.part"):
        (out / name).write_text("left over")
    train(tiny_recipe(data={"holdout": 0.0}), out, resume=True)
    train(tiny_recipe(data={"holdout": 0.0}), tmp_path / "fresh")
    assert distance(weights(out, "best"), weights(tmp_path / "fresh", "best")) == 0
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "fresh").iterdir()}


@pytest.mark.parametrize("stop", [1, 2])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, stop: int) -> None:
    recipe = tiny_recipe(
        optim={"epochs": 3, "schedule": "onecycle"}, run={"ema": 0.7}, augment={"mixup": 0.3}, method={"dropout": 0.3}
    )
    train(recipe, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(recipe, tmp_path / "stopped", watch=StopAfter(stop))
    assert len(rows_of(tmp_path / "stopped")) == stop
    train(recipe, tmp_path / "stopped", resume=True)
    for name in ("best.safetensors", "last.safetensors", "holdout.npz", "log.csv"):
        assert sha256_of(tmp_path / "stopped" / name) == sha256_of(tmp_path / "whole" / name), name


def test_a_finished_run_stays_as_it_is(trained: Path) -> None:
    names = ("best.safetensors", "last.safetensors", "log.csv", "recipe.yaml", "run.json")
    before = {name: sha256_of(trained / name) for name in names}
    progress = train(learning_recipe(), trained, resume=True)
    assert [row["epoch"] for row in progress.log] == list(range(1, 9))
    assert {name: sha256_of(trained / name) for name in names} == before


@pytest.fixture
def stopped(tmp_path: Path) -> tuple[Path, Path, Recipe]:
    """A run of two epochs that ended after the first, its manifest and its recipe."""
    manifest, out = tmp_path / "m.parquet", tmp_path / "run"
    write_manifest(load_manifest("mini:84"), manifest)
    recipe = tiny_recipe(data={"manifest": str(manifest)}, optim={"epochs": 2})
    with pytest.raises(StoppedError):
        train(recipe, out, watch=StopAfter(1))
    return out, manifest, recipe


def test_another_recipe_does_not_go_on(stopped: tuple[Path, Path, Recipe]) -> None:
    out, _, recipe = stopped
    values = recipe.to_dict()
    values["optim"]["lr"] = 1e-4
    written = (out / "recipe.yaml").read_text()
    with pytest.raises(ModelError, match=r"was made by another recipe \(.*recipe\.yaml\); resume with that one, or"):
        train(parse_recipe(values, "r"), out, resume=True)
    assert (out / "recipe.yaml").read_text() == written


@pytest.mark.parametrize("change", ["pictures", "labels", "splits"])
def test_other_data_do_not_go_on(stopped: tuple[Path, Path, Recipe], change: str) -> None:
    out, path, recipe = stopped
    manifest = load_manifest("mini:168")
    manifest = manifest.rows(np.arange(84) + (84 if change == "pictures" else 0))
    if change == "labels":
        names = manifest.column("label")
        manifest = manifest.with_column("label", names[1:] + names[:1])
    if change == "splits":
        manifest = manifest.with_column("split", ["train"] * 84)
    write_manifest(manifest, path)
    with pytest.raises(DataError, match=r"run\.json: the data are not those the run began with \(manifest differs\)"):
        train(recipe, out, resume=True)


@pytest.mark.parametrize("damage", ["empty", "cut short", "rubbish", "another pickle"])
def test_a_damaged_checkpoint_is_one_line(stopped: tuple[Path, Path, Recipe], damage: str) -> None:
    out, _, recipe = stopped
    path = out / "checkpoint.pt"
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut short": content[: len(content) // 2],
            "rubbish": b"\x80rubbish" * 99,
            "another pickle": b"cos\nsystem\n(S'true'\ntR.",
        }[damage]
    )
    with pytest.raises(ModelError, match=r"checkpoint\.pt: cannot be read \(.*\); remove it to start afresh") as caught:
        train(recipe, out, resume=True)
    assert "\n" not in str(caught.value)
    path.unlink()
    train(recipe, out, resume=True)
    assert len(rows_of(out)) == 2


@pytest.mark.parametrize("content", ["", "{", "{}", '{"data": {}}'])
def test_a_damaged_record_is_one_line(stopped: tuple[Path, Path, Recipe], content: str) -> None:
    out, _, recipe = stopped
    (out / "run.json").write_text(content)
    with pytest.raises(ModelError, match=r"run\.json: .*; train into another --out") as caught:
        train(recipe, out, resume=True)
    assert "\n" not in str(caught.value)


def test_a_process_has_one_precision() -> None:
    make_accelerator(tiny_recipe())
    with pytest.raises(ConfigError, match=r"run\.precision: bf16 is not possible here \("):
        make_accelerator(tiny_recipe(run={"precision": "bf16", "device": "cpu"}))


def test_hard_targets_learn_from_the_label_alone(tmp_path: Path) -> None:
    """Votes are made one-hot before mixup mixes them."""
    manifest = load_manifest("mini:84")
    one_hot = manifest.targets()
    soft = (0.6 * one_hot + 0.4 / 7).tolist()
    write_manifest(manifest.with_column("votes", soft), tmp_path / "soft.parquet")
    write_manifest(manifest, tmp_path / "hard.parquet")

    def run(name: str, soft_targets: bool) -> dict[str, torch.Tensor]:
        out = tmp_path / f"{name}-{soft_targets}"
        data = {"manifest": str(tmp_path / f"{name}.parquet")}
        return trained_weights(out, data=data, method={"soft_targets": soft_targets}, augment={"mixup": 1.0})

    hard = run("hard", True)
    assert distance(run("soft", False), hard) == 0
    assert distance(run("soft", True), hard) > 1e-3
