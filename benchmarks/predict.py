"""What `openfer predict` costs: each stage alone, then the whole command, its threads and its memory.

    python benchmarks/predict.py
    python benchmarks/predict.py --count 500 --long 5000

A folder of 640 x 480 JPEG photos with one face each is made (see `montage.py`; the faces are two public-domain
portraits'). The first table gives milliseconds of CPU a photo of every stage on one thread, beside Pillow's decoding
alone; the second runs the command as a user would, start-up and CSV file included.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from montage import load_grounds, make_scenes
from PIL import Image
from predict_speed import portrait_faces
from rich.console import Console
from rich.table import Table

from openfer.bundle.load import DEFAULT
from openfer.errors import DataError, OpenFERError
from openfer.predict.predictor import Predictor
from openfer.vision.cut import cut_face
from openfer.vision.image import decode

SIZE = (640, 480)
SHARES = (0.2, 0.5, 0.3)
"""How often the face, 96 px, is enlarged once, twice, three times."""
BATCH = 16
PROGRAM = (sys.executable, "-c", "from openfer.cli.main import run; run()", "predict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run of the command took: seconds by the clock, seconds of CPU, largest resident memory in MB, and rows."""

    wall: float
    cpu: float
    memory: float
    rows: int


def make_folder(folder: Path, count: int) -> list[Path]:
    """Write `count` photos, named by number; the same for the same count.

    Raises:
        DataError: the portraits or backgrounds are not on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    scenes = make_scenes(portrait_faces(), load_grounds(SIZE), per_scene=1, shares=SHARES)
    for path, scene in zip(paths, islice(scenes, count), strict=True):
        Image.fromarray(scene.picture).save(path, "JPEG", quality=90)
    return paths


def milliseconds(work: Callable[[], object], photos: int) -> float:
    """CPU time of this process a photo, the better of two turns."""
    turns = []
    for _ in range(2):
        start = time.process_time()
        work()
        turns.append(time.process_time() - start)
    return 1000 * min(turns) / photos


def stages(paths: Sequence[Path], model: str) -> dict[str, float]:
    """Milliseconds of CPU a photo, on one thread."""
    predictor = Predictor.load(model, threads=1)
    bundle, detector = predictor.bundle, predictor.detector
    alignment = bundle.card.input.alignment()
    assert detector is not None
    pictures = [decode(path).pixels for path in paths]
    faces = [detector.find(picture) for picture in pictures]
    pairs = [(picture, face.points5) for picture, found in zip(pictures, faces, strict=True) for face in found]
    cuts = np.stack([cut_face(picture, alignment, points5=points).pixels for picture, points in pairs])
    works: dict[str, Callable[[], object]] = {
        "decode, Pillow alone": lambda: [Image.open(path).load() for path in paths],
        "decode": lambda: [decode(path) for path in paths],
        "detect": lambda: [detector.find(picture) for picture in pictures],
        "align and cut": lambda: [cut_face(picture, alignment, points5=points) for picture, points in pairs],
        f"classify, {BATCH} at a time": lambda: bundle.run(cuts, batch=BATCH),
        "classify, one at a time": lambda: bundle.run(cuts, batch=1),
        "Predictor, all of it": lambda: predictor.predict(paths),
    }
    return {name: milliseconds(work, len(paths)) for name, work in works.items()}


def run_command(folder: Path, model: str, threads: int) -> Usage:
    """`openfer predict FOLDER --out FILE --threads N` in a process of its own.

    Raises:
        DataError: the command failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "faces.csv")
        command = [*PROGRAM, str(folder), "--out", str(out), "--threads", str(threads), "--model", model]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said = process.stderr.read().decode() if process.stderr else ""
        if process.returncode:
            raise DataError(f"openfer predict ended with {process.returncode}: {said.strip()}")
        with out.open(newline="", encoding="utf-8") as stream:
            rows = sum(1 for _ in csv.reader(stream)) - 1
    kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Usage(wall=wall, cpu=used.ru_utime + used.ru_stime, memory=kilobytes / 1024, rows=rows)


def stage_table(found: dict[str, float]) -> Table:
    """The stages as people read them."""
    table = Table(title="one thread, ms of CPU a photo")
    table.add_column("stage")
    table.add_column("ms", justify="right")
    table.add_column("photos a CPU-second", justify="right")
    for name, value in found.items():
        table.add_row(name, f"{value:.2f}", f"{1000 / value:.0f}")
    return table


def command_table(runs: Sequence[tuple[int, int, Usage]]) -> Table:
    """The runs (photos, threads, usage); speed-up against the first run on as many photos."""
    table = Table(title="the command: start-up, reading and writing included")
    for title in ("photos", "threads", "rows", "seconds", "photos/s", "photos/CPU-s", "speed-up", "memory, MB"):
        table.add_column(title, justify="right")
    first: dict[int, float] = {}
    for photos, threads, used in runs:
        faster = f"{first.setdefault(photos, used.wall) / used.wall:.2f}"
        numbers = (f"{used.wall:.1f}", f"{photos / used.wall:.1f}", f"{photos / used.cpu:.1f}")
        table.add_row(*map(str, (photos, threads, used.rows)), *numbers, faster, f"{used.memory:.0f}")
    return table


def main() -> None:
    """Read the arguments, measure, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT, help="`default` or a bundle folder")
    parser.add_argument("--count", type=int, default=500, help="photos")
    parser.add_argument("--long", type=int, default=0, help="photos of one more run, to see its memory")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads to measure")
    options = parser.parse_args()
    screen = Console(width=120)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            paths = make_folder(Path(scratch, "photos"), options.count)
            screen.print(stage_table(stages(paths[:100], options.model)))
            runs = [(len(paths), n, run_command(paths[0].parent, options.model, n)) for n in options.threads]
            if options.long:
                more = make_folder(Path(scratch, "more"), options.long)
                runs.append((len(more), options.threads[-1], run_command(more[0].parent, options.model, runs[-1][1])))
            screen.print(command_table(runs))
    except OpenFERError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
