"""Readers: a data set as it lies on disk becomes rows of a manifest. A file a data set; its docstring draws the tree.

To add one: a module with `read(root, options) -> Scan`, and its line in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openfer.data.layouts import (
    afew,
    affectnet_csv,
    affectnet_npy,
    bp4d,
    caer_s,
    ckplus,
    disfa,
    expw,
    fer2013,
    ferplus,
    folder,
    jaffe,
    kdef,
    mmi,
    rafdb,
    sfew,
    table,
)
from openfer.data.layouts.common import Scan, ScanOptions
from openfer.errors import ConfigError, did_you_mean

Reader = Callable[[Path, ScanOptions], Scan]

LAYOUTS: dict[str, Reader] = {
    "rafdb": rafdb.read,
    "rafdb-compound": rafdb.read_compound,
    "affectnet-csv": affectnet_csv.read,
    "affectnet-npy": affectnet_npy.read,
    "fer2013": fer2013.read,
    "ferplus": ferplus.read,
    "sfew": sfew.read,
    "afew": afew.read,
    "expw": expw.read,
    "mmi": mmi.read,
    "bp4d": bp4d.read,
    "disfa": disfa.read,
    "ckplus": ckplus.read,
    "jaffe": jaffe.read,
    "kdef": kdef.read,
    "caer-s": caer_s.read,
    "folder": folder.read,
    "manifest": table.read,
}


def reader(layout: str) -> Reader:
    """The reader of a layout. Raises `ConfigError` for an unknown name."""
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown layout '{layout}'; {did_you_mean(layout, LAYOUTS)}")
    return LAYOUTS[layout]
