"""Where `openfer data prepare` spends its time: CPU milliseconds a row, and the whole of it on several threads.

    python benchmarks/prepare.py ferplus.parquet --rows 1000 --threads 1 2

The parts are measured on one thread, on rows evenly spread over the manifest. Below them stands the whole on the same
rows, with everything that can be asked for, and how long all rows of the manifest would take by that.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from openfer.data.manifest import Manifest, load_manifest
from openfer.data.pictures import decode
from openfer.data.prepare import PrepareOptions, prepare
from openfer.data.prepare.row import face_square, frame_of, png
from openfer.errors import OpenFERError
from openfer.records import Points5
from openfer.vision.align import shares_of_square, warp
from openfer.vision.au_locations import au_locations
from openfer.vision.cut import find_in_frame
from openfer.vision.detect import Detector, load_detector
from openfer.vision.landmarks import Landmarker, square_of_frame, square_of_points
from openfer.vision.mean_face import mean_face
from openfer.vision.patches import cut_patches, moved_regions

ALL = PrepareOptions(crops=True, patches="landmarks")
WARM = 5
"""Rows that are read before the clock starts."""


@contextmanager
def clock(spent: dict[str, float], name: str) -> Iterator[None]:
    """CPU seconds of the block are added under a name."""
    start = time.process_time()
    yield
    spent[name] = spent.get(name, 0.0) + time.process_time() - start


def parts(manifest: Manifest, detector: Detector, landmarker: Landmarker) -> dict[str, float]:
    """CPU seconds of each part over all rows, one thread; rows that cannot be decoded cost their decoding alone."""
    spent: dict[str, float] = {}
    for row in range(len(manifest)):
        with clock(spent, "decode"):
            picture, _ = decode(manifest, row)
        frame = frame_of(manifest, row, picture) if picture is not None else None
        if picture is None or frame is None:
            continue
        with clock(spent, "five points"):
            face = find_in_frame(picture, detector, box=manifest.box(row))
        points: Points5 | None = face.points5 if face else None
        with clock(spent, "landmarks"):
            square = square_of_points(points) if points else square_of_frame(frame)
            found = landmarker.find(picture, [square])[0]
        with clock(spent, "places of action units"):
            unit, _ = face_square(points, frame, ALL)
            shares = shares_of_square(found.points, unit)
            au_locations(shares)
        with clock(spent, "aligned face"):
            crop = warp(picture, unit, ALL.align.size, 0)
            png(crop)
        with clock(spent, "patches"):
            for patch in cut_patches(crop, moved_regions(shares, mean_face())).values():
                png(patch)
    return spent


def whole(work: Callable[[Path], object]) -> tuple[float, float]:
    """Seconds of the wall and of all cores for a run into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        work(Path(folder) / "out.parquet")
        return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Read the arguments, measure, print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    everything = load_manifest(options.manifest)
    count = min(options.rows, len(everything))
    manifest = everything.rows(np.linspace(0, len(everything) - 1, count).round().astype(np.int64))
    detector, landmarker = load_detector("centerface", threads=1), Landmarker.load(threads=1)
    assert detector is not None
    parts(manifest.rows(np.arange(min(WARM, count))), detector, landmarker)
    table = Table("part", "CPU ms a row", "wall ms a row", f"minutes for {len(everything):,} rows")
    spent = parts(manifest, detector, landmarker)
    for name, seconds in spent.items():
        table.add_row(name, f"{1000 * seconds / count:.2f}", "", "")
    table.add_section()
    for threads in options.threads:
        wall, cpu = whole(lambda out, n=threads: prepare(manifest, detector, landmarker, out, ALL, workers=n))  # type: ignore[misc]
        minutes = wall / count * len(everything) / 60
        table.add_row(
            f"all, {threads} thread{'s' * (threads > 1)}",
            f"{1000 * cpu / count:.2f}",
            f"{1000 * wall / count:.2f}",
            f"{minutes:.1f}",
        )
    console = Console()
    console.print(table)
    console.print(f"{count:,} rows, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    try:
        main()
    except OpenFERError as error:
        raise SystemExit(str(error)) from error
