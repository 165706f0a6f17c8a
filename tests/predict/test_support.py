"""From a folder of examples to a support, its file, and what it says about itself."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from openfer.bundle.load import DEFAULT_NAME, MODELS
from openfer.errors import ConfigError, DataError, ModelError
from openfer.labels import LabelSet
from openfer.predict.predictor import Predictor
from openfer.predict.support.check import leave_out, wilson
from openfer.predict.support.file import load_support, save_support
from openfer.predict.support.gather import gather
from openfer.predict.support.support import ModelKey, Support
from openfer.records import Prediction
from tests.bundles import make_bundle
from tests.predict.examples import UNITS, face, lay_out

needs_default = pytest.mark.skipif(not (MODELS / DEFAULT_NAME).is_dir(), reason="the default model is not here yet")


@pytest.fixture(scope="module")
def toy(bundle_folder: Path) -> Predictor:
    return Predictor.load(bundle_folder, threads=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people with each of three expressions. Do not write into it."""
    return lay_out(tmp_path_factory.mktemp("drawn") / "mine", range(3))


@pytest.fixture
def mine(drawn: Path, tmp_path: Path) -> Path:
    """The same, to change."""
    return shutil.copytree(drawn, tmp_path / "mine")


def test_a_folder_a_class_becomes_a_support_of_its_faces(drawn: Path, toy: Predictor) -> None:
    gathered = gather(drawn, toy)
    support = gathered.support
    assert support.labels.names == ("doubt", "effort", "wink")
    assert support.truth.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert support.features.shape == (9, 2, 16)
    assert support.pictures[:2] == ("doubt/0.png", "doubt/1.png")
    assert (gathered.notes, gathered.failed) == ((), 0)
    assert support.model == ModelKey.of(toy.bundle.card)


def test_the_second_copy_is_the_face_in_a_mirror(mine: Path, bundle_folder: Path) -> None:
    whole = Predictor.load(bundle_folder, detector="none", threads=1)
    for name in UNITS:
        for path in (mine / name).iterdir():
            Image.fromarray(np.asarray(Image.open(path))[:, ::-1]).save(path.with_name(f"m{path.name}"))
    features = gather(mine, whole).support.features
    plain, turned = features.reshape(3, 2, 3, 2, 16).transpose(1, 0, 2, 3, 4)
    # A resampled mirror image differs from a mirrored resampled one by roundings.
    assert turned[..., 0, :] == pytest.approx(plain[..., 1, :], abs=0.05)
    assert np.abs(plain[..., 0, :] - plain[..., 1, :]).max() > 0.2


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(mine: Path, toy: Predictor, coffee: Path) -> None:
    shutil.copy(coffee, mine / "wink" / "cup.png")
    (mine / "wink" / "torn.jpg").write_bytes(b"text")
    shutil.copy(mine / "wink" / "0.png", mine / "wink" / "again.png")
    shutil.copy(coffee, mine / "loose.png")
    (mine / "wink" / "link.png").symlink_to("gone.png")
    Image.fromarray(np.concatenate([face("doubt", 7, 128), face("doubt", 8, 128)], axis=1)).save(
        mine / "doubt" / "9.png"
    )
    gathered = gather(mine, toy)
    notes = "\n".join(note.replace(f"{mine}/", "") for note in gathered.notes)
    assert "1 picture beside the class folders: not used" in notes
    assert "wink/cup.png: no face found; not used" in notes
    assert "wink/torn.jpg: unreadable: not a picture" in notes
    assert "wink/link.png: unreadable: no such file; not used" in notes
    assert "wink/again.png: the same picture as" in notes
    assert "doubt/9.png: 2 faces, the largest is taken" in notes
    assert gathered.failed == 3
    assert np.bincount(gathered.support.truth).tolist() == [4, 3, 3]


def test_small_and_uneven_classes_are_allowed_with_a_note(mine: Path, toy: Predictor) -> None:
    for who in range(3, 8):
        Image.fromarray(face("effort", who)).save(mine / "effort" / f"{who}.png")
    for number in (1, 2):
        (mine / "wink" / f"{number}.png").unlink()
    gathered = gather(mine, toy)
    assert gathered.notes[0] == "wink: one picture only; whether it is told apart cannot be tried"
    assert gathered.notes[1].startswith("effort has 8 pictures, wink 1;")
    left_out = leave_out(gathered.support)
    assert [row.tried for row in left_out.rows] == [3, 8, 0]
    assert left_out.tried == 11


def test_a_class_without_a_face_is_refused(mine: Path, toy: Predictor, coffee: Path) -> None:
    for path in (mine / "wink").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"wink: no pictures in this folder; put pictures"):
        gather(mine, toy)
    shutil.copy(coffee, mine / "wink" / "cup.png")
    with pytest.raises(DataError, match=r"wink: no face found in its 1 picture; .*--detector none"):
        gather(mine, toy)


def test_the_same_picture_in_two_classes_is_refused_by_name(mine: Path, toy: Predictor) -> None:
    shutil.copy(mine / "wink" / "0.png", mine / "doubt" / "x.png")
    with pytest.raises(DataError, match=r"wink/0\.png: the same picture as .*doubt/x\.png, which is of another class"):
        gather(mine, toy)


def test_fewer_than_two_classes_are_refused(mine: Path, toy: Predictor, tmp_path: Path) -> None:
    for name in ("wink", "doubt"):
        shutil.rmtree(mine / name)
    with pytest.raises(ConfigError, match="only the class 'effort'; expected a folder of pictures for each of two"):
        gather(mine, toy)
    with pytest.raises(ConfigError, match="no class folders"):
        gather(mine / "effort", toy)
    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        gather(tmp_path / "nowhere", toy)


@pytest.mark.parametrize("name", ["none", "uncertain", "two\nlines", " wink"])
def test_names_that_an_answer_could_not_tell_are_refused(mine: Path, toy: Predictor, name: str) -> None:
    (mine / "wink").rename(mine / name)
    with pytest.raises(ConfigError, match=r"rename the folder|not the name of a class"):
        gather(mine, toy)


def test_too_many_pictures_are_sent_to_training(mine: Path, toy: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openfer.predict.support.gather.MOST", 8)
    with pytest.raises(ConfigError, match="9 pictures, at most 8 make a support; train a model"):
        gather(mine, toy)


def toy_support(seed: int = 0, apart: float = 3.0, pictures: int = 4) -> Support:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3), pictures)
    features = rng.normal(0, 1, (len(truth), 2, 16)) + apart * rng.normal(0, 1, (3, 1, 16))[truth]
    names = tuple(f"{number}.png" for number in range(len(truth)))
    key = ModelKey("toy", "0" * 64, "embedding")
    return Support(LabelSet("own", ("pain", "müde", "a,b")), features.astype(np.float32), truth, names, key)


def test_a_support_comes_back_from_its_file(tmp_path: Path) -> None:
    support = toy_support()
    save_support(support, tmp_path / "new" / "mine.npz")
    again = load_support(tmp_path / "new" / "mine.npz")
    assert again.labels == support.labels
    assert (again.pictures, again.model, again.digest) == (support.pictures, support.model, support.digest)
    save_support(again, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "new" / "mine.npz").read_bytes()


def test_every_answer_has_a_part_in_the_digest() -> None:
    support = toy_support()
    others = [
        replace(support, labels=LabelSet("own", ("pain", "tired", "a,b"))),
        replace(support, features=support.features + 1),
        replace(support, truth=support.truth[::-1].copy()),
        replace(support, model=ModelKey("toy", "1" * 64, "embedding")),
    ]
    assert len({support.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize("damage", ["text", "cut", "other archive", "format", "pickle", "shape", "nan"])
def test_what_is_no_support_is_refused_in_a_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "mine.npz"
    save_support(toy_support(), path)
    arrays = dict(np.load(path))
    match damage:
        case "text":
            path.write_text("hello")
        case "cut":
            path.write_bytes(path.read_bytes()[:-300])
        case "other archive":
            np.savez(path, x=np.zeros(3))
        case "format":
            about = arrays["about"].tobytes().replace(b'"format": 1', b'"format": 2')
            np.savez(path, **arrays | {"about": np.frombuffer(about, dtype=np.uint8)})
        case "pickle":
            np.savez(path, **arrays | {"features": np.array([{}], dtype=object)})
        case "shape":
            np.savez(path, **arrays | {"truth": arrays["truth"][1:]})
        case _:
            np.savez(path, **arrays | {"features": arrays["features"] * np.nan})
    with pytest.raises(DataError, match=r"mine\.npz: .*build it again with `openfer support build"):
        load_support(path)


def test_a_name_that_is_no_file_of_this_kind_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "mine.parquet", tmp_path):
        with pytest.raises(ConfigError, match=r"expected the name of a \.npz file"):
            save_support(toy_support(), path)


def test_another_models_support_is_refused_by_both_names(drawn: Path, toy: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    save_support(gather(drawn, toy).support, path)
    other = make_bundle(tmp_path / "other", seed=1)
    with pytest.raises(ModelError, match=r"mine\.npz: made with the model 'toy' \(\w{8}\), this is 'toy' \(\w{8}\)"):
        Predictor.load(other, support=path, threads=1)


def test_classes_far_apart_are_told_apart_and_noise_is_not() -> None:
    clear = leave_out(toy_support())
    assert (clear.right, clear.tried, clear.warnings) == (12, 12, ())
    assert clear.passes is not None
    assert clear.similarity is not None
    assert clear.passes <= clear.similarity[0] < clear.similarity[1] <= 1
    noise = leave_out(toy_support(apart=0.0))
    assert noise.interval[0] <= 1 / 3
    assert "do not show that the classes can be told apart" in noise.warnings[0]
    assert "add pictures" in noise.warnings[0]


def test_the_pair_that_is_mixed_up_is_named() -> None:
    support = toy_support(pictures=8)
    features = support.features.copy()
    features[8:16] = features[:8] + np.random.default_rng(1).normal(0, 1, features[:8].shape)
    left_out = leave_out(replace(support, features=features))
    assert left_out.mixed is not None
    assert {left_out.mixed.first, left_out.mixed.second} == {"pain", "müde"}
    assert left_out.mixed.tried == 16
    assert "pain and müde are mixed up" in left_out.warnings[-1]


def test_one_picture_a_class_cannot_be_tried() -> None:
    left_out = leave_out(toy_support(pictures=1))
    assert (left_out.tried, left_out.interval, left_out.similarity, left_out.passes) == (0, (0.0, 1.0), None, None)


@pytest.mark.parametrize(
    ("right", "tried", "low", "high"), [(0, 10, 0.0, 0.2775), (7, 10, 0.3968, 0.8922), (5, 5, 0.5655, 1.0)]
)
def test_the_interval_is_wilsons(right: int, tried: int, low: float, high: float) -> None:
    assert wilson(right, tried) == pytest.approx((low, high), abs=1e-4)


def test_a_predictor_answers_in_the_classes_of_its_support(drawn: Path, toy: Predictor, bundle_folder: Path) -> None:
    mine = Predictor.load(bundle_folder, support=drawn, threads=1)
    paths = [drawn / name / "0.png" for name in UNITS]
    (first,), *_ = rows = mine.predict(paths)
    assert tuple(first.probabilities) == mine.labels.names == ("doubt", "effort", "wink")
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert first.similarity is not None
    assert Prediction.from_dict(first.to_dict()) == first
    assert toy.with_support(gather(drawn, toy).support).predict(paths) == rows
    assert replace(mine, threads=2).predict(paths) == rows
    assert [mine.predict([path])[0] for path in paths] == rows
    assert mine.predict([drawn / "none.png"])[0][0].similarity is None


def test_a_face_unlike_all_examples_is_none(drawn: Path, toy: Predictor) -> None:
    path = drawn / "wink" / "0.png"
    alike = toy.with_support(drawn).predict([path])[0][0].similarity
    assert alike is not None
    strict, mild = (
        toy.with_support(drawn, min_similarity=alike + step).predict([path])[0][0] for step in (1e-3, -1e-3)
    )
    assert (strict.label, strict.status, strict.similarity) == ("none", "ok", alike)
    assert mild.label in toy.with_support(drawn).labels


def test_options_that_do_not_go_together_are_refused(drawn: Path, bundle_folder: Path) -> None:
    with pytest.raises(ConfigError, match="labels: are the model's, not those of a support"):
        Predictor.load(bundle_folder, support=drawn, labels="fear,anger")
    with pytest.raises(ConfigError, match="min similarity: to what"):
        Predictor.load(bundle_folder, min_similarity=0.5)
    with pytest.raises(ConfigError, match="min similarity: expected -1 to 1, got 2"):
        Predictor.load(bundle_folder, support=drawn, min_similarity=2)


@needs_default
def test_five_pictures_of_an_expression_teach_it(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "five", range(20, 25))
    predictor = Predictor.load(support=folder, threads=1)
    asked = [(name, face(name, who)) for name in UNITS for who in range(30, 36)]
    rows = predictor.predict([picture for _, picture in asked])
    assert sum(row[0].label == name for row, (name, _) in zip(rows, asked, strict=True)) >= 0.8 * len(asked)


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_or_holds_the_same(tmp_path: Path, data: st.DataObject) -> None:
    path, support = tmp_path / "mine.npz", toy_support()
    save_support(support, path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        again = load_support(path)
    except DataError:
        return
    assert again.digest == support.digest
