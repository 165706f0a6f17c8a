"""What CSRN's channel selection costs, beside the mean of the shots and beside a loop over classes and channels.

    python benchmarks/channel_selection.py

All sides run in turns on one thread, over the same random features of a published training step. Seconds are the
processor's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from openfer.learn.methods.csrn.prototypes import channel_distances, class_average, select_channels

BAR = 20.0
"""The most milliseconds that selection may take."""


def one_by_one(support: Tensor) -> Tensor:
    """`select_channels` as it is said in words: channel after channel."""
    chosen = torch.empty(*support.shape[:2], *support.shape[3:])
    nearest = channel_distances(support).argmin(2)
    for episode, way, channel in np.ndindex(*nearest.shape):
        shot = int(nearest[episode, way, channel])
        chosen[episode, way, channel] = support[episode, way, shot, channel]
    return chosen


SIDES: dict[str, Callable[[Tensor], Tensor]] = {
    "class mean": class_average,
    "channel selection": select_channels,
    "the same in a loop": one_by_one,
}


@torch.no_grad()
def measure(support: Tensor, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each side, a number a round."""
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(rounds + 1):
        for name, side in SIDES.items():
            begun = time.process_time()
            side(support)
            times[name].append((time.process_time() - begun) * 1000)
    return {name: values[1:] for name, values in times.items()}  # the first round warms up


def show(times: dict[str, list[float]], shape: tuple[int, ...]) -> None:
    """Print the table."""
    table = Table(title=f"{list(shape)}: episodes, ways, shots, channels, rows, columns; one thread; bar {BAR:g} ms")
    table.add_column("what")
    for column in ("median ms", "lowest", "highest"):
        table.add_column(column, justify="right")
    for name, values in times.items():
        cells = (statistics.median(values), min(values), max(values))
        table.add_row(name, *(f"{value:.1f}" for value in cells))
    Console(width=110).print(table)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=6, default=[25, 4, 4, 64, 14, 14], metavar="N")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    support = torch.rand(options.shape, generator=torch.Generator().manual_seed(0))
    if not torch.equal(select_channels(support), one_by_one(support)):
        parser.error("the two ways of choosing disagree")
    show(measure(support, options.rounds), tuple(options.shape))


if __name__ == "__main__":
    main()
