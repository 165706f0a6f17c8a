"""Face detectors: a picture in, faces with boxes and five points out, largest first."""

from __future__ import annotations

from typing import Protocol

from openfer.errors import ConfigError, did_you_mean
from openfer.records import Face
from openfer.vision.image import Picture

DETECTORS = ("centerface", "none")
DETECT_SIZE = 480
THRESHOLD = 0.35


class Detector(Protocol):
    """What every detector offers."""

    def find(self, picture: Picture, *, detect_size: int = DETECT_SIZE, threshold: float = THRESHOLD) -> list[Face]:
        """Faces of a picture uint8 [H, W, 3], largest box first; empty where there are none.

        Args:
            detect_size: the picture's longer side is brought to at most this many pixels before the search.
            threshold: faces with a lower score are left out, 0 to 1.
        """
        ...


def load_detector(name: str, *, threads: int | None = None) -> Detector | None:
    """A detector by name; `none` gives None: every picture is a face already.

    Raises:
        ConfigError: the name is unknown.
        ModelError: the detector's weights are not on this machine.
    """
    if name not in DETECTORS:
        raise ConfigError(f"unknown detector '{name}'; {did_you_mean(name, DETECTORS)}")
    if name == "none":
        return None
    from openfer.vision.detect.centerface import CenterFace

    return CenterFace(threads=threads)
