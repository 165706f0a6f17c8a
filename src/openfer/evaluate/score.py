"""A model answers every row of a split: cut as it was trained, in batches, matched to the truth by name."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openfer import __version__
from openfer.bundle.load import BATCH, GRAPH, Array, Bundle, sigmoid
from openfer.data.manifest import Manifest
from openfer.data.pictures import Progress, decode
from openfer.errors import ConfigError, DataError, did_you_mean
from openfer.evaluate.action_units.columns import unit_columns
from openfer.evaluate.landmarks import row_landmarks
from openfer.evaluate.predictions import Context, Predictions, build_predictions
from openfer.labels import LabelSet
from openfer.records import OK, UNREADABLE
from openfer.runtime import thread_count
from openfer.vision.align import Alignment
from openfer.vision.au_locations import AUS
from openfer.vision.cut import Cut, cut_face
from openfer.vision.detect import Detector
from openfer.vision.image import Picture
from openfer.vision.landmarks import NO_POINTS, Landmarker

LabelRule = Literal["same", "intersection"]
LABEL_RULES: tuple[LabelRule, ...] = ("same", "intersection")
LEFT_OUT = "left_out"
"""Status of a row whose true class the model does not know."""


def score_manifest(
    bundle: Bundle,
    manifest: Manifest,
    split: str,
    *,
    detector: Detector | None,
    labels: str = "same",
    progress: Progress | None = None,
    batch: int = BATCH,
    command: str = "",
) -> Predictions:
    """A model's answer for every row of a split. A row's answer does not depend on the others or on their order.

    A row is cut by its own five points, else by detecting them, else by its frame. A model that reads landmarks gets
    the row's own, else those that are found (see `openfer.evaluate.landmarks`). A row that cannot be read or whose
    status in the manifest is not `ok` keeps its place, without an answer, and its status says why. A model with action
    units answers for them, too (see `openfer.evaluate.action_units.columns`); of a data set without expressions they
    are all that can be judged.

    Args:
        bundle: the model.
        manifest: the data set; `row` in the answer is the number of a row here.
        split: `train`, `validation` or `test`.
        detector: finds points where a row has none; None goes straight to the frame.
        labels: `same`: model and manifest must have the same names, in any order. `intersection`: what only one of
            them has is left out, probabilities are renormalised over the rest, and rows of a left-out class do not
            count.
        progress: called after every batch.
        batch: rows held in memory at once.
        command: the command to be kept with the answers.

    Raises:
        DataError: the split has no rows or none with a label, or the label names differ.
        ConfigError: an unknown rule for labels.
    """
    chosen = manifest.select(split, usable=False)
    rows = np.flatnonzero([value == split for value in manifest.column("split")])
    truth = chosen.column("label")
    given = [value or OK for value in chosen.column("status")]
    left_out: tuple[str, ...] = ()
    if manifest.labels.of_action_units:
        shared = _without_expressions(bundle, manifest)
    else:
        shared, left_out = match_labels(bundle.card.label_names(), manifest.labels, labels)
        _check_any_label(truth, given, shared, split)
    answers = np.full((len(rows), len(shared)), np.nan, dtype=np.float32)
    units = np.full((len(rows), len(AUS)), np.nan, dtype=np.float32)
    reader = Landmarker.load() if "landmarks" in bundle.card.inputs else None
    ways: list[str | None] = []
    statuses: list[str] = []
    for cuts, landmarks in _cut_rows(manifest, rows, given, bundle, detector, reader, batch):
        part = slice(len(ways), len(ways) + len(cuts))
        answers[part], units[part] = _answer(bundle, cuts, landmarks, shared)
        ways += [cut.way if isinstance(cut, Cut) else None for cut in cuts]
        statuses += [OK if isinstance(cut, Cut) else cut for cut in cuts]
        if progress:
            progress(len(ways), len(rows))
    for place, name in enumerate(truth):
        if statuses[place] == OK and not np.isfinite(answers[place]).all():
            statuses[place] = f"{UNREADABLE}: the model's answer is not finite"
        elif statuses[place] == OK and name is not None and name not in shared:
            statuses[place] = f"{LEFT_OUT}: {name}"
    columns = {name: chosen.column(name) for name in ("split", "group", "subject")}
    return build_predictions(
        shared,
        answers,
        [name if name in shared else None for name in truth],
        rows=rows,
        columns=columns | {"way": ways, "status": statuses, "name": [manifest.name(int(row)) for row in rows]},
        units=unit_columns(units, chosen.column("aus")) if "aus" in bundle.card.outputs else None,
        context=context_of(
            bundle,
            manifest,
            rows_sha256=chosen.digest,
            split=split,
            detector="none" if detector is None else type(detector).__name__.lower(),
            labels="intersection" if left_out else "same",
            left_out=left_out,
            model_only=tuple(name for name in left_out if name not in manifest.labels),
            command=command,
        ),
    )


def match_labels(model: LabelSet, truth: LabelSet, rule: str) -> tuple[LabelSet, tuple[str, ...]]:
    """The classes that are judged, in the truth's order, and the names that are left out.

    Raises:
        ConfigError: an unknown rule.
        DataError: the names differ and the rule is `same`, or fewer than two are shared.
    """
    if rule not in LABEL_RULES:
        raise ConfigError(f"labels: unknown rule '{rule}'; {did_you_mean(rule, LABEL_RULES)}")
    only_model = tuple(name for name in model if name not in truth)
    only_truth = tuple(name for name in truth if name not in model)
    if not only_model and not only_truth:
        return truth, ()
    if rule == "same":
        sides = (("the model", only_model), ("the manifest", only_truth))
        parts = [f"only {side} has {', '.join(names)}" for side, names in sides if names]
        raise DataError(
            f"labels of model '{model.name}' and manifest '{truth.name}' differ: {'; '.join(parts)}; "
            "judge what both have with --labels intersection"
        )
    return truth.intersection(model), only_model + only_truth


def cut_pictures(
    bundle: Bundle, manifest: Manifest, rows: Iterable[int], *, detector: Detector | None
) -> dict[int, Picture]:
    """Some rows' pictures as the network reads them, uint8 [size, size, 3]; a row that cannot be cut is absent.

    Args:
        bundle: the model.
        manifest: the data set.
        rows: numbers of rows in the manifest.
        detector: the one that the rows were scored with; None goes straight to the frame.
    """
    alignment = bundle.card.input.alignment()
    cuts = {row: cut_row(manifest, row, alignment, detector) for row in rows}
    return {row: cut.pixels for row, cut in cuts.items() if isinstance(cut, Cut)}


def _without_expressions(bundle: Bundle, manifest: Manifest) -> LabelSet:
    """The model's classes, of which a data set of action units knows nothing."""
    if "aus" not in bundle.card.outputs:
        raise DataError(
            f"'{manifest.labels.name}' has action units and no expressions, the model '{bundle.card.name}' has no "
            "action units; nothing to judge"
        )
    return bundle.card.label_names()


def _check_any_label(truth: list[str | None], statuses: list[str], shared: LabelSet, split: str) -> None:
    usable = [name for name, status in zip(truth, statuses, strict=True) if status == OK]
    if not usable:
        raise DataError(f"split '{split}': all its rows have a status other than 'ok'; see `openfer data check`")
    if not any(name in shared for name in usable):
        raise DataError(
            f"split '{split}': none of its {len(usable)} rows has a label out of {', '.join(shared)}; nothing to judge"
        )


def _cut_rows(
    manifest: Manifest,
    rows: NDArray[np.int64],
    statuses: list[str],
    bundle: Bundle,
    detector: Detector | None,
    landmarker: Landmarker | None,
    batch: int,
) -> Iterator[tuple[list[Cut | str], list[Array]]]:
    """The rows' pictures and landmarks, a batch at a time; in place of a row that cannot be cut stands its status."""
    alignment = bundle.card.input.alignment()

    def cut(place: int) -> tuple[Cut | str, Array]:
        if statuses[place] != OK:
            return statuses[place], NO_POINTS
        row = int(rows[place])
        found = cut_row(manifest, row, alignment, detector)
        if isinstance(found, str) or landmarker is None:
            return found, NO_POINTS
        return found, row_landmarks(manifest, row, found, landmarker)

    with ThreadPoolExecutor(thread_count(bundle.threads)) as pool:
        for start in range(0, len(rows), batch):
            pairs = list(pool.map(cut, range(start, min(start + batch, len(rows)))))
            yield [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def cut_row(manifest: Manifest, row: int, alignment: Alignment, detector: Detector | None) -> Cut | str:
    """A row's face: by its own points, else by detected ones, else by its frame; or the status that says why not."""
    picture, status = decode(manifest, row)
    if picture is None:
        return status
    try:
        points5, box = manifest.points5(row), manifest.box(row)
        return cut_face(picture, alignment, points5=points5, box=box, detector=detector)
    except DataError as error:
        return f"{UNREADABLE}: {error}"


def _answer(bundle: Bundle, cuts: list[Cut | str], landmarks: list[Array], shared: LabelSet) -> tuple[Array, Array]:
    """Probabilities [n, K] over the shared names, and of action units [n, 17]; NaN where there is no answer."""
    columns = bundle.card.label_names().columns_for(shared)
    read = [place for place, cut in enumerate(cuts) if isinstance(cut, Cut)]
    answers = np.full((len(cuts), len(shared)), np.nan, dtype=np.float32)
    units = np.full((len(cuts), len(AUS)), np.nan, dtype=np.float32)
    if read:
        pictures = np.stack([cut.pixels for cut in cuts if isinstance(cut, Cut)])
        points = np.stack([landmarks[place] for place in read]) if "landmarks" in bundle.card.inputs else None
        outputs = ("logits", "aus") if "aus" in bundle.card.outputs else ("logits",)
        logits, *more = bundle.run(pictures, landmarks=points, outputs=outputs)
        answers[read] = bundle.calibrated(logits, columns=columns)
        if more:
            units[read] = sigmoid(more[0])
    return answers, units


def context_of(bundle: Bundle, manifest: Manifest, **protocol: Any) -> Context:
    """What is known of model, data and program; `protocol` are further fields of `Context`."""
    return Context(
        model=bundle.card.name,
        model_sha256=bundle.card.graphs[GRAPH],
        selection=bundle.card.training.selection,
        manifest=manifest.digest,
        layout=manifest.origin.layout,
        rule=manifest.origin.rule,
        versions={
            "openfer": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "onnxruntime", "pillow")},
        },
        **protocol,
    )
