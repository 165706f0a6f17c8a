"""Who is shown: everything about a face that stays the same from picture to picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from openfer.synth.anatomy import Anatomy, draw_anatomy
from openfer.synth.hair import Covering, HairStyle, draw_covering, draw_style
from openfer.synth.head import Head
from openfer.synth.paint import Array, linear
from openfer.synth.streams import IDENTITY, stream

# sRGB of hair; grey is mixed in with age.
HAIR = {
    "black": (24, 20, 19),
    "dark brown": (50, 36, 28),
    "brown": (88, 62, 43),
    "light brown": (128, 96, 66),
    "blond": (186, 152, 104),
    "red": (132, 66, 38),
}
GREY = (176, 173, 168)
IRIS = {
    "brown": (78, 48, 28),
    "dark brown": (48, 31, 22),
    "hazel": (112, 88, 50),
    "green": (98, 116, 82),
    "blue": (92, 124, 152),
    "grey": (118, 128, 134),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Identity:
    """One person. Colours are linear RGB, [3]; shares are 0 to 1 unless said otherwise.

    Compared by identity, not by value: results for a person are cached.
    """

    name: str
    head: Head
    maleness: float
    age: float  # years
    age_lines: float
    melanin: float
    ruddy: float
    olive: float  # -1 to 1
    oily: float  # about 1
    tired: float
    freckles: float
    texture: float  # offset of all textures: no two people's skin has the same mottle
    lip_colour: Array
    lipstick: float
    eye_shadow: float
    lashes: float
    iris_colour: Array
    pupil: float  # radius, mm
    eye_tilt: float  # mm
    lid_show: float  # mm of upper lid below the crease
    fold: float  # epicanthic fold: how far it hides the crease
    brow_gap: float  # mm
    brow_arch: float
    brow_tilt: float
    brow_thickness: float  # half, mm
    brow_density: float
    brow_colour: Array
    beard: float
    beard_reach: float  # from a beard on the chin alone to one that reaches high on the cheeks
    moustache: float
    stubble: float
    beard_colour: Array
    hair_colour: Array
    hair: HairStyle
    covering: Covering
    ear_size: float
    glasses: float  # 0 none, else the size of the lenses, about 1
    glasses_colour: Array
    cloth_colour: Array
    collar: float  # depth of the neckline, mm
    tooth_colour: tuple[float, float, float]

    @property
    def body(self) -> Anatomy:
        """The measures."""
        return self.head.body


@lru_cache(maxsize=64)
def draw_identity(seed: int, number: int) -> Identity:
    """Person `number` of a seed: the same whoever else is drawn.

    Origin is a mixture of the series of `anatomy.GROUP_MEANS`, from which proportions, skin and hair follow loosely.
    """
    rng = stream(seed, IDENTITY, number)
    origin = rng.dirichlet([0.35, 0.35, 0.35])
    maleness = float(np.clip(rng.choice([0.08, 0.92]) + rng.normal(0, 0.1), 0, 1))
    age = float(rng.choice([rng.uniform(18, 38), rng.uniform(35, 60), rng.uniform(58, 80)], p=[0.5, 0.32, 0.18]))
    late = float(np.clip((age - 25) / 50, 0, 1))
    body = draw_anatomy(rng, origin, maleness, age)
    unit = rng.uniform(size=32)
    spread = rng.normal(0, 1, 12)
    melanin = float(np.clip(origin @ np.array([0.18, 0.74, 0.34]) + 0.10 * spread[0], 0.02, 0.97))
    head = Head(
        body=body,
        square_jaw=float(np.clip(0.25 + 0.5 * maleness + 0.2 * spread[1], 0, 1)),
        cheekbones=float(np.clip(0.4 * spread[2] + 0.4 * origin[2], -1, 1)),
        cheek_fat=float(np.clip(0.4 * spread[3] + 0.1 - 0.2 * late, -1, 1)),
        brow_ridge=1.0 + 3.5 * maleness,
        bridge=float(np.clip(0.85 * origin[0] + 0.35 * origin[1] + 0.35 * origin[2] + 0.12 * spread[4], 0.1, 1)),
        sag=late**1.5 * float(0.4 + 0.6 * unit[0]),
    )
    fair = float(np.clip(origin[0] * 1.3 - 0.3 + 0.15 * spread[5], 0, 1))
    pigment = rng.choice(list(HAIR), p=_shares([1.2 - fair, 0.9, 0.75 * fair, 0.55 * fair, 0.5 * fair, 0.28 * fair]))
    grey = float(np.clip((age - 46) / 28 + 0.2 * spread[6], 0, 1)) if age > 38 else 0.0
    natural = linear((1 - grey) * np.array(HAIR[str(pigment)]) + grey * np.array(GREY))
    hair_colour = (natural * (0.85 + 0.3 * unit[1])).astype(np.float32)
    iris = rng.choice(list(IRIS), p=_shares([0.6, 1.3 - fair, 0.35 * fair, 0.3 * fair, 0.6 * fair, 0.3 * fair]))
    man, woman = maleness > 0.5, maleness <= 0.5
    lipstick = float(woman and unit[2] < 0.35) * (0.4 + 0.5 * unit[3])
    bearded, moustached = man and unit[4] < 0.26, man and unit[5] < 0.34
    painted = linear(((150, 40, 48), (176, 70, 78), (128, 34, 50), (190, 96, 92))[int(4 * unit[6])])
    return Identity(
        name=f"s{seed}-{number:05d}",
        head=head,
        maleness=maleness,
        age=age,
        age_lines=late**1.2 * (0.55 + 0.45 * float(unit[7])),
        melanin=melanin,
        ruddy=float(unit[8]) * (0.4 + 0.6 * origin[0]),
        olive=float(unit[9] - 0.5),
        oily=0.7 + 0.7 * float(unit[10]),
        tired=float(unit[11]) * (0.4 + 0.6 * late),
        freckles=float(unit[12] < 0.18) * fair,
        texture=float(rng.uniform(0, 200)),
        lip_colour=_lips(melanin, float(unit[13]), maleness) * (1 - lipstick) + lipstick * painted,
        lipstick=lipstick,
        eye_shadow=float(woman and unit[14] < 0.3) * float(unit[15]),
        lashes=0.72 + 0.4 * (1 - maleness),
        iris_colour=linear(IRIS[str(iris)]),
        pupil=1.7 + 0.9 * float(unit[16]),
        eye_tilt=1.5 + 0.6 * spread[7] + 1.0 * origin[2],
        lid_show=float(np.clip(3.4 - 1.4 * maleness - 1.3 * origin[2] - 1.2 * late + 0.5 * spread[8], 0.8, 5)),
        fold=float(np.clip(origin[2] * 1.1 - 0.1, 0, 0.9)),
        brow_gap=float(0.8 * spread[9]),
        brow_arch=float(np.clip(0.75 - 0.5 * maleness + 0.2 * spread[10], 0, 1)),
        brow_tilt=float(unit[17]),
        brow_thickness=3.1 + 1.5 * maleness * float(unit[18]) + 1.0 * float(unit[19]),
        brow_density=0.86 + 0.13 * float(unit[20]) - 0.12 * late,
        brow_colour=0.62 * linear((1 - 0.7 * grey) * np.array(HAIR[str(pigment)]) + 0.7 * grey * np.array(GREY)),
        beard=float(bearded) * (0.35 + 0.65 * float(unit[21])),
        beard_reach=float(unit[29]),
        moustache=float(unit[22] < (0.85 if bearded else 0.4 if moustached else 0)) * (0.4 + 0.6 * float(unit[23])),
        stubble=0.75 * maleness * float(unit[24]) * float(man),
        beard_colour=0.9 * natural,
        hair_colour=hair_colour,
        hair=draw_style(rng, maleness, age, float(origin[1])),
        covering=draw_covering(rng, maleness),
        ear_size=0.95 + 0.05 * maleness + 0.10 * late,
        glasses=float(unit[25] < 0.12 + 0.22 * late) * (0.9 + 0.25 * float(unit[26])),
        glasses_colour=linear(((22, 20, 20), (70, 44, 28), (120, 116, 110), (40, 44, 70))[int(4 * unit[27])]),
        cloth_colour=linear(np.clip(rng.uniform(15, 225) + rng.normal(0, 20, 3), 8, 240)),
        collar=float(6 + 42 * unit[28] ** 2),
        tooth_colour=(248 - 18 * late, 243 - 24 * late, 232 - 40 * late),
    )


def _lips(melanin: float, share: float, maleness: float) -> Array:
    """The lips' own red: pink on light skin, brownish on dark."""
    pink = np.array([(206, 128, 120), (184, 112, 100), (148, 92, 82), (104, 64, 60)], dtype=np.float64)
    position = 3 * melanin
    base = np.array([np.interp(position, np.arange(4), pink[:, channel]) for channel in range(3)])
    return linear(base * (0.92 + 0.12 * share - 0.04 * maleness))


def _shares(weights: list[float]) -> list[float]:
    positive = np.maximum(weights, 0.0)
    shares: list[float] = (positive / positive.sum()).tolist()
    return shares
