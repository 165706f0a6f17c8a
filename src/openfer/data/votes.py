"""FER+ vote rules: ten taggers' counts become a label, a distribution, or the reason why there is neither.

Columns of the counts: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.labels import LABEL_SETS
from openfer.records import OK

LABELS = LABEL_SETS["ferplus"]
EMOTIONS = len(LABELS)
COLUMNS = (*LABELS.names, "unknown", "NF")
UNKNOWN, NOT_A_FACE, NO_MAJORITY = "unknown", "not a face", "no majority"

RULES = ("majority", "crossentropy", "multi_target", "argmax", "plurality")
ONE_HOT = ("majority", "argmax", "plurality")
"""Rules that give one label rather than a distribution."""
RAW = ("argmax", "plurality")
"""Rules that read the counts as they are, and make the labels of every split."""
MAX_KEPT = 3
"""`crossentropy` drops a picture that more emotions than these share."""

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


def apply_rule(counts: NDArray[np.integer[Any]], rule: str) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Votes to target distributions, as the FER+ training code does it.

    Except for `argmax` and `plurality`, single votes are noise: every count of 1 becomes 0. S is the sum of what is
    left.

    - `majority`: one-hot at the largest count m (first one if tied); dropped unless m > S/2.
    - `crossentropy`: the largest counts until 3/4 of S or three columns are taken, ended by unknown or not-a-face;
      dropped unless they hold more than S/2, or where ties take more than three columns.
    - `multi_target`: columns of at least 0.3 S; dropped unless they hold more than S/2.
    - `argmax`: one-hot at the largest raw count (first one if tied). Not in the original code, but in many papers.
    - `plurality`: the same, but dropped where several columns share the largest count.

    Every rule drops a picture whose largest kept column is unknown or not-a-face.

    Args:
        counts: [N, 10], >= 0, columns in the order of `COLUMNS`.
        rule: a name of `RULES`.

    Returns:
        float32 [N, 8], rows sum to 1, all 0 where dropped; and [N] `ok` or why the row was dropped: `no majority`,
        `unknown`, `not a face`.

    Raises:
        ConfigError: unknown rule.
        DataError: counts of another shape, or negative.

    Source: Barsoum et al., ICMI 2016, and the code of microsoft/FERPlus.
    """
    if rule not in RULES:
        raise ConfigError(f"unknown vote rule '{rule}'; {did_you_mean(rule, RULES)}")
    if counts.ndim != 2 or counts.shape[1] != len(COLUMNS):
        raise DataError(f"votes: expected counts [N, {len(COLUMNS)}], got {list(counts.shape)}")
    raw = counts.astype(np.int64)
    if raw.min(initial=0) < 0:
        raise DataError(f"votes: expected counts >= 0, got {raw.min()}")
    votes = raw if rule in RAW else np.where(raw > 1, raw, 0)
    total = votes.sum(axis=1)
    kept, enough = _KEEP[rule](votes, total)
    chosen = np.where(kept, votes, 0)
    # A drop names what most taggers said, also where the rule kept nothing.
    top = np.where(chosen.any(axis=1), chosen.argmax(axis=1), votes.argmax(axis=1))
    usable = enough & (total > 0) & (top < EMOTIONS)
    distribution = np.where(usable[:, None], chosen[:, :EMOTIONS], 0).astype(np.float32)
    distribution /= np.maximum(distribution.sum(axis=1, keepdims=True), 1)
    reasons = np.array([NO_MAJORITY] * EMOTIONS + [UNKNOWN, NOT_A_FACE])
    return distribution, np.where(usable, OK, reasons[np.where(total > 0, top, 0)])


def rule_for(split: str, rule: str) -> str:
    """The rule that a split's labels are made by: evaluation is by `majority`, except that `RAW` rules hold everywhere.

    The original code trains by any rule but validates and tests by majority; papers that use arg-max do so throughout.
    """
    return rule if split == "train" or rule in RAW else "majority"


def describe_rule(rule: str) -> str:
    """What a manifest's origin says of the rule."""
    return rule if rule in ONE_HOT else f"{rule} (train), majority (validation, test)"


def vote_fields(counts: NDArray[np.integer[Any]], rule: str) -> list[dict[str, Any]]:
    """The manifest's `label`, `votes` (None for one-hot rules) and `status` of every row of counts [N, 10]."""
    distribution, status = apply_rule(counts, rule)
    labels = np.array(LABELS.names)[distribution.argmax(axis=1)]
    kept = status == OK
    soft = rule not in ONE_HOT
    return [
        {"label": label if ok else None, "votes": votes if ok and soft else None, "status": reason}
        for label, votes, ok, reason in zip(
            labels.tolist(), distribution.tolist(), kept.tolist(), status.tolist(), strict=True
        )
    ]


def _largest(votes: Counts, total: Counts) -> tuple[Mask, Mask]:
    del total
    return np.arange(votes.shape[1]) == votes.argmax(axis=1)[:, None], np.ones(len(votes), dtype=bool)


def _plurality(votes: Counts, total: Counts) -> tuple[Mask, Mask]:
    return _largest(votes, total)[0], (votes == votes.max(axis=1, initial=0)[:, None]).sum(axis=1) == 1


def _majority(votes: Counts, total: Counts) -> tuple[Mask, Mask]:
    return _largest(votes, total)[0], 2 * votes.max(axis=1, initial=0) > total


def _multi_target(votes: Counts, total: Counts) -> tuple[Mask, Mask]:
    kept = 10 * votes >= 3 * total[:, None]  # in whole numbers: 0.3 is none in binary
    return kept, 2 * (votes * kept).sum(axis=1) > total


def _crossentropy(votes: Counts, total: Counts) -> tuple[Mask, Mask]:
    """Walk down the counts, all rows at once, one rank a step; equal counts are entered together, in column order."""
    rows = np.arange(len(votes))
    order = np.argsort(-votes, axis=1, kind="stable")
    kept = np.zeros(votes.shape, dtype=bool)
    taken, number, previous = np.zeros_like(total), np.zeros_like(total), np.full_like(total, -1)
    walking = total > 0
    for rank in range(votes.shape[1]):
        column = order[:, rank]
        count = votes[rows, column]
        # Enough is asked before a new count only: a tie is taken whole.
        walking &= (count == previous) | ((4 * taken < 3 * total) & (number < MAX_KEPT))
        emotion = column < EMOTIONS
        keep = walking & emotion
        kept[rows, column] = keep
        taken += np.where(keep, count, 0)
        number += keep
        walking &= emotion
        previous = count
    return kept, (2 * taken > total) & (number <= MAX_KEPT)


_KEEP = {
    "majority": _majority,
    "crossentropy": _crossentropy,
    "multi_target": _multi_target,
    "argmax": _largest,
    "plurality": _plurality,
}
