"""What a report says, and its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openfer.bundle.card import read_card
from openfer.bundle.load import CARD
from openfer.errors import DataError
from openfer.evaluate.predictions import Context, Predictions, build_predictions
from openfer.evaluate.report.build import MAX_REASONS, evaluate_predictions
from openfer.evaluate.report.record import EvaluationReport, LeftOut
from openfer.evaluate.report.write import read_report, write_report
from openfer.labels import LabelSet

LABELS = LabelSet("own", ("calm", "cross", "glad"))


def judged(truth: str, answers: str, columns: dict[str, Any] | None = None, **context: Any) -> Predictions:
    """Predictions from initials: `judged("ccg", "cag")`; `-` is no truth or no answer. Confidence is 0.8."""
    names = {"c": "calm", "x": "cross", "g": "glad", "-": None}
    probabilities = np.full((len(answers), 3), 0.1)
    for row, answer in enumerate(answers):
        probabilities[row, "cxg".find(answer)] = 0.8
        if answer == "-":
            probabilities[row] = np.nan
    return build_predictions(
        LABELS, probabilities, [names[initial] for initial in truth], columns=columns, context=Context(**context)
    )


@pytest.fixture
def report() -> EvaluationReport:
    statuses = ["ok"] * 7 + ["unreadable: <b>gone</b>", "left_out: awe", "excluded: tie"]
    ways = ["points", "points", "detected", None, "frame", "frame", "frame", None, "frame", None]
    columns = {"status": statuses, "way": ways, "name": [f"{row}.png" for row in range(10)]}
    return evaluate_predictions(judged("cccxxc-cxx", "ccxxxgc-x-", columns, model="toy", left_out=("awe",)))


def test_scores_and_counts_of_a_worked_example(report: EvaluationReport) -> None:
    assert report.confusion == ((2, 1, 1), (0, 2, 0), (0, 0, 0))
    assert report.accuracy.value == pytest.approx(4 / 6)
    assert report.mean_class_accuracy.value == pytest.approx((2 / 4 + 1) / 2)
    assert report.classes_used == 2
    assert report.macro_f1 == pytest.approx((4 / 6 + 4 / 5) / 2)
    assert report.calibration_error == pytest.approx(0.8 - 4 / 6)
    assert report.negative_log_likelihood == pytest.approx(-(4 * np.log(0.8) + 2 * np.log(0.1)) / 6)
    calm, cross, glad = report.classes
    assert (calm.support, calm.answers, calm.recall, calm.precision) == (4, 2, 0.5, 1.0)
    assert (cross.support, cross.answers, cross.recall) == (2, 3, 1.0)
    assert (glad.support, glad.answers, glad.recall, glad.precision, glad.f1) == (0, 1, None, 0.0, 0.0)
    assert (calm.confused_with, calm.confused) == ("cross", 1)
    assert (cross.confused_with, cross.confused) == (None, 0)
    assert report.macro_f1_interval is not None
    assert report.macro_f1_interval[0] < report.macro_f1 < report.macro_f1_interval[1]


def test_every_row_is_accounted_for(report: EvaluationReport) -> None:
    counts = report.counts
    assert (counts.rows, counts.counted, counts.unlabelled) == (10, 6, 1)
    assert (counts.unreadable, counts.left_out, counts.excluded) == (1, 1, 1)
    assert report.ways == {"points": 2, "detected": 1, "frame": 2, "unknown": 1}
    assert sum(report.ways.values()) == counts.counted
    assert [(failure.row, failure.name) for failure in report.failures] == [(7, "7.png")]
    assert report.not_counted == {"no label": 1, "unreadable": 1, "left_out: awe": 1, "excluded: tie": 1}
    assert report.left_out == (LeftOut(name="awe", only="data", rows=1),)


def test_many_reasons_not_to_count_are_summed_up() -> None:
    statuses = ["ok", "ok", *["tie"] * 3, *(f"odd {number}" for number in range(40))]
    report = evaluate_predictions(judged("c" * 45, "c" * 45, {"status": statuses}))
    assert next(iter(report.not_counted.items())) == ("tie", 3)
    assert len(report.not_counted) == MAX_REASONS + 1
    assert sum(report.not_counted.values()) == report.counts.rows - report.counts.counted == 43


def test_what_only_the_model_has_is_told_from_what_only_the_data_has() -> None:
    report = evaluate_predictions(judged("cx", "cx", left_out=("awe", "zeal"), model_only=("zeal",)))
    assert report.left_out == (LeftOut(name="awe", only="data", rows=0), LeftOut(name="zeal", only="model", rows=0))
    assert "left out: awe (only the data has it, 0 rows), zeal (only the model has it)." in report.warnings[0]


def test_a_missing_picture_is_an_unreadable_row() -> None:
    report = evaluate_predictions(judged("cx", "c-", {"status": ["ok", "missing"]}))
    assert (report.counts.unreadable, report.counts.excluded) == (1, 0)
    assert [(failure.row, failure.status) for failure in report.failures] == [(1, "missing")]


def test_what_a_reader_must_know_is_said(report: EvaluationReport) -> None:
    text = "\n".join(report.warnings)
    assert "1 of 10 rows could not be read" in text
    assert "left out: awe (only the data has it, 1 row)" in text
    assert "No row of class glad" in text
    assert not evaluate_predictions(judged("cxg", "cxg")).warnings
    assert "trained on" in evaluate_predictions(judged("cxg", "cxg", split="train")).warnings[0]
    assert evaluate_predictions(judged("cxg", "cxg", warnings=("batch_coupled",))).warnings == ("batch_coupled",)


def test_intervals_resample_people_else_clips_else_rows() -> None:
    clips, people = ["a", "a", None, "b"], ["s", None, None, None]
    both = evaluate_predictions(judged("ccxx", "ccxc", {"group": clips, "subject": people}))
    assert (both.resampled, both.clusters) == ("subject", 4)
    grouped = evaluate_predictions(judged("ccxx", "ccxc", {"group": clips}))
    assert (grouped.resampled, grouped.clusters) == ("group", 3)
    assert "Only 3 different values of `group`" in "\n".join(grouped.warnings)
    alone = evaluate_predictions(judged("ccxx", "ccxc"))
    assert (alone.resampled, alone.clusters) == ("row", 4)
    one_clip = evaluate_predictions(judged("ccxx", "ccxc", {"group": ["a"] * 4}))
    assert one_clip.accuracy.low == one_clip.accuracy.high == 0.75
    assert alone.accuracy.low < 0.75 < alone.accuracy.high


def test_a_context_can_be_given() -> None:
    report = evaluate_predictions(judged("cx", "cx", model="a"), Context(model="b"))
    assert report.context.model == "b"


def test_nothing_to_judge_is_refused() -> None:
    with pytest.raises(DataError, match="no row has both a truth and an answer"):
        evaluate_predictions(judged("--", "cx"))


def test_a_report_survives_json(report: EvaluationReport, bundle_folder: Path) -> None:
    with_card = replace(report, card=read_card(bundle_folder / CARD))
    for one in (report, with_card):
        assert EvaluationReport.from_dict(one.to_dict()) == one
        assert EvaluationReport.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_a_card_that_does_not_hold_is_refused_in_one_line(report: EvaluationReport, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report.to_dict() | {"card": {"format": 1, "odd": 2}}))
    with pytest.raises(DataError, match="not a report") as refused:
        read_report(tmp_path / "report.json")
    assert "\n" not in str(refused.value)


def test_a_command_with_a_path_that_is_not_utf8_is_kept(report: EvaluationReport, tmp_path: Path) -> None:
    odd = replace(report, context=replace(report.context, command="openfer evaluate \udcff.parquet"))
    write_report(odd, tmp_path)
    assert read_report(tmp_path / "report.json") == odd
    assert "openfer evaluate ?.parquet" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_files_are_written_and_read(report: EvaluationReport, tmp_path: Path) -> None:
    write_report(report, tmp_path / "a" / "b")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [
        "confusion.png",
        "report.html",
        "report.json",
    ]
    assert read_report(tmp_path / "a" / "b" / "report.json") == report
    with Image.open(tmp_path / "a" / "b" / "confusion.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 300


def test_a_file_that_cannot_be_written_is_refused_and_leaves_no_remains(
    report: EvaluationReport, tmp_path: Path
) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(DataError, match=r"report\.json: cannot be written"):
        write_report(report, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        write_report(report, tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not a report"), ("[]", "not a report"), ('{"format": 2}', "version 2"), ('{"format": 1}', "not a report")],
)
def test_a_damaged_report_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_report(tmp_path / "report.json")
    with pytest.raises(DataError, match="no report"):
        read_report(tmp_path / "none.json")


def test_the_picture_takes_any_class_name_and_many_classes(tmp_path: Path) -> None:
    names = ("costs $5", r"$\frac{$", r"\frac{", "喜び", *(f"class_{index}" for index in range(26)))
    labels = LabelSet("own", names)
    predictions = build_predictions(labels, np.eye(30), list(names))
    write_report(evaluate_predictions(predictions), tmp_path)
    assert (tmp_path / "confusion.png").stat().st_size > 10_000


def test_drawing_leaves_no_global_state(report: EvaluationReport, tmp_path: Path) -> None:
    import sys

    write_report(report, tmp_path)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
