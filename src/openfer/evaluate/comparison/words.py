"""What a comparison means, in words: a sentence for each pair, and what a reader of the numbers must know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from openfer.evaluate.comparison.match import Matched
from openfer.evaluate.comparison.record import KINDS, Pair
from openfer.evaluate.intervals import Interval
from openfer.evaluate.predictions import Context

FEW = 20
"""With fewer people, clips or rows a bootstrap interval is too narrow to be trusted."""

TITLES = {
    "accuracy": "accuracy",
    "mean_class_accuracy": "mean-class accuracy",
    "macro_f1": "macro F1",
    "negative_log_likelihood": "negative log likelihood",
    "calibration_error": "calibration error",
}
NATS = "negative_log_likelihood"
"""The score that is no share: in nats, and less is better."""


def conclusion(pair: Pair, *, pairs: int, rows: int) -> str:
    """A pair's difference in accuracy as a sentence.

    Args:
        pair: the numbers; its own conclusion is not read.
        pairs: how many there are, for the correction of p.
        rows: how many both judge.
    """
    gain = pair.differences["accuracy"]
    sure = f"p {p_value(pair.p_holm, sign='= ')}" + (f" after Holm's correction for {pairs} pairs" if pairs > 1 else "")
    if pair.same_answer == rows:
        return f"{pair.first} and {pair.second} give the same answer in each of the {rows:,} rows."
    if pair.better:
        worse = pair.second if pair.better == pair.first else pair.first
        shown = gain if pair.better == pair.first else negated(gain)
        value, low, high = (f"{100 * share:.1f}" for share in (shown.value, shown.low, shown.high))
        return f"{pair.better} is more accurate than {worse} by {value} points (95 % {low} to {high}), {sure}."
    value, low, high = (signed(100 * share, 1) for share in (gain.value, gain.low, gain.high))
    return (
        f"No difference in accuracy is shown between {pair.first} and {pair.second}: {value} points "
        f"(95 % {low} to {high}), {sure}. "
        "That does not make them equal: every difference in the interval is compatible with these rows."
    )


def negated(interval: Interval) -> Interval:
    """The same difference with the models the other way round."""
    return Interval(value=-interval.value, low=-interval.high, high=-interval.low)


def signed(value: float, digits: int) -> str:
    """A number with its sign; what rounds to 0 has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def score_cell(name: str, score: Interval) -> tuple[str, str]:
    """A score and its interval, as people read them: shares in per cent."""
    if name == NATS:
        return f"{score.value:.3f}", f"[{score.low:.3f}, {score.high:.3f}]"
    value, low, high = (100 * share for share in (score.value, score.low, score.high))
    return f"{value:.1f} %", f"[{low:.1f}, {high:.1f}]"


def difference_cell(name: str, difference: Interval) -> tuple[str, str]:
    """A difference and its interval, as people read them: shares in percentage points."""
    factor, digits = (1, 3) if name == NATS else (100, 1)
    value, low, high = (
        signed(factor * number, digits) for number in (difference.value, difference.low, difference.high)
    )
    return value, f"[{low}, {high}]"


def p_value(p: float, *, sign: str = "") -> str:
    """A p with two digits, `< 0.0001` where it is smaller; `sign` goes before it otherwise."""
    return "< 0.0001" if p < 0.0001 else f"{sign}{p:.2g}"


def notes(matched: Matched, contexts: Mapping[str, Context]) -> tuple[str, ...]:
    """What a reader of the numbers must know, a line each.

    Args:
        matched: the rows.
        contexts: model name -> what its file says about itself, in the order of the files.
    """
    return (*_about_rows(matched, tuple(contexts)), *_about_files(matched, contexts))


def _about_rows(matched: Matched, names: tuple[str, ...]) -> Iterator[str]:
    used = len(matched.truth)
    if matched.left_out:
        reasons = ", ".join(f"{count:,} {why}" for why, count in matched.left_out.items())
        yield f"{used:,} of {matched.rows:,} rows are used; left out: {reasons}."
    for name, judged in zip(names, matched.judged, strict=True):
        if judged > used:
            yield f"{name} judges {judged - used:,} rows that another file does not; they do not count here."
    if matched.left_out_labels:
        yield (
            f"Compared on shared classes only; left out: {', '.join(matched.left_out_labels)}. "
            "Probabilities are renormalised over the rest."
        )
    absent = np.bincount(matched.truth, minlength=len(matched.labels)) == 0
    if absent.any():
        missing = ", ".join(name for name, none in zip(matched.labels, absent, strict=True) if none)
        yield f"No row of class {missing}: means over classes leave it out."
    kind, count = KINDS[matched.resampled], used
    if matched.clusters is not None:
        count = int(matched.clusters.max()) + 1
        column = "group" if matched.resampled == "episode" else matched.resampled
        yield (
            f"Rows are not independent: {used:,} rows of {count:,} {kind} (column '{column}'). Intervals "
            f"draw whole {kind}, and p is that of the sign-flip test over {kind}; McNemar's test would take every row "
            "as independent."
        )
    if count < FEW:
        yield f"Only {count} {kind}: the intervals are too narrow."


def _about_files(matched: Matched, contexts: Mapping[str, Context]) -> Iterator[str]:
    unknown = [name for name, context in contexts.items() if not context.manifest]
    if unknown:
        who = "No file says" if len(unknown) == len(contexts) else f"{', '.join(unknown)}: the file does not say"
        yield f"{who} which manifest it judges; rows are matched by number, and only their truths were checked."
    if "train" in matched.splits and not any(context.episodes for context in contexts.values()):
        yield "Some rows are of the split 'train': a model is better on rows that it was trained on."
    ways = {name: dict(sorted(found.items())) for name, found in zip(contexts, matched.ways, strict=True) if found}
    if len({str(found) for found in ways.values()}) > 1:
        told = "; ".join(
            f"{name}: {', '.join(f'{rows:,} by {way}' for way, rows in found.items())}" for name, found in ways.items()
        )
        yield f"Faces were not cut alike, so that models and cutting are compared together: {told}."
    for name, context in contexts.items():
        if context.left_out and context.labels == "intersection":
            yield f"{name} was judged on shared classes only; left out: {', '.join(context.left_out)}."
        for warning in context.warnings:
            yield f"{name}: {warning}"
