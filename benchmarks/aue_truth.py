"""Do pseudo labels teach action units? AUE-CRL on generated faces, whose true action units are known (needs PyTorch).

    python benchmarks/aue_truth.py --folder work/aue_truth --page docs/methods/aue.md

Networks learn from expression labels alone, on people other than those who are asked about, and are then scored
against the action units that were drawn. Those do not follow the method's table. For each seed the expression stage is
trained once; from it start the arms (`ARMS`). A finished training is kept in the folder, an interrupted one goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import aue_truth_tables as tables
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor, nn

from openfer.data.manifest import Manifest, load_manifest
from openfer.evaluate.benchmark.write import write_between
from openfer.files import replacing
from openfer.labels import action_units
from openfer.learn.backbones import read_weights
from openfer.learn.checkpoint import BEST, load_exactly
from openfer.learn.engine import make_batches, train
from openfer.learn.export import load_network
from openfer.learn.judge import BATCH
from openfer.learn.method import METHODS, Batch, Output, Stage, Task, build_method
from openfer.learn.methods.aue.losses import SHOWN, weighted_error
from openfer.learn.methods.aue.method import UNITS, AueMethod, AueOptions
from openfer.learn.methods.aue.network import Aue, has_landmarks
from openfer.learn.pictures import TrainingData, load_training_data
from openfer.learn.recipe import MethodChoice, Recipe, parse_recipe
from openfer.synth.sets import write_set
from openfer.vision.au_locations import AUS

FACES_SEED = 2101
"""Other people than those of the mini set."""
METHOD = "aue_truth"
EXPRESSION, LEARNED, PAIRING, SUPERVISED = "expression", "learned table", "released pairing", "true action units"
ARMS: dict[str, dict[str, Any]] = {
    LEARNED: {},
    "table held at its start": {"learn_table": False},
    "no dependency of action units": {"dependency": 0.0, "fusion_dependency": 0.0},
    PAIRING: {},
    "pooled windows": {"window_net": "pooled"},
    SUPERVISED: {},
}
"""What is changed of the method. The pairing of windows concerns the fusion alone, so that this arm goes on from the
learned table's action units; `true action units` learns from the truth instead of pseudo labels: the upper bound."""
LIGHT: dict[str, Any] = {
    "method": {"name": METHOD, "feature": 256, "decoder": 32, "window": 64, "fusion": 128},
    "backbone": {"name": "resnet10t", "size": 64},
    "data": {"manifest": "", "holdout": 0.1, "align": "fer2013", "colour": "rgb"},
    "augment": {"flip": 0.5, "affine": [10, 0.1, 0.05], "brightness": 0.1, "contrast": 0.2},
    "optim": {"name": "adamw", "lr": 2e-3, "weight_decay": 0.02, "schedule": "onecycle", "batch": 32},
    "run": {"device": "cpu", "select": "loss", "tensorboard": False},
}
Split = Literal["train", "validation", "test"]
console = Console(width=160)


@dataclass(frozen=True, kw_only=True)
class ArmOptions(AueOptions):
    """As `aue`.

    Args:
        arm: of `ARMS`, or `expression`.
        start: weights to begin with; empty for none.
    """

    arm: str = LEARNED
    start: str = ""


class Arm(AueMethod):
    """One arm of the comparison."""

    Options = ArmOptions
    truth: ClassVar[Tensor]
    """Which action units each training sample shows, float [N, 17]."""

    def network(self, task: Task) -> nn.Module:
        """The method's network, begun with the weights of an earlier stage."""
        network = Aue(task, self.options, released=self.options.arm == PAIRING)
        if self.options.start:
            own = network.state_dict()
            # Windows that are averaged have other shapes, and begin anew; the stage that is shared did not move them.
            start = {
                name: value
                for name, value in read_weights(Path(self.options.start)).items()
                if not name.startswith("windows.") or value.shape == own[name].shape
            }
            new = tuple(name for name in own if name.startswith(("fusion.", "windows.")))
            load_exactly(network, start, lacking=new)
        return network

    def stages(self) -> Sequence[Stage]:
        """The stages that are not shared with another arm."""
        first, units, fusion = super().stages()
        return {EXPRESSION: (first,), PAIRING: (fusion,)}.get(self.options.arm, (units, fusion))

    def losses(self, network: nn.Module, batch: Batch, output: Output, stage: Stage) -> dict[str, Tensor]:
        """Of the upper bound: the same loss with the truth in place of pseudo labels, and nothing else."""
        if self.options.arm != SUPERVISED or stage.name != UNITS:
            return super().losses(network, batch, output, stage)
        assert output.aus is not None
        known = has_landmarks(batch["landmarks"])
        return {"units": weighted_error(output.aus.sigmoid()[known], self.truth[batch["row"]][known])}

    def validate(self, network: nn.Module, images: Callable[[], Any], stage: Stage) -> dict[str, float] | None:
        """Of the upper bound: by the truth of the holdout."""
        if self.options.arm != SUPERVISED or stage.name != UNITS:
            return super().validate(network, images, stage)
        with torch.no_grad():
            pairs = [
                (network(image=batch["image"], landmarks=batch["landmarks"]).aus.sigmoid(), self.truth[batch["row"]])
                for batch in images()
            ]
        scores, truth = (torch.cat(column) for column in zip(*pairs, strict=True))
        agreed = float(((scores >= SHOWN) == (truth >= SHOWN)).double().mean())
        return {"accuracy": agreed, "mean_class_accuracy": agreed, "loss": float(weighted_error(scores, truth))}


def intensities(manifest: Manifest) -> NDArray[np.float64]:
    """True intensities of `AUS`, [N, 17]."""
    names = action_units(*AUS)
    return np.array([[dict(row)[name] for name in names] for row in manifest.column("aus")], dtype=np.float64)


def recipe_of(manifest: Path, seed: int, epochs: tuple[int, int, int], changes: dict[str, Any]) -> Recipe:
    """The recipe of one training; `changes` are of the method's options, `epochs` of its three stages."""
    recipe = parse_recipe(LIGHT, METHOD)
    names = ("expression_epochs", "unit_epochs", "fusion_epochs")
    options = {**recipe.method.options, **dict(zip(names, epochs, strict=True)), **changes}
    return replace(
        recipe,
        method=MethodChoice(name=METHOD, options=options),
        data=replace(recipe.data, manifest=str(manifest)),
        run=replace(recipe.run, seed=seed),
    )


def answers(run: Path, recipe: Recipe, splits: Sequence[Split] = ("validation", "test")) -> dict[str, NDArray[Any]]:
    """What a trained arm says of all faces of the splits: `test_rows`, `test_aus` (0 to 1), `test_logits`, ..."""
    method = build_method(recipe.method)
    found: dict[str, NDArray[Any]] = {}
    for split in splits:
        data = samples_of(recipe, split)
        network = load_network(run, recipe, method, data.labels)
        maker = make_batches(recipe, method, data, torch.device("cpu"))
        with torch.no_grad():
            outputs = [
                network(image=batch["image"], landmarks=batch["landmarks"]) for batch in maker.judge(data.train, BATCH)
            ]
        found[f"{split}_rows"] = data.samples.rows[data.train]
        for name in ("logits", "aus", "attention"):
            values = torch.cat([getattr(output, name) for output in outputs]).float()
            found[f"{split}_{name}"] = (values.sigmoid() if name == "aus" else values).numpy()
    return found


def samples_of(recipe: Recipe, split: Split) -> TrainingData:
    """All faces of a split, none held out but those that choose the epoch of a training."""
    holdout = recipe.data.holdout if split == "train" else 0.0
    data = replace(recipe.data, split=split, holdout=holdout, drop_leaks=False)
    return load_training_data(data, recipe.backbone.size, recipe.run.seed, None, AueMethod.inputs)


def start_of(folder: Path, arm: str) -> Path:
    """The weights that an arm starts from."""
    shared = folder / EXPRESSION / BEST
    if arm != PAIRING:
        return shared
    path = folder / "pairing_start.safetensors"
    if not path.is_file():
        units, expression = (read_weights(file) for file in (folder / _name(LEARNED) / BEST, shared))
        start = {name: value for name, value in units.items() if not name.startswith("fusion.")}
        start |= {name: expression[name] for name in start if name.startswith("expression.")}
        with replacing(path) as beside:
            save_file(start, beside)
    return path


def run_seed(folder: Path, manifest: Path, seed: int, epochs: tuple[int, int, int]) -> None:
    """Train what is not there yet of one seed, and keep the answers."""
    first = recipe_of(manifest, seed, epochs, {"arm": EXPRESSION})
    data = samples_of(first, "train")
    truth = intensities(load_manifest(manifest))[data.samples.rows] >= tables.PRESENT
    Arm.truth = torch.from_numpy(truth).float()
    for arm, changes in {EXPRESSION: {}, **ARMS}.items():
        out, kept = folder / _name(arm), folder / f"{_name(arm)}.npz"
        if kept.is_file():
            continue
        start = {} if arm == EXPRESSION else {"start": str(start_of(folder, arm))}
        recipe = recipe_of(manifest, seed, epochs, {"arm": arm, **changes, **start})
        console.print(f"seed {seed}: {arm}")
        train(recipe, out, resume=True)
        with replacing(kept) as beside, beside.open("wb") as stream:
            np.savez(stream, **answers(out, recipe))  # type: ignore[arg-type]


def _name(arm: str) -> str:
    return arm.replace(" ", "_")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, train, score, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="keeps the faces and the trainings")
    parser.add_argument("--page", type=Path, help="write the tables between its comments `benchmark aue_truth`")
    parser.add_argument("--count", type=int, default=6300, help="faces; 5 of 7 train, 1 of 7 are asked about")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, nargs=3, default=(8, 6, 3), help="of the three stages")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw faces")
    parser.add_argument("--draws", type=int, default=1000, help="resampled data sets behind the intervals")
    options = parser.parse_args(arguments)
    METHODS[METHOD] = Arm
    epochs = tuple(options.epochs)
    options.folder.mkdir(parents=True, exist_ok=True)
    manifest = options.folder / f"faces-{options.count}.parquet"
    if not manifest.is_file():
        write_set(manifest, options.count, FACES_SEED, size=96, workers=options.workers)
    home = options.folder / f"{options.count}-{'-'.join(map(str, epochs))}"
    for seed in range(options.seeds):
        run_seed(home / f"seed{seed}", manifest, seed, epochs)
    found = {
        arm: [dict(np.load(home / f"seed{seed}" / f"{_name(arm)}.npz")) for seed in range(options.seeds)]
        for arm in ARMS
    }
    faces = load_manifest(manifest)
    command = f"python benchmarks/aue_truth.py --count {options.count} --seeds {options.seeds} --epochs " + " ".join(
        map(str, epochs)
    )
    text = tables.markdown(found, faces, intensities(faces), pairing=PAIRING, command=command, draws=options.draws)
    sys.stdout.write(text + "\n")
    if options.page:
        write_between(options.page, "aue_truth", text)


if __name__ == "__main__":
    main()
