"""A support as one small file: a NumPy archive (.npz) of plain arrays. Nothing in it is a pickle."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from openfer.errors import ConfigError, DataError, reason
from openfer.files import blaming, replacing
from openfer.labels import LabelSet
from openfer.predict.support.support import ModelKey, Support

FORMAT = 1
SUFFIX = ".npz"


def check_name(path: Path) -> None:
    """Raise `ConfigError` where this is not the name of a support's file."""
    if path.suffix.lower() != SUFFIX or path.is_dir():
        raise ConfigError(f"{path}: expected the name of a {SUFFIX} file to write the support to")


def save_support(support: Support, path: str | Path) -> None:
    """Write a support whole or not at all.

    Raises:
        ConfigError: the name does not end in `.npz`.
        DataError: it cannot be written.
    """
    path = Path(path)
    check_name(path)
    about = {
        "format": FORMAT,
        "classes": list(support.labels),
        "pictures": list(support.pictures),
        "model": asdict(support.model),
    }
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    with replacing(path) as beside, beside.open("wb") as stream:
        np.savez(stream, about=text, features=support.features, truth=support.truth)


def load_support(path: str | Path) -> Support:
    """Read a support.

    Raises:
        DataError: it cannot be read, is no support, or one of another version of the program.
    """
    path = Path(path)
    again = "build it again with `openfer support build DIR OUT.npz`"
    with blaming(path, "read"):
        stream = path.open("rb")
    try:
        with stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("no .npz file, or one that was cut short")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as arrays:
                about = json.loads(arrays["about"].tobytes())
                features, truth = arrays["features"], arrays["truth"]
        if about["format"] != FORMAT:
            raise DataError(f"{path}: format {about['format']}, this program reads {FORMAT}; {again}")
        return Support(
            labels=LabelSet("own", tuple(map(str, about["classes"]))),
            features=features.astype(np.float32),
            truth=truth.astype(np.int64),
            pictures=tuple(map(str, about["pictures"])),
            model=ModelKey(**about["model"]),
        )
    except DataError:
        raise
    except Exception as error:  # a damaged archive can end in any error of zipfile, NumPy or json
        raise DataError(f"{path}: not a support that can be read ({reason(error)}); {again}") from error
