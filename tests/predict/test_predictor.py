"""Pictures of every kind in, one list of faces for each out; bad pictures never raise, never disturb others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import openfer
from openfer.bundle.load import load_bundle
from openfer.errors import ConfigError, ModelError
from openfer.predict.predictor import Predictor
from openfer.predict.sources import Missing
from openfer.records import Box, Face, Prediction
from openfer.vision.cut import cut_face
from openfer.vision.image import read_image
from tests.bundles import make_bundle


@pytest.fixture(scope="module")
def predictor(bundle_folder: Path) -> Predictor:
    return Predictor.load(bundle_folder, threads=2)


@pytest.fixture(scope="module")
def scene(astronaut: Path, coffee: Path) -> np.ndarray:
    """Two faces over a cup of coffee, the larger one on the right."""
    picture = Image.fromarray(read_image(coffee))
    head = Image.fromarray(read_image(astronaut)).crop((120, 10, 330, 220))
    picture.paste(head.resize((130, 130)), (20, 40))
    picture.paste(head, (330, 120))
    return np.asarray(picture)


def test_a_face_is_found_aligned_and_classified(predictor: Predictor, astronaut: Path, bundle_folder: Path) -> None:
    ((row,),) = predictor.predict([astronaut])
    assert (row.path, row.face, row.status) == (str(astronaut), 0, "ok")
    assert tuple(row.probabilities) == predictor.labels.names
    assert sum(row.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    assert row.confidence == row.probabilities[row.label or ""] == max(row.probabilities.values())
    assert row.found is not None
    assert row.found.score == pytest.approx(0.93, abs=0.02)
    # The same pixels that data preparation would cut.
    bundle = load_bundle(bundle_folder)
    cut = cut_face(read_image(astronaut), bundle.card.input.alignment(), points5=row.found.points5)
    np.testing.assert_allclose(list(row.probabilities.values()), bundle.probabilities(cut.pixels[None])[0], atol=1e-5)


def test_paths_bytes_pil_images_and_arrays_say_the_same(predictor: Predictor, astronaut: Path) -> None:
    picture = read_image(astronaut)
    with Image.open(astronaut) as image:
        kinds = [astronaut, str(astronaut), astronaut.read_bytes(), image, Image.fromarray(picture), picture]
        rows = [row for (row,) in predictor.predict(kinds)]
    names = [row.path for row in rows]
    assert names == [*[str(astronaut)] * 2, "<bytes>", str(astronaut), "<image>", "<array>"]
    for row in rows:
        assert row.found == rows[0].found
        assert row.probabilities == pytest.approx(rows[0].probabilities, abs=1e-5)


def test_the_order_of_an_arrays_channels_is_stated(predictor: Predictor, astronaut: Path) -> None:
    picture = read_image(astronaut)
    ((rgb,),) = predictor.predict([picture])
    ((bgr,),) = predictor.predict([picture[:, :, ::-1]], order="bgr")
    ((wrong,),) = predictor.predict([picture[:, :, ::-1]])
    assert bgr == rgb
    assert wrong != rgb


def test_bad_pictures_are_rows_with_a_reason_and_do_not_disturb_others(
    predictor: Predictor, astronaut: Path, coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    bad = [
        coffee,
        tmp_path / "text.jpg",
        tmp_path / "none.jpg",
        b"",
        None,
        np.zeros((4, 4)),
        Missing(path="x", why="y"),
        "\udcff.jpg",
        Image.new("RGB", (1, 1)),
    ]
    *others, (last,) = predictor.predict([*bad, astronaut])  # type: ignore[list-item]
    assert [len(rows) for rows in others] == [1] * len(bad)
    assert [rows[0].status for rows in others] == [
        "no_face",
        "unreadable: not a picture: it looks like text",
        "unreadable: no such file",
        "unreadable: not a picture: the file is empty",
        "unreadable: expected a path, bytes, a PIL image or an array, got NoneType",
        "unreadable: picture array: expected uint8 [H, W] or [H, W, 3], got float64 [4, 4]",
        "unreadable: y",
        "unreadable: no such file",
        "no_face",
    ]
    for (row,) in others:
        row.path.encode("utf-8")
        assert (row.face, row.found, row.label) == (None, None, None)
    assert last.label is not None


def test_a_truncated_pil_image_is_a_row_too(predictor: Predictor, astronaut: Path, tmp_path: Path) -> None:
    (tmp_path / "half.png").write_bytes(astronaut.read_bytes()[:50_000])
    with Image.open(tmp_path / "half.png") as image:
        ((row,),) = predictor.predict([image])
    assert row.status.startswith("unreadable: ")
    assert "truncated" in row.status


def test_several_faces_come_largest_first_each_as_if_alone(
    predictor: Predictor, scene: np.ndarray, astronaut: Path
) -> None:
    (faces, (portrait,)) = predictor.predict([scene, astronaut])
    assert [row.face for row in faces] == [0, 1]
    boxes = [row.found.box for row in faces if row.found]
    assert boxes[0].area > boxes[1].area
    assert boxes[0].x > 300 > boxes[1].x
    for alone, together in zip(predictor.predict([scene])[0], faces, strict=True):
        assert alone.found == together.found
        assert alone.probabilities == pytest.approx(together.probabilities, abs=1e-5)
    assert faces[0].probabilities != portrait.probabilities


def test_the_number_of_threads_changes_nothing(bundle_folder: Path, scene: np.ndarray, astronaut: Path) -> None:
    one, three = (
        [row for rows in Predictor.load(bundle_folder, threads=threads).predict([scene, astronaut] * 2) for row in rows]
        for threads in (1, 3)
    )
    assert [row.found for row in one] == [row.found for row in three]
    for left, right in zip(one, three, strict=True):
        assert left.probabilities == pytest.approx(right.probabilities, abs=1e-5)


class Fixed:
    """A detector that always answers the same."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)

    def find(self, picture: np.ndarray, *, detect_size: int = 480, threshold: float = 0.35) -> list[Face]:
        return self.faces


def test_a_face_that_cannot_be_aligned_is_a_row_and_the_others_are_read(predictor: Predictor, astronaut: Path) -> None:
    good = predictor.predict([astronaut])[0][0].found
    assert good is not None
    bad = Face(box=Box(x=0, y=0, w=9, h=9), score=0.5, points5=((3, 3),) * 5)
    before, broken, after = replace(predictor, detector=Fixed(good, bad, good)).predict([astronaut])[0]
    assert broken == Prediction(
        path=str(astronaut), face=1, found=bad, status="unreadable: the five points coincide or are not finite"
    )
    assert before.probabilities == after.probabilities
    assert (before.face, after.face, after.status) == (0, 2, "ok")


def test_without_a_detector_the_whole_picture_is_the_face(bundle_folder: Path, coffee: Path) -> None:
    predictor = Predictor.load(bundle_folder, detector="none")
    ((row,),) = predictor.predict([coffee])
    assert row.found == Face(box=Box(x=0, y=0, w=600, h=400))
    cut = cut_face(read_image(coffee), predictor.bundle.card.input.alignment())
    wanted = predictor.bundle.probabilities(cut.pixels[None])[0]
    np.testing.assert_allclose(list(row.probabilities.values()), wanted, atol=1e-5)


def test_detect_size_reaches_the_detector(bundle_folder: Path, astronaut: Path) -> None:
    small = Image.fromarray(read_image(astronaut)).resize((2000, 2000)).crop((0, 0, 2000, 1000))
    canvas = Image.new("RGB", (4000, 1000), "grey")
    canvas.paste(small.resize((400, 200)))
    found = [
        Predictor.load(bundle_folder, detect_size=size, threads=1).predict([canvas])[0][0].status
        for size in (128, 2048)
    ]
    assert found == ["no_face", "ok"]


def test_one_image_instead_of_a_list_is_refused(predictor: Predictor, astronaut: Path) -> None:
    for image in (astronaut, str(astronaut), b"x", Image.new("RGB", (2, 2)), np.zeros((2, 2, 3), np.uint8)):
        with pytest.raises(ConfigError, match=r"write predict\(\[image\]\)"):
            predictor.predict(image)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected 'rgb' or 'bgr', got 'grb'"):
        predictor.predict([], order="grb")  # type: ignore[arg-type]
    assert predictor.predict([]) == []


def test_options_are_checked_when_it_is_loaded(bundle_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected 32 to 4096 px, got 31"):
        Predictor.load(bundle_folder, detect_size=31)
    with pytest.raises(ConfigError, match="expected 1 or more, got 0"):
        Predictor.load(bundle_folder, threads=0)
    with pytest.raises(ConfigError, match="unknown detector 'haar'"):
        Predictor.load(bundle_folder, detector="haar")
    with pytest.raises(ModelError, match="neither a folder nor a model"):
        Predictor.load(tmp_path / "nothing")


def test_a_model_that_wants_more_than_the_picture_is_refused(tmp_path: Path) -> None:
    card = make_bundle(tmp_path / "own") / "card.json"
    card.write_text(card.read_text().replace('"image"\n', '"image", "eye"\n'))
    with pytest.raises(ModelError, match="needs the inputs image, eye"):
        Predictor.load(tmp_path / "own")


def test_analyze_reads_one_image_and_keeps_the_model(bundle_folder: Path, scene: np.ndarray, tmp_path: Path) -> None:
    own = make_bundle(tmp_path / "own")
    rows = openfer.analyze(scene[:, :, ::-1], model=own, order="bgr")
    assert [row.label is not None for row in rows] == [True, True]
    (own / "model.onnx").unlink()  # not opened again
    assert openfer.analyze(scene, model=own) == rows
    assert openfer.analyze(tmp_path / "none.jpg", model=own)[0].status == "unreadable: no such file"
