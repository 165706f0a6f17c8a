"""The card of a run's bundle: what it is, how it was made, what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime
import torch

from openfer import __version__
from openfer.bundle.card import FORMAT, Card, InputCard, LicenceCard, MethodCard, MetricCard, OutputName, TrainingCard
from openfer.bundle.load import GRAPH
from openfer.errors import ModelError
from openfer.evaluate.intervals import Interval, bootstrap
from openfer.evaluate.metrics import accuracy, mean_class_accuracy
from openfer.evaluate.report.write import read_report
from openfer.labels import LabelSet
from openfer.learn.backbones import normalisation
from openfer.learn.calibrate import fit_temperature
from openfer.learn.judge import Held
from openfer.learn.method import Method
from openfer.learn.pictures import alignment_of
from openfer.learn.recipe import Recipe

OUTPUTS: tuple[OutputName, ...] = get_args(OutputName)


def make_card(
    holdout: Path,
    recipe: Recipe,
    facts: dict[str, Any],
    method: Method,
    labels: LabelSet,
    graphs: dict[str, str],
    outputs: Sequence[str],
    name: str,
    learned: dict[str, Any],
) -> Card:
    """The card of a run's bundle; temperature and metrics from the answers to its holdout."""
    held = Held.read(holdout) if holdout.is_file() else None
    mean, std = normalisation(recipe.backbone.name)
    alignment = alignment_of(recipe.data, recipe.backbone.size)
    data = facts["data"]
    chosen = f"best {recipe.run.select} on a holdout of {data['holdout']} training rows"
    selection = "last epoch" if not data["holdout"] or recipe.run.select == "last" else chosen
    if "imported" in data:
        selection = f"imported: {data['imported']}"
    return Card(
        format=FORMAT,
        name=name,
        labels=labels.names,
        label_set=labels.name,
        graphs=graphs,
        inputs=("image", "landmarks") if "landmarks" in method.inputs else ("image",),
        outputs=tuple(name for name in OUTPUTS if name in outputs),
        input=InputCard(**asdict(alignment), mean=mean, std=std),
        temperature=fit_temperature(held.logits, held.targets.argmax(1)) if held is not None else 1.0,
        method=MethodCard(
            name=recipe.method.name,
            options=asdict(method.options),
            fidelity=recipe.method.fidelity,
            backbone=asdict(recipe.backbone),
            learned=learned,
        ),
        training=TrainingCard(
            manifest=data["manifest"],
            layout=data["layout"],
            rule=data["rule"],
            rows=data["rows"],
            holdout=data["holdout"],
            selection=selection,
            teachers=tuple(data.get("teachers", ())),
        ),
        metrics=holdout_metrics(held, len(labels)) if held is not None else (),
        intended_use="Research on facial expressions, and products whose users know and agree. The label is how people "
        "would name the expression in a picture, not what a person feels.",
        limits="No use for decisions about people. Less accurate on rare classes, profiles, covered, very small, very "
        "old and very young faces, and on people unlike those of the training pictures.",
        licences=LicenceCard(
            code="Apache-2.0", weights="Apache-2.0, within the terms of the training data", data=f"see {data['layout']}"
        ),
        versions={"openfer": __version__, "torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
        | {"timm": version("timm")},
    )


def holdout_metrics(held: Held, classes: int) -> tuple[MetricCard, ...]:
    """Accuracy and mean-class accuracy on the holdout with their intervals. Optimistic: it also chose the epoch."""
    truth, answer = held.targets.argmax(1), held.logits.argmax(1)
    statistics = {"accuracy": accuracy, "mean_class_accuracy": mean_class_accuracy}
    intervals = bootstrap(truth, answer, classes, statistics, np.random.default_rng(0))
    protocol = "holdout of the training rows, which also chose the epoch; truth is the largest vote"
    return _metric_cards(intervals, len(truth), protocol)


def report_metrics(path: Path, card: Card) -> tuple[MetricCard, ...]:
    """Accuracy and mean-class accuracy of an evaluation.

    Raises:
        ModelError: the report judges another model.
    """
    report = read_report(path)
    if report.context.model_sha256 != card.graphs[GRAPH]:
        raise ModelError(f"{path}: judges the model '{report.context.model}', not this run; evaluate the run again")
    context = report.context
    ways = ", ".join(f"{rows} {way}" for way, rows in report.ways.items() if rows)
    protocol = f"{context.layout} {context.split}, label rule {context.rule}, single pass, rows cut by: {ways}"
    scores = {"accuracy": report.accuracy, "mean_class_accuracy": report.mean_class_accuracy}
    return _metric_cards(scores, report.counts.counted, protocol)


def _metric_cards(scores: Mapping[str, Interval], rows: int, protocol: str) -> tuple[MetricCard, ...]:
    return tuple(
        MetricCard(name=name, value=score.value, low=score.low, high=score.high, rows=rows, protocol=protocol)
        for name, score in scores.items()
    )
