"""Manifest -> pictures that a network learns from: cut once by the one aligner, kept in one memory-mapped cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openfer.data.manifest import Manifest, load_manifest
from openfer.data.pictures import Progress
from openfer.data.placed import placed_landmarks
from openfer.errors import DataError
from openfer.files import replacing
from openfer.labels import LabelSet
from openfer.learn.holdout import partition
from openfer.learn.options import DataOptions
from openfer.vision.align import Alignment
from openfer.vision.cut import Cut, cut_face
from openfer.vision.detect import Detector, load_detector


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Pictures and what is known about them, in memory or mapped.

    Args:
        pixels: uint8 [N, S, S, C], C = 1 for grey.
        targets: float32 [N, K], rows sum to 1.
        labels: int64 [N], the targets' largest column.
        rows: int64 [N], row numbers in the manifest.
        landmarks: float32 [N, 68, 2] (x, y), shares of the picture's side, NaN where a face has none; None where nobody
            asked for them.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    landmarks: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: NDArray[np.int64]) -> Samples:
        return Samples(
            pixels=self.pixels[chosen],
            targets=self.targets[chosen],
            labels=self.labels[chosen],
            rows=self.rows[chosen],
            landmarks=None if self.landmarks is None else self.landmarks[chosen],
        )


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a run learns from.

    Args:
        samples: all usable rows of the training split.
        train, holdout: numbers of samples.
        facts: what the run's record keeps: hash of the manifest, layout, rule, counts, how rows were cut.
    """

    labels: LabelSet
    samples: Samples
    train: NDArray[np.int64]
    holdout: NDArray[np.int64]
    facts: dict[str, Any]


def alignment_of(data: DataOptions, size: int) -> Alignment:
    """The aligner's settings that a recipe asks for."""
    return Alignment(template=data.align, size=size, colour=data.colour, margin=data.margin, detail=data.detail)


def open_manifest(source: str) -> Manifest:
    """The manifest that a recipe names: a file, or several with commas between; `mini` is the set that comes along."""
    return load_manifest(*(part.strip() for part in source.split(",")))


def load_training_data(
    data: DataOptions,
    size: int,
    seed: int,
    advance: Progress | None = None,
    inputs: Sequence[str] = ("image",),
) -> TrainingData:
    """Read, cut and split what a recipe names.

    Args:
        data: the recipe's section.
        size: of the network's picture, pixels.
        seed: of the holdout's choice.
        advance: is told how far the cutting is.
        inputs: of the method; with `landmarks` the samples carry them.

    Raises:
        DataError: no manifest, no usable training row, or fewer than two classes.
    """
    from openfer.data.check import content_hashes

    manifest = open_manifest(data.manifest).select()
    hashes = content_hashes(manifest)
    labels, others = manifest.label_indices(), 0
    if data.classes != "none":
        wanted = manifest.of_classes(data.classes).labels
        other = ~np.isin(labels, manifest.labels.columns_for(wanted))
        others = sum(value == data.split for value in np.array(manifest.column("split"))[other & (labels >= 0)])
        labels[other] = -1
    parts = partition(
        labels,
        manifest.column("split"),
        hashes,
        manifest.column("subject"),
        split=data.split,
        share=data.holdout,
        seed=seed,
        drop_leaks=data.drop_leaks,
    )
    rows = np.sort(np.concatenate([parts.train, parts.holdout]))
    chosen = manifest.rows(rows)
    if not len(chosen) or len(set(chosen.column("label"))) < 2:
        raise DataError(f"{data.manifest}: split '{data.split}' has no two classes with usable pictures")
    if data.classes != "none":
        chosen = chosen.of_classes(data.classes)
    contents = [str(hashes[row]) for row in rows]
    cut = cut_all(chosen, contents, alignment_of(data, size), data.cut, advance)
    targets = chosen.targets()
    samples = Samples(
        pixels=cut.pixels,
        targets=targets,
        labels=targets.argmax(1),
        rows=rows,
        landmarks=_landmarks(chosen, cut.squares) if "landmarks" in inputs else None,
    )
    facts = {
        "manifest": manifest.digest,
        "pictures": hashlib.sha256("\n".join(contents).encode()).hexdigest(),
        "layout": chosen.origin.layout,
        "rule": chosen.origin.rule,
        "rows": len(parts.train),
        "holdout": len(parts.holdout),
        "leaks_left_out": len(parts.leaks),
        "other_classes_left_out": others,
        "cut": dict(Counter(cut.ways)),
    }
    if samples.landmarks is not None:
        facts["landmarks"] = hashlib.sha256(samples.landmarks.tobytes()).hexdigest()
    train, holdout = np.searchsorted(rows, parts.train), np.searchsorted(rows, parts.holdout)
    return TrainingData(labels=chosen.labels, samples=samples, train=train, holdout=holdout, facts=facts)


def cache_folder() -> Path:
    """Where cut pictures are kept: `OPENFER_CACHE`, else `openfer` in the user's cache folder."""
    own = os.environ.get("OPENFER_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openfer"


@dataclass(frozen=True, kw_only=True)
class CutRows:
    """N rows as the network reads them.

    Args:
        pixels: uint8 [N, S, S, C], mapped from the cache; C = 1 for grey.
        ways: how each row was cut.
        squares: complex [N, 2], where each was cut (see `openfer.vision.cut.Cut`).
    """

    pixels: NDArray[np.uint8]
    ways: list[str]
    squares: NDArray[np.complex128]


def _landmarks(manifest: Manifest, squares: NDArray[np.complex128]) -> NDArray[np.float32]:
    """Of N rows that were cut from `squares` [N, 2]: float32 [N, 68, 2]."""
    placed = [placed_landmarks(manifest, row, (complex(a), complex(b))) for row, (a, b) in enumerate(squares)]
    return np.stack(placed)


def cut_all(
    manifest: Manifest, contents: list[str], alignment: Alignment, cut: str, advance: Progress | None = None
) -> CutRows:
    """Every row's picture as the network reads it, from the cache or cut now and kept there.

    Args:
        manifest: N rows.
        contents: N hashes of their pixels; a path alone does not say what lies there.
        alignment: the network's settings.
        cut: `points` or `frame`.
        advance: is told how far the cutting is.

    Raises:
        DataError: a row cannot be cut; the message names it.
    """
    parts = [*contents, json.dumps(asdict(alignment)), cut]
    parts += [json.dumps(manifest.column(name)) for name in ("points5", "points5_status", "box")]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    pixels, facts = cache_folder() / f"{key}.npy", cache_folder() / f"{key}.npz"
    if not (pixels.is_file() and facts.is_file()):
        _cut_to_cache(manifest, alignment, cut, pixels, facts, advance)
    with np.load(facts) as values:
        return CutRows(pixels=np.load(pixels, mmap_mode="r"), ways=values["ways"].tolist(), squares=values["squares"])


def _cut_to_cache(
    manifest: Manifest, alignment: Alignment, cut: str, pixels: Path, facts: Path, advance: Progress | None
) -> None:
    channels = 1 if alignment.colour == "grey" else 3
    shape = (len(manifest), alignment.size, alignment.size, channels)
    given, searched = manifest.column("points5"), manifest.column("points5_status")
    detector: Detector | None = None
    ways: list[str] = []
    squares = np.zeros((len(manifest), 2), dtype=np.complex128)
    with replacing(pixels) as beside:
        mapped = np.lib.format.open_memmap(beside, mode="w+", dtype=np.uint8, shape=shape)
        for row in range(len(manifest)):
            search = cut == "points" and given[row] is None and searched[row] is None
            if search and detector is None:
                detector = load_detector("centerface")
            face = _cut_row(manifest, row, alignment, cut, detector if search else None)
            mapped[row] = face.pixels[:, :, :channels]
            squares[row] = face.square
            ways.append(face.way)
            if advance:
                advance(row + 1, len(manifest))
        mapped.flush()
    with replacing(facts) as beside, beside.open("wb") as stream:
        np.savez(stream, ways=np.array(ways), squares=squares)


def _cut_row(manifest: Manifest, row: int, alignment: Alignment, cut: str, detector: Detector | None) -> Cut:
    picture = manifest.picture(row)
    try:
        points5 = manifest.points5(row) if cut == "points" else None
        return cut_face(picture, alignment, points5=points5, box=manifest.box(row), detector=detector)
    except DataError as error:
        raise DataError(
            f"{manifest.name(row)}: cannot be cut ({error}); mend its points or box, or give the row another status"
        ) from error
