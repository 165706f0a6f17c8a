"""Draw the mini set that comes with the package: `src/openfer/synth/mini.parquet`.

    python tools/make_mini_set.py

Run again when the generator has changed. The same generator writes the same rows. What `draw_set` draws is kept with
one JPEG quality, and places are rounded to 1/64 pixel, so that the file stays small.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from openfer import __version__
from openfer.data.manifest import MINI, SPLITS, Manifest, Origin, write_manifest
from openfer.labels import label_set
from openfer.synth.sets import COLUMNS, PER_PERSON, draw_picture
from openfer.vision.image import Picture

COUNT = 200 * PER_PERSON
SIZE = 96
SEED = 1400
"""Not the default of `openfer synth`: a model of these faces may be judged on those."""
QUALITY = 85
LIMIT = 4_000_000
"""Bytes that the package can spare."""
FINEST = 64
"""Parts of a pixel that places are rounded to; powers of two leave float32 with zeros that compress."""


def row_of(number: int, quality: int) -> dict[str, Any]:
    """A picture's row, small."""
    rendering, row = draw_picture(SEED, number, size=SIZE)
    rounded = {name: _rounded(row[name]) for name in ("box", "points5", "landmarks68")}
    return row | rounded | {"image": {"bytes": _jpeg(rendering.picture, quality), "path": None}}


def _rounded(places: Sequence[Any]) -> list[Any]:
    nearest: list[Any] = (np.round(np.array(places) * FINEST) / FINEST).tolist()
    return nearest


def _jpeg(picture: Picture, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Read the arguments, draw, write, say what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=MINI, help="the manifest to write")
    parser.add_argument("--count", type=int, default=COUNT, help="how many pictures")
    parser.add_argument("--quality", type=int, default=QUALITY, help="of JPEG, 1 to 95")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(partial(row_of, quality=options.quality), range(options.count), chunksize=PER_PERSON))
    notes = (f"seed {SEED}", f"JPEG quality {options.quality}")
    origin = Origin(layout="synth", reader=__version__, rule="as drawn", notes=notes)
    manifest = Manifest(pa.Table.from_pylist(rows, schema=COLUMNS), label_set("basic7"), origin)
    write_manifest(manifest, options.out)

    splits, size = Counter(manifest.column("split")), options.out.stat().st_size
    shares = ", ".join(f"{splits[split]} {split}" for split in SPLITS)
    persons = len(set(manifest.column("subject")))
    print(f"{options.out}: {size:,} bytes, {len(manifest)} faces of {persons} persons ({shares}), {SIZE} px")
    if size > LIMIT:
        parser.exit(1, f"more than {LIMIT:,} bytes; lower --quality\n")


if __name__ == "__main__":
    main()
