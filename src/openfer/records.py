"""What the rooms of the project pass to each other: faces and predictions.

Coordinates are pixels of the full picture as a viewer shows it: x right, y down, origin in the top left corner of the
top left pixel (that pixel's centre is at 0.5, 0.5). *Left* and *right* are as seen in the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from openfer.labels import AU_NAMES, action_unit

Point = tuple[float, float]
Points5 = tuple[Point, Point, Point, Point, Point]

POINTS68 = 68
POINT_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")

OK = "ok"
NO_FACE = "no_face"
UNREADABLE = "unreadable"
UNSUPPORTED = "unsupported"
UNCERTAIN = "uncertain"
"""The label of a face whose confidence is under the limit that the user set."""
NONE = "none"
"""The label of a face that is too unlike all the pictures of a support."""


def as_points5(values: Any) -> Points5:
    """Five points from anything that holds five pairs of numbers: a list, a tuple, an array [5, 2].

    Raises:
        ValueError: not five pairs.
    """
    points = tuple((float(pair[0]), float(pair[1])) for pair in values)
    if len(points) != 5:
        raise ValueError(f"points5: expected 5 points, got {len(points)}")
    return points[0], points[1], points[2], points[3], points[4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An upright box in pixels: top left corner (x, y), width and height, both >= 0."""

    x: float
    y: float
    w: float
    h: float

    def __post_init__(self) -> None:
        if not (self.w >= 0 and self.h >= 0):
            raise ValueError(f"box: expected width and height >= 0, got {self.w} x {self.h}")

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.w * self.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Points68:
    """A face's 68 points, in the order of iBUG 300-W: jaw, brows, nose, eyes, lips; see `openfer.vision.landmarks`.

    Args:
        points: 68 pairs x, y, pixels; a hidden point is given where it would be.
        confidence: 68 numbers, 0 to 1: how likely each point lies within 5 % of the outer eye distance of its place.
        quality: 0 to 1: how likely this is a face whose points can be used.
    """

    points: tuple[Point, ...]
    confidence: tuple[float, ...]
    quality: float

    def __post_init__(self) -> None:
        if len(self.points) != POINTS68 or len(self.confidence) != POINTS68:
            raise ValueError(f"points68: expected 68 points, got {len(self.points)} and {len(self.confidence)}")

    @classmethod
    def of(cls, points: Any, confidence: Any, quality: float) -> Points68:
        """From anything that holds 68 pairs and 68 numbers, such as arrays [68, 2] and [68]."""
        pairs = tuple((float(x), float(y)) for x, y in points)
        return cls(points=pairs, confidence=tuple(map(float, confidence)), quality=float(quality))

    def scaled(self, x: float, y: float) -> Points68:
        """The same points in their picture resized by the factors x and y."""
        return replace(self, points=tuple((px * x, py * y) for px, py in self.points))


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face in a picture.

    Args:
        box: forehead to chin, clipped to the picture.
        score: detector's confidence, 0 to 1; None where the face was given, not found.
        points5: left eye, right eye, nose tip, left and right mouth corner; None where unknown. May lie outside the
            picture for a face cut by its border.
        landmarks: the 68 points; None where nobody asked for them.
    """

    box: Box
    score: float | None = None
    points5: Points5 | None = None
    landmarks: Points68 | None = None

    def scaled(self, x: float, y: float) -> Face:
        """The same face in its picture resized by the factors x and y."""
        box = Box(x=self.box.x * x, y=self.box.y * y, w=self.box.w * x, h=self.box.h * y)
        points = self.points5 and as_points5([(px * x, py * y) for px, py in self.points5])
        landmarks = self.landmarks and self.landmarks.scaled(x, y)
        return replace(self, box=box, points5=points, landmarks=landmarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMaps:
    """What each place of a face says for each label.

    Args:
        values: label name -> [h][w] numbers, rows from top to bottom. Their mean is the label's logit but for a
            constant; as only differences between logits count, so do only differences between the labels' maps.
        corners: top left, top right and bottom left corner of the square that the network saw, pixels of the full
            picture.
    """

    values: Mapping[str, tuple[tuple[float, ...], ...]]
    corners: tuple[Point, Point, Point]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassMaps:
        """The inverse of `dataclasses.asdict`, also after a round trip through JSON."""
        maps = {name: tuple(tuple(map(float, row)) for row in rows) for name, rows in values["values"].items()}
        first, second, third = ((float(x), float(y)) for x, y in values["corners"])
        return cls(values=maps, corners=(first, second, third))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceUnits:
    """A face's action units (AUs), the small movements that FACS numbers.

        prediction.aus[12], prediction.aus["lip corner puller"], prediction.aus.named["lip corner puller"]

    Args:
        probabilities: number -> how likely the face shows it, 0 to 1.
        attention: number -> its weight among the AUs that the expression was read from, 0 to 1; empty where the model
            does not say.
        places: number -> the two places where it shows, pixels of the full picture.
    """

    probabilities: Mapping[int, float]
    attention: Mapping[int, float] = field(default_factory=dict)
    places: Mapping[int, tuple[Point, Point]] = field(default_factory=dict)

    def __getitem__(self, unit: int | str) -> float:
        """How likely the face shows a unit, by its number, `AU12` or its name in FACS.

        Raises:
            ConfigError: there is no such unit.
            KeyError: the model does not read it.
        """
        return self.probabilities[action_unit(unit)]

    @property
    def named(self) -> dict[str, float]:
        """Name in FACS -> how likely the face shows it."""
        return {AU_NAMES[unit]: value for unit, value in self.probabilities.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FaceUnits:
        """The inverse of `dataclasses.asdict`, also after a round trip through JSON, which has no numbers as keys."""
        shares = {
            name: {int(unit): share for unit, share in values[name].items()} for name in ("probabilities", "attention")
        }
        places = {int(unit): (tuple(first), tuple(second)) for unit, (first, second) in values["places"].items()}
        return cls(**shares, places=places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One face's expression, or one picture's reason why there is none.

    Args:
        path: where the picture came from, as the user wrote it; a name such as `<bytes>` for pictures in memory.
        face: number of the face in its picture, 0 = largest; None where no face was read.
        found: the face itself; None where no face was read.
        probabilities: label name -> probability, in the model's label order; sums to 1. Empty without a face.
        status: `ok`, `no_face`, `unreadable: <why>` or, for a video and the like, `unsupported: <why>`.
        note: what a reader must know of how the picture was read, such as `first of 12 frames`; mostly empty.
        min_confidence: below it the label is `uncertain`, 0 to 1.
        maps: where the network found what it says; None where nobody asked for it.
        similarity: to the pictures of the most probable class, -1 to 1; None where there is no support.
        min_similarity: below it the label is `none`, -1 to 1; None for no limit.
        aus: the action units; None where the model has none, or the face's 68 points were not found.
    """

    path: str
    face: int | None = None
    found: Face | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    status: str = OK
    note: str = ""
    min_confidence: float = 0.0
    maps: ClassMaps | None = None
    similarity: float | None = None
    min_similarity: float | None = None
    aus: FaceUnits | None = None

    @property
    def label(self) -> str | None:
        """The most probable label's name, `none` below `min_similarity`, `uncertain` below `min_confidence`.

        None without a face.
        """
        if not self.probabilities:
            return None
        if self.similarity is not None and self.min_similarity is not None and self.similarity < self.min_similarity:
            return NONE
        name = max(self.probabilities, key=self.probabilities.__getitem__)
        return UNCERTAIN if self.probabilities[name] < self.min_confidence else name

    @property
    def undecided(self) -> bool:
        """Whether the label is none of those that were chosen among: `none` or `uncertain`."""
        return self.label is not None and self.label not in self.probabilities

    @property
    def failed(self) -> bool:
        """Whether the picture or the face could not be read, for whatever reason its status gives."""
        return self.status.startswith((UNREADABLE, UNSUPPORTED))

    @property
    def confidence(self) -> float | None:
        """The most probable label's calibrated probability, 0 to 1; None without a face."""
        return max(self.probabilities.values()) if self.probabilities else None

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values; `Prediction.from_dict` gives an equal prediction back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Prediction:
        """The inverse of `to_dict`, also after a round trip through JSON."""
        found = values["found"]
        if found is not None:
            points, landmarks = found["points5"], found["landmarks"]
            found = Face(
                box=Box(**found["box"]),
                score=found["score"],
                points5=None if points is None else as_points5(points),
                landmarks=None if landmarks is None else Points68.of(**landmarks),
            )
        return cls(
            path=values["path"],
            face=values["face"],
            found=found,
            probabilities=dict(values["probabilities"]),
            status=values["status"],
            note=values["note"],
            min_confidence=values["min_confidence"],
            maps=None if values["maps"] is None else ClassMaps.from_dict(values["maps"]),
            similarity=values["similarity"],
            min_similarity=values["min_similarity"],
            aus=None if values["aus"] is None else FaceUnits.from_dict(values["aus"]),
        )

    def to_row(
        self,
        names: tuple[str, ...],
        *,
        landmarks: bool = False,
        similarity: bool = False,
        units: tuple[int, ...] = (),
    ) -> dict[str, str | float | int | None]:
        """One flat row of the table that `predict` writes, in column order; what is unknown is None.

        Args:
            names: the model's label names: one column `p_<name>` each.
            landmarks: at the end the columns `landmarks_quality`, and `landmark_<k>_x`, `landmark_<k>_y` and
                `landmark_<k>_confidence` for k = 0 to 67; to hundredths of a pixel, thousandths of a chance.
            similarity: after the probabilities the column `similarity`.
            units: numbers of action units: after these `au_<number>` for each, then `attention_<number>`.
        """
        box, points = (self.found.box, self.found.points5) if self.found else (None, None)
        row: dict[str, str | float | int | None] = {"path": self.path, "face": self.face}
        for side in ("x", "y", "w", "h"):
            row[side] = getattr(box, side) if box else None
        row["score"] = self.found.score if self.found else None
        for index, point in enumerate(POINT_NAMES):
            row[f"{point}_x"] = points[index][0] if points else None
            row[f"{point}_y"] = points[index][1] if points else None
        row["label"] = self.label
        row["confidence"] = self.confidence
        for name in names:
            row[f"p_{name}"] = self.probabilities.get(name)
        if similarity:
            row["similarity"] = self.similarity
        for unit in units:
            row[f"au_{unit}"] = self.aus.probabilities.get(unit) if self.aus else None
        for unit in units:
            row[f"attention_{unit}"] = self.aus.attention.get(unit) if self.aus else None
        row["status"] = self.status
        row["note"] = self.note or None
        if landmarks:
            row.update(_landmark_columns(self.found.landmarks if self.found else None))
        return row


def _landmark_columns(found: Points68 | None) -> dict[str, float | None]:
    row: dict[str, float | None] = {"landmarks_quality": round(found.quality, 3) if found else None}
    for index in range(POINTS68):
        row[f"landmark_{index}_x"] = round(found.points[index][0], 2) if found else None
        row[f"landmark_{index}_y"] = round(found.points[index][1], 2) if found else None
        row[f"landmark_{index}_confidence"] = round(found.confidence[index], 3) if found else None
    return row
