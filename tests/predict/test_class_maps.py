"""`predict --cam`: where a face's answer comes from, asked of the model and drawn on the face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from openfer.bundle.load import load_bundle
from openfer.cli.main import app
from openfer.errors import ConfigError, ModelError
from openfer.predict.drawing.heat import evidence, lay_heat, with_key
from openfer.predict.maps import class_maps
from openfer.predict.overlay import draw
from openfer.predict.predictor import Predictor
from openfer.records import Box, ClassMaps, Face, Prediction
from openfer.vision.cut import cut_face
from openfer.vision.image import Picture, grey, read_image
from tests.bundles import make_bundle

SQUARE = ((20.0, 10.0), (60.0, 10.0), (20.0, 50.0))
"""Corners of a face's square of 40 px."""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("mapped") / "toy", maps=True)


def maps_with(spot: tuple[int, int], label: str = "anger", size: int = 5) -> ClassMaps:
    """Maps that all say the same but for one place, which speaks for one label."""
    shared = np.random.default_rng(0).normal(0, 3, (size, size))
    own = shared.copy()
    own[spot] += 2
    values = {name: tuple(map(tuple, (own if name == label else shared).tolist())) for name in ("anger", "fear")}
    return ClassMaps(values=values, corners=SQUARE)


def prediction(maps: ClassMaps | None) -> Prediction:
    face = Face(box=Box(x=22, y=12, w=36, h=36))
    return Prediction(path="a", face=0, found=face, probabilities={"anger": 0.7, "fear": 0.3}, maps=maps)


def flat(size: int = 80) -> Picture:
    return np.full((size, size, 3), (150, 110, 90), dtype=np.uint8)


def test_a_prediction_carries_the_maps_of_its_square(mapped: Path, astronaut: Path) -> None:
    predictor = Predictor.load(mapped, maps=True, threads=1)
    (row,) = predictor.predict([astronaut])[0]
    assert row.maps is not None
    assert row.found is not None
    assert tuple(row.maps.values) == predictor.labels.names
    alignment = predictor.bundle.card.input.alignment()
    cut = cut_face(read_image(astronaut), alignment, points5=row.found.points5)
    logits, wanted = predictor.bundle.run(cut.pixels[None], outputs=("logits", "maps"))
    np.testing.assert_allclose(list(row.maps.values.values()), wanted[0], atol=0.05)
    np.testing.assert_allclose(list(row.probabilities.values()), predictor.bundle.calibrated(logits)[0], atol=1e-3)
    (x, y), (right, _), (_, below) = row.maps.corners
    box = row.found.box
    assert x < box.x + box.w / 2 < right
    assert y < box.y + box.h / 2 < below
    assert Prediction.from_dict(row.to_dict()) == row


def test_only_asked_for_maps_come_and_only_those_of_the_chosen_labels(mapped: Path, astronaut: Path) -> None:
    assert Predictor.load(mapped, threads=1).predict([astronaut])[0][0].maps is None
    chosen = Predictor.load(mapped, maps=True, labels="fear,anger", threads=1).predict([astronaut])[0][0]
    every = Predictor.load(mapped, maps=True, threads=1).predict([astronaut])[0][0]
    assert chosen.maps is not None
    assert every.maps is not None
    assert dict(chosen.maps.values) == {name: every.maps.values[name] for name in ("fear", "anger")}


def test_a_picture_that_is_a_face_has_its_own_square(mapped: Path) -> None:
    predictor = Predictor.load(mapped, maps=True, detector="none", threads=1)
    row = predictor.predict([np.zeros((40, 60, 3), dtype=np.uint8)])[0][0]
    assert row.maps is not None
    assert row.maps.corners == ((0.0, -10.0), (60.0, -10.0), (0.0, 50.0))


def test_maps_of_a_tilted_face_are_tilted() -> None:
    bundle_alignment = load_bundle("default").card.input.alignment()
    upright = np.array([(40, 40), (60, 40), (50, 50), (43, 60), (57, 60)], dtype=float)
    turned = np.stack([100 - upright[:, 1], upright[:, 0]], 1)  # a quarter turn clockwise

    def corners(points: np.ndarray) -> list[tuple[float, float]]:  # type: ignore[type-arg]
        face = Face(box=Box(x=0, y=0, w=1, h=1), points5=tuple(map(tuple, points.tolist())))
        labels = load_bundle("default").card.label_names()
        return list(class_maps(np.zeros((len(labels), 2, 2), np.float32), labels, face, bundle_alignment).corners)

    wanted = [(100 - y, x) for x, y in corners(upright)]
    np.testing.assert_allclose(corners(turned), wanted, atol=1e-6)


def test_evidence_is_what_speaks_for_the_label_rather_than_for_all() -> None:
    heat = evidence(maps_with((1, 3)), "anger")
    assert heat[1, 3] == 1
    assert (np.delete(heat.ravel(), 8) < 1e-6).all()
    assert (evidence(maps_with((1, 3)), "fear")[1, 3]) == 0
    same = ClassMaps(values=dict.fromkeys("ab", ((1.0, 2.0),)), corners=SQUARE)
    assert (evidence(same, "a") == 0).all()


@pytest.mark.parametrize("factor", [1, 3])
def test_heat_lies_on_its_place_and_nowhere_else(factor: int) -> None:
    canvas = flat(80 * factor)
    before = canvas.copy()
    lay_heat(canvas, prediction(maps_with((1, 3))), factor)
    changed = np.abs(canvas.astype(int) - before).sum(2) > 0
    ys, xs = np.nonzero(changed)
    assert 20 * factor <= xs.min() <= xs.max() <= 60 * factor
    assert 10 * factor <= ys.min() <= ys.max() <= 50 * factor
    middle = (round((10 + 1.5 * 8) * factor), round((20 + 3.5 * 8) * factor))
    red, green, blue = canvas[middle].astype(int)
    assert red > 180
    assert green > 150
    assert blue < 100  # yellow, the greatest heat
    away = canvas[(10 + 36) * factor, (20 + 8) * factor]
    assert np.ptp(away.astype(int)) < 25  # pale where nothing speaks for the label


def test_the_face_stays_visible_under_the_greatest_heat() -> None:
    rng = np.random.default_rng(0)
    canvas = np.repeat(rng.integers(0, 256, (80, 80, 1), dtype=np.uint8), 3, axis=2)
    before = canvas.copy()
    lay_heat(canvas, prediction(maps_with((2, 2))), 1)
    spot = (slice(26, 34), slice(36, 44))
    pairs = np.corrcoef(grey(canvas)[spot][..., 0].ravel(), before[spot][..., 0].ravel())
    assert pairs[0, 1] > 0.9
    assert np.ptp(grey(canvas)[spot][..., 0].astype(int)) > 60


def test_without_maps_nothing_is_laid_and_there_is_no_key() -> None:
    canvas = flat()
    lay_heat(canvas, prediction(None), 1)
    assert (canvas == flat()).all()
    assert draw(flat(600), [prediction(None)]).shape == (600, 600, 3)


@pytest.mark.parametrize("width", [90, 160, 600, 3000])
def test_the_key_fits_under_any_picture(width: int) -> None:
    picture = np.zeros((width // 2, width, 3), dtype=np.uint8)
    keyed = with_key(picture)
    assert keyed.shape[1] == width
    strip = keyed[width // 2 :].astype(int)
    assert 10 < len(strip) < 0.4 * width
    coloured = np.ptp(strip, axis=2).max(0) > 60
    assert coloured.any()  # the bar is there, and ends before the picture does
    assert not coloured[-1]


def test_faces_at_the_border_and_far_outside_are_painted_or_left_alone() -> None:
    for shift in (-45, -30, 50, 500):
        moved = ClassMaps(
            values=maps_with((1, 3)).values,
            corners=tuple((x + shift, y + shift) for x, y in SQUARE),  # type: ignore[arg-type]
        )
        canvas = flat()
        lay_heat(canvas, prediction(moved), 1)
        assert (canvas != flat()).any() == (shift in (-45, -30, 50) and shift != 500)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["predict", *arguments])
    return result.exit_code, result.output


def test_the_command_draws_heat_and_key(mapped: Path, astronaut: Path, tmp_path: Path) -> None:
    plain, hot = tmp_path / "plain", tmp_path / "hot"
    common = (str(astronaut), "--model", str(mapped), "--out", str(tmp_path / "rows.csv"))
    assert run(*common, "--draw", str(plain))[0] == 0
    without = (tmp_path / "rows.csv").read_text()
    assert run(*common, "--draw", str(hot), "--cam")[0] == 0
    assert (tmp_path / "rows.csv").read_text() == without
    shapes = [np.asarray(Image.open(folder / "astronaut-faces.png")).shape for folder in (plain, hot)]
    assert shapes[0] == (512, 512, 3)
    assert shapes[1][0] > 512
    assert shapes[1][1] == 512


def test_a_model_without_maps_and_a_missing_folder_are_one_line(astronaut: Path, bundle_folder: Path) -> None:
    with pytest.raises(
        ModelError, match="a model of the method 'baseline' has no class maps; those of combined, mek have them"
    ):
        Predictor.load(bundle_folder, maps=True)
    with pytest.raises(ConfigError, match=r"--cam: where to\? Name a folder for the overlays with --draw DIR"):
        CliRunner().invoke(app, ["predict", str(astronaut), "--cam"], catch_exceptions=False, standalone_mode=False)
