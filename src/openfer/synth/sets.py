"""A whole set of generated faces as a manifest, written while it is drawn."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from openfer import __version__
from openfer.data.manifest import METADATA_KEY, SCHEMA, VERSION, Manifest, Origin
from openfer.errors import ConfigError
from openfer.files import replacing
from openfer.labels import LabelSet, action_units, label_set
from openfer.records import OK
from openfer.synth.action_units import UNITS
from openfer.synth.expression import NAMES, Expression, draw_expression, draw_free, prototype
from openfer.synth.identity import draw_identity
from openfer.synth.rendering import Rendering, render
from openfer.synth.scene import draw_scene
from openfer.synth.streams import EXPRESSION, ORDER, SCENE, stream

PER_PERSON = 7
"""Pictures of each person."""
SPLIT_OF_PERSON = ("train", "train", "validation", "train", "test", "train", "train")
"""Persons take turns: 5 of 7 train, 1 of 7 each of the others, so that small sets have every split too."""
CHUNK = 70
"""Pictures drawn, encoded and written together: the most that is in memory for each worker."""
AUS = "aus"

COLUMNS = pa.schema(
    [
        *(SCHEMA.field(name) for name in ("image", "label", "split", "subject", "box", "points5", "points5_status")),
        *(SCHEMA.field(name) for name in ("landmarks68", "aus", "status", "source")),
        ("intensity", pa.float32()),
        ("yaw", pa.float32()),
        ("pitch", pa.float32()),
        ("roll", pa.float32()),
    ]
)
"""The manifest's columns, and four of the generator's own: intensity 0 to 1, angles in degrees (see `Pose`)."""


def write_set(
    path: Path,
    count: int,
    seed: int,
    *,
    size: int = 96,
    labels: str = "basic7",
    prototypes: bool = False,
    command: str = "",
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Draw a set and write its manifest; the file appears when it is complete.

    Picture i depends on the seed, the size, the labels and i alone: not on `count`, `workers` or the machine. Each
    person is shown `PER_PERSON` times, with every expression where there are that many, and stands in one split.

    Args:
        path: of the Parquet file.
        count: how many pictures, 1 or more.
        seed: 0 or more.
        size: side of the pictures, 32 to 1024 px.
        labels: `aus` for action units drawn freely without an expression, else a label set's name, or names with
            commas; of the expressions that are known (the basic seven and contempt).
        prototypes: show each expression's AUs as the books have them, nothing left out, added or mixed.
        command: the command line to name in the file.
        workers: processes that draw; the file is the same for any number.
        progress: called with the number of pictures written so far.

    Raises:
        ConfigError: an argument is out of its range, or a label that cannot be drawn.
        DataError: the file cannot be written.
    """
    names = check(count, seed, size, labels)
    origin = Origin(layout="synth", reader=__version__, rule="as drawn", command=command, notes=(f"seed {seed}",))
    schema = COLUMNS.with_metadata({METADATA_KEY: _metadata(names, origin)})
    done = 0
    with replacing(path) as beside, pq.ParquetWriter(beside, schema, compression="zstd") as writer:
        for table in _tables(count, seed, size, labels, prototypes, workers):
            writer.write_table(table.replace_schema_metadata(schema.metadata))
            done += table.num_rows
            if progress:
                progress(done)


def draw_set(count: int, seed: int, *, size: int = 96, labels: str = "basic7", prototypes: bool = False) -> Manifest:
    """As `write_set`, in memory."""
    names = check(count, seed, size, labels)
    origin = Origin(layout="synth", reader=__version__, rule="as drawn", notes=(f"seed {seed}",))
    return Manifest(pa.concat_tables(_tables(count, seed, size, labels, prototypes, 1)), names, origin, Path())


def check(count: int, seed: int, size: int, labels: str) -> LabelSet:
    """The set of labels, once the arguments are in their ranges. Raises `ConfigError` where they are not."""
    for name, value, low, high in (("count", count, 1, 10**7), ("seed", seed, 0, 2**63), ("size", size, 32, 1024)):
        if not low <= value <= high:
            raise ConfigError(f"synth: expected {name} from {low} to {high}, got {value}")
    names = label_set("basic7" if labels == AUS else labels)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ConfigError(f"synth: '{unknown[0]}' cannot be drawn; the expressions are {', '.join(NAMES)}")
    return names


def draw_picture(
    seed: int, number: int, *, size: int = 96, labels: str = "basic7", prototypes: bool = False
) -> tuple[Rendering, dict[str, Any]]:
    """Picture `number` of a set, before it is encoded, and its row of the manifest."""
    return _draw(seed, number, size, None if labels == AUS else label_set(labels), prototypes)


def _draw(
    seed: int, number: int, size: int, names: LabelSet | None, prototypes: bool
) -> tuple[Rendering, dict[str, Any]]:
    who, turn = divmod(number, PER_PERSON)
    person = draw_identity(seed, who)
    shown = _expression(seed, number, who, turn, names, prototypes)
    scene = draw_scene(stream(seed, SCENE, number))
    rendering = render(person, shown.aus, scene=scene, size=size)
    truth = rendering.truth
    row = {
        "image": {"bytes": _jpeg(rendering, scene.photograph.quality), "path": None},
        "label": shown.label,
        "split": SPLIT_OF_PERSON[who % len(SPLIT_OF_PERSON)],
        "subject": person.name,
        "box": _clipped(truth.box, size),
        "points5": truth.points5,
        "points5_status": "given",
        "landmarks68": truth.landmarks.tolist(),
        "aus": list(zip(action_units(*UNITS), shown.aus.mean.tolist(), strict=True)),
        "status": OK,
        "source": f"seed {seed}, picture {number}",
        "intensity": shown.intensity,
        "yaw": truth.yaw,
        "pitch": truth.pitch,
        "roll": truth.roll,
    }
    return rendering, row


def _expression(seed: int, number: int, who: int, turn: int, names: LabelSet | None, prototypes: bool) -> Expression:
    rng = stream(seed, EXPRESSION, number)
    if names is None:
        return draw_free(rng)
    # Every person goes through all the expressions, in an order of their own; what is over is chosen anew.
    order = stream(seed, ORDER, who).permutation(len(names))
    label = names.names[int(order[turn])] if turn < len(order) else names.names[int(rng.integers(len(names)))]
    if prototypes:
        return prototype(label, rng, intensity=float(rng.uniform(0.6, 1.0)))
    return draw_expression(label, rng)


def _jpeg(rendering: Rendering, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rendering.picture).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _clipped(box: tuple[float, float, float, float], size: int) -> tuple[float, float, float, float]:
    low, high = np.clip([box[:2], (box[0] + box[2], box[1] + box[3])], 0, size)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def _metadata(names: LabelSet, origin: Origin) -> bytes:
    info = {"version": VERSION, "label_set": names.name, "labels": list(names.names)}
    return json.dumps(info | asdict(origin)).encode()


def _tables(count: int, seed: int, size: int, labels: str, prototypes: bool, workers: int) -> Iterator[pa.Table]:
    starts = range(0, count, CHUNK)
    tasks = ((seed, start, min(start + CHUNK, count), size, labels, prototypes) for start in starts)
    if workers <= 1 or len(starts) == 1:
        yield from (_table(*task) for task in tasks)
        return
    with ProcessPoolExecutor(min(workers, len(starts)), mp_context=get_context("spawn")) as pool:
        # Few chunks ahead of what is written: memory does not grow with the set.
        waiting = deque(pool.submit(_table, *task) for task in islice(tasks, 2 * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(_table, *task) for task in islice(tasks, 1))


def _table(seed: int, start: int, stop: int, size: int, labels: str, prototypes: bool) -> pa.Table:
    names = None if labels == AUS else label_set(labels)
    rows = [_draw(seed, number, size, names, prototypes)[1] for number in range(start, stop)]
    return pa.Table.from_pylist(rows, schema=COLUMNS)
