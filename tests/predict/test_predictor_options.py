"""Fewer labels, a limit of confidence, a limit of pixels, and large JPEGs that are decoded only as finely as needed."""

from __future__ import annotations

import inspect
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.cli import predict as predict_command
from openfer.errors import ConfigError
from openfer.predict import look
from openfer.predict.predictor import Predictor
from openfer.records import Prediction
from openfer.vision.image import Decoded, read_image


@pytest.fixture(scope="module")
def predictor(bundle_folder: Path) -> Predictor:
    return Predictor.load(bundle_folder, threads=1)


def only(predictor: Predictor, picture: object) -> Prediction:
    ((row,),) = predictor.predict([picture])  # type: ignore[list-item]
    return row


def test_chosen_labels_share_the_whole_probability(bundle_folder: Path, predictor: Predictor, astronaut: Path) -> None:
    every = only(predictor, astronaut).probabilities
    few = Predictor.load(bundle_folder, labels="fear, happy,neutral", threads=1)
    assert few.labels.names == ("fear", "happiness", "neutral")
    got = only(few, astronaut).probabilities
    whole = sum(every[name] for name in got)
    assert tuple(got) == few.labels.names
    assert got == pytest.approx({name: every[name] / whole for name in got}, abs=1e-5)


def test_a_label_set_by_name_gives_its_own_order(bundle_folder: Path) -> None:
    names = Predictor.load(bundle_folder, labels="fer2013").labels.names
    assert names == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def test_labels_that_the_model_lacks_are_refused_by_name(bundle_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"the model does not know bored; it has neutral, happiness"):
        Predictor.load(bundle_folder, labels="happiness,bored")
    with pytest.raises(ConfigError, match="unknown label set 'basic9'"):
        Predictor.load(bundle_folder, labels="basic9")


def test_a_label_below_the_limit_is_uncertain_and_its_numbers_stay(predictor: Predictor, astronaut: Path) -> None:
    sure = only(predictor, astronaut)
    assert sure.confidence is not None
    strict = replace(predictor, min_confidence=sure.confidence + 0.01)
    unsure = only(strict, astronaut)
    assert (unsure.label, unsure.status) == ("uncertain", "ok")
    assert unsure.probabilities == sure.probabilities
    assert unsure.confidence == sure.confidence
    assert only(replace(predictor, min_confidence=sure.confidence), astronaut).label == sure.label
    assert Prediction.from_dict(unsure.to_dict()) == unsure


@pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan")])
def test_a_limit_that_is_no_probability_is_refused(bundle_folder: Path, limit: float) -> None:
    with pytest.raises(ConfigError, match="min confidence: expected 0 to 1"):
        Predictor.load(bundle_folder, min_confidence=limit)


def test_pictures_over_the_limit_of_pixels_are_refused_in_whatever_form(predictor: Predictor, astronaut: Path) -> None:
    small = replace(predictor, max_pixels=512 * 512 - 1)
    picture = Image.fromarray(read_image(astronaut))
    for image in (astronaut, astronaut.read_bytes(), picture):
        row = only(small, image)
        assert row.status.startswith("unreadable: ")
        assert "512 x 512" in row.status
    assert only(replace(predictor, max_pixels=512 * 512), astronaut).status == "ok"


def portrait_in(width: int, height: int, side: int, astronaut: Path) -> bytes:
    """A JPEG with the astronaut's portrait, `side` pixels, in the middle."""
    canvas = Image.new("RGB", (width, height), (90, 100, 110))
    portrait = Image.fromarray(read_image(astronaut)).resize((side, side), Image.Resampling.BICUBIC)
    canvas.paste(portrait, ((width - side) // 2, (height - side) // 2))
    stream = io.BytesIO()
    canvas.save(stream, "JPEG", quality=92)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("side", "sizes"),
    [
        (3900, [1000]),  # a large face: an eighth of 8000 is enough
        (1900, [1000, 2000]),  # its face is too coarse there, so the picture is decoded once more
    ],
)
def test_a_large_jpeg_is_decoded_only_as_finely_as_its_faces_need(
    predictor: Predictor, astronaut: Path, monkeypatch: pytest.MonkeyPatch, side: int, sizes: list[int]
) -> None:
    photo = portrait_in(8000, 4000, side, astronaut)
    decoded: list[int] = []

    def counting(source: object, **options: object) -> Decoded:
        result = whole(source, **options)  # type: ignore[arg-type]
        decoded.append(result.pixels.shape[1])
        return result

    whole = look.decode
    monkeypatch.setattr(look, "decode", counting)
    reduced = only(predictor, photo)
    assert decoded == sizes
    monkeypatch.setattr(look, "decode", lambda source, **options: whole(source, max_pixels=options["max_pixels"]))
    full = only(predictor, photo)
    # The same face at the same place of the full photo.
    assert reduced.found is not None
    assert full.found is not None
    box = full.found.box
    assert abs(reduced.found.box.x - box.x) + abs(reduced.found.box.y - box.y) < 0.05 * box.w
    np.testing.assert_allclose(list(reduced.probabilities.values()), list(full.probabilities.values()), atol=0.05)


def test_the_note_of_an_animation_is_on_every_row(predictor: Predictor, astronaut: Path) -> None:
    frames = [Image.fromarray(read_image(astronaut)), Image.new("RGB", (512, 512))]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    row = only(predictor, stream.getvalue())
    assert row.status == "ok"
    assert row.to_row(predictor.labels.names)["note"] == "first of 2 frames"


def test_the_command_has_the_defaults_of_the_library() -> None:
    command = inspect.signature(predict_command.predict).parameters
    library = inspect.signature(Predictor.load).parameters
    shared = {"detector", "detect_size", "labels", "min_confidence", "max_pixels", "threads"}
    assert shared <= command.keys() & library.keys()
    assert {name: command[name].default for name in shared} == {name: library[name].default for name in shared}
