"""Which action units (AUs) an expression shows, and how often.

Two published sources, used in turn:

`FREQUENCIES`: Du, Tao & Martinez, "Compound facial expressions of emotion", PNAS 111 (2014), E1454-E1462, table 1: AUs
that more than 70 % of 230 people show, and others with the share of people. The first are taken as `CONSISTENT`.
AU 11 of sadness (26 %) is not drawn.

`PROTOTYPES`: prototypes and major variants of Ekman, Friesen & Hager, *FACS Investigator's Guide* (2002), chapter 12
(after Friesen & Ekman, *EMFACS-7*, 1983), as far as their AUs are drawn. Contempt is AU 14 on one side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openfer.synth.action_units import UNITS, ActionUnits, Floats

CONSISTENT = 0.9
"""The share of people taken for an AU of which the paper says "more than 70 %"."""

FREQUENCIES: dict[str, dict[int, float]] = {
    "neutral": {},
    "happiness": {12: CONSISTENT, 25: CONSISTENT, 6: 0.51},
    "sadness": {4: CONSISTENT, 15: CONSISTENT, 1: 0.60, 6: 0.50, 17: 0.67},
    "fear": {1: CONSISTENT, 4: CONSISTENT, 20: CONSISTENT, 25: CONSISTENT, 2: 0.57, 5: 0.63, 26: 0.33},
    "anger": {4: CONSISTENT, 7: CONSISTENT, 24: CONSISTENT, 10: 0.26, 17: 0.52, 23: 0.29},
    "surprise": {1: CONSISTENT, 2: CONSISTENT, 25: CONSISTENT, 26: CONSISTENT, 5: 0.66},
    "disgust": {9: CONSISTENT, 10: CONSISTENT, 17: CONSISTENT, 4: 0.31, 24: 0.26},
}
PROTOTYPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "neutral": ((),),
    "happiness": ((6, 12), (6, 12, 25), (12, 25)),
    "sadness": ((1, 4, 15), (1, 4, 15, 17), (6, 15, 17)),
    "fear": ((1, 2, 4, 5, 20, 25), (1, 2, 4, 5, 20, 25, 26), (1, 2, 4, 5, 25, 26)),
    "anger": (
        (4, 5, 7, 10, 23, 25),
        (4, 5, 7, 10, 23, 25, 26),
        (4, 5, 7, 23, 25),
        (4, 5, 7, 23, 25, 26),
        (4, 5, 7, 17, 23),
        (4, 5, 7, 17, 24),
        (4, 5, 7, 23),
        (4, 5, 7, 24),
    ),
    "surprise": ((1, 2, 5, 26, 25), (1, 2, 26, 25)),
    "disgust": ((9,), (9, 16, 15, 26, 25), (9, 17), (10, 16, 25), (10, 17)),
    "contempt": ((14,),),
}
NAMES = tuple(PROTOTYPES)
_COLUMN = {unit: index for index, unit in enumerate(UNITS)}


@dataclass(frozen=True, slots=True)
class Expression:
    """What a face shows.

    Args:
        label: name of the expression; None where AUs were drawn freely.
        intensity: 0 to 1; 0 for neutral, and where there is no label.
        aus: the AUs.
    """

    label: str | None
    intensity: float
    aus: ActionUnits


def prototype(label: str, rng: np.random.Generator, *, intensity: float = 1.0) -> Expression:
    """An expression as the books have it: the AUs of one prototype, equally strong, and nothing else.

    From Du et al. those AUs are taken that at least half of the people show.
    """
    common = tuple(unit for unit, share in FREQUENCIES.get(label, {}).items() if share >= 0.5)
    choices = PROTOTYPES[label]
    from_du = label in FREQUENCIES and rng.uniform() < 0.5
    units = common if from_du else choices[int(rng.integers(len(choices)))]
    values = np.zeros(len(UNITS))
    values[[_COLUMN[unit] for unit in units]] = intensity
    side = float(rng.uniform() < 0.5) if label == "contempt" else 0.5
    shares = min(1.0, 2 - 2 * side), min(1.0, 2 * side)
    return Expression(label, intensity if label != "neutral" else 0.0, possible(values * shares[0], values * shares[1]))


def draw_expression(label: str, rng: np.random.Generator) -> Expression:
    """An expression as people have it.

    Each expected AU is left out for one face in eight, AUs are added that do not belong, one face in eight mixes in a
    second expression (the label is that of the stronger), and no two AUs, nor the two halves of the face, are equally
    strong.
    """
    intensity = float(rng.uniform(0.45, 1.0))
    values = _shown(label, rng) * intensity
    if rng.uniform() < 0.125:
        other = NAMES[int(rng.integers(1, len(NAMES) - 1))]
        values = np.maximum(values, 0.45 * intensity * _shown(other, rng))
    values *= np.clip(rng.normal(1.0, 0.16, len(UNITS)), 0.5, 1.4)
    extra = rng.uniform(size=len(UNITS)) < (0.05 if label != "neutral" else 0.04)
    strength = rng.uniform(0.15, 0.6, len(UNITS)) * (1.0 if label != "neutral" else 0.6)
    values = np.where(extra, np.maximum(values, strength), values)
    if label == "contempt":
        side = rng.uniform(0.0, 0.25)
        left, right = (values, side * values) if rng.uniform() < 0.5 else (side * values, values)
        return Expression(label, intensity, possible(left, right))
    return Expression(label, intensity if label != "neutral" else 0.0, possible(*_uneven(values, rng)))


def draw_free(rng: np.random.Generator) -> Expression:
    """AUs at random: each is present in one face of four, whatever the others do."""
    present = rng.uniform(size=len(UNITS)) < 0.25
    values = present * rng.uniform(0.15, 1.0, len(UNITS))
    return Expression(None, 0.0, possible(*_uneven(values, rng)))


def possible(left: Floats, right: Floats) -> ActionUnits:
    """The two halves' intensities, clipped to 0 to 1 and made possible for one face.

    Lips are tightened (23) or pressed (24), and pressed lips do not part (25); a strong pull on one lip (10, 16) parts
    them unless the chin pushes up (17). Eyes are closed or blink, and then not wide open (5). AUs of the middle of the
    face (17, 25, 26, 43, 45) are alike on both halves.
    """
    halves = np.clip(np.stack([left, right]), 0, 1)
    both = [_COLUMN[unit] for unit in (17, 25, 26, 43, 45)]
    halves[:, both] = halves[:, both].mean(0)
    part, press, closed, blink = (_COLUMN[unit] for unit in (25, 24, 43, 45))
    pulled = 0.55 * halves[:, [_COLUMN[10], _COLUMN[16]]].mean(0).max() * (1 - halves[0, _COLUMN[17]])
    tight = _COLUMN[23]
    halves[:, tight if halves[:, press].mean() >= halves[:, tight].mean() else press] = 0.0
    if halves[:, press].mean() > halves[0, part]:
        halves[:, part] = 0.0
    else:
        halves[:, press] = 0.0
        halves[:, part] = np.maximum(halves[:, part], pulled if pulled > 0.2 else 0.0)
    weaker = closed if halves[0, blink] >= halves[0, closed] else blink
    halves[:, weaker] = 0.0
    if halves[0, [closed, blink]].max() > 0.3:
        halves[:, _COLUMN[5]] = 0.0
    return ActionUnits(halves[0], halves[1])


def _shown(label: str, rng: np.random.Generator) -> Floats:
    """1 for the AUs that one person shows with an expression."""
    values = np.zeros(len(UNITS))
    chance = rng.uniform(size=len(UNITS))
    choices = PROTOTYPES[label]
    chosen = choices[int(rng.integers(len(choices)))]
    from_du = label in FREQUENCIES and rng.uniform() < 0.5
    shares = FREQUENCIES[label] if from_du else dict.fromkeys(chosen, 0.875)
    for unit, share in shares.items():
        values[_COLUMN[unit]] = chance[_COLUMN[unit]] < share
    return values


def _uneven(values: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Most AUs nearly alike on both halves, one in fifteen much weaker on one."""
    lean = rng.normal(0, 0.07, len(UNITS))
    strong = rng.uniform(size=len(UNITS)) < 0.065
    lean = np.where(strong, rng.choice([-1.0, 1.0], len(UNITS)) * rng.uniform(0.3, 0.8, len(UNITS)), lean)
    return values * (1 - np.maximum(lean, 0)), values * (1 + np.minimum(lean, 0))
