"""What a small network learns from generated faces (needs PyTorch).

    python benchmarks/synth_learn.py --folder /tmp/synth_learn

Three sets of faces, cut by the true five points to 80 px grey pictures; train on all splits but test, ask
about people of the test split: (1) the expression where AUs are those of a prototype, (2) intensities of AUs drawn
freely, (3) which AUs are present in faces with an expression, against what the expression alone says about them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from openfer.data.manifest import Manifest, load_manifest
from openfer.synth.action_units import NAMES, UNITS
from openfer.synth.sets import write_set
from openfer.vision.align import align

SIDE = 80
PRESENT = 0.2
"""An AU counts as present from this intensity on, about FACS level B."""
console = Console(width=120)
Floats = NDArray[np.float32]


def load(folder: Path, name: str, count: int, size: int, labels: str, prototypes: bool, workers: int) -> Manifest:
    path = folder / f"{name}-{count}-{size}.parquet"
    if not path.exists():
        start = time.time()
        write_set(path, count, 17, size=size, labels=labels, prototypes=prototypes, workers=workers)
        console.print(f"{path}: {count} pictures in {time.time() - start:.0f} s")
    return load_manifest(path)


def cut(manifest: Manifest) -> Floats:
    """Grey crops [N, 1, 80, 80], standardised."""
    crops = []
    for row in range(len(manifest)):
        points = manifest.points5(row)
        assert points is not None
        crops.append(align(manifest.picture(row), points, "fer2013", SIDE).mean(2))
    result = np.array(crops, dtype=np.float32)[:, None]
    result -= result.mean((2, 3), keepdims=True)
    return np.asarray(result / (result.std((2, 3), keepdims=True) + 1e-3))


def action_units(manifest: Manifest) -> Floats:
    return np.array([[dict(row)[str(unit)] for unit in UNITS] for row in manifest.column("aus")], dtype=np.float32)


def network(outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    before = 1
    for width in (24, 48, 72, 128):
        for inside, stride in ((before, 2), (width, 1)):
            layers += [nn.Conv2d(inside, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.1), nn.Linear(128 * 25, outputs))


def fit(pictures: Floats, targets: torch.Tensor, loss: nn.Module, outputs: int, epochs: int) -> nn.Module:
    torch.manual_seed(0)
    net, data = network(outputs), torch.from_numpy(pictures)
    steps = epochs * (len(data) // 64)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(data))[: len(data) // 64 * 64].view(-1, 64):
            dy, dx = torch.randint(-3, 4, (2,)).tolist()
            batch = data[rows].roll((dy, dx), (2, 3))
            batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
            optimiser.zero_grad()
            loss(net(batch), targets[rows]).backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def predict(net: nn.Module, pictures: Floats) -> Floats:
    with torch.no_grad():
        return np.concatenate([net(part).numpy() for part in torch.split(torch.from_numpy(pictures), 256)])


def split(manifest: Manifest) -> tuple[Manifest, Manifest]:
    names = np.array(manifest.column("split"))
    return manifest.rows(np.flatnonzero(names != "test")), manifest.rows(np.flatnonzero(names == "test"))


def auc(scores: Floats, truth: NDArray[np.bool_]) -> float:
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable") + 1.0
    for value in np.unique(scores):  # ties share their mean rank
        same = scores == value
        order[same] = order[same].mean()
    positive, negative = int(truth.sum()), int((~truth).sum())
    return float((order[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def learn_expression(manifest: Manifest, epochs: int) -> None:
    train, test = split(manifest)
    net = fit(cut(train), torch.from_numpy(train.label_indices()), nn.CrossEntropyLoss(), 7, epochs)
    right = predict(net, cut(test)).argmax(1) == test.label_indices()
    console.print(f"prototypes: {100 * right.mean():.1f} % of {len(test)} faces of new people named right")


def learn_intensity(manifest: Manifest, epochs: int) -> None:
    train, test = split(manifest)
    net = fit(cut(train), torch.from_numpy(action_units(train)), nn.MSELoss(), len(UNITS), epochs)
    truth, guess = action_units(test), predict(net, cut(test))
    r2 = 1 - ((truth - guess) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)
    table = Table("AU", "name", "R2", title=f"Intensities of AUs drawn freely, {len(test)} faces of new people")
    for unit, value in zip(UNITS, r2, strict=True):
        table.add_row(str(unit), NAMES[unit], f"{value:.2f}")
    table.add_row("", "mean", f"{r2.mean():.2f}")
    console.print(table)


def learn_presence(manifest: Manifest, epochs: int) -> None:
    train, test = split(manifest)
    present, truth = action_units(train) >= PRESENT, action_units(test) >= PRESENT
    net = fit(cut(train), torch.from_numpy(present.astype(np.float32)), nn.BCEWithLogitsLoss(), len(UNITS), epochs)
    scores = predict(net, cut(test))
    shares = np.array([present[train.label_indices() == label].mean(0) for label in range(7)])[test.label_indices()]
    from_picture = np.mean([auc(scores[:, unit], truth[:, unit]) for unit in range(len(UNITS))])
    from_label = np.mean([auc(shares[:, unit], truth[:, unit]) for unit in range(len(UNITS))])
    console.print(
        f"presence of AUs, mean AUC: from the picture {from_picture:.3f}, from the expression {from_label:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="keeps the drawn sets")
    parser.add_argument("--count", type=int, default=5833, help="pictures in each set; 6 of 7 are trained on")
    parser.add_argument("--size", type=int, default=160, help="side of the pictures, pixels")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=("expression", "intensity", "presence"))
    arguments = parser.parse_args()
    tasks = {
        "expression": (learn_expression, "basic7", True),
        "intensity": (learn_intensity, "aus", False),
        "presence": (learn_presence, "basic7", False),
    }
    for name, (learn, labels, prototypes) in tasks.items():
        if arguments.only in (None, name):
            manifest = load(
                arguments.folder, name, arguments.count, arguments.size, labels, prototypes, arguments.workers
            )
            learn(manifest, arguments.epochs)


if __name__ == "__main__":
    main()
