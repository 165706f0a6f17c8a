"""What a small network learns from generated faces (needs PyTorch).

    python benchmarks/synth_learn.py --folder /tmp/synth_learn

Three sets of faces, cut by the true five points to 96 px pictures; train on all splits but test, ask
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
from openfer.labels import AU_NAMES
from openfer.synth.action_units import UNITS
from openfer.synth.sets import write_set
from openfer.vision.align import TEMPLATES, fit_similarity, warp
from openfer.vision.landmarks import MIRROR

SIDE = 96
WIDER, LOWER = 1.05, 0.06
"""The cut is that much larger than the FER2013 frame and lower by a share of it, so that it holds the dropped jaw."""
BATCH, SHAPE = 32, 10.0
"""Pictures a step, and the weight of the points' squared error beside the loss."""
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


def cut(manifest: Manifest) -> tuple[Floats, Floats]:
    """Crops [N, 3, 96, 96], standardised one by one, and their 68 points [N, 68, 2], -1 to 1 across the crop."""
    crops, points = [], []
    for row, landmarks in enumerate(np.array(manifest.column("landmarks68"))):
        five = manifest.points5(row)
        assert five is not None
        turn, origin = fit_similarity(TEMPLATES["fer2013"], np.asarray(five))
        origin += turn * complex(0.5 * (1 - WIDER), 0.5 * (1 - WIDER) + LOWER)
        crops.append(warp(manifest.picture(row), (WIDER * turn, origin), SIDE, 0))
        share = (landmarks[:, 0] + 1j * landmarks[:, 1] - origin) / (WIDER * turn)
        points.append(2 * np.stack([share.real, share.imag], 1) - 1)
    result = np.array(crops, dtype=np.float32).transpose(0, 3, 1, 2)
    result -= result.mean((1, 2, 3), keepdims=True)
    result /= result.std((1, 2, 3), keepdims=True) + 1e-3
    return result, np.array(points, dtype=np.float32)


def action_units(manifest: Manifest) -> Floats:
    return np.array([[dict(row)[f"AU{unit}"] for unit in UNITS] for row in manifest.column("aus")], dtype=np.float32)


def network(outputs: int) -> nn.Module:
    widths = ((3, 24, 2), (24, 48, 2), (48, 48, 1), (48, 80, 2), (80, 80, 1), (80, 128, 2), (128, 128, 1))
    layers: list[nn.Module] = []
    for before, after, stride in widths:
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.1), nn.Linear(128 * 36, outputs))


def fit(
    pictures: Floats, points: Floats, targets: torch.Tensor, loss: nn.Module, outputs: int, epochs: int
) -> nn.Module:
    """Train on the targets and, beside them, on where the 68 points are: that is known of every generated face."""
    torch.manual_seed(0)
    net = network(outputs + points[0].size).to(memory_format=torch.channels_last)
    data, places = torch.from_numpy(pictures).contiguous(memory_format=torch.channels_last), torch.from_numpy(points)
    usual = places.mean(0)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=epochs * (len(data) // BATCH))
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(data))[: len(data) // BATCH * BATCH].view(-1, BATCH):
            batch, moved = varied(data[rows], places[rows])
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                answers = net(batch)
            answers = answers.float()
            away = answers[:, outputs:] - (moved - usual).flatten(1)
            (loss(answers[:, :outputs], targets[rows]) + SHAPE * (away**2).mean()).backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def varied(pictures: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each picture turned, scaled, shifted a little and mirrored at random, and its points [N, 68, 2], -1 to 1."""
    count = len(pictures)
    angle, grow = 0.06 * torch.randn(count), 1 + 0.04 * torch.randn(count)
    mirror = torch.randint(0, 2, (count,)) * 2.0 - 1
    cosine, sine, shift = grow * angle.cos(), grow * angle.sin(), 0.03 * torch.randn(count, 2, 1)
    linear = torch.stack([mirror * cosine, -sine, mirror * sine, cosine], 1).view(-1, 2, 2)
    # The changed picture shows at q what the picture has at linear q + shift.
    grid = nn.functional.affine_grid(torch.cat([linear, shift], 2), list(pictures.shape), align_corners=False)
    changed = nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    moved = torch.linalg.solve(linear, points.transpose(1, 2) - shift).transpose(1, 2)
    return changed, torch.where(mirror[:, None, None] < 0, moved[:, MIRROR], moved)


def predict(net: nn.Module, manifest: Manifest, outputs: int) -> Floats:
    """The mean of the answers for a picture and its mirror image."""
    pictures, _ = cut(manifest)
    with torch.no_grad():
        parts = torch.split(torch.from_numpy(pictures), 256)
        return np.concatenate([0.5 * (net(part) + net(part.flip(3)))[:, :outputs].numpy() for part in parts])


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
    net = fit(*cut(train), torch.from_numpy(train.label_indices()), nn.CrossEntropyLoss(), 7, epochs)
    right = predict(net, test, 7).argmax(1) == test.label_indices()
    console.print(f"prototypes: {100 * right.mean():.1f} % of {len(test)} faces of new people named right")


def learn_intensity(manifest: Manifest, epochs: int) -> None:
    train, test = split(manifest)
    net = fit(*cut(train), torch.from_numpy(action_units(train)), nn.MSELoss(), len(UNITS), epochs)
    truth, guess = action_units(test), predict(net, test, len(UNITS))
    r2 = 1 - ((truth - guess) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)
    table = Table("AU", "name", "R2", title=f"Intensities of AUs drawn freely, {len(test)} faces of new people")
    for unit, value in zip(UNITS, r2, strict=True):
        table.add_row(str(unit), AU_NAMES[unit], f"{value:.2f}")
    table.add_row("", "mean", f"{r2.mean():.2f}")
    console.print(table)


def learn_presence(manifest: Manifest, epochs: int) -> None:
    train, test = split(manifest)
    present, truth = action_units(train) >= PRESENT, action_units(test) >= PRESENT
    net = fit(*cut(train), torch.from_numpy(present.astype(np.float32)), nn.BCEWithLogitsLoss(), len(UNITS), epochs)
    scores = predict(net, test, len(UNITS))
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
    parser.add_argument("--epochs", type=int, default=48)
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
