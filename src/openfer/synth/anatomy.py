"""How large the parts of a face are, in millimetres, and how much people differ.

Means and spreads are rounded values of the direct measurements of Farkas, *Anthropometry of the Head and Face* (2nd
ed., Raven Press 1994), and of Farkas et al., "International anthropometric study of facial morphology in various ethnic
groups/races", J Craniofac Surg 16 (2005), 615-646: adults of 18 to 30 years. Landmark names in brackets are theirs.

The head's frame: origin midway between the pupils, x to the right of the picture, y down, z towards the viewer from
the plane of the ears.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

NASION_Y = -13.0
"""Nasion (n) lies a little more than a centimetre above the pupils."""
IRIS_RADIUS = 5.9  # the horizontal visible iris diameter is 11.8 mm in adults (Rüfer et al., Cornea 24 (2005), 259-261)
EYEBALL_RADIUS = 12.0
FACE_DEPTH = 86.0  # from the ears to the surface of the face beside the nose (t-n, t-sn, less the nose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """One head's measures, mm."""

    head_width: float  # eu-eu
    head_length: float  # g-op
    head_height: float  # v-gn
    forehead: float  # tr-n
    face_height: float  # n-gn
    face_width: float  # zy-zy
    jaw_width: float  # go-go
    eye_gap: float  # en-en
    eye_width: float  # ex-en
    eye_height: float  # ps-pi
    nose_height: float  # n-sn
    nose_width: float  # al-al
    nose_depth: float  # sn-prn
    lip_gap: float  # sn-sto
    mouth_width: float  # ch-ch
    upper_lip: float  # ls-sto
    lower_lip: float  # sto-li
    brow_height: float  # pupil to the middle of the brow

    @property
    def pupil_x(self) -> float:
        """Half the distance between the pupils."""
        return 0.5 * (self.eye_gap + self.eye_width)

    @property
    def top(self) -> float:
        """y of the vertex (v)."""
        return self.chin - self.head_height

    @property
    def chin(self) -> float:
        """y of the gnathion (gn)."""
        return NASION_Y + self.face_height

    @property
    def nose_base(self) -> float:
        """y of the subnasale (sn)."""
        return NASION_Y + self.nose_height

    @property
    def nose_tip(self) -> float:
        """y of the pronasale (prn)."""
        return self.nose_base - 5.5

    @property
    def mouth(self) -> float:
        """y of the stomion (sto), where the closed lips meet."""
        return self.nose_base + self.lip_gap

    @property
    def hairline(self) -> float:
        """y of the trichion (tr)."""
        return NASION_Y - self.forehead


MEASURES = tuple(field.name for field in fields(Anatomy))

# (women, men) in three of the published series; the order of the columns is that of `Anatomy`.
GROUP_MEANS = {
    "north american white": (
        (144, 187, 216, 63, 111, 130, 93, 32, 31, 11.0, 50, 31, 20, 20.5, 50, 8.5, 9.5, 21),
        (151, 197, 230, 67, 124, 137, 99, 33, 31, 10.8, 55, 35, 20, 22.0, 54, 8.0, 9.5, 19),
    ),
    "african american": (
        (142, 187, 217, 65, 116, 131, 95, 34, 32, 10.8, 49, 40, 17, 23.5, 53, 12.0, 12.5, 21),
        (149, 197, 230, 70, 125, 138, 101, 35, 33, 10.6, 52, 44, 18, 25.0, 55, 12.5, 13.0, 19),
    ),
    "singapore chinese": (
        (146, 176, 216, 66, 114, 136, 97, 36, 30, 9.6, 52, 37, 16, 20.5, 48, 8.8, 9.8, 22),
        (154, 185, 229, 69, 124, 144, 104, 37, 30, 9.4, 55, 39, 17, 22.5, 51, 8.8, 9.8, 20),
    ),
}
SPREAD = (4.5, 6, 8, 5, 5, 4.5, 5, 2.2, 1.2, 0.9, 3, 2.2, 1.8, 1.8, 3, 1.1, 1.2, 1.8)
"""Standard deviations in one group and sex, in the same order."""


def draw_anatomy(rng: np.random.Generator, origin: np.ndarray, maleness: float, age: float) -> Anatomy:
    """A head's measures.

    Args:
        rng: for what differs between people of the same origin, sex and age.
        origin: shares of the groups of `GROUP_MEANS`, [3], sum 1.
        maleness: 0 to 1, between the two columns of the tables.
        age: years. With age the red of the lips thins and nose and ears grow (Farkas et al., Aesthetic Plast Surg 28
            (2004), 203-211).
    """
    means = np.array(list(GROUP_MEANS.values()), dtype=np.float64)  # [group, sex, measure]
    expected = origin @ ((1 - maleness) * means[:, 0] + maleness * means[:, 1])
    # Beyond two standard deviations a face would be rare rather than varied.
    drawn = expected + np.array(SPREAD) * np.clip(rng.normal(0, 1, len(MEASURES)), -2, 2)
    values = dict(zip(MEASURES, drawn.tolist(), strict=True))
    late = max(0.0, age - 40) / 40
    values["upper_lip"] *= 1 - 0.28 * late
    values["lower_lip"] *= 1 - 0.18 * late
    values["nose_height"] += 2.5 * late
    values["eye_height"] *= 1 - 0.12 * late
    return Anatomy(**values)
