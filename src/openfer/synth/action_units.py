"""The facial action units (AUs) as movements of the face, in millimetres at full intensity.

What moves, where to and how far follows the descriptions of appearance changes in Ekman, Friesen & Hager, *Facial
Action Coding System: The Manual* (2002); the distances are set near the largest that people reach (Paletz, Manktelow &
Chaban, Plast Reconstr Surg 94 (1994), 281-288: mouth corner in a full smile 7 to 22 mm from rest; Neely et al.,
Otolaryngol Head Neck Surg 108 (1993), 53-60: brow lift 5 to 11 mm). Three tables: `PUSHES` move the skin, `LIPS` the
edges of the lips and `LIDS` those of the eyelids. Furrows and bulges are in `skin.py`.

Directions are those of one half of the face: `out` away from the middle, `down` towards the chin, `forward` to the
viewer. AU 43 and AU 45 differ by duration; in one picture only by the lower lid, which a blink pulls up and inward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from openfer.errors import ConfigError, did_you_mean
from openfer.synth.anatomy import Anatomy
from openfer.synth.fields import rise

Floats = NDArray[np.floating]

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 23, 24, 25, 26, 43, 45)
"""The action units that are drawn."""
_INDEX = {unit: index for index, unit in enumerate(UNITS)}

JAW_DROP = 21.0
"""How far the chin sinks at AU 26, mm: the jaw hangs; AU 27 would stretch it further."""
HELD = 0.75
"""AU 1 holds the brow up against AU 4, which then only draws it together (FACS manual, AU 1+4 and 1+2+4)."""
LIPS_PART = 8.0
"""How far AU 25 alone parts the lips, mm."""


@dataclass(frozen=True, slots=True)
class ActionUnits:
    """The intensities of `UNITS` on the two halves of the face as seen in the picture, [20] each, 0 to 1."""

    left: Floats
    right: Floats

    @classmethod
    def of(
        cls,
        intensities: Mapping[int, float],
        left: Mapping[int, float] | None = None,
        right: Mapping[int, float] | None = None,
    ) -> ActionUnits:
        """Intensities by AU number; `left` and `right` overrule them for one half of the face.

        Raises:
            ConfigError: an AU that is not drawn, or an intensity outside 0 to 1.
        """
        return cls(_vector({**intensities, **(left or {})}), _vector({**intensities, **(right or {})}))

    @property
    def mean(self) -> Floats:
        """The two halves' mean: what the manifest holds."""
        return 0.5 * (self.left + self.right)

    @property
    def mirrored(self) -> ActionUnits:
        """Left and right exchanged."""
        return ActionUnits(self.right, self.left)

    def at(self, x: Floats) -> Floats:
        """Intensities at places x (mm from the middle, any shape [...]), [20, ...]: blended across the middle."""
        share = 0.5 + 0.5 * np.tanh(x / 7.0)
        shape = (len(UNITS),) + (1,) * np.ndim(x)
        result: Floats = self.left.reshape(shape) * (1 - share) + self.right.reshape(shape) * share
        return result

    def half(self, side: int) -> dict[int, float]:
        """Intensities by AU number on the left (-1) or right (1) half."""
        return dict(zip(UNITS, (self.left if side < 0 else self.right).tolist(), strict=True))


def _vector(intensities: Mapping[int, float]) -> Floats:
    vector = np.zeros(len(UNITS))
    for unit, intensity in intensities.items():
        if unit not in _INDEX:
            raise ConfigError(f"AU {unit} is not drawn; {did_you_mean(str(unit), [str(known) for known in UNITS])}")
        if not 0 <= intensity <= 1:
            raise ConfigError(f"AU {unit}: expected an intensity from 0 to 1, got {intensity}")
        vector[_INDEX[unit]] = intensity
    return vector


class Push(NamedTuple):
    """A smooth displacement of the skin around a named place."""

    unit: int
    place: str
    reach: tuple[float, float]  # standard deviations across and along, mm
    out: float
    down: float
    forward: float = 0.0


PUSHES = (
    Push(1, "brow_inner", (11, 15), 0, -9.5, 0.5),
    Push(2, "brow_outer", (15, 15), 1, -9.5, 0.5),
    Push(2, "brow_middle", (9, 13), 0, -2.5),
    Push(4, "brow_inner", (13, 11), -6.0, 10.5, 3.0),
    Push(4, "brow_middle", (12, 11), -2.5, 5.5, 2.0),
    Push(4, "brow_outer", (14, 12), -1.0, 1.5, 1.0),
    Push(6, "cheek", (17, 12), 1.0, -7.0, 6.5),
    Push(6, "eye_corner", (10, 8), -3.0, 1.5, 1.5),
    Push(6, "brow_outer", (12, 8), 0, 2.0),
    Push(7, "lower_lid", (14, 5), -0.5, -2.0, 2.5),
    Push(9, "nose_side", (8, 11), 0.5, -4.0, 2.5),
    Push(9, "wing", (9, 9), 2.0, -5.5, 2.0),
    Push(9, "infraorbital", (13, 9), -2.0, -4.5, 3.0),
    Push(9, "brow_inner", (13, 10), -2.5, 5.5, 2.0),
    Push(9, "lip_top", (14, 8), 0, -3.5, 1.0),
    Push(10, "lip_top", (13, 9), 1.0, -6.5, 3.0),
    Push(10, "wing", (10, 8), 2.0, -2.5, 1.0),
    Push(10, "infraorbital", (12, 10), 0, -2.5, 3.5),
    Push(12, "corner", (14, 12), 7.5, -9.0, -1.5),
    Push(12, "cheek", (16, 13), 2.0, -5.0, 7.0),
    Push(14, "corner", (6, 7), 0.5, -1.5, -4.0),
    Push(14, "beside_corner", (6, 9), -2.0, 0, 3.5),
    Push(15, "corner", (11, 11), 0.5, 6.0, -1.0),
    Push(15, "below_corner", (10, 9), 0, 3.5, 3.0),
    Push(16, "below_lip", (16, 8), 0.5, 5.0, 2.0),
    Push(17, "chin", (16, 12), 0, -7.5, 5.0),
    Push(17, "below_lip", (16, 8), 0, -3.5, 1.5),
    Push(20, "corner", (15, 13), 6.5, 1.5, -2.0),
    Push(20, "below_corner", (14, 14), 4.0, 1.5, 0),
    Push(23, "corner", (10, 9), -4.5, 0, 2.0),
    Push(24, "lip_top", (14, 6), 0, 0.5, 2.5),
    Push(24, "below_lip", (14, 6), 0, -1.5, 2.5),
)


@lru_cache(maxsize=16)
def places(body: Anatomy) -> dict[str, tuple[float, float]]:
    """Where the pushes act on a resting face: x from the middle, y, mm."""
    half_mouth, brow = body.mouth_width / 2, -body.brow_height
    return {
        "brow_inner": (0.5 * body.eye_gap - 3, brow + 1),
        "brow_middle": (body.pupil_x, brow - 1),
        "brow_outer": (body.pupil_x + 13, brow),
        "eye_corner": (body.pupil_x + 0.5 * body.eye_width + 4, 3),
        "lower_lid": (body.pupil_x, 11),
        "infraorbital": (0.5 * body.nose_width + 5, body.nose_tip - 16),
        "cheek": (body.pupil_x + 5, body.nose_tip - 8),
        "nose_side": (9, body.nose_tip - 22),
        "wing": (0.5 * body.nose_width - 3, body.nose_tip + 1),
        "lip_top": (9, body.mouth - 11),
        "corner": (half_mouth, body.mouth),
        "beside_corner": (half_mouth + 9, body.mouth + 1),
        "below_corner": (half_mouth + 2, body.mouth + 13),
        "below_lip": (0, body.mouth + 15),
        "chin": (0, body.chin - 15),
    }


# Channels of the lips' edges. `part` and `jaw` act only as far as AU 25 parts the lips (see `mouth.py`).
LIPS: dict[int, dict[str, float]] = {
    9: {"upper_up": 3.5, "square": 0.3},
    10: {"upper_up": 7.5, "square": 0.7, "upper_thin": 0.1},
    12: {"corner_out": 8.0, "corner_down": -10.5, "upper_up": 2.5, "upper_thin": 0.3, "lower_thin": 0.15},
    14: {"corner_out": -1.5, "corner_down": -2.5, "upper_thin": 0.25, "lower_thin": 0.25, "pinch": 1.0},
    15: {"corner_out": 1.0, "corner_down": 6.5, "lower_thin": 0.15, "upper_thin": 0.1},
    16: {"lower_down": 10.0, "square": 0.3, "lower_thin": -0.25},
    17: {"lower_down": -4.5, "upper_up": 2.5, "corner_down": 1.5, "upper_thin": 0.1, "lower_thin": -0.1},
    20: {"corner_out": 7.5, "corner_down": 1.5, "upper_thin": 0.35, "lower_thin": 0.35, "square": 0.5},
    23: {"corner_out": -6.5, "corner_down": 1.2, "upper_thin": 0.55, "lower_thin": 0.55, "square": 0.4},
    24: {"corner_out": -0.5, "corner_down": 1.2, "upper_thin": 0.75, "lower_thin": 0.75, "pinch": 0.3},
}
# Channels of the eyelids' edges, mm at the middle of the lid; `close` is a share of the way to the lower
# lid, `fold` how far the eye cover fold comes down.
LIDS: dict[int, dict[str, float]] = {
    1: {"upper_slant": 1.2, "fold": -1.0},
    2: {"upper_slant": -0.8, "upper_up": 0.4, "fold": -1.5},
    4: {"upper_up": -0.8, "upper_slant": -0.8, "fold": 2.0},
    5: {"upper_up": 4.4, "fold": -1.0},
    6: {"upper_up": -0.6, "lower_up": 2.5, "lower_slant": 1.0},
    7: {"upper_up": -1.3, "lower_up": 3.9},
    9: {"upper_up": -0.9, "lower_up": 1.3, "fold": 1.2},
    12: {"lower_up": 0.7},
    43: {"close": 1.0},
    45: {"close": 1.0, "lower_up": 4.0, "lower_slant": -1.0},
}


def channels(table: Mapping[int, Mapping[str, float]], half: Mapping[int, float]) -> dict[str, float]:
    """The sums of a table's channels for one half of the face; absent channels are 0."""
    sums = {name: 0.0 for effects in table.values() for name in effects}
    for unit, effects in table.items():
        for name, amount in effects.items():
            sums[name] += amount * half[unit]
    return sums


def displacement(x: Floats, y: Floats, aus: ActionUnits, body: Anatomy) -> Floats:
    """How the skin at rest places moves.

    Args:
        x, y: places on the resting face, mm, [n].
        aus: what the face does.
        body: whose face.

    Returns:
        [n, 3] mm: right, down, forward.
    """
    intensity, side, across = aus.at(x), np.tanh(x / 3.0), np.abs(x)
    active = (aus.left > 0) | (aus.right > 0)
    where = places(body)
    moved = np.zeros((len(x), 3))
    for push in PUSHES:
        if not active[_INDEX[push.unit]]:
            continue
        centre_x, centre_y = where[push.place]
        reach_x, reach_y = push.reach
        near = np.exp(-0.5 * (((across - centre_x) / reach_x) ** 2 + ((y - centre_y) / reach_y) ** 2))
        weight = intensity[_INDEX[push.unit]] * near
        held = 1 - HELD * intensity[_INDEX[1]] if push.unit == 4 else 1.0
        moved[:, 0] += weight * side * push.out
        moved[:, 1] += weight * push.down * held
        moved[:, 2] += weight * push.forward
    drop = JAW_DROP * float(aus.mean[_INDEX[26]])
    if drop:
        share = jaw_share(across, y, body)
        moved[:, 0] -= 0.10 * drop * share * side * np.minimum(across / 40, 1)
        moved[:, 1] += drop * share
        moved[:, 2] -= 0.35 * drop * share
    return moved


def jaw_share(across: Floats, y: Floats, body: Anatomy) -> Floats:
    """How much of the chin's movement the skin follows: all at the chin, nothing at the nose and by the ears."""
    middle = rise(body.nose_base + 4, body.mouth + 26, y)
    side = rise(30.0, body.chin - 8, y)
    flank = rise(28.0, 58.0, across)
    result: Floats = middle * (1 - flank) + side**1.3 * flank
    return result
