"""Photos and faces a second of the `Predictor`, and of a loop that takes one photo and one face at a time.

    python benchmarks/predict_speed.py --count 32
    python benchmarks/predict_speed.py FOLDER

Without a folder the photos are JPEG files in memory: two public-domain portraits' faces pasted into photos and textures
of two sizes (see `montage.py`). Both sides decode, detect, align and classify with the same model and may use the same
number of threads; the loop gives them to ONNX Runtime. They take turns; medians are shown, and the median of the pairs'
ratios.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from montage import load_grounds, make_scenes
from PIL import Image
from rich.console import Console
from rich.table import Table

from openfer.bundle.load import load_bundle
from openfer.cli.models import resolve_model
from openfer.errors import DataError, OpenFERError
from openfer.predict.predictor import Predictor
from openfer.predict.sources import Missing, find_pictures
from openfer.records import OK
from openfer.vision.align import frame
from openfer.vision.cut import cut_face
from openfer.vision.detect import load_detector
from openfer.vision.image import Picture, read_image
from openfer.vision.portraits import PORTRAITS, portrait_paths

"""Photos inside installed packages: package, file."""
FACE = 96
"""Side of the faces that are pasted, before they are enlarged, pixels."""
SIZES = {(640, 480): (0.7, 0.3), (1920, 1440): (0.0, 0.4, 0.3, 0.3)}
"""Width and height of the photos, and how often a face is enlarged once, twice, ..."""
COLUMNS = ("photos of", "threads", "photos", "faces", "photos/s", "faces/s", "loop: photos/s", "faces/s", "ratio")

Photo = bytes | str | Path
Side = Callable[[Sequence[Photo]], int]
"""Reads photos, answers how many faces it found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Both sides on the same photos: faces found, and seconds, one pair of turns an item."""

    photos: int
    faces: int
    predictor: list[float]
    loop: list[float]


def portrait_faces() -> list[Picture]:
    """The faces of `PORTRAITS` with some space around, [FACE, FACE, 3] each."""
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    faces = []
    paths = portrait_paths()
    for who, (package, file) in PORTRAITS.items():
        if who not in paths:
            raise DataError(f"the portrait {file} comes with {package}; install it, or name a folder of photos")
        picture = read_image(paths[who])
        faces.append(frame(picture, detector.find(picture)[0].box, 0.2, FACE))
    return faces


def make_photos(count: int, size: tuple[int, int]) -> list[Photo]:
    """JPEG files in memory: scenes of one size with up to six faces each."""
    photos: list[Photo] = []
    scenes = make_scenes(portrait_faces(), load_grounds(size), shares=SIZES[size])
    for scene in islice(scenes, count):
        stream = io.BytesIO()
        Image.fromarray(scene.picture).save(stream, "JPEG", quality=90)
        photos.append(stream.getvalue())
    return photos


def predictor_side(model: Path, threads: int) -> Side:
    """The public way."""
    predictor = Predictor.load(model, threads=threads)
    return lambda photos: sum(row.status == OK for rows in predictor.iter_predict(photos) for row in rows)


def loop_side(model: Path, threads: int) -> Side:
    """What one would write by hand: photo after photo, face after face."""
    bundle, detector = load_bundle(model, threads=threads), load_detector("centerface", threads=threads)
    alignment = bundle.card.input.alignment()
    assert detector is not None

    def read(photos: Sequence[Photo]) -> int:
        count = 0
        for photo in photos:
            with suppress(DataError):  # a photo that cannot be read
                picture = read_image(photo)
                for face in detector.find(picture):
                    bundle.probabilities(cut_face(picture, alignment, points5=face.points5).pixels[None])
                    count += 1
        return count

    return read


def measure(photos: Sequence[Photo], model: Path, threads: int, pairs: int) -> Speed:
    """Time both sides in turns; who goes first changes from pair to pair.

    Raises:
        DataError: the two sides do not find the same number of faces.
    """
    sides = {"predictor": predictor_side(model, threads), "loop": loop_side(model, threads)}
    faces = {name: side(photos) for name, side in sides.items()}  # also the warm-up
    if faces["predictor"] != faces["loop"]:
        raise DataError(f"the predictor found {faces['predictor']} faces, the loop {faces['loop']}; expected the same")
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(pairs):
        for name in sides if number % 2 == 0 else reversed(sides):
            start = time.perf_counter()
            sides[name](photos)
            times[name].append(time.perf_counter() - start)
    return Speed(photos=len(photos), faces=faces["loop"], **times)


def add_row(table: Table, name: str, threads: int, speed: Speed) -> None:
    """A row of the table."""
    seconds = [statistics.median(times) for times in (speed.predictor, speed.loop)]
    ratio = statistics.median(loop / ours for ours, loop in zip(speed.predictor, speed.loop, strict=True))
    rates = [f"{count / part:.1f}" for part in seconds for count in (speed.photos, speed.faces)]
    table.add_row(name, str(threads), str(speed.photos), str(speed.faces), *rates, f"{ratio:.2f}")


def main() -> None:
    """Read the arguments, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="photos of your own in place of the made ones")
    parser.add_argument("--model", default="default", help="`default`, a bundle folder or a run folder")
    parser.add_argument("--count", type=int, default=32, help="photos of each size that are made")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads to measure")
    parser.add_argument("--pairs", type=int, default=3, help="turns of each side")
    options = parser.parse_args()
    table = Table(title=f"{options.model}: median of {options.pairs} turns each")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == COLUMNS[0] else "right")
    try:
        model = resolve_model(options.model)
        if options.folder:
            found = [source for source in find_pictures([options.folder]) if not isinstance(source, Missing)]
            sets: dict[str, list[Photo]] = {options.folder: list(found)}
        else:
            sets = {f"{size[0]} x {size[1]}": make_photos(options.count, size) for size in SIZES}
        for name, photos in sets.items():
            for threads in options.threads:
                add_row(table, name, threads, measure(photos, model, threads, options.pairs))
    except OpenFERError as error:
        parser.error(str(error))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
