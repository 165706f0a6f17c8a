"""Where the cards of a picture go: beside their faces, off all others, in letters as large as they fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from openfer.predict.drawing.card import Card, Level, card
from openfer.predict.drawing.faces import Marked, unit
from openfer.predict.drawing.rects import Rect, Rects, distance, grown, halo, shared_area, touching
from openfer.predict.drawing.spots import Costs, Spots, spots_around
from openfer.predict.drawing.words import spoken

SCALES = (1.0, 0.83, 0.69, 0.57, 0.47)
"""Letter sizes tried, largest first, until every face has its chart; else the one at which most is said."""
CROWD = -0.12
"""Letters are smaller among more faces, by the number of faces to this power: cards hide less of the picture."""
SMALLEST = (12, 0.0115)
"""Font size: pixels, and as a share of `faces.unit`."""
WORTH = {Level.CHART: 1.0, Level.TAG: 0.6, Level.NAME: 0.5, Level.NUMBER: 0.2, Level.NOTHING: 0.0}
"""Of what is said of one face, to weigh more said against larger letters."""
USUAL_TAG = 13
"""Area of a tag, in squares of its font size."""
LETTERS = 0.2
"""Weight of large letters: half the size is made good by a seventh more said."""
ON_FACE = 0.08
"""What a card loses of its worth where it lies on its own face."""
NOT_NEAREST = 1.5
"""Cost of a spot that is as close to another face, in font sizes."""
SHORT = ((Level.TAG, True), (Level.NAME, True), (Level.NUMBER, True), (Level.NUMBER, False))
"""What is tried for a face before its chart, and whether it must keep off others' frames or only off their features."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A face and its card in its place; without a card where only the frame has room.

    Args:
        level: how much the card says.
        tie: of the line between frame and card; without area where the card lies on the face.
    """

    face: Marked
    level: Level = Level.NOTHING
    card: Card | None = None
    rect: Rect = (0, 0, 0, 0)
    tie: Rect = (0, 0, 0, 0)

    @property
    def worth(self) -> float:
        """See `WORTH` and `ON_FACE`."""
        return WORTH[self.level] - (ON_FACE if self.card and self.tie[0] == self.tie[2] else 0.0)


def place(faces: Sequence[Marked], size: tuple[int, int]) -> list[Placed]:
    """A place for the card of each face. Every face gets a short card first; then the first ones get charts first.

    Args:
        faces: see `faces.marked`; largest first.
        size: the overlay's width and height, pixels.
    """
    words = {names: spoken(names) for names in {tuple(face.prediction.probabilities) for face in faces}}
    best, most, tried = [Placed(face) for face in faces], -1.0, set()
    for scale in SCALES:
        ems = tuple(_font_size(face, size, scale * len(faces) ** CROWD) for face in faces)
        if ems in tried or (scale > SCALES[-1] and not _spacious(ems, size)):
            continue
        tried.add(ems)
        placed = _settle(faces, ems, size, words)
        said = scale**LETTERS * sum(one.worth for one in placed)
        if said > most:
            best, most = placed, said
        if all(one.worth == WORTH[Level.CHART] for one in placed):
            break
    return best


def _spacious(ems: Sequence[int], size: tuple[int, int]) -> bool:
    """Whether the tags of all faces could lie in the picture at all; spares a crowd the search for what cannot be."""
    return sum(USUAL_TAG * em**2 for em in ems) < size[0] * size[1]


def _font_size(face: Marked, size: tuple[int, int], scale: float) -> int:
    """Pixels: grows with the face, within limits that grow with the picture."""
    whole = unit(size)
    letters = min(max(0.25 * face.side, 0.03 * whole), 0.042 * whole)
    return max(round(scale * letters), SMALLEST[0], round(SMALLEST[1] * whole))


def _settle(
    faces: Sequence[Marked],
    ems: Sequence[int],
    size: tuple[int, int],
    words: Mapping[tuple[str, ...], Mapping[str, str]],
) -> list[Placed]:
    """All faces at given letter sizes."""
    placed = [Placed(face) for face in faces]
    frames = np.array([face.frame for face in faces])
    features = np.array([face.features for face in faces])
    taken = np.zeros((len(faces), 2, 4), dtype=np.int64)  # cards and ties

    def fit(index: int, level: Level, strict: bool) -> bool:
        face = faces[index]
        drawn = card(face.prediction, words[tuple(face.prediction.probabilities)], ems[index], level, size[0])
        if drawn is None:
            return False
        spots = spots_around(face, drawn, size, chart=level is Level.CHART)
        near = spots.reached(frames, margin=drawn.em) | spots.reached(features, margin=0).any(axis=1)
        near[index] = False
        held = spots.reached(taken, margin=drawn.em)
        held[index] = False
        best = _best(spots, face, frames[near], features[near], taken[held].reshape(-1, 4), strict)
        if best is not None:
            taken[index] = (spots.rects[best], spots.ties[best])
            rect, tie = (tuple(rect) for rect in taken[index].tolist())
            placed[index] = Placed(face, level, drawn, rect, tie)
        return best is not None

    for index in range(len(faces)):
        any(fit(index, level, strict) for level, strict in SHORT)
    tagged = [index for index, one in enumerate(placed) if one.level is Level.TAG]
    for _ in range(2):  # the second time where tags made room by becoming charts elsewhere
        for index in tagged:
            fit(index, Level.CHART, True)
    return placed


def _best(spots: Spots, face: Marked, frames: Rects, features: Rects, taken: Rects, strict: bool) -> int | None:
    """The cheapest spot that hides nothing it must not, if there is one.

    Args:
        frames: [N, 4], of the other faces.
        features: [N, 2, 4], of the other faces.
        taken: [M, 4], what others' cards and ties cover.
    """
    forbidden = np.concatenate([grown(taken, face.line), features.reshape(-1, 4), *([frames] if strict else [])])
    # In a crowd most ties cross a neighbour: the few spots left are cheap to look at.
    free = np.flatnonzero(~touching(spots.ties, forbidden).any(axis=1))
    free = free[~touching(spots.rects[free], np.concatenate([forbidden, face.features])).any(axis=1)]
    if not len(free):
        return None
    costs = spots.costs[free] + _doubts(spots.rects[free], face, frames)
    return int(free[costs.argmin()])


def _doubts(rects: Rects, face: Marked, frames: Rects) -> Costs:
    """Costs of cards that hide what is around faces, or that could belong to a neighbour."""
    own = np.array([face.frame])
    area = np.prod(rects[:, 2:] - rects[:, :2], axis=1)
    cost: Costs = shared_area(rects, halo(np.concatenate([frames, own]))).sum(axis=1) / area
    nearest = distance(rects, frames).min(axis=1, initial=np.inf)
    cost += NOT_NEAREST * (nearest < distance(rects, own)[:, 0] + face.line)
    return cost
