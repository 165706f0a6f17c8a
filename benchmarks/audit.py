"""Near copies: how many altered copies does the audit find, and how many different pictures does it take for copies?

    python benchmarks/audit.py ferplus.parquet --sample 2000
    python benchmarks/audit.py ferplus.parquet --null --draw null.png

The first prints, for each alteration of pictures of the manifest, the hash distance and the correlation of picture and
copy, and the share that the audit would find. With `--null` every picture is compared with every mirrored one: apart
from the few that somebody mirrored, those are pairs of different pictures, as many as the audit compares. Their number
by correlation is the rate of false pairs; `--draw` shows those above the limit, to be judged by eye.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from rich.console import Console
from rich.table import Table

from openfer.data.audit.copies import MAX_DISTANCE, MIN_CORRELATION, Pairs, correlations, near_pairs
from openfer.data.audit.hashes import SIDE, WINDOWS, Thumbs, distances, hashes, mirrored
from openfer.data.audit.look import face_of, look
from openfer.data.manifest import load_manifest

Change = Callable[[Image.Image], Image.Image]
STEPS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.01)


def _jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return change


def _crop(share: float, *, corner: bool = False) -> Change:
    """Cut so much of the side off, from all edges alike or from two; the rest is enlarged to the old size."""

    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        left, top = (0.0, 0.0) if corner else (width * share / 2, height * share / 2)
        box = (left, top, left + width * (1 - share), top + height * (1 - share))
        return image.resize(image.size, Image.Resampling.BICUBIC, box=box)

    return change


def _levels(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Change:
    def change(image: Image.Image) -> Image.Image:
        return Image.fromarray(np.clip(function(np.asarray(image, dtype=np.float64)), 0, 255).astype(np.uint8))

    return change


def _shift(share: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        steps = round(image.width * share)
        values = np.pad(np.asarray(image), ((steps, 0), (steps, 0)), mode="edge")
        return Image.fromarray(values[: image.height, : image.width])

    return change


def _written_on(image: Image.Image) -> Image.Image:
    """A pale band over the middle, as agencies write their names."""
    values = np.asarray(image).astype(np.int64)
    height, width = values.shape
    values[int(height * 0.58) : int(height * 0.71), width // 12 : width * 5 // 6] += 60
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _scaled(factor: float) -> Change:
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)))


CHANGES: dict[str, Change] = {
    "JPEG, quality 30": _jpeg(30),
    "JPEG, quality 10": _jpeg(10),
    "twice the size": _scaled(2),
    "half the size": _scaled(0.5),
    "40 levels brighter": _levels(lambda values: values + 40),
    "half as bright": _levels(lambda values: values / 2),
    "1.5 times the contrast": _levels(lambda values: (values - 128) * 1.5 + 128),
    "gamma 2": _levels(lambda values: 255 * (values / 255) ** 2),
    "equalised": ImageOps.equalize,
    "blur, sigma 2 % of the side": lambda image: image.filter(ImageFilter.GaussianBlur(image.width * 0.02)),
    "written on": _written_on,
    "mirrored": ImageOps.mirror,
    "4 % cropped": _crop(0.04),
    "8 % cropped": _crop(0.08),
    "10 % cropped": _crop(0.10),
    "12 % cropped": _crop(0.12),
    "4 % cropped, one corner": _crop(0.04, corner=True),
    "8 % cropped, one corner": _crop(0.08, corner=True),
    "moved by 2 %": _shift(0.02),
    "moved by 4 %": _shift(0.04),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "turned by 5 degrees": lambda image: image.rotate(5, Image.Resampling.BICUBIC),
}


def found_again(pictures: list[Image.Image]) -> Table:
    """The table of alterations."""
    table = Table(title=f"Altered copies of {len(pictures):,} pictures")
    for name in ("alteration", "bits, median", "bits, 95 %", "correlation, 5 %", "found"):
        table.add_column(name, justify="left" if name == "alteration" else "right")
    before = _thumbs(pictures)
    for name, change in CHANGES.items():
        after = _thumbs([change(picture) for picture in pictures])
        flip = name == "mirrored"
        bits = nearest(before, after, flip=flip)
        alike = correlations(before[:, :, ::-1] if flip else before, after)
        found = (bits <= MAX_DISTANCE) & (alike >= MIN_CORRELATION)
        row = (f"{np.median(bits):.0f}", f"{np.percentile(bits, 95):.0f}", f"{np.percentile(alike, 5):.2f}")
        table.add_row(name, *row, f"{found.mean():.1%}")
    return table


def nearest(before: Thumbs, after: Thumbs, *, flip: bool) -> NDArray[np.uint8]:
    """The distance that counts, for pairs of pictures: the smallest of whole hashes and windows, [N]."""
    pairs = [(hashes(before), hashes(after))]
    for window in WINDOWS:
        pairs += [(hashes(before, window=window), hashes(after)), (hashes(before), hashes(after, window=window))]
    return np.asarray(
        np.min([distances(mirrored(first) if flip else first, second) for first, second in pairs], axis=0)
    )


def _thumbs(pictures: list[Image.Image]) -> Thumbs:
    size = (SIDE, SIDE)
    return np.stack([np.asarray(one.convert("L").resize(size, Image.Resampling.BILINEAR)) for one in pictures])


def false_pairs(thumbs: Thumbs, workers: int) -> tuple[Table, Pairs]:
    """Pairs within the hash's limit by correlation, as they are and mirrored, and the mirrored ones above the limit."""
    started = time.perf_counter()
    found = near_pairs(thumbs, min_correlation=STEPS[0], workers=workers)
    seconds = time.perf_counter() - started
    count = len(thumbs) * (len(thumbs) - 1) // 2
    table = Table(title=f"{count:,} pairs of {len(thumbs):,} different pictures, each way; {seconds:.0f} s")
    table.add_column("correlation")
    for name in ("as they are", "mirrored"):
        table.add_column(name, justify="right")
    for low, high in pairwise(STEPS):
        inside = (found.correlation >= low) & (found.correlation < high)
        counts = [int((inside & (found.mirrored == flip)).sum()) for flip in (False, True)]
        table.add_row(f"{low:.2f} to {min(high, 1):.2f}", *(f"{number:,}" for number in counts))
    return table, found.where(found.mirrored & (found.correlation >= MIN_CORRELATION))


def draw(thumbs: Thumbs, pairs: Pairs, path: Path, columns: int = 8) -> None:
    """The mirrored pairs beside each other, the least alike first, with bits and correlation."""
    order = np.argsort(pairs.correlation)
    sheet = Image.new("L", (columns * 152, -(-len(order) // columns) * 88), 255)
    pen = ImageDraw.Draw(sheet)
    for place, at in enumerate(order):
        x, y = place % columns * 152, place // columns * 88
        for step, values in enumerate((thumbs[pairs.first[at]][:, ::-1], thumbs[pairs.second[at]])):
            sheet.paste(Image.fromarray(values).resize((72, 72)), (x + 73 * step, y))
        pen.text((x, y + 74), f"{pairs.distance[at]} bits, {pairs.correlation[at]:.2f}", fill=0)
    sheet.save(path)


def main() -> None:
    """Read the arguments, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--sample", type=int, default=2000, help="pictures that are altered")
    parser.add_argument("--null", action="store_true", help="compare all pictures with all mirrored ones")
    parser.add_argument("--draw", type=Path, metavar="F.png", help="with --null: the mirrored pairs, to look at")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    manifest = load_manifest(options.manifest)
    if options.null:
        thumbs = look(manifest, workers=options.threads).thumbs
        # One of each: equal pictures would be counted as often as they occur.
        _, first = np.unique(thumbs.reshape(len(thumbs), -1), axis=0, return_index=True)
        thumbs = thumbs[np.sort(first)]
        table, pairs = false_pairs(thumbs, options.threads)
        if options.draw and len(pairs):
            draw(thumbs, pairs, options.draw)
    else:
        count = min(options.sample, len(manifest))
        rows = np.random.default_rng(0).choice(len(manifest), count, replace=False).tolist()
        table = found_again(
            [Image.fromarray(face_of(manifest, row, manifest.picture(row))).convert("L") for row in rows]
        )
    Console().print(table)


if __name__ == "__main__":
    main()
