"""What a comparison says, as plain frozen data: `compare.json` is its `to_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from openfer.evaluate.intervals import Interval

FORMAT = 1
"""Version of `compare.json`."""
MCNEMAR, SIGN_FLIP = "mcnemar", "sign_flip"
ALPHA = 0.05
"""A difference in accuracy counts as shown where its corrected p is below."""
KINDS = {"subject": "people", "group": "clips", "episode": "episodes", "row": "rows"}
"""What the intervals draw -> its word in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScores:
    """One model on the rows that all files judge.

    Args:
        name: what the comparison calls it.
        file: its predictions file, as the user wrote it; empty where there is none.
        model_sha256: hash of its graph; empty where unknown.
        selection: how its checkpoint was chosen; empty where unknown.
        rows: rows of its file.
        judged: those with an answer and a truth that the comparison knows.
        scores: name -> score with its 95 % interval: `accuracy`, `mean_class_accuracy`, `macro_f1`,
            `calibration_error` (all 0 to 1) and `negative_log_likelihood` (nats).
    """

    name: str
    file: str = ""
    model_sha256: str = ""
    selection: str = ""
    rows: int
    judged: int
    scores: Mapping[str, Interval]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models on the same rows.

    Args:
        first, second: their names.
        differences: name -> score of the first minus score of the second, with an unadjusted 95 % interval from the
            same resampled rows: `accuracy`, `mean_class_accuracy`, `macro_f1` (shares) and `negative_log_likelihood`
            (nats; less is better).
        only_first: rows that only the first gets right.
        only_second: rows that only the second gets right.
        same_answer: rows in which both give the same answer, right or wrong.
        mcnemar: p of McNemar's exact test, which takes rows as independent.
        sign_flip: p of the exact sign-flip test over clusters; None where rows are not clustered.
        p: the p that counts: of the sign-flip test where rows are clustered, else of McNemar's test.
        p_holm: p corrected for the number of pairs.
        better: the model that is shown to be more accurate: its `p_holm` is below 0.05; empty where none is.
        conclusion: what this means, in words.
    """

    first: str
    second: str
    differences: Mapping[str, Interval]
    only_first: int
    only_second: int
    same_answer: int
    mcnemar: float
    sign_flip: float | None
    p: float
    p_holm: float
    better: str
    conclusion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several models on the rows that all of them judge.

    Args:
        models: in the order of the files.
        pairs: all pairs, or each model against the baseline.
        baseline: the model that all others are compared with; empty for all pairs.
        labels: names of the classes.
        left_out_labels: names that not all files have.
        rows: different rows in all files together.
        used: rows that all files judge, which every number here is computed from.
        left_out: why not -> rows; the values and `used` add up to `rows`.
        splits: the splits of the used rows; empty where unknown.
        manifest: hash of the manifest that they come from; empty where unknown.
        layout: the manifest's layout; empty where unknown.
        rule: how its labels were made; empty where unknown.
        test: where p comes from: `mcnemar` or `sign_flip`.
        resampled: what intervals draw: `subject`, `group` or `row`.
        clusters: how many of them there are.
        draws: number of resampled data sets.
        seed: of the resampling.
        notes: what a reader of the numbers must know, a line each.
        command: the command that made the comparison.
        versions: program or library -> version.
    """

    models: tuple[ModelScores, ...]
    pairs: tuple[Pair, ...]
    baseline: str = ""
    labels: tuple[str, ...]
    left_out_labels: tuple[str, ...] = ()
    rows: int
    used: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    manifest: str = ""
    layout: str = ""
    rule: str = ""
    test: str
    resampled: str
    clusters: int
    draws: int
    seed: int
    notes: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values; `Comparison.from_dict` gives an equal comparison back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """The inverse of `to_dict`, also after a round trip through JSON."""
        parts = dict(values)
        parts["models"] = tuple(ModelScores(**_intervals(part, "scores")) for part in parts["models"])
        parts["pairs"] = tuple(Pair(**_intervals(part, "differences")) for part in parts["pairs"])
        for name in ("labels", "left_out_labels", "splits", "notes"):
            parts[name] = tuple(parts[name])
        return cls(**parts)


def _intervals(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**values, name: {key: Interval(**interval) for key, interval in values[name].items()}}
