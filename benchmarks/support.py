"""Which features, which distance and which constants tell classes apart that are known from a few pictures each?

    python benchmarks/support.py                               # the choices, on invented expressions
    python benchmarks/support.py --manifest ferplus.parquet    # and on anger, disgust and fear of a FER+ manifest
    python benchmarks/support.py --judge                       # the three expressions that nothing was chosen on

Examples and queries are different people. Every number is the mean of draws of the examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from distances import DISTANCES, Answer, cosine, ridge
from invented import CHOOSING, JUDGED, draw
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from openfer.bundle.load import Bundle, load_bundle
from openfer.data.manifest import load_manifest
from openfer.predict.support import SUPPORT_MODEL
from openfer.predict.support.classifier import RIDGE, Classifier, fit, leave_one_out, members
from openfer.records import Points5, as_points5
from openfer.vision.cut import cut_face
from openfer.vision.detect import load_detector
from openfer.vision.image import Picture
from openfer.vision.landmarks import SIZE, Landmarker, cut_crop, square_of_points

Floats = NDArray[np.floating]
Seen = tuple[str, int, Picture, Points5]
"""Class, person, picture and five points."""

EXAMPLES, QUERIES = range(60), range(90, 130)
"""People who are examples, and people who are asked."""
CHOSEN = "features"
"""What a bundle's faces are compared by (`Card.compared_by`)."""
ADF = ("anger", "disgust", "fear")
console = Console(width=140)


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces as a model sees them, and each of them mirrored.

    Args:
        label: [N].
        person: [N].
        features: name -> [N, 2, D].
    """

    label: NDArray[np.str_]
    person: NDArray[np.int64]
    features: Mapping[str, Floats]

    @classmethod
    def of(cls, faces: Iterable[Seen], bundle: Bundle) -> Faces:
        """Run a model on faces."""
        label, person, pictures, points = zip(*faces, strict=True)
        pairs = list(zip(pictures, points, strict=True))
        alignment, landmarker = bundle.card.input.alignment(), Landmarker.load()
        cuts = np.stack([cut_face(picture, alignment, points5=five).pixels for picture, five in pairs])
        crops = np.stack([cut_crop(picture, square_of_points(five)) for picture, five in pairs])
        names = tuple(name for name in ("features", "embedding", "logits") if name in bundle.card.outputs)
        runs = [bundle.run(turned, outputs=names) for turned in (cuts, _mirror(cuts))]
        found = [[one.points for one in landmarker.find_crops(turned)] for turned in (crops, _mirror(crops))]
        columns = zip(names, zip(*runs, strict=True), strict=True)
        features: dict[str, Floats] = {name: np.stack(both, axis=1).astype(np.float64) for name, both in columns}
        features[CHOSEN] = chosen = features[bundle.card.compared_by]
        places = np.stack([_shape(np.array(found[way])) for way in (0, 1)], axis=1)
        more = {"logits": _scaled(features["logits"]), "68 points": 0.5 * _scaled(places)}
        features |= {
            f"{CHOSEN} + {name}": np.concatenate([_scaled(chosen), values], axis=-1) for name, values in more.items()
        }
        return cls(np.array(label), np.array(person), features)

    def pick(self, label: str, people: Iterable[int]) -> NDArray[np.int64]:
        """Rows of a class and of people."""
        return np.flatnonzero((self.label == label) & np.isin(self.person, list(people)))


@dataclass(frozen=True, eq=False)
class Task:
    """Examples and queries of some classes, by row; `strangers` are queries of no class among them."""

    classes: tuple[str, ...]
    examples: NDArray[np.int64]
    queries: NDArray[np.int64]
    strangers: NDArray[np.int64]


def tasks(faces: Faces, names: Sequence[str], *, ways: int, shots: int, draws: int) -> Iterator[Task]:
    """All choices of so many classes, so many draws of the examples each."""
    for number, classes in enumerate(combinations(names, ways)):
        for turn in range(draws):
            rng = np.random.default_rng([shots, number, turn])
            if set(faces.person) & set(QUERIES):
                examples = [rng.choice(faces.pick(name, EXAMPLES), shots, replace=False) for name in classes]
                queries = [faces.pick(name, QUERIES) for name in classes]
            else:  # photos: each is taken for a person of its own
                shuffled = [rng.permutation(np.flatnonzero(faces.label == name)) for name in classes]
                examples, queries = [rows[:shots] for rows in shuffled], [rows[shots : shots + 15] for rows in shuffled]
            others = [faces.pick(name, QUERIES) for name in names if name not in classes]
            strangers = np.concatenate(others) if others else np.empty(0, dtype=np.int64)
            yield Task(classes, np.concatenate(examples), np.concatenate(queries), strangers)


def accuracy(features: Floats, task: Task, answer: Answer, *, mirrored: str = "examples") -> float:
    """Percent right; `mirrored`: neither, examples (their mirrored copies count too), or both (queries' as well)."""
    ways = len(task.classes)
    copies = 1 if mirrored == "neither" else 2
    shots, asked = len(task.examples) // ways, len(task.queries) // ways
    examples = features[task.examples, :copies].reshape(-1, features.shape[-1])
    member = members(np.repeat(np.arange(ways), shots), ways, copies)
    sides = (0, 1) if mirrored == "both" else (0,)
    scores = sum(answer(examples, member, features[task.queries, side]) for side in sides)
    return 100 * float((np.argmax(scores, 1) == np.repeat(np.arange(ways), asked)).mean())


def choose(faces: Faces, names: Sequence[str], what: str, draws: int) -> None:
    """The tables from which features, distance, mirroring and the ridge were chosen."""
    shown = list(tasks(faces, names, ways=3, shots=5, draws=draws))

    def mean(features: str, answer: Answer, mirrored: str = "examples", among: Sequence[Task] = shown) -> str:
        return f"{np.mean([accuracy(faces.features[features], t, answer, mirrored=mirrored) for t in among]):.1f}"

    table = Table("features", *DISTANCES, title=f"{what}: 3 classes, 5 examples, mirrored copies; percent right")
    for name in faces.features:
        table.add_row(name, *(mean(name, answer) for answer in DISTANCES.values()))
    console.print(table)
    table = Table("mirrored", *DISTANCES, title=f"{CHOSEN}, with and without mirrored copies")
    for mirrored in ("neither", "examples", "both"):
        table.add_row(mirrored, *(mean(CHOSEN, answer, mirrored) for answer in DISTANCES.values()))
    console.print(table)
    strengths = (0.03, 0.1, RIDGE, 1.0, 3.0)
    table = Table("examples", "cosine", *(f"ridge {strength}" for strength in strengths), title="how much ridge")
    for shots in (1, 3, 5, 10):
        few = list(tasks(faces, names, ways=3, shots=shots, draws=draws))
        columns = [cosine, *(ridge(strength) for strength in strengths)]
        table.add_row(str(shots), *(mean(CHOSEN, answer, among=few) for answer in columns))
    console.print(table)


def calibrate(faces: Faces, names: Sequence[str], draws: int) -> None:
    """Negative log-likelihood of the queries by temperature, and what becomes of faces of other classes."""
    values = (0.05, 0.1, 0.15, 0.2, 0.25)
    table = Table("classes", "examples", *(f"T = {value}" for value in values), title="negative log-likelihood")
    limits = Table("classes", "examples", "limit", "own kept", "strangers `none`", "area under the curve", title="none")
    for ways, shots in ((2, 5), (3, 1), (3, 5), (3, 10), (3, 30), (5, 5)):
        losses, rows = [], []
        for task in tasks(faces, names, ways=ways, shots=shots, draws=draws):
            examples, truth, model = _learnt(faces, task)
            queries, strangers = (faces.features[CHOSEN][rows, 0] for rows in (task.queries, task.strangers))
            wanted = np.repeat(np.arange(ways), len(queries) // ways)
            losses.append([_loss(model.scores(queries) / value, wanted) for value in values])
            own, other = (_best(model, asked) for asked in (queries, strangers))
            if shots > 1:
                left = leave_one_out(examples, truth, ways)[1]
                for name, limit in (("lowest left out", left.min()), ("one in ten below", np.quantile(left, 0.1))):
                    area = (own[:, None] > other[None]).mean()
                    rows.append((name, (own >= limit).mean(), (other < limit).mean(), area))
        table.add_row(str(ways), str(shots), *(f"{value:.3f}" for value in np.mean(losses, axis=0)))
        for name in dict.fromkeys(row[0] for row in rows):
            means = np.mean([row[1:] for row in rows if row[0] == name], axis=0)
            limits.add_row(str(ways), str(shots), name, *(f"{100 * value:.0f} %" for value in means))
    console.print(table)
    console.print(limits)


def judge(faces: Faces, draws: int) -> None:
    """The three expressions that nothing was chosen on."""
    names = tuple(JUDGED)
    table = Table("examples", "percent right", "lowest draw", "highest", *names, title=f"{draws} draws")
    for shots in (1, 3, 5, 10):
        right = []
        for task in tasks(faces, names, ways=3, shots=shots, draws=draws):
            _, _, model = _learnt(faces, task)
            answers = model.scores(faces.features[CHOSEN][task.queries, 0]).argmax(1).reshape(3, -1)
            right.append((answers == np.arange(3)[:, None]).mean(1))
        overall = np.mean(right, axis=1)
        cells = [overall.mean(), overall.min(), overall.max(), *np.mean(right, axis=0)]
        table.add_row(str(shots), *(f"{100 * cell:.1f}" for cell in cells))
    console.print(table)


def _learnt(faces: Faces, task: Task) -> tuple[Floats, NDArray[np.int64], Classifier]:
    examples, ways = faces.features[CHOSEN][task.examples], len(task.classes)
    truth = np.repeat(np.arange(ways), len(task.examples) // ways)
    return examples, truth, fit(examples.reshape(-1, examples.shape[-1]), members(truth, ways, 2))


def _best(model: Classifier, features: Floats) -> Floats:
    answers = model.scores(features).argmax(1)
    return np.asarray(model.similarities(features)[np.arange(len(features)), answers])


def _loss(scores: Floats, wanted: NDArray[np.integer]) -> float:
    top = scores.max(1, keepdims=True)
    normed = scores - top - np.log(np.exp(scores - top).sum(1, keepdims=True))
    return -float(normed[np.arange(len(wanted)), wanted].mean())


def _scaled(features: Floats) -> Floats:
    """Centred, and of length 1 on average, so that several kinds can stand side by side."""
    centred = features - features.mean((0, 1))
    return np.asarray(centred / np.sqrt((centred**2).sum(-1).mean()))


def _shape(points: Floats) -> Floats:
    """68 points [N, 68, 2] without place, size and turn: [N, 136], laid onto their mean."""
    z = points.astype(np.float64) @ (1, 1j) / SIZE
    z = z - z.mean(1, keepdims=True)
    mean = z.mean(0)
    turned = z * ((z.conj() * mean).sum(1) / (np.abs(z) ** 2).sum(1))[:, None]
    return np.concatenate([turned.real, turned.imag], axis=1)


def _mirror(pictures: Picture) -> Picture:
    return np.ascontiguousarray(pictures[:, :, ::-1])


def drawn(expressions: Mapping[str, object], low: float, high: float) -> Iterator[Seen]:
    """Generated faces, found by the detector."""
    detector = load_detector("centerface", threads=1)
    assert detector is not None
    for who in (*EXAMPLES, *QUERIES):
        for turn, (name, shown) in enumerate(expressions.items()):
            picture = draw(shown, who, turn, low=low, high=high)  # type: ignore[arg-type]
            faces = detector.find(picture)
            if faces and faces[0].points5:
                yield name, who, picture, faces[0].points5


def photos(path: Path, names: Sequence[str], most: int = 300) -> Iterator[Seen]:
    """Validation rows of a manifest with points."""
    manifest = load_manifest(path)
    label, split, points = (np.array(manifest.column(name), dtype=object) for name in ("label", "split", "points5"))
    for name in names:
        rows = np.flatnonzero((label == name) & (split == "validation") & np.array([one is not None for one in points]))
        for row in np.random.default_rng(0).permutation(rows)[:most].tolist():
            yield name, -1 - row, manifest.picture(row), as_points5(points[row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=SUPPORT_MODEL, help="a bundle")
    parser.add_argument("--manifest", type=Path, help="of FER+, with points")
    parser.add_argument("--judge", action="store_true", help="only the expressions that nothing was chosen on")
    parser.add_argument("--low", type=float, default=0.6, help="least intensity of an action unit")
    parser.add_argument("--high", type=float, default=1.0, help="largest intensity")
    parser.add_argument("--draws", type=int, default=6, help="of the examples, for each choice of classes")
    given = parser.parse_args()
    bundle = load_bundle(given.model, threads=1)
    if given.judge:
        judge(Faces.of(drawn(JUDGED, given.low, given.high), bundle), max(given.draws, 50))
        return
    faces = Faces.of(drawn(CHOOSING, given.low, given.high), bundle)
    choose(faces, tuple(CHOOSING), "invented expressions", given.draws)
    calibrate(faces, tuple(CHOOSING), given.draws)
    if given.manifest:
        choose(Faces.of(photos(given.manifest, ADF), bundle), ADF, ", ".join(ADF), 100)


if __name__ == "__main__":
    main()
