"""What `--min-confidence` costs and brings: a table and a picture for the docs, from a predictions file.

openfer evaluate default ferplus_points.parquet --split validation --out report
python tools/confidence_curve.py report/predictions.parquet docs/assets/confidence.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from openfer.errors import OpenFERError
from openfer.evaluate.calibration import reliability
from openfer.evaluate.predictions import read_predictions

LIMITS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
BINS = 10
INK, PALE = "#0b7a75", "#9aa3ad"
"""Readable on light and on dark pages."""


def main() -> None:
    """Read the file, print the table as Markdown, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    try:
        predictions = read_predictions(options.predictions)
    except OpenFERError as error:
        parser.error(str(error))
    judged = predictions.truth >= 0
    columns = [predictions.column(f"p_{name}") for name in predictions.labels]
    probabilities = np.array(columns, dtype=np.float64).T
    judged &= np.isfinite(probabilities).all(axis=1)
    probabilities, truth = probabilities[judged], predictions.truth[judged]
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth

    print("| `--min-confidence` | faces that keep their label | of these right |\n| --- | --- | --- |")
    for limit in LIMITS:
        kept = confidence >= limit
        print(f"| {limit:g} | {kept.mean():.1%} | {right[kept].mean():.1%} |")

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, rightmost = figure.subplots(1, 2)
    bins = [part for part in reliability(probabilities, truth, bins=BINS) if part.count >= 10]  # fewer say nothing
    left.plot([0, 1], [0, 1], color=PALE, linestyle="--", linewidth=1)
    left.plot([part.confidence for part in bins], [part.accuracy for part in bins], color=INK, marker="o")
    left.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1), title="Is 0.8 right 80 %?")
    order = np.argsort(-confidence)
    counts = np.arange(1, len(order) + 1)
    few = counts >= 50  # a share of fewer rows says nothing
    rightmost.plot((counts / len(order))[few], (np.cumsum(right[order]) / counts)[few], color=INK)
    rightmost.set(xlabel="faces that keep their label", ylabel="of these right", title="Fewer answers, better ones")
    for axes in (left, rightmost):
        axes.grid(color=PALE, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(options.picture, dpi=140)


if __name__ == "__main__":
    main()
