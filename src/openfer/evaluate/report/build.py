"""Predictions and truth become a report. No model and no picture is needed: any predictions file will do."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from openfer.bundle.card import Card
from openfer.data.pictures import MISSING
from openfer.errors import DataError
from openfer.evaluate import metrics
from openfer.evaluate.action_units.build import score_action_units
from openfer.evaluate.action_units.columns import judged_units
from openfer.evaluate.calibration import reliability
from openfer.evaluate.intervals import DRAWS, bootstrap
from openfer.evaluate.predictions import Context, Predictions, clusters_of
from openfer.evaluate.report.classes import class_statistics, class_table, known_range
from openfer.evaluate.report.examples import confident_errors, hardest_right
from openfer.evaluate.report.record import EvaluationReport, Failure, LeftOut, RowCounts
from openfer.evaluate.score import LEFT_OUT
from openfer.records import OK, UNREADABLE
from openfer.vision.cut import WAYS

MAX_FAILURES = 20
"""Unreadable rows that a report names; the predictions file has them all."""
MAX_REASONS = 20
"""Reasons for which rows do not count that a report names one by one; the others become one line."""
UNLABELLED, OTHER = "no label", "other reasons"
FEW_CLUSTERS = 20
"""With fewer people or clips a bootstrap interval is too narrow to be trusted."""


def evaluate_predictions(
    predictions: Predictions,
    context: Context | None = None,
    *,
    card: Card | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> EvaluationReport:
    """Judge predictions.

    The intervals resample people where the predictions name them (`subject`), else clips or episodes (`group`), else
    rows.

    Args:
        predictions: answers and truth.
        context: how they came about; None for what the predictions say themselves.
        card: the card of the model that answered; None where only predictions are known.
        draws: number of resampled data sets for the intervals.
        seed: of the resampling.

    Raises:
        DataError: no row has both a truth and an answer.
    """
    context = predictions.context if context is None else context
    counted = np.flatnonzero(predictions.counted)
    if not len(counted):
        reason = next((status for status in predictions.column("status") if status not in (OK, None)), "no truth")
        raise DataError(f"predictions: no row has both a truth and an answer; the first one's reason: {reason}")
    truth, probabilities = predictions.truth[counted], predictions.probabilities[counted]
    predicted = probabilities.argmax(axis=1)
    k = len(predictions.labels)
    matrix = metrics.confusion(truth, predicted, k)
    resampled, clusters = clusters_of(predictions, counted)
    scores = {
        "accuracy": metrics.accuracy,
        "mean_class_accuracy": metrics.mean_class_accuracy,
        "macro_f1": metrics.macro_f1,
        **class_statistics(k),
    }
    rng = np.random.default_rng(seed)
    intervals = bootstrap(truth, predicted, k, scores, rng, clusters=clusters, draws=draws)
    counts, left_out = _row_counts(predictions), _left_out(predictions, context)
    number = len(counted) if clusters is None else len(np.unique(clusters))
    units = judged_units(predictions)
    return EvaluationReport(
        context=context,
        labels=predictions.labels.names,
        counts=counts,
        ways=_ways(predictions, counted),
        accuracy=intervals["accuracy"],
        mean_class_accuracy=intervals["mean_class_accuracy"],
        classes_used=int(metrics.classes_used(matrix)),
        macro_f1=intervals["macro_f1"].value,
        macro_f1_interval=known_range(intervals["macro_f1"]),
        calibration_error=metrics.expected_calibration_error(probabilities, truth),
        negative_log_likelihood=metrics.negative_log_likelihood(probabilities, truth),
        classes=class_table(predictions.labels.names, matrix, intervals),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        reliability=reliability(probabilities, truth),
        resampled=resampled,
        clusters=number,
        draws=draws,
        not_counted=_not_counted(predictions),
        left_out=left_out,
        errors=confident_errors(predictions),
        hardest=hardest_right(predictions),
        failures=_failures(predictions),
        card=card,
        action_units=None
        if units is None
        else score_action_units(units, draws=None if draws == DRAWS else draws, seed=seed),
        warnings=context.warnings
        + _warnings(context, counts, left_out, predictions.labels.names, matrix, resampled, number),
    )


def _row_counts(predictions: Predictions) -> RowCounts:
    kinds = Counter(_kinds(predictions))
    counted = int(predictions.counted.sum())
    return RowCounts(
        rows=len(predictions),
        counted=counted,
        unreadable=kinds[UNREADABLE],
        left_out=kinds[LEFT_OUT],
        excluded=len(predictions) - kinds[UNREADABLE] - kinds[LEFT_OUT] - kinds[OK],
        unlabelled=kinds[OK] - counted,
    )


def _kinds(predictions: Predictions) -> list[str]:
    """The first word of every row's status: `unreadable: why` is `unreadable`, and so is a missing file."""
    words = [(status or OK).split(":")[0] for status in predictions.column("status")]
    return [UNREADABLE if word == MISSING else word for word in words]


def _ways(predictions: Predictions, counted: NDArray[np.int64]) -> dict[str, int]:
    ways = predictions.column("way")
    found = Counter(ways[row] or "unknown" for row in counted)
    return {way: found[way] for way in WAYS} | {way: found[way] for way in sorted(found) if way not in WAYS}


def _not_counted(predictions: Predictions) -> dict[str, int]:
    """Why rows do not count -> how many, the most frequent first; what is unreadable is one reason, whatever it was."""
    kinds = zip(_kinds(predictions), predictions.column("status"), predictions.counted.tolist(), strict=True)
    found = Counter(
        UNLABELLED if kind == OK else UNREADABLE if kind == UNREADABLE else str(status)
        for kind, status, counted in kinds
        if not counted
    ).most_common()
    rest = sum(rows for _, rows in found[MAX_REASONS:])
    return dict(found[:MAX_REASONS]) | ({OTHER: rest} if rest else {})


def _left_out(predictions: Predictions, context: Context) -> tuple[LeftOut, ...]:
    rows = Counter(predictions.column("status"))
    return tuple(
        LeftOut(
            name=name,
            only="model" if name in context.model_only else "data",
            rows=rows[f"{LEFT_OUT}: {name}"],
        )
        for name in context.left_out
    )


def _failures(predictions: Predictions) -> tuple[Failure, ...]:
    statuses, names, rows = (predictions.column(name) for name in ("status", "name", "row"))
    places = [place for place, kind in enumerate(_kinds(predictions)) if kind == UNREADABLE]
    return tuple(
        Failure(row=rows[place], name=names[place] or "", status=statuses[place]) for place in places[:MAX_FAILURES]
    )


def _warnings(
    context: Context,
    counts: RowCounts,
    left_out: tuple[LeftOut, ...],
    names: tuple[str, ...],
    matrix: NDArray[np.int64],
    resampled: str,
    clusters: int,
) -> tuple[str, ...]:
    absent = [name for name, rows in zip(names, matrix.sum(axis=1), strict=True) if not rows]
    shared = f"Judged only on the {len(names)} classes that model and data share; left out: {_named(left_out)}."
    found = {
        "The split is `train`: a model is better on rows that it was trained on.": (
            context.split == "train" and context.episodes is None
        ),
        f"{counts.unreadable} of {counts.rows} rows could not be read and do not count.": counts.unreadable > 0,
        shared: bool(left_out),
        f"No row of class {', '.join(absent)}: means over classes leave it out.": bool(absent),
        f"Only {clusters} different values of `{resampled}`: the intervals are too narrow.": (
            resampled != "row" and clusters < FEW_CLUSTERS
        ),
    }
    return tuple(text for text, holds in found.items() if holds)


def _named(left_out: tuple[LeftOut, ...]) -> str:
    """What was left out, for people: `contempt (only the model has it), awe (only the data has it, 12 rows)`."""
    rows = [f", {part.rows:,} row{'s' * (part.rows != 1)}" * (part.only == "data") for part in left_out]
    return ", ".join(f"{p.name} (only the {p.only} has it{count})" for p, count in zip(left_out, rows, strict=True))
