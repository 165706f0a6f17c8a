"""The page that people read: whole without a network, safe, legible in both schemes, and complete."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.bundle.card import Card, read_card
from openfer.bundle.load import CARD
from openfer.evaluate.action_units.columns import unit_columns
from openfer.evaluate.predictions import Context, build_predictions
from openfer.evaluate.report import write
from openfer.evaluate.report.build import evaluate_predictions
from openfer.evaluate.report.record import EvaluationReport
from openfer.evaluate.report.write import report_page
from openfer.labels import LabelSet, action_units
from openfer.vision.au_locations import AUS
from openfer.vision.image import Picture

VOID = ("meta", "img", "link", "br")
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover=a b='", "{{ 7 * 7 }}</style>")


def drawn(names: tuple[str, ...], *, n: int = 300, word: str = "plain", card: Card | None = None) -> EvaluationReport:
    """A report in which every section has something to say; `word` stands wherever data gives a text."""
    rng = np.random.default_rng(0)
    k = len(names)
    truth = rng.integers(0, k, n)
    scores = rng.normal(size=(n, k)) + 2.5 * np.eye(k)[truth]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    statuses = [f"unreadable: {word}"] * 25 + [f"left_out: {word}"] * 5 + [word] * 5 + ["ok"] * (n - 35)
    columns = {
        "status": statuses,
        "name": [f"{word}/{row}" for row in range(n)],
        "way": [("points", "detected", "frame", word)[row % 4] for row in range(n)],
    }
    context = Context(
        model=word,
        model_sha256=word,
        selection=word,
        manifest=word,
        rows_sha256=word,
        layout=word,
        rule=word,
        split=word,
        detector=word,
        labels="intersection",
        left_out=(word, "zeal"),
        model_only=("zeal",),
        command=word,
        versions={word: word},
        warnings=(word,),
    )
    labels = [names[index] for index in truth]
    shown = rng.uniform(size=(n, len(AUS)))
    seen = [list(zip(action_units(*AUS), np.round(row**2, 1), strict=True)) for row in shown]
    predictions = build_predictions(
        LabelSet("own", names),
        probabilities,
        labels,
        columns=columns,
        units=unit_columns(shown, seen) if n <= 300 else None,  # scores of more take seconds
        context=context,
    )
    return evaluate_predictions(predictions, card=card, draws=200)


def noise(report: EvaluationReport, side: int = 96) -> dict[int, Picture]:
    """A picture of noise for each example."""
    rng = np.random.default_rng(0)
    shape = (side, side, 3)
    return {one.row: rng.integers(0, 256, shape, dtype=np.uint8) for one in report.errors + report.hardest}


class Page(HTMLParser):
    """A page's elements (tag and attributes), its text, and proof that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def skeleton(self) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in self.elements]


@pytest.fixture(scope="module")
def card(bundle_folder: Path) -> Card:
    return read_card(bundle_folder / CARD)


@pytest.fixture(scope="module")
def report(card: Card) -> EvaluationReport:
    return drawn(("calm", "cross", "glad"), card=card)


@pytest.fixture(scope="module")
def page(report: EvaluationReport) -> Page:
    return Page(report_page(report, noise(report)))


def test_the_page_needs_nothing_beside_itself(report: EvaluationReport) -> None:
    text = report_page(report, noise(report))
    for tag, attributes in Page(text).elements:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"):
            assert attributes.get(name, "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
    assert not re.search(r"https?:|//[a-z]|@import|url\(|@font-face", re.sub(r'src="data:[^"]*"', "", text))


def test_what_comes_from_data_never_becomes_markup(card: Card) -> None:
    plain = drawn(tuple(f"plain and simple {index}" for index in range(len(HOSTILE))), card=card)
    for word in HOSTILE:
        texts = {"intended_use": word, "limits": word, "name": word}
        hostile = drawn(HOSTILE, word=word, card=card.model_copy(update=texts))
        parsed = Page(report_page(hostile, noise(hostile)))
        assert parsed.skeleton() == Page(report_page(plain, noise(plain))).skeleton()
        assert parsed.text.count(word) > 20
        assert {name for _, names in parsed.skeleton() for name in names} <= {
            *("lang", "charset", "name", "content", "class", "id", "style", "role", "tabindex", "title", "scope"),
            *("aria-label", "aria-labelledby", "aria-hidden", "src", "alt", "viewbox", "x", "y", "width", "height"),
            *("x1", "x2", "y1", "y2", "text-anchor"),
        }


def test_the_faces_on_the_page_are_those_that_were_given(report: EvaluationReport) -> None:
    ramp = np.repeat(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    red = np.zeros((200, 200, 3), dtype=np.uint8) + np.array([200, 30, 30], dtype=np.uint8)
    first, second = report.errors[:2]
    images = Page(report_page(report, {first.row: ramp, second.row: red})).all("img")
    assert [image["alt"] for image in images] == [
        f"Row {one.row}: {one.truth}, answered {one.answer}" for one in (first, second)
    ]
    grey, colour = (Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))) for image in images)
    assert (grey.mode, grey.size) == ("L", (64, 64))
    assert np.abs(np.asarray(grey, dtype=int) - ramp[:, :, 0]).max() < 10
    assert (colour.mode, colour.size) == ("RGB", (write.PICTURE_SIDE, write.PICTURE_SIDE))
    assert np.abs(np.asarray(colour, dtype=int) - red[0, 0]).max() < 10


def test_every_example_says_how_to_find_it_again(report: EvaluationReport, page: Page) -> None:
    for one in report.errors + report.hardest:
        assert f"row {one.row}plain/{one.row}" in page.text.replace("\n", "")
        assert f"{one.answer} {100 * one.confidence:.1f} %" in page.text
    for one in report.errors:
        assert f"truth: {one.truth} {100 * one.truth_probability:.1f} %" in page.text


def test_the_page_says_what_was_measured_how_and_by_whom(report: EvaluationReport, page: Page, card: Card) -> None:
    for score in (report.accuracy, report.mean_class_accuracy):
        assert f"{100 * score.value:.1f} %" in page.text
        assert f"95 %: {100 * score.low:.1f} % to {100 * score.high:.1f} %" in page.text
    for line in report.classes:
        assert line.recall is not None
        assert line.recall_interval is not None
        assert f"{100 * line.recall:.1f} %{100 * line.recall_interval[0]:.1f}" in page.text
    for text in (card.intended_use, card.limits, card.licences.weights, card.training.manifest, "zeal", "200 draws"):
        assert text in page.text
    whys = ("unreadable: plain", "class left out: plain", "the first 20 of 25")
    for status in (*whys, "by given points", "in an unknown way"):
        assert status in page.text
    assert page.text.index("Before you read the numbers") < page.text.index("Accuracy")


def test_without_a_model_and_its_pictures_the_page_does_without() -> None:
    predictions = build_predictions(LabelSet("own", ("calm", "cross")), np.eye(2)[[0, 1, 1]], ["calm", "cross", "calm"])
    page = Page(report_page(evaluate_predictions(predictions)))
    assert page.all("img") == []
    assert "The model’s card" not in page.text
    assert "what the network saw" not in page.text
    assert "Most confident mistakes" in page.text
    assert "row 2" in page.text
    assert "All 3 rows count" in page.text
    assert "Before you read the numbers" not in page.text


def test_the_page_can_be_read_by_a_screen_reader(page: Page) -> None:
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))
    assert all(image["alt"] for image in page.all("img"))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes} <= {
        *ids
    }
    assert page.all("html")[0]["lang"] == "en"


@pytest.mark.parametrize("k", [2, 12, 13, 24, 25, 60])
def test_the_matrix_shows_every_count_for_few_and_for_many_classes(k: int) -> None:
    report = drawn(tuple(f"class {index}" for index in range(k)), n=40 * k)
    text = report_page(report)
    body = text[text.index('<table class="matrix') : text.index('<h2 id="calibration"')]
    rows = re.findall(r"<tr>(.*?)</tr>", body.split("</table>")[0], re.DOTALL)[1:]
    found = [
        [int(re.sub(r"\D", "", (re.search(r"<span>(.*?)</span>", cell) or ["", "0"])[1])) for cell in cells]
        for cells in (re.findall(r"<td.*?</td>", row, re.DOTALL) for row in rows)
    ]
    assert np.array_equal(found, report.confusion)
    assert ("The most frequent mistakes" in body) == (k > 12)


def test_a_matrix_of_very_many_classes_is_left_to_the_picture() -> None:
    text = report_page(drawn(tuple(f"class {index}" for index in range(61)), n=900))
    assert '<table class="matrix' not in text
    assert "confusion.png" in text
    assert "The most frequent mistakes" in text


def test_the_page_stays_under_a_megabyte(card: Card) -> None:
    names = tuple(f"a rather long name of an expression that nobody has heard of {index}" for index in range(50))
    report = drawn(names, n=4000, word="w" * 100, card=card)
    assert len(report_page(report, noise(report, 224)).encode()) < 1_000_000


def scheme(text: str, dark: bool) -> dict[str, str]:
    """The custom properties of the style sheet, light or dark."""
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    assert len(blocks) == 2
    found = [dict(re.findall(r"(--[\w-]+):\s*([^;]+);", block)) for block in blocks]
    return found[0] | found[1] if dark else found[0]


def luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: np.ndarray, second: np.ndarray) -> float:
    """Contrast of two colours, 1 to 21. Source: WCAG 2.1, contrast ratio."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_legible_in_both_schemes(report: EvaluationReport, dark: bool) -> None:
    values = scheme(report_page(report), dark)
    colours = {
        name: np.array([int(value[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        for name, value in values.items()
        if value.startswith("#")
    }
    pairs = [(text, ground) for text in ("--ink", "--faint") for ground in ("--card", "--page")]
    pairs += [("--hit", "--card"), ("--miss", "--card"), ("--warn", "--warn-page")]
    for text, ground in pairs:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    depth = float(values["--depth"])
    for hue in ("--hit", "--miss"):
        deepest = depth * colours[hue] + (1 - depth) * colours["--page"]
        assert contrast(colours["--ink"], deepest) >= 4.5, hue


def test_every_colour_is_defined_and_dark_is_for_screens_only(report: EvaluationReport) -> None:
    text = report_page(report)
    light, dark = scheme(text, dark=False), scheme(text, dark=True)
    assert set(re.findall(r"var\((--[\w-]+)", text)) <= {*light, "--share", "--way"}
    assert set(light) == set(dark)
    assert all(light[name] != dark[name] for name in light)
    assert re.findall(r"@media[^{]*prefers-color-scheme[^{]*", text) == [
        "@media screen and (prefers-color-scheme: dark) "
    ]


def test_the_table_that_a_model_learned_is_a_picture_on_the_page(report: EvaluationReport, card: Card) -> None:
    zeros = np.zeros((len(card.labels), len(AUS))).tolist()
    learned = {"units": list(AUS), "start": zeros, "table": zeros}
    method = card.method.model_copy(update={"learned": learned})
    shown = Page(report_page(replace(report, card=card.model_copy(update={"method": method}))))
    (picture,) = shown.all("img")
    assert picture["src"].startswith("data:image/png;base64,")
    assert "table" in picture["alt"]
    assert "AUC within expressions" in shown.text
    assert "lip corner puller" in shown.text


def test_a_card_can_come_from_a_read_report(report: EvaluationReport) -> None:
    again = EvaluationReport.from_dict(report.to_dict())
    assert report_page(again, noise(report)) == report_page(report, noise(report))
    assert "knows nothing" not in report_page(replace(report, card=None))
