"""Words, colours and shapes of overlays."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openfer.predict.colours import COLOURS, NO_LABEL, Colour, colour_of, contrast, ink_on
from openfer.predict.drawing import words
from openfer.predict.drawing.card import PALE, PANEL, PANEL_OPACITY
from openfer.predict.drawing.paint import fill, frame, lay
from openfer.predict.drawing.words import ELLIPSIS, font_for, shortened, spoken
from openfer.records import UNCERTAIN

ARABIC, CHINESE, EMOJI = "نعسان", "开心", "🫠"


def forget_fonts() -> None:
    for cached in (words._source_for, words._has, words._installed, words._font):
        cached.cache_clear()


@pytest.fixture
def own_font_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No font of the system: only what comes with the installed packages."""
    forget_fonts()
    monkeypatch.setattr(words, "SYSTEM_FONTS", ())
    yield
    forget_fonts()


@pytest.mark.parametrize("colour", [*COLOURS.values(), NO_LABEL])
def test_tags_can_be_read(colour: Colour) -> None:
    assert contrast(colour, ink_on(colour)) >= 4.5  # WCAG 2.2, level AA


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (255, 255, 0), (90, 160, 90)])
def test_charts_can_be_read_on_any_ground(ground: Colour) -> None:
    image = Image.new("RGB", (40, 40), ground)
    fill(image, (0, 0, 40, 40), PANEL, radius=0, opacity=PANEL_OPACITY)
    panel = image.getpixel((20, 20))
    assert isinstance(panel, tuple)
    assert contrast(PALE, (int(panel[0]), int(panel[1]), int(panel[2]))) >= 4.5


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    assert contrast((10, 200, 3), (10, 200, 3)) == 1


# Simulation of a missing kind of cone, on linear RGB. Source: Machado, Oliveira, Fernandes 2009, severity 1.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("vision", VISION)
def test_basic_labels_have_colours_that_anyone_can_tell_apart(vision: str) -> None:
    from skimage.color import deltaE_ciede2000, rgb2lab

    colours = np.array([*COLOURS.values(), NO_LABEL]) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    assert min(deltaE_ciede2000(lab[i], lab[j]) for i, j in combinations(range(len(lab)), 2)) > 12


def test_a_label_keeps_its_colour() -> None:
    assert colour_of("happiness") == colour_of("happiness", ["tired", "happiness"]) == COLOURS["happiness"]
    assert colour_of("Happy", ["Happy", "Sad"]) == COLOURS["happiness"]
    assert colour_of("tired") == colour_of("tired", ["tired", "happiness"])
    assert colour_of(None) == colour_of(UNCERTAIN) == colour_of(UNCERTAIN, ["tired"]) == NO_LABEL


@given(st.lists(st.text(), min_size=1, max_size=50, unique=True))
def test_up_to_eight_labels_have_different_colours(names: list[str]) -> None:
    colours = [colour_of(name, names) for name in names if name != UNCERTAIN]
    assert set(colours) <= set(COLOURS.values())
    assert len(set(colours)) >= min(len(colours), 8) - sum(name in COLOURS for name in names)


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=8, unique=True))
def test_no_two_labels_are_drawn_alike(names: list[str]) -> None:
    drawn = spoken(names)
    assert list(drawn) == names
    assert all(drawn.values())
    assert len(set(drawn.values())) == len(names)
    assert not any("\n" in text or "_" in text for text in drawn.values())


def test_label_names_become_words() -> None:
    assert spoken(["happily_surprised", "müde", ARABIC]) == {
        "happily_surprised": "happily surprised",
        "müde": "müde",
        ARABIC: ARABIC,
    }


@pytest.mark.usefixtures("own_font_alone")
def test_letters_that_no_font_has_are_left_out_and_a_number_keeps_names_apart() -> None:
    assert spoken([f"{EMOJI} melting", CHINESE, f"face {CHINESE}", f"face {EMOJI}"]) == {
        f"{EMOJI} melting": "melting",
        CHINESE: "#2",
        f"face {CHINESE}": "face #3",
        f"face {EMOJI}": "face #4",
    }


def test_a_font_of_the_system_is_asked_for_missing_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    own = words.package_file("matplotlib", "mpl-data/fonts/ttf/LastResortHE-Regular.ttf")
    if own is None:
        pytest.skip("matplotlib comes without its font for all letters")
    forget_fonts()
    monkeypatch.setattr(words, "SYSTEM_FONTS", (str(own),))
    assert spoken([CHINESE]) == {CHINESE: CHINESE}
    assert font_for(CHINESE, 20).path == str(own)
    assert font_for("plain", 20).path != str(own)
    forget_fonts()


@pytest.mark.usefixtures("own_font_alone")
def test_without_the_packages_font_pillows_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "package_file", lambda package, file: None)
    assert spoken(["happiness"]) == {"happiness": "happiness"}
    assert font_for("happiness", 20, bold=True).getlength("happiness") > 50


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(0, 300), st.integers(9, 40))
def test_shortened_words_fit(name: str, width: int, size: int) -> None:
    (text,) = spoken([name]).values()
    font = font_for(text, size)
    short = shortened(text, font, width)
    assert font.getlength(short) <= width or short == ""
    assert (short == text) == (font.getlength(text) <= width)


def test_both_ends_of_a_long_name_stay_and_marks_stay_with_their_letters() -> None:
    font = font_for("a", 20)
    short = shortened("participant looks away from the camera", font, 200)
    assert short.startswith("part")
    assert short.endswith("ra")
    assert ELLIPSIS in short
    marked = "e\u0301" * 40
    assert shortened(marked, font, 150).replace(ELLIPSIS, "") == "e\u0301" * (
        (len(shortened(marked, font, 150)) - 1) // 2
    )


@given(st.integers(1, 80), st.integers(1, 80), st.floats(0, 60))
def test_a_filled_shape_covers_its_area(width: int, height: int, radius: float) -> None:
    image = Image.new("L", (width, height))
    fill(image, (0, 0, width, height), 255, radius=radius)  # type: ignore[arg-type]
    radius = min(radius, width / 2, height / 2)
    assert np.asarray(image).sum() / 255 == pytest.approx(width * height - (4 - pi) * radius**2, abs=2 + radius / 2)


@given(
    st.integers(-20, 60),
    st.integers(-20, 60),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 12),
    st.booleans(),
)
def test_a_frame_paints_its_border_alone(x: int, y: int, width: int, height: int, line: int, dashed: bool) -> None:
    canvas = np.full((50, 50, 3), 9, dtype=np.uint8)
    frame(canvas, (x, y, x + width, y + height), (200, 200, 200), line, dashed=dashed)
    touched = np.zeros((50, 50), dtype=bool)
    touched[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = True
    inner = 2 * line + 1
    touched[max(y + inner, 0) : max(y + height - inner, 0), max(x + inner, 0) : max(x + width - inner, 0)] = False
    assert not ((canvas != 9).any(axis=-1) & ~touched).any()


def test_a_frame_is_whole_and_a_dashed_one_has_gaps() -> None:
    def upper_edge(dashed: bool) -> np.ndarray:
        canvas = np.zeros((100, 200, 3), dtype=np.uint8)
        frame(canvas, (0, 0, 200, 100), (200, 200, 200), 3, dashed=dashed)
        return (canvas[1, 20:-20] == 200).all(axis=-1)

    assert upper_edge(False).all()
    assert 0.3 < upper_edge(True).mean() < 0.9


def test_paint_outside_a_picture_is_cut_off() -> None:
    canvas = np.zeros((10, 10, 3), dtype=np.uint8)
    lay(canvas, (8, -3), (100, 50, 0), np.full((5, 5), 0.5, dtype=np.float32))
    assert (canvas[:2, 8:] == (50, 25, 0)).all()
    assert canvas.sum() == 4 * 75
