"""The development arrays of FER+ (`ferplus_train.npz`, `ferplus_valid.npz`) as a manifest with embedded pictures.

    python tools/dev_manifest.py FOLDER OUT.parquet --votes crossentropy

Not part of the package: users read the official release with `openfer data scan ferplus`.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from openfer import __version__
from openfer.data.manifest import Origin, build_manifest, write_manifest
from openfer.data.votes import LABELS, RULES, describe_rule, rule_for, vote_fields

FILES = {"train": "ferplus_train.npz", "validation": "ferplus_valid.npz"}


def rows_of(path: Path, split: str, rule: str, source: str) -> list[dict[str, Any]]:
    """A file's rows, in its order; `source` names the array of votes that is read."""
    with np.load(path, allow_pickle=False) as arrays:
        # Stored as differences between the rows of a picture, modulo 256.
        pictures = np.cumsum(arrays["images_dy"], axis=1, dtype=np.uint8)
        numbers, counts = arrays["number"], arrays[source]
    return [
        {"image": {"bytes": png(picture), "path": None}, "split": split, "source": f"fer{number:07d}.png"} | fields
        for picture, number, fields in zip(pictures, numbers, vote_fields(counts, rule_for(split, rule)), strict=True)
    ]


def png(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """A grey picture uint8 [H, W] as the bytes of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def main() -> None:
    """Read the arguments, write the manifest, say how many rows each split has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds the two npz files")
    parser.add_argument("out", type=Path, help="the manifest to write")
    parser.add_argument("--votes", choices=RULES, default="majority", help="rule of the training rows' labels")
    parser.add_argument("--source", choices=("votes", "votes_new"), default="votes", help="whose votes are read")
    options = parser.parse_args()
    rows = [
        row
        for split, name in FILES.items()
        for row in rows_of(options.folder / name, split, options.votes, options.source)
    ]
    origin = Origin(layout="ferplus", reader=__version__, rule=describe_rule(options.votes), notes=(options.source,))
    write_manifest(build_manifest(rows, LABELS, origin, options.out.parent), options.out)
    for split in FILES:
        usable = sum(row["split"] == split and row["status"] == "ok" for row in rows)
        print(f"{split}: {sum(row['split'] == split for row in rows)} rows, {usable} usable")


if __name__ == "__main__":
    main()
