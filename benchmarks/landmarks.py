"""The 68 points against their teacher, against drawn faces whose points are known, and what they cost; with the bars.

    python benchmarks/landmarks.py                       # reads ../shared/data and ../shared/models
    python benchmarks/landmarks.py --shared FOLDER --model RUN/model.onnx

Distances are shares of the outer eye distance, to the teacher's answer on the picture itself, over faces on which the
teacher agrees with itself (flip error under 0.1). Without the development data the drawn faces and the times remain.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from openfer.data.manifest import Manifest
from openfer.data.pictures import decode
from openfer.learn.landmarks.faces import AROUND, FRAME, Faces, label_frames
from openfer.learn.landmarks.nonfaces import draw_nonfaces
from openfer.learn.landmarks.teacher import Teacher
from openfer.predict.drawing.outline import outline
from openfer.records import Box, Points68
from openfer.synth.sets import PER_PERSON, draw_set
from openfer.vision.align import frame
from openfer.vision.detect import load_detector
from openfer.vision.image import read_image
from openfer.vision.landmarks import (
    GROUPS,
    MODEL,
    SIZE,
    Landmarker,
    Landmarks,
    Square,
    outer_eye_distance,
    square_of_face,
    square_of_frame,
    square_of_points,
)
from openfer.vision.portraits import portrait_paths

SEED = 2026
CACHE = Path("work/landmarks/validation.npz")
"""The teacher's answers, which take some minutes; an ignored folder."""
OTHER_SCENES = ("chelsea", "coffee", "grass", "retina", "motorcycle_right", "chessboard_GRAY")
"""Pictures without people that the network was not trained on."""
GOOD_FIT = 0.1
TILE = 200
FRAMED = square_of_frame(Box(x=AROUND, y=AROUND, w=FRAME, h=FRAME))
Pictures = NDArray[np.uint8]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Line:
    """A row of the table; `bar` is the most that is allowed, or with `least` the least."""

    what: str
    value: float
    form: str
    bar: float | None = None
    least: bool = False

    def cells(self) -> tuple[str, str, str, str]:
        if self.bar is None:
            return self.what, self.form.format(self.value), "", ""
        kept = self.value >= self.bar if self.least else self.value <= self.bar
        sign = "at least" if self.least else "at most"
        return self.what, self.form.format(self.value), f"{sign} {self.form.format(self.bar)}", "yes" if kept else "NO"


def validation(shared: Path) -> Faces:
    if not CACHE.is_file():
        with np.load(shared / "data" / "ferplus_valid.npz", allow_pickle=False) as arrays:
            frames = np.cumsum(arrays["images_dy"], axis=1, dtype=np.uint8)
        label_frames(frames, ["validation"] * len(frames), Teacher(shared / "models" / "facemesh.onnx")).save(CACHE)
    return Faces.load(CACHE)


def on_frames(landmarker: Landmarker, pictures: Pictures, square: Square) -> list[Landmarks]:
    """As `find` would be called on each face; pictures without their repeated border."""
    inner = slice(AROUND, AROUND + FRAME)
    moved = replace(square, x=square.x - AROUND, y=square.y - AROUND)
    found = [landmarker.find(np.repeat(one[inner, inner, None], 3, axis=2), [moved])[0] for one in pictures]
    return [replace(one, points=one.points + np.float32(AROUND)) for one in found]


def distances(found: list[Landmarks], truth: Floats) -> Floats:
    """[N, 68]."""
    points = np.stack([one.points for one in found])
    return np.asarray(np.linalg.norm(points - truth, axis=-1) / outer_eye_distance(truth)[:, None])


def against_teacher(landmarker: Landmarker, faces: Faces) -> list[Line]:
    answers, good = faces.answers[:, 0], faces.flip_errors < GOOD_FIT
    found = on_frames(landmarker, faces.pictures, FRAMED)
    apart = distances(found, answers)[good]
    lines = [Line(f"FER+ validation, {good.sum()} faces with a good fit", 100 * apart.mean(), "{:.2f} %", 2.6)]
    bars = {"jaw": 3.5}
    lines += [
        Line(f"  {name}", 100 * apart[:, part].mean(), "{:.2f} %", bars.get(name)) for name, part in GROUPS.items()
    ]
    both = distances(found, faces.points)[good]
    lines.append(Line("  to the mean of the teacher's two answers", 100 * both.mean(), "{:.2f} %"))
    lines.append(Line("  the teacher's own flip error", 100 * faces.flip_errors[good].mean(), "{:.2f} %"))
    for roll in (15.0, -15.0):
        turned = on_frames(landmarker, faces.pictures, replace(FRAMED, roll=roll))
        lines.append(
            Line(
                f"  the square turned by {roll:+.0f} degrees",
                100 * distances(turned, answers)[good].mean(),
                "{:.2f} %",
                3.0,
            )
        )
    quality = np.array([one.quality for one in found])
    others = draw_nonfaces(len(faces), faces.pictures, np.random.default_rng(SEED), scenes=OTHER_SCENES)
    rejected = np.array([one.quality for one in on_frames(landmarker, others, FRAMED)])
    is_face = np.arange(len(quality) + len(rejected)) < len(quality)
    lines += [
        Line("quality: good against bad fits, AUROC", roc_auc_score(good, quality), "{:.3f}", 0.95, least=True),
        Line(
            "quality: faces against no faces, AUROC",
            roc_auc_score(is_face, np.concatenate([quality, rejected])),
            "{:.3f}",
            0.95,
            least=True,
        ),
        Line("quality under 0.5: good fits", 100 * (quality[good] < 0.5).mean(), "{:.1f} %"),
        Line("quality under 0.5: bad fits", 100 * (quality[~good] < 0.5).mean(), "{:.1f} %"),
        Line("quality under 0.5: no faces", 100 * (rejected < 0.5).mean(), "{:.1f} %"),
    ]
    confidence = np.stack([one.confidence for one in found])[good]
    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.0)):
        part = (confidence >= low) & (confidence <= high)
        lines.append(
            Line(
                f"points with confidence {low:g} to {high:g}: within 5 %", 100 * (apart[part] < 0.05).mean(), "{:.1f} %"
            )
        )
    return lines


def against_truth(landmarker: Landmarker, drawn: Manifest) -> list[Line]:
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    known, through = [], []
    for row in range(len(drawn)):
        picture, _ = decode(drawn, row)
        assert picture is not None
        truth = np.array(drawn.column("landmarks68")[row])[None]
        points5 = drawn.column("points5")[row]
        known.append(distances(landmarker.find(picture, [square_of_points(points5)]), truth)[0])
        faces = detector.find(picture)
        if faces:
            through.append(distances(landmarker.find(picture, [square_of_face(faces[0])]), truth)[0])
    apart = np.stack(known)
    lines = [Line(f"{len(drawn)} drawn faces, squares from their five points", 100 * apart.mean(), "{:.2f} %", 4.0)]
    lines += [Line(f"  {name}", 100 * apart[:, part].mean(), "{:.2f} %") for name, part in GROUPS.items()]
    through_mean = 100 * float(np.mean(through))
    lines.append(Line(f"  squares from the detector, {len(through)} found", through_mean, "{:.2f} %", 4.0))
    return lines


def cost(landmarker: Landmarker) -> list[Line]:
    rng = np.random.default_rng(SEED)
    crops = rng.integers(0, 256, (32, SIZE, SIZE), dtype=np.uint8)
    picture = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    squares = [Square(x=320, y=240, side=200, roll=5)] * 32

    def best(run: object) -> float:
        assert callable(run)
        run()
        times = []
        for _ in range(20):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        return 1000 * min(times) / 32

    return [
        Line("cut crops, 32 at a time, CPU ms a face", best(lambda: landmarker.find_crops(crops)), "{:.2f}", 1.0),
        Line(
            "cut from a photo, 32 at a time, CPU ms a face", best(lambda: landmarker.find(picture, squares)), "{:.2f}"
        ),
        Line("size of the graph, bytes", landmarker.path.stat().st_size, "{:,.0f}", 2_000_000),
    ]


def draw(landmarker: Landmarker, drawn: Manifest, path: Path) -> None:
    """The points found on the two portraits and on drawn faces, as one picture."""
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    sheet = Image.new("RGB", (6 * TILE, 2 * TILE))
    pictures = [read_image(path) for path in portrait_paths().values()]
    tiles = [(pictures[0], 0, 0, 2 * TILE), (pictures[1], 2 * TILE, 0, 2 * TILE)]
    for k in range(4):
        picture, _ = decode(drawn, k * PER_PERSON)
        if picture is not None:
            tiles.append((picture, (4 + k % 2) * TILE, k // 2 * TILE, TILE))
    for picture, x, y, side in tiles:
        face = detector.find(picture)[0]
        found = landmarker.find(picture, [square_of_face(face)])[0]
        around = frame(picture, face.box, 0.12, side)
        reach = 1.24 * max(face.box.w, face.box.h)
        corner = np.array([face.box.x + face.box.w / 2, face.box.y + face.box.h / 2]) - reach / 2
        canvas = around.copy()
        outline(canvas, Points68.of((found.points - corner) * side / reach, found.confidence, found.quality), 1)
        sheet.paste(Image.fromarray(canvas), (x, y))
    sheet.save(path, quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="holds data/ and models/")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--drawn", type=int, default=350, help="drawn faces that are judged on")
    parser.add_argument("--draw", type=Path, help="a picture to write: points on portraits and on drawn faces")
    options = parser.parse_args()
    landmarker = Landmarker(path=options.model)
    lines = []
    if (options.shared / "data").is_dir():
        lines += against_teacher(landmarker, validation(options.shared))
    else:
        print(f"{options.shared}: no development data here; nothing is compared with the teacher")
    drawn = draw_set(options.drawn, SEED, labels="aus")
    lines += against_truth(landmarker, drawn)
    if options.draw:
        draw(landmarker, drawn, options.draw)
    lines += cost(landmarker)
    table = Table("what", "measured", "bar", "kept")
    for line in lines:
        table.add_row(*line.cells())
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
