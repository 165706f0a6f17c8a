"""Readers: a data set as it lies on disk becomes rows of a manifest. A file a data set; its docstring draws the tree.

To add one: a module with `read(root, options) -> Scan`, and its line in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openfer.data.layouts import fer2013, ferplus, folder
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.errors import ConfigError, did_you_mean

Reader = Callable[[Path, ScanOptions], Scan]

LAYOUTS: dict[str, Reader] = {
    "fer2013": fer2013.read,
    "ferplus": ferplus.read,
    "folder": folder.read,
}


def reader(layout: str) -> Reader:
    """The reader of a layout. Raises `ConfigError` for an unknown name."""
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown layout '{layout}'; {did_you_mean(layout, LAYOUTS)}")
    return LAYOUTS[layout]
