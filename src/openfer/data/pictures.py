"""The pictures of a manifest: decoded with a status instead of an error, and followed when the manifest moves."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from openfer.data.manifest import Manifest
from openfer.errors import DataError, UnsupportedError
from openfer.records import OK, UNREADABLE, UNSUPPORTED
from openfer.vision.image import Picture, read_image

MISSING = "missing"

Progress = Callable[[int, int], None]
"""Called with the number of rows done and the number of all rows."""


def decode(manifest: Manifest, row: int) -> tuple[Picture | None, str]:
    """A row's picture, uint8 [H, W, 3] RGB, and `ok`; or None and why: `missing`, `unreadable: …`, `unsupported: …`."""
    try:
        encoded = manifest.encoded(row)
    except DataError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        return None, MISSING if missing else f"{UNREADABLE}: {error}"
    try:
        return read_image(encoded, orient=False), OK
    except UnsupportedError as error:
        return None, f"{UNSUPPORTED}: {error}"
    except DataError as error:
        return None, f"{UNREADABLE}: {error}"


def relocate(manifest: Manifest, folder: Path) -> Manifest:
    """The same manifest for a file in `folder`: paths of pictures are rewritten relative to it."""
    # Real paths: `..` after a link to a folder would lead elsewhere.
    source, target = os.path.realpath(manifest.root), os.path.realpath(folder)
    if source == target:
        return replace(manifest, root=folder)
    return replace(manifest.with_paths(lambda path: relative_path(source, path, target)), root=folder)


def relative_path(source: str, path: str, target: str) -> str:
    """A path that is relative to the folder `source`, relative to the folder `target`, both real paths."""
    full = Path(source, path)
    try:
        return Path(os.path.relpath(full, target)).as_posix()
    except ValueError:  # another drive
        return str(full)
