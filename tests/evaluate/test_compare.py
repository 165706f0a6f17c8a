"""Several models on the rows that all of them judge: which rows those are, and what the numbers say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from openfer.errors import ConfigError, DataError
from openfer.evaluate.comparison.build import compare_predictions
from openfer.evaluate.comparison.match import match
from openfer.evaluate.comparison.names import find_baseline, model_names
from openfer.evaluate.comparison.record import Comparison, Pair
from openfer.evaluate.comparison.words import p_value, signed
from openfer.evaluate.predictions import Predictions, build_predictions
from openfer.evaluate.report.build import evaluate_predictions
from openfer.labels import LabelSet
from tests.compared import LABELS, drawn, judged


def compare(draws: int = 1000, **files: Predictions) -> Comparison:
    return compare_predictions(files, draws=draws)


def only(comparison: Comparison) -> Pair:
    (pair,) = comparison.pairs
    return pair


def test_a_worked_example() -> None:
    comparison = compare(a=judged("cccxxg", "cccxcg"), b=judged("cccxxg", "ccxxxc"))
    pair = only(comparison)
    assert (pair.first, pair.second) == ("a", "b")
    assert (pair.only_first, pair.only_second, pair.same_answer) == (2, 1, 3)
    assert pair.differences["accuracy"].value == pytest.approx(5 / 6 - 4 / 6)
    assert pair.differences["mean_class_accuracy"].value == pytest.approx((1 + 1 / 2 + 1) / 3 - (2 / 3 + 1 + 0) / 3)
    assert pair.differences["negative_log_likelihood"].value == pytest.approx(-(np.log(0.8) - np.log(0.1)) / 6)
    assert pair.mcnemar == pair.p == pair.p_holm == 1.0
    assert pair.sign_flip is None
    assert pair.better == ""
    assert [model.scores["accuracy"].value for model in comparison.models] == pytest.approx([5 / 6, 4 / 6])
    assert (comparison.used, comparison.rows, comparison.left_out) == (6, 6, {})


def test_scores_are_those_of_the_report_of_each_file() -> None:
    files = {"a": drawn(200, 0.8, 1), "b": drawn(200, 0.6, 2)}
    for model in compare_predictions(files, draws=1000).models:
        report = evaluate_predictions(files[model.name])
        assert model.scores["accuracy"].value == pytest.approx(report.accuracy.value)
        assert model.scores["macro_f1"].value == pytest.approx(report.macro_f1)
        assert model.scores["calibration_error"].value == pytest.approx(report.calibration_error)
        assert model.scores["negative_log_likelihood"].value == pytest.approx(report.negative_log_likelihood)
        assert model.scores["accuracy"].low == pytest.approx(report.accuracy.low, abs=0.02)


def test_a_better_model_is_called_better_whichever_comes_first() -> None:
    good, poor = drawn(300, 0.9, 1), drawn(300, 0.5, 2)
    there, back = only(compare(good=good, poor=poor)), only(compare(poor=poor, good=good))
    assert there.better == back.better == "good"
    assert there.conclusion == back.conclusion
    assert there.conclusion.startswith("good is more accurate than poor by ")
    assert there.differences["accuracy"].value == -back.differences["accuracy"].value
    assert (
        there.p
        == back.p
        == pytest.approx(stats.binomtest(there.only_first, there.only_first + there.only_second).pvalue)
    )


def test_where_nothing_is_shown_the_words_do_not_say_that_models_are_equal() -> None:
    pair = only(compare(a=drawn(60, 0.7, 1), b=drawn(60, 0.7, 2)))
    assert pair.better == ""
    assert pair.conclusion.startswith("No difference in accuracy is shown between a and b: ")
    assert "does not make them equal" in pair.conclusion


def test_identical_files_have_no_difference() -> None:
    pair = only(compare(a=drawn(40, 0.7, 1), b=drawn(40, 0.7, 1)))
    assert pair.p == 1
    assert all((d.value, d.low, d.high) == (0, 0, 0) for d in pair.differences.values())
    assert pair.conclusion == "a and b give the same answer in each of the 40 rows."


def test_the_same_seed_gives_the_same_numbers_and_another_does_not() -> None:
    files = {"a": drawn(50, 0.8, 1), "b": drawn(50, 0.6, 2)}
    one, same, other = (compare_predictions(files, draws=1000, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.pairs != other.pairs


def test_p_is_corrected_for_the_number_of_pairs() -> None:
    files = {"a": drawn(150, 0.9, 1), "b": drawn(150, 0.75, 2), "c": drawn(150, 0.7, 3)}
    every = compare_predictions(files, draws=1000)
    assert [(pair.first, pair.second) for pair in every.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    ordered = sorted(every.pairs, key=lambda pair: pair.p)
    raw = [pair.p for pair in ordered]
    expected = np.maximum.accumulate(np.minimum(1, np.array(raw) * [3, 2, 1]))
    assert [pair.p_holm for pair in ordered] == pytest.approx(expected)
    assert "after Holm's correction for 3 pairs" in every.pairs[0].conclusion
    against = compare_predictions(files, baseline="b", draws=1000)
    assert against.baseline == "b"
    assert [(pair.first, pair.second) for pair in against.pairs] == [("a", "b"), ("c", "b")]
    assert against.pairs[0].p == every.pairs[0].p
    assert against.pairs[0].p_holm <= every.pairs[0].p_holm


def test_what_is_shown_alone_may_not_be_shown_among_many() -> None:
    truth, good, poor = "c" * 40, "c" * 40, "x" * 7 + "c" * 33
    alone = only(compare(good=judged(truth, good), poor=judged(truth, poor)))
    assert (alone.better, alone.p_holm) == ("good", pytest.approx(2 / 2**7))
    files = {"good": judged(truth, good), "poor": judged(truth, poor)}
    files |= {f"same{number}": judged(truth, good) for number in range(6)}
    among = compare_predictions(files, draws=1000)
    pair = next(pair for pair in among.pairs if {pair.first, pair.second} == {"good", "poor"})
    assert len(among.pairs) == 28
    assert (pair.p, pair.better) == (alone.p, "")
    assert pair.p_holm > 0.05


def test_clips_are_tested_and_drawn_as_a_whole() -> None:
    # Four clips of ten rows; the first model is right in all rows of three clips in which the second is wrong.
    truth, clips = "c" * 40, [f"clip{row // 10}" for row in range(40)]
    a = judged(truth, "c" * 40, columns={"group": clips})
    b = judged(truth, "x" * 30 + "c" * 10, columns={"group": clips})
    comparison = compare(a=a, b=b)
    pair = only(comparison)
    assert (comparison.test, comparison.resampled, comparison.clusters) == ("sign_flip", "group", 4)
    assert pair.mcnemar < 1e-8
    assert pair.p == pair.sign_flip == pytest.approx(2 / 2**3)
    assert pair.better == ""
    assert (pair.differences["accuracy"].low, pair.differences["accuracy"].high) == (0.25, 1.0)
    text = "\n".join(comparison.notes)
    assert "40 rows of 4 clips" in text
    assert "Only 4 clips" in text


def test_people_come_before_clips_and_a_cluster_of_one_row_is_a_row() -> None:
    people, clips, frames = ["p", "p", "q", "q"], ["s", "t", "u", "u"], ["1", "2", "3", "4"]
    both = compare(a=judged("cxcx", "cxcx", columns={"subject": people, "group": clips}), b=judged("cxcx", "cccc"))
    assert (both.resampled, both.clusters) == ("subject", 2)
    alone = compare(a=judged("cxcx", "cxcx", columns={"group": frames}), b=judged("cxcx", "cccc"))
    assert (alone.resampled, alone.clusters, alone.test) == ("row", 4, "mcnemar")


def test_clips_may_be_named_in_any_file() -> None:
    plain, named = judged("cxcx", "cxcx"), judged("cxcx", "cccc", columns={"group": ["s", "s", "t", "t"]})
    assert compare(a=plain, b=named).clusters == compare(a=named, b=plain).clusters == 2


def test_rows_are_matched_by_number_whatever_their_order() -> None:
    a = judged("cxg", "cxx", rows=[5, 7, 9])
    b = judged("gxc", "gcc", rows=[9, 7, 5])
    matched = match({"a": a, "b": b})
    assert matched.truth.tolist() == [0, 1, 2]
    assert matched.probabilities.argmax(axis=2).tolist() == [[0, 1, 1], [0, 0, 2]]


def test_every_row_that_is_left_out_has_a_reason() -> None:
    status = ["ok", "unreadable: gone", "excluded: tie", "ok", "ok", "left_out: awe"]
    a = judged("cxgc-c", "c--cc-", rows=range(6), columns={"status": status})
    b = judged("cxgc-cc", "cxgcccc", rows=[0, 1, 2, 3, 4, 5, 8])
    comparison = compare(a=a, b=b)
    assert (comparison.rows, comparison.used) == (7, 2)
    assert comparison.left_out == {
        "not in every file": 1,
        "excluded by their status": 1,
        "of a class that not every file has": 1,
        "without an answer in every file": 1,
        "without a truth in every file": 1,
    }
    assert comparison.used + sum(comparison.left_out.values()) == comparison.rows
    assert [(model.rows, model.judged) for model in comparison.models] == [(6, 2), (7, 6)]
    text = "\n".join(comparison.notes)
    assert "2 of 7 rows are used; left out: 1 not in every file" in text
    assert "b judges 4 rows that another file does not" in text


def test_a_row_of_another_split_is_another_row_and_an_unknown_split_is_any() -> None:
    a = judged("cxg", "cxg", columns={"split": ["test", "test", "validation"]})
    b = judged("cxg", "cxg", columns={"split": ["test", "validation", None]})
    comparison = compare(a=a, b=b)
    assert comparison.used == 2
    assert comparison.left_out == {"of another split in another file": 1}
    assert compare(a=a, b=judged("cxg", "cxg")).used == 3
    assert comparison.splits == ("test", "validation")


def test_contradicting_truths_are_refused_by_row() -> None:
    a, b = judged("cxg", "cxg", rows=[3, 4, 5]), judged("cxc", "cxg", rows=[3, 4, 5])
    with pytest.raises(DataError, match=r"row 5: its truth is 'glad' in a and 'calm' in b \(1 such rows\)"):
        compare(a=a, b=b)
    other = replace(b, table=b.table.set_column(1, "split", [["test"] * 3]))
    mine = replace(a, table=a.table.set_column(1, "split", [["test", "test", "train"]]))
    assert compare(a=mine, b=other).used == 2


def test_predictions_for_different_manifests_are_refused() -> None:
    a, b = (judged("cxg", "cxg", manifest=digest * 8, rows_sha256=rows) for digest, rows in (("01", "r"), ("ff", "s")))
    with pytest.raises(DataError, match=r"b: judged on another manifest \(ffffffffffff\) than a \(010101010101\)"):
        compare(a=a, b=b)
    same_rows = replace(b, context=replace(b.context, rows_sha256="r"))
    assert compare(a=a, b=same_rows).used == 3
    assert compare(a=a, b=same_rows).manifest == ""
    assert compare(a=a, b=a).manifest == "01" * 8


def test_a_file_that_does_not_know_its_manifest_is_compared_and_that_is_said() -> None:
    comparison = compare(a=judged("cxg", "cxg", manifest="01" * 8), b=judged("cxg", "cxg"))
    assert any(note.startswith("b: the file does not say which manifest") for note in comparison.notes)
    neither = compare(a=judged("cxg", "cxg"), b=judged("cxg", "cxg"))
    assert any(note.startswith("No file says which manifest") for note in neither.notes)


def test_label_names_match_in_any_order() -> None:
    turned = LabelSet("turned", LABELS.names[::-1])
    a, b = judged("cxgc", "cxxg"), judged("cxgc", "ccgc", labels=turned)
    there, back = compare(a=a, b=b), compare(b=b, a=a)
    assert there.labels == back.labels
    assert there.pairs[0].only_first == back.pairs[0].only_second == 1
    assert there.models[0].scores["macro_f1"].value == back.models[1].scores["macro_f1"].value


def test_equal_probabilities_are_the_same_answer_whatever_the_order_of_the_columns() -> None:
    even = np.full((4, 3), 1 / 3)
    truth = ["calm", "cross", "glad", "calm"]
    a = build_predictions(LABELS, even, truth)
    b = build_predictions(LabelSet("turned", LABELS.names[::-1]), even, truth)
    assert only(compare(a=a, b=b)).same_answer == 4


def test_different_labels_need_the_users_word() -> None:
    small = LabelSet("small", ("calm", "cross"))
    a, b = judged("cxgc", "gxgc"), judged("cx-c", "cxxc", labels=small)
    with pytest.raises(DataError, match=r"a has glad, b has not; .*--labels intersection"):
        compare_predictions({"a": a, "b": b})
    comparison = compare_predictions({"a": a, "b": b}, labels="intersection", draws=1000)
    assert (comparison.labels, comparison.left_out_labels) == (("calm", "cross"), ("glad",))
    assert comparison.left_out == {"of a class that not every file has": 1}
    assert comparison.used == 3
    assert [model.judged for model in comparison.models] == [3, 3]
    matched = match({"a": a, "b": b}, "intersection")
    assert matched.probabilities[0, 0].tolist() == pytest.approx([0.5, 0.5])  # 0.1 and 0.1 beside glad's 0.8
    assert any("left out: glad" in note for note in comparison.notes)
    with pytest.raises(DataError, match="share 1 names"):
        compare_predictions(
            {"a": a, "b": judged("cc", "cc", labels=LabelSet("own", ("calm", "awe")))}, labels="intersection"
        )
    with pytest.raises(ConfigError, match="did you mean 'intersection'"):
        compare_predictions({"a": a, "b": b}, labels="intersect")


def test_probability_that_lies_on_left_out_classes_alone_is_spread_evenly() -> None:
    a = build_predictions(LABELS, np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), ["calm", "cross"])
    b = judged("cx", "cx", labels=LabelSet("small", ("calm", "cross")))
    matched = match({"a": a, "b": b}, "intersection")
    assert matched.probabilities[0].tolist() == [[0.5, 0.5], [1.0, 0.0]]


def test_nothing_in_common_is_refused_with_the_reasons() -> None:
    with pytest.raises(DataError, match=r"a, b: no row is judged by all \(4 not in every file\)"):
        compare(a=judged("cx", "cx", rows=[0, 1]), b=judged("cx", "cx", rows=[2, 3]))
    with pytest.raises(DataError, match=r"1 without an answer in every file, 1 without a truth in every file"):
        compare(a=judged("c-", "-x"), b=judged("c-", "cx"))


@pytest.mark.parametrize(("truth", "note"), [("cx", "Only 2 rows"), ("cc", "No row of class cross, glad")])
def test_two_rows_or_one_class_are_enough_and_are_remarked_on(truth: str, note: str) -> None:
    comparison = compare(a=judged(truth, "cx"), b=judged(truth, "cc"))
    assert note in "\n".join(comparison.notes)
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_what_a_reader_must_know_is_said() -> None:
    ways = {"way": ["points"] * 20 + ["frame"] * 10}
    a = drawn(30, 0.8, 1, columns={**ways, "split": ["train"] * 30}, warnings=("depends on the batch",), manifest="m")
    b = drawn(30, 0.8, 2, columns={"way": ["points"] * 30}, labels=LABELS, left_out=("awe",), manifest="m")
    text = "\n".join(compare(a=a, b=replace(b, context=replace(b.context, labels="intersection"))).notes)
    assert "trained on" in text
    assert "a: depends on the batch" in text
    assert "a: 10 by frame, 20 by points; b: 30 by points" in text
    assert "b was judged on shared classes only; left out: awe" in text
    assert compare(a=drawn(30, 0.8, 1, manifest="m"), b=drawn(30, 0.8, 2, manifest="m")).notes == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "aa"}, "did you mean|known: a, b"),
        ({"draws": 999}, "--draws 999: expected 1000 to 100000"),
        ({"draws": 100_001}, "--draws 100001"),
        ({"seed": -1}, "--seed -1: expected 0 or more"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    files = {"a": judged("cx", "cx"), "b": judged("cx", "cc")}
    with pytest.raises(ConfigError, match=message):
        compare_predictions(files, **options)  # type: ignore[arg-type]


def test_one_file_is_too_few() -> None:
    with pytest.raises(ConfigError, match="two or more predictions files, got 1"):
        compare(a=judged("cx", "cx"))


def test_a_comparison_survives_json() -> None:
    comparison = compare(a=drawn(30, 0.9, 1), b=drawn(30, 0.5, 2), c=drawn(30, 0.5, 3))
    assert Comparison.from_dict(comparison.to_dict()) == comparison
    assert Comparison.from_dict(json.loads(json.dumps(comparison.to_dict()))) == comparison


@pytest.mark.parametrize(
    ("paths", "models", "names"),
    [
        (["/r/a/predictions.parquet", "/r/b/predictions.parquet"], ["m", "n"], ["m", "n"]),
        (["/r/a/predictions.parquet", "/r/b/predictions.parquet"], ["m", "m"], ["m (a)", "m (b)"]),
        (["/r/a/predictions.parquet", "/r/b/predictions.parquet"], ["", ""], ["a", "b"]),
        (["/r/x.parquet", "/r/y.parquet", "/s/y.parquet"], ["", "", "m"], ["r/x", "r/y", "m"]),
        (["/r/x.parquet", "/r/x.parquet"], ["m", "m"], ["m (x #1)", "m (x #2)"]),
        (["/r/x.parquet", "/r/y.parquet"], ["y", ""], ["y (x)", "y"]),
        (["/r/v1.0", "/r/v1.1"], ["", ""], ["v1.0", "v1.1"]),
    ],
)
def test_files_get_names_of_their_own(paths: list[str], models: list[str], names: list[str]) -> None:
    files = [judged("c", "c", model=model) for model in models]
    assert list(model_names([Path(path) for path in paths], files)) == names


def test_a_path_that_is_not_utf8_gets_a_name_that_can_be_printed() -> None:
    files = [judged("c", "c"), judged("c", "c")]
    names = model_names([Path("/r/\udcff.parquet"), Path("/r/b.parquet")], files)
    assert names == ("?", "b")


def test_a_baseline_is_a_name_a_file_or_a_model() -> None:
    paths = [Path("r/one.parquet"), Path("r/two.parquet"), Path("r/three.parquet")]
    files = [judged("c", "c", model=model) for model in ("m", "m", "n")]
    names = model_names(paths, files)
    assert names == ("m (one)", "m (two)", "n")
    for word, name in (("m (two)", "m (two)"), ("r/one.parquet", "m (one)"), ("three", "n"), ("n", "n")):
        assert find_baseline(word, names, paths, files) == name
    with pytest.raises(ConfigError, match="--baseline 'm': not one of the models"):
        find_baseline("m", names, paths, files)


def test_numbers_are_written_for_people() -> None:
    assert [signed(value, 1) for value in (1.26, -0.04, 0.0, -3)] == ["+1.3", "0.0", "0.0", "-3.0"]
    assert [p_value(p, sign="= ") for p in (0.5, 0.0312, 0.00012, 1e-9)] == [
        "= 0.5",
        "= 0.031",
        "= 0.00012",
        "< 0.0001",
    ]
