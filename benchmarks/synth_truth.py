"""Generated faces against what others see in them: the detector, its five points, the default model; and their cost.

    python benchmarks/synth_truth.py                      # what may be looked at while the generator is worked on
    python benchmarks/synth_truth.py --judge --first 9000 # the model's names, on people nobody has looked at

The detector is asked for near-frontal faces (|yaw| up to 15 degrees) at 160 px on plain and busy backgrounds, and for
the backgrounds alone. Nothing in the generator is tuned on the model.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from openfer.labels import label_set
from openfer.predict.predictor import Predictor
from openfer.records import Face
from openfer.synth.expression import draw_expression, prototype
from openfer.synth.identity import draw_identity
from openfer.synth.rendering import Rendering, render
from openfer.synth.scene import Scene, draw_background, draw_scene
from openfer.synth.sets import draw_picture
from openfer.vision.detect import load_detector
from openfer.vision.image import Picture

SEED = 2026
SIZE = 160
LABELS = label_set("basic7").names
POINTS = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")
console = Console(width=120)


def scenes(who: int, number: int, kind: str) -> tuple[np.random.Generator, Scene]:
    rng = np.random.default_rng([SEED, who, number, kind == "busy"])
    return rng, draw_scene(rng, max_yaw=15, background=kind)


def nearest(faces: list[Face], rendering: Rendering) -> np.ndarray | None:
    """Distances of the five points of the face found where it was drawn, in inter-ocular distances; None: missed."""
    truth = np.array(rendering.truth.points5)
    eyes = np.hypot(*(truth[1] - truth[0]))
    errors = [np.linalg.norm(np.array(face.points5) - truth, axis=1) / eyes for face in faces]
    errors = [error for error in errors if error.mean() < 0.5]
    return min(errors, key=lambda error: float(error.mean())) if errors else None


def judge_detector(first: int, people: int) -> None:
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    table = Table("background", "faces", "found", "found elsewhere", "found without a face", title="CenterFace")
    errors = []
    for kind in ("plain", "busy"):
        drawn, found, elsewhere, alone = 0, 0, 0, 0
        for who in range(first, first + people):
            for number, label in enumerate(LABELS):
                rng, scene = scenes(who, number, kind)
                rendering = render(draw_identity(SEED, who), draw_expression(label, rng).aus, scene=scene, size=SIZE)
                faces = detector.find(rendering.picture)
                error = nearest(faces, rendering)
                drawn, found = drawn + 1, found + (error is not None)
                elsewhere += len(faces) - (error is not None)
                errors += [] if error is None else [error]
            alone += len(detector.find(draw_background(kind, SIZE, np.random.default_rng([SEED, who]))))
        table.add_row(kind, str(drawn), f"{100 * found / drawn:.1f} %", str(elsewhere), f"{alone} of {people}")
    console.print(table)
    medians = Table("point", "median error, % of the inter-ocular distance", title="Five points against the truth")
    for name, median in zip(POINTS, np.median(errors, axis=0), strict=True):
        medians.add_row(name, f"{100 * median:.1f}")
    medians.add_row("all", f"{100 * np.median(errors):.1f}")
    medians.add_row("mouth corners", f"{100 * np.median(np.array(errors)[:, 3:]):.1f}")
    console.print(medians)


def judge_model(first: int, people: int) -> None:
    predictor = Predictor.load(labels="basic7", threads=1)
    table = Table("expression", *LABELS, "no face", "named right", title="The default model on prototypes")
    counts = np.zeros((len(LABELS), len(LABELS) + 1), dtype=int)
    for index, label in enumerate(LABELS):
        pictures: list[Picture] = []
        for who in range(first, first + people):
            rng, scene = scenes(who, index, ("plain", "busy")[who % 2])
            shown = prototype(label, rng, intensity=float(rng.uniform(0.8, 1.0)))
            pictures.append(render(draw_identity(SEED, who), shown.aus, scene=scene, size=SIZE).picture)
        for predictions in predictor.predict(pictures):
            name = predictions[0].label
            counts[index, LABELS.index(name) if name in LABELS else -1] += 1
        table.add_row(label, *map(str, counts[index]), f"{100 * counts[index, index] / people:.0f} %")
    console.print(table)
    share = np.diag(counts) / people
    strong = [LABELS.index(name) for name in ("neutral", "happiness", "surprise", "anger")]
    console.print(f"all seven: {100 * share.mean():.1f} %; the four strongest: {100 * share[strong].mean():.1f} %")


def measure_speed(pictures: int) -> None:
    draw_picture(SEED, 0)
    start = time.process_time()
    for number in range(pictures):
        draw_picture(SEED, number)
    console.print(f"{pictures / (time.process_time() - start):.1f} pictures of 96 px a CPU-second, encoded")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="number of the first person")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--judge", action="store_true", help="ask the default model")
    arguments = parser.parse_args()
    measure_speed(210)
    judge_detector(arguments.first, arguments.people)
    if arguments.judge:
        judge_model(arguments.first, arguments.people)


if __name__ == "__main__":
    main()
