"""Generated faces with expressions that no data set names, for `support.py`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openfer.synth import ActionUnits, draw_identity, render
from openfer.synth.scene import draw_scene
from openfer.vision.image import Picture

SEED = 77


class Shown(NamedTuple):
    """Action units of both halves of the face, and those of one half only; which half is drawn by lot."""

    both: tuple[int, ...]
    one: tuple[int, ...] = ()


CHOOSING = {
    "smirk": Shown(both=(7,), one=(12,)),
    "sneer": Shown(both=(4,), one=(9, 10)),
    "savour": Shown(both=(17, 43)),
    "puff": Shown(both=(1, 17, 23)),
    "grin": Shown(both=(6, 20, 25)),
    "stare": Shown(both=(5, 15), one=(2,)),
}
"""What distance, mirroring and constants were chosen on."""
JUDGED = {
    "wink": Shown(both=(12,), one=(43,)),
    "doubt": Shown(both=(14, 23), one=(2,)),
    "effort": Shown(both=(4, 6, 7, 24, 25)),
}
"""Nothing was chosen on these."""


def draw(shown: Shown, who: int, turn: int, *, low: float = 0.6, high: float = 1.0, size: int = 224) -> Picture:
    """A person with an expression, in a scene by lot: uint8 [size, size, 3].

    Args:
        shown: the expression.
        who: number of the person.
        turn: number of the picture of this person.
        low, high: range of the intensities.
        size: side, pixels.
    """
    rng = np.random.default_rng([SEED, who, turn])
    both, one = ({unit: float(rng.uniform(low, high)) for unit in units} for units in shown)
    halves = (one, {}) if rng.uniform() < 0.5 else ({}, one)
    aus = ActionUnits.of(both, left=halves[0], right=halves[1])
    return render(draw_identity(SEED, who), aus, scene=draw_scene(rng), size=size).picture
