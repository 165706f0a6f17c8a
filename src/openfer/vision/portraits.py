"""Two public-domain portraits that installed packages carry: for the demo, and to check exported models on."""

from __future__ import annotations

from pathlib import Path

from openfer.files import package_file

PORTRAITS = {
    "Eileen Collins": ("skimage", "data/astronaut.png"),
    "Grace Hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
"""Photos by NASA and the U.S. Navy: who, package, file."""


def portrait_paths() -> dict[str, Path]:
    """Who -> file, for the portraits that are on this machine."""
    paths = {who: package_file(package, file) for who, (package, file) in PORTRAITS.items()}
    return {who: path for who, path in paths.items() if path is not None}
