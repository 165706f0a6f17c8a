"""What a user can ask `openfer data prepare` for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from openfer.errors import ConfigError, did_you_mean
from openfer.vision.align import Alignment
from openfer.vision.patches import PATCH_SIDE

PATCHES = ("regions", "landmarks")
CUTS = ("points", "frame")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """What is made of a row beside its five points.

    Args:
        landmarks: the 68 landmarks, and from them the places of 17 action units.
        crops: the aligned face as a picture.
        patches: eyes and mouth as pictures: cut by fixed `regions` of the aligned face, or by regions that are moved to
            the row's `landmarks`; None for none.
        cut: where the aligned face is: by the row's five points, or its `frame` (box or whole picture) in any case.
        align: template, size in pixels, colour and margin of the aligned face.
        patch_side: of the patches, pixels.

    Raises:
        ConfigError: an unknown word, a side that is too small or large, or patches by landmarks without landmarks.
    """

    landmarks: bool = True
    crops: bool = False
    patches: Literal["regions", "landmarks"] | None = None
    cut: Literal["points", "frame"] = "points"
    align: Alignment = field(default_factory=Alignment)
    patch_side: int = PATCH_SIDE

    def __post_init__(self) -> None:
        for name, value, known in (("patches", self.patches, (*PATCHES, None)), ("cut", self.cut, CUTS)):
            if value not in known:
                raise ConfigError(f"{name}: unknown '{value}'; {did_you_mean(str(value), [k for k in known if k])}")
        if not 8 <= self.patch_side <= 1024:
            raise ConfigError(f"patch side: expected 8 to 1024 px, got {self.patch_side}")
        if self.patches == "landmarks" and not self.landmarks:
            raise ConfigError("patches: 'landmarks' needs the landmarks; ask for both, or for patches by 'regions'")

    @property
    def pictures(self) -> tuple[str, ...]:
        """The columns of pictures that are made."""
        return (*(("face",) if self.crops else ()), *(("eyes", "mouth") if self.patches else ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are written."""
        found = ("landmarks68", "landmarks_status", "landmark_confidence", "landmark_quality", "au_locations")
        return ("points5", "points5_status", "status", *(found if self.landmarks else ()), *self.pictures)
