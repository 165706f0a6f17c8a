"""A comparison's files: the page, the picture and the numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from openfer.errors import DataError
from openfer.evaluate.comparison import forest as forest_module
from openfer.evaluate.comparison.build import compare_predictions
from openfer.evaluate.comparison.forest import lay_out
from openfer.evaluate.comparison.picture import pair_label
from openfer.evaluate.comparison.record import Comparison
from openfer.evaluate.comparison.write import comparison_page, read_comparison, write_comparison
from tests.compared import drawn, judged


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    files = {"good": drawn(120, 0.9, 1), "poor": drawn(120, 0.5, 2), "fair": drawn(120, 0.8, 3)}
    return compare_predictions(files, draws=1000, paths={"good": "r/good.parquet"}, command="openfer compare ...")


class _Page(HTMLParser):
    """Collects a page's addresses, text and drawn shapes, and refuses tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.shapes: list[dict[str, str]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.addresses += [value for name, value in named.items() if name in ("src", "href", "srcset", "action")]
        if tag in ("line", "circle"):
            self.shapes.append(named)
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_files_are_written_and_read(comparison: Comparison, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path / "deep" / "er")
    names = sorted(path.name for path in (tmp_path / "deep" / "er").iterdir())
    assert names == ["compare.html", "compare.json", "compare.png"]
    assert read_comparison(tmp_path / "deep" / "er" / "compare.json") == comparison
    with Image.open(tmp_path / "deep" / "er" / "compare.png") as image:
        assert image.format == "PNG"
        assert image.width > 1000


def test_a_folder_that_cannot_be_written_to_is_refused_and_keeps_no_remains(
    comparison: Comparison, tmp_path: Path
) -> None:
    (tmp_path / "compare.json").mkdir()
    with pytest.raises(DataError, match=r"compare\.json: cannot be written"):
        write_comparison(comparison, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["compare.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1}'])
def test_a_damaged_comparison_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "compare.json").write_text(text)
    with pytest.raises(DataError, match=r"version 2|not a comparison of"):
        read_comparison(tmp_path / "compare.json")
    with pytest.raises(DataError, match="no comparison"):
        read_comparison(tmp_path / "none.json")


def test_the_page_is_whole_without_a_network(comparison: Comparison) -> None:
    page = comparison_page(comparison)
    parsed = _Page(page)
    assert parsed.addresses == []
    assert not re.search(r"https?://|@import|url\(|<script", page)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    for text in ("good", "poor", "r/good.parquet", "openfer compare ...", "McNemar 1947", "Holm 1979", "not adjusted"):
        assert text in parsed.text
    for pair in comparison.pairs:
        assert pair.conclusion in parsed.text


def test_the_page_names_the_test_that_was_made() -> None:
    clips = [f"clip{row // 4}" for row in range(120)]
    files = {"a": drawn(120, 0.9, 1, columns={"group": clips}), "b": drawn(120, 0.5, 2)}
    text = _Page(comparison_page(compare_predictions(files, draws=1000))).text
    assert "sign-flip test over clips" in text
    assert "Canay, Romano and Shaikh 2017" in text
    assert "Holm 1979" not in text  # a single pair


def test_every_interval_is_drawn_to_scale_and_inside_its_panel(comparison: Comparison) -> None:
    forest = lay_out(comparison)
    for panel in forest.panels:
        for mark, pair in zip(panel.marks, forest.pairs, strict=True):
            factor = 1 if panel.unit == "nats" else 100
            assert mark.value == pytest.approx(factor * pair.differences[panel.score].value)
            assert 0 <= panel.share(mark.low) <= panel.share(mark.value) <= panel.share(mark.high) <= 1
        assert 0 <= panel.share(0) <= 1
        assert all(0 <= panel.share(place) <= 1 for place, _ in panel.ticks)
        assert [float(label) for _, label in panel.ticks] == pytest.approx([place for place, _ in panel.ticks])
    drawn_shapes = _Page(comparison_page(comparison)).shapes
    circles = [float(shape["cx"]) for shape in drawn_shapes if "cx" in shape]
    expected = [196 * panel.share(mark.value) for panel in forest.panels for mark in panel.marks]
    assert circles == pytest.approx(expected, abs=0.01)


def test_only_tested_differences_are_marked_as_shown(comparison: Comparison) -> None:
    accuracy, *others = lay_out(comparison).panels
    assert accuracy.score == "accuracy"
    assert accuracy.shown == tuple(bool(pair.better) for pair in comparison.pairs)
    assert any(accuracy.shown)
    assert not any(any(panel.shown) for panel in others)


def test_the_sides_say_which_model_is_better(comparison: Comparison) -> None:
    sides = {panel.score: panel.sides for panel in lay_out(comparison).panels}
    assert sides["accuracy"] == ("second better", "first better")
    assert sides["negative_log_likelihood"] == ("first better", "second better")
    against = lay_out(replace(comparison, baseline="fair"))
    assert against.panels[0].sides == ("baseline better", "model better")


def test_equal_models_can_be_drawn(tmp_path: Path) -> None:
    same = compare_predictions({"a": judged("cx", "cx"), "b": judged("cx", "cx")}, draws=1000)
    write_comparison(same, tmp_path)
    assert all(panel.low < 0 < panel.high for panel in lay_out(same).panels)


def test_of_very_many_pairs_the_surest_are_drawn_and_all_are_listed(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forest_module, "MAX_LINES", 2)
    forest = lay_out(comparison)
    assert (len(forest.pairs), forest.left_out) == (2, 1)
    assert max(pair.p for pair in forest.pairs) <= max(pair.p for pair in comparison.pairs)
    positions = [comparison.pairs.index(pair) for pair in forest.pairs]
    assert all(one < other for one, other in pairwise(positions))
    text = _Page(comparison_page(comparison)).text
    assert "1 pairs with larger p are not drawn" in text
    assert all(pair.conclusion in text for pair in comparison.pairs)


def test_fourteen_models_fit(tmp_path: Path) -> None:
    files = {f"model_{seed}": drawn(60, 0.5 + 0.03 * seed, seed) for seed in range(14)}
    many = compare_predictions(files, draws=1000)
    write_comparison(many, tmp_path)
    assert len(many.pairs) == 91
    with Image.open(tmp_path / "compare.png") as image:
        assert max(image.size) < 8000
    text = _Page((tmp_path / "compare.html").read_text(encoding="utf-8")).text
    assert f"shown for {sum(bool(pair.better) for pair in many.pairs)} of 91 pairs" in text


def test_what_comes_from_files_cannot_become_markup(tmp_path: Path) -> None:
    files = {
        "<script>alert(1)</script>": drawn(30, 0.9, 1),
        r"$\frac{$ <b>": drawn(30, 0.5, 2, warnings=("<img src=x>",)),
    }
    write_comparison(compare_predictions(files, draws=1000), tmp_path)
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "<script>alert(1)</script>" in _Page(page).text


def test_long_names_are_cut_in_the_picture_only() -> None:
    long = "a" * 30 + "b" * 30
    short = "a" * 15 + "…" + "b" * 16
    assert pair_label(long, "b") == (short, "− b")
    assert pair_label(long, "b", baseline="b") == (short,)
    files = {long: drawn(30, 0.9, 1), "b": drawn(30, 0.5, 2)}
    assert long in _Page(comparison_page(compare_predictions(files, draws=1000))).text


def test_drawing_leaves_no_global_state(comparison: Comparison, tmp_path: Path) -> None:
    import sys

    write_comparison(comparison, tmp_path)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
