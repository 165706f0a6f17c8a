"""Does the table of `aue` stay a table of numbers? Thousands of its own training steps on made up predictions.

    python benchmarks/aue_table.py --steps 5000 --seeds 6

The published program's table becomes NaN as soon as an entry is exactly the middle of its interval (Q5). Here the table
is trained as in the stage of action units: batches with RAF-DB's class counts, SGD as published, predictions either
uniform (even seeds) or near the pseudo labels (odd seeds). `on a middle` counts the steps after which some entry is.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from openfer.labels import LABEL_SETS
from openfer.learn.methods.aue.knowledge import knowledge_of
from openfer.learn.methods.aue.losses import INTERVALS, au_dependency, pseudo_labels, table_error, weighted_error

COUNTS = {
    **{"surprise": 1290, "fear": 281, "disgust": 717, "happiness": 4772, "sadness": 1982, "anger": 705},
    "neutral": 2524,
}
"""Training pictures of RAF-DB."""
BATCH, RATE, MOMENTUM, DEPENDENCY = 64, 0.01, 0.9, 0.5
"""Of the published training."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A table [K, A] after its training, and after how many steps an entry was exactly a middle."""

    table: Tensor
    on_a_middle: int


def simulate(steps: int, seed: int) -> Ended:
    """Train a table alone."""
    labels = LABEL_SETS["rafdb"]
    knowledge, generator = knowledge_of(labels), torch.Generator().manual_seed(seed)
    shares = torch.tensor([float(COUNTS[name]) for name in labels])
    table = nn.Parameter(knowledge.start.clone())
    optimizer = torch.optim.SGD([table], lr=RATE, momentum=MOMENTUM)
    middles = torch.tensor([sum(ends) / 2 for ends in INTERVALS.values()])
    met = 0
    for _ in range(steps):
        label = torch.multinomial(shares, BATCH, replacement=True, generator=generator)
        target = pseudo_labels(table, knowledge, label)
        scores = torch.rand(target.shape, generator=generator)
        if seed % 2:
            scores = (target.detach() + 0.5 * (scores - 0.5)).clamp(0, 1)
        loss = weighted_error(scores, target) + DEPENDENCY * au_dependency(scores) + table_error(table, knowledge)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        met += int(torch.isin(table.detach(), middles).any())
    return Ended(table=table.detach(), on_a_middle=met)


def main() -> None:
    """Read the arguments, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5000, help="of a training")
    parser.add_argument("--seeds", type=int, default=6, help="trainings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(title=f"{options.steps} steps of the table")
    for column in ("seed", "all numbers", "smallest", "largest", "steps on a middle"):
        table.add_column(column, justify="right")
    for seed in range(options.seeds):
        ended = simulate(options.steps, seed)
        low, high = (f"{float(value):.4f}" for value in ended.table.aminmax())
        whole = "yes" if bool(ended.table.isfinite().all()) else "NO"
        table.add_row(str(seed), whole, low, high, str(ended.on_a_middle))
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
