"""Two models on faces pasted into photos: does a model learn what the predictor will feed it?

    python benchmarks/montage.py MODEL_A MODEL_B --manifest ferplus_points.parquet --draw montage.png

Every scene is a photo or texture of 640 x 480 with up to six grey faces of the manifest's validation split (their label
known), each shown once before any is shown again, enlarged one to four times, not touching each other; hard edges and
nothing of the head around the face make it a severe test. Both models read the scenes by the public `Predictor`; a face
counts as found where a prediction's box and its square have an intersection over union of 0.35 or more. The models are
compared on the faces that both found, and on the same faces as given frames, without a detector.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

from openfer.cli.models import resolve_model
from openfer.data.manifest import load_manifest
from openfer.errors import DataError, OpenFERError
from openfer.evaluate.intervals import DRAWS
from openfer.evaluate.paired import mcnemar, only_one, resample
from openfer.files import package_file
from openfer.predict.overlay import draw
from openfer.predict.predictor import Predictor
from openfer.records import Box, Prediction
from openfer.vision.image import Picture, read_image

GROUNDS = ("coffee.png", "rocket.jpg", "chelsea.png", "brick.png", "grass.png", "gravel.png", "motorcycle_left.png")
"""Pictures that come with scikit-image, none with a human face."""
SIZE = (640, 480)
FACES = 6
SHARES = (0.4, 0.3, 0.2, 0.1)
"""How often a face is enlarged once, twice, ...; the sum is 1."""
GAP = 8
"""Pixels between two faces, at least."""
TRIES = 50
"""Random places that are tried for a face before it is left out."""
OVERLAP = 0.35
"""Intersection over union from which on a pasted face counts as found."""
CHUNK = 16
"""Scenes in memory at once."""
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pasted:
    """A face in a scene: number of its sample, its square, how much it was enlarged."""

    sample: int
    square: Box
    factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture and the faces pasted into it."""

    picture: Picture
    faces: tuple[Pasted, ...]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What two models made of all pasted faces, [N] each.

    Args:
        factor: enlargement.
        found: whether both found the face.
        right: [2, N] whether the predictions were right; false where not found.
        frame_right: [2, N] the same faces as given frames.
    """

    factor: NDArray[np.int64]
    found: NDArray[np.bool_]
    right: NDArray[np.bool_]
    frame_right: NDArray[np.bool_]


def load_grounds(size: tuple[int, int] = SIZE) -> list[Picture]:
    """The backgrounds, their middle resized to `size` (width, height)."""
    paths = [package_file("skimage", f"data/{name}") for name in GROUNDS]
    if None in paths:
        raise DataError("the backgrounds come with scikit-image; install it with `pip install scikit-image`")
    return [fit(read_image(path), size) for path in paths if path is not None]


def fit(picture: Picture, size: tuple[int, int]) -> Picture:
    """The largest middle part of a picture that has the shape of `size` (width, height), resized to it."""
    return np.asarray(ImageOps.fit(Image.fromarray(picture), size, Image.Resampling.BICUBIC))


def make_scenes(
    faces: Sequence[Picture],
    grounds: Sequence[Picture],
    *,
    seed: int = SEED,
    per_scene: int = FACES,
    shares: Sequence[float] = SHARES,
) -> Iterator[Scene]:
    """Scenes without end, the same for the same arguments.

    Args:
        faces: square pictures; every one is shown once before any is shown again.
        grounds: backgrounds, taken in turns, at random mirrored.
        seed: of everything random.
        per_scene: faces that are tried; one that finds no free place is left out.
        shares: as `SHARES`.
    """
    rng = np.random.default_rng(seed)
    queue: list[int] = []
    for ground in cycle(grounds):
        picture = (ground[:, ::-1] if rng.random() < 0.5 else ground).copy()
        pasted: list[Pasted] = []
        for _ in range(per_scene):
            queue = queue or rng.permutation(len(faces)).tolist()
            factor = 1 + int(rng.choice(len(shares), p=shares))
            side = faces[queue[-1]].shape[0] * factor
            square = free_square(side, (picture.shape[1], picture.shape[0]), [face.square for face in pasted], rng)
            if square is not None:
                pasted.append(Pasted(sample=queue.pop(), square=square, factor=factor))
                paste(picture, faces[pasted[-1].sample], square)
        yield Scene(picture=picture, faces=tuple(pasted))


def free_square(side: int, size: tuple[int, int], taken: Sequence[Box], rng: np.random.Generator) -> Box | None:
    """A random place for a square, `GAP` pixels off the others; None where none was found."""
    if side > min(size):
        return None
    for left, top in rng.uniform(0, (size[0] - side, size[1] - side), (TRIES, 2)).round():
        around = Box(x=left - GAP, y=top - GAP, w=side + 2 * GAP, h=side + 2 * GAP)
        if not any(overlap(around, other) for other in taken):
            return Box(x=float(left), y=float(top), w=float(side), h=float(side))
    return None


def paste(picture: Picture, face: Picture, square: Box) -> None:
    """Lay a face, resized by cubic interpolation, over its square of the picture."""
    side, left, top = int(square.w), int(square.x), int(square.y)
    enlarged = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    picture[top : top + side, left : left + side] = np.asarray(enlarged)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    height = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one.area + other.area - shared)


def match(predictions: Sequence[Prediction], scene: Scene) -> list[Prediction | None]:
    """The prediction that lies best on each pasted face; None where none does by `OVERLAP`."""
    found = [(prediction, prediction.found.box) for prediction in predictions if prediction.found]
    best = [max(found, key=lambda item: overlap(item[1], face.square), default=None) for face in scene.faces]
    return [
        item[0] if item and overlap(item[1], face.square) >= OVERLAP else None
        for item, face in zip(best, scene.faces, strict=True)
    ]


def ask(
    models: tuple[Predictor, Predictor],
    frames: tuple[Predictor, Predictor],
    faces: Sequence[Picture],
    truth: Sequence[str],
    scenes: Iterator[Scene],
) -> Answers:
    """Both models' answers for every pasted face.

    Args:
        models: find the faces of scenes.
        frames: the same models without a detector.
        faces, truth: the pasted pictures and the names of their labels.
        scenes: a finite number of them.
    """
    rows: list[tuple[Pasted, Prediction | None, Prediction | None]] = []
    while chunk := list(islice(scenes, CHUNK)):
        one, two = (model.predict([scene.picture for scene in chunk]) for model in models)
        for scene, a, b in zip(chunk, one, two, strict=True):
            rows += zip(scene.faces, match(a, scene), match(b, scene), strict=True)
    named = [(truth[face.sample], a and a.label, b and b.label) for face, a, b in rows]
    by_frame = [[found[0].label for found in model.iter_predict(faces)] for model in frames]
    return Answers(
        factor=np.array([face.factor for face, _, _ in rows]),
        found=np.array([a is not None and b is not None for _, a, b in rows], dtype=bool),
        right=np.array([[a == name for name, a, _ in named], [b == name for name, _, b in named]], dtype=bool),
        frame_right=np.array([[labels[f.sample] == truth[f.sample] for f, _, _ in rows] for labels in by_frame]),
    )


def difference(right: NDArray[np.bool_], rng: np.random.Generator, draws: int = DRAWS) -> tuple[float, float, float]:
    """Accuracy of the first minus that of the second model, and its bootstrap 95 % interval over faces.

    Args:
        right: [2, N], N >= 1, both models on the same faces.
        rng: draws the resampled data sets.
        draws: number of them.
    """
    gain = right[0].astype(np.float64) - right[1]
    resampled = [weights @ gain / len(gain) for weights in resample(len(gain), rng, draws=draws)]
    low, high = np.quantile(np.concatenate(resampled), (0.025, 0.975))
    return float(gain.mean()), float(low), float(high)


def table_of(answers: Answers, names: tuple[str, str], title: str) -> Table:
    """The results: a row an enlargement, all found faces, the same as frames, and all pasted faces as frames."""
    table = Table(title=title, caption=f"A = {names[0]}, B = {names[1]}; difference in points, bootstrap 95 %")
    columns = ("faces", "pasted", "found", "recall", "A %", "B %", "A - B", "95 %", "only A", "only B", "McNemar p")
    for column in columns:
        table.add_column(column, justify="left" if column == "faces" else "right")
    everything = np.ones(len(answers.found), dtype=bool)
    for factor in np.unique(answers.factor):
        chosen = answers.factor == factor
        table.add_row(f"in scenes, x{factor}", *cells(answers.right, chosen, answers.found))
    table.add_section()
    table.add_row("in scenes, all", *cells(answers.right, everything, answers.found))
    for name, chosen in (("the found ones as frames", answers.found), ("all pasted as frames", everything)):
        pasted, _, _, *rest = cells(answers.frame_right, chosen, everything)
        table.add_row(name, pasted, "", "", *rest)  # a given frame need not be found
    return table


def cells(right: NDArray[np.bool_], chosen: NDArray[np.bool_], found: NDArray[np.bool_]) -> list[str]:
    """A row of the table: `right` [2, N] judged on the chosen faces that are found."""
    counted = right[:, chosen & found]
    pasted, count = int(chosen.sum()), counted.shape[1]
    if not count:
        return [str(pasted), "0", *["-"] * 8]
    a, b = 100 * counted.mean(axis=1)
    value, low, high = (100 * number for number in difference(counted, np.random.default_rng(SEED)))
    only = only_one(counted)
    shares = [f"{count / pasted:.3f}", f"{a:.1f}", f"{b:.1f}", f"{value:+.1f}", f"{low:+.1f} to {high:+.1f}"]
    return [str(pasted), str(count), *shares, *map(str, only), f"{mcnemar(*only):.2g}"]


def load_faces(path: Path, split: str) -> tuple[list[Picture], list[str]]:
    """Pictures and label names of a split's usable rows, each cut to a square where it is none."""
    manifest = load_manifest(path).select(split)
    truth = manifest.column("label")
    rows = [row for row, label in enumerate(truth) if label is not None]
    if not rows:
        raise DataError(f"{path}: split '{split}' has no row with a label")
    pictures = (manifest.picture(row) for row in rows)
    return [fit(picture, (min(picture.shape[:2]),) * 2) for picture in pictures], [truth[row] for row in rows]


def main() -> None:
    """Read the arguments, ask both models, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs=2, metavar="MODEL", help="`default`, a bundle folder or a run folder")
    parser.add_argument("--manifest", type=Path, required=True, help="whose faces are pasted")
    parser.add_argument("--split", default="validation", help="rows of the manifest")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, help="of both models; all that may be used where left out")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="write one scene with what the first model says")
    options = parser.parse_args()
    try:
        faces, truth = load_faces(options.manifest, options.split)
        paths = [resolve_model(model) for model in options.models]
        a, b = (Predictor.load(path, threads=options.threads) for path in paths)
        c, d = (Predictor.load(path, threads=options.threads, detector="none") for path in paths)
    except OpenFERError as error:
        parser.error(str(error))
    scenes = partial(make_scenes, faces, load_grounds(), seed=options.seed)
    if options.draw:
        picture = next(scenes()).picture
        Image.fromarray(draw(picture, a.predict([picture])[0])).save(options.draw)
    title = f"{options.scenes} scenes of {SIZE[0]} x {SIZE[1]}, seed {options.seed}"
    answers = ask((a, b), (c, d), faces, truth, islice(scenes(), options.scenes))
    Console(width=140).print(table_of(answers, (options.models[0], options.models[1]), title))


if __name__ == "__main__":
    main()
