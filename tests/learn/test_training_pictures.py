"""From a manifest to batches: cut once, kept by what lies there, changed at random by what each sample is."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from openfer.data.manifest import MINI, Origin, build_manifest, load_manifest, write_manifest
from openfer.errors import DataError
from openfer.evaluate.landmarks import row_landmarks
from openfer.evaluate.score import cut_row
from openfer.labels import LABEL_SETS
from openfer.learn.batches import MIXUP, BatchMaker
from openfer.learn.options import AugmentOptions, DataOptions
from openfer.learn.pictures import (
    Samples,
    TrainingData,
    alignment_of,
    cache_folder,
    load_training_data,
    open_manifest,
)
from openfer.vision.align import TEMPLATES, align, colour_of, frame
from openfer.vision.cut import Cut
from openfer.vision.landmarks import Landmarker, points5_of
from tests.layouts import drawn_face

LABELS = LABEL_SETS["basic7"]
FACES = "mini:42"
"""Six persons, in all splits."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("OPENFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(
    manifest: Path | str, size: int = 32, advance: Any = None, inputs: tuple[str, ...] = ("image",), **options: Any
) -> TrainingData:
    return load_training_data(DataOptions(manifest=str(manifest), **options), size, 0, advance, inputs)


def png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def rows_of(count: int, **others: Any) -> list[dict[str, Any]]:
    """Rows of small pictures inside the manifest, two classes in turn, without points."""
    return [
        {
            "image": {"bytes": png(drawn_face(n)), "path": None},
            "label": LABELS.names[n % 2],
            "split": "train",
            "status": "ok",
            "points5_status": "no_face",
            **others,
        }
        for n in range(count)
    ]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    write_manifest(build_manifest(rows, LABELS, Origin(layout="test"), path.parent), path)
    return path


def kept(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.npy")}


def test_pictures_are_cut_once_and_then_come_from_the_cache(cache: Path) -> None:
    calls: list[tuple[int, int]] = []
    first = load(FACES, advance=lambda done, count: calls.append((done, count)))
    assert calls == [(n, len(first.samples)) for n in range(1, len(first.samples) + 1)]
    again = load(FACES, advance=lambda done, count: pytest.fail("was cut again"))
    np.testing.assert_array_equal(again.samples.pixels, first.samples.pixels)
    assert again.facts == first.facts
    assert len(kept(cache)) == 1
    assert not list(cache.glob(".*"))


@pytest.mark.parametrize(
    "changes", [{"size": 40}, {"align": "arcface112"}, {"colour": "grey"}, {"detail": 16}, {"cut": "frame"}]
)
def test_other_settings_are_cut_anew(cache: Path, changes: dict[str, Any]) -> None:
    before = load(FACES)
    after = load(FACES, **changes)
    assert len(kept(cache)) == 2
    assert before.samples.pixels.shape != after.samples.pixels.shape or not np.array_equal(
        before.samples.pixels, after.samples.pixels
    )


def test_the_margin_is_part_of_the_key_where_boxes_are_cut(cache: Path) -> None:
    before, after = load(FACES, cut="frame"), load(FACES, cut="frame", margin=0.2)
    assert not np.array_equal(before.samples.pixels, after.samples.pixels)


def test_a_picture_that_changes_behind_its_path_is_cut_anew(tmp_path: Path, cache: Path) -> None:
    rows = rows_of(4)
    for number, row in enumerate(rows):
        Image.fromarray(drawn_face(number)).save(tmp_path / f"{number}.png")
        row["image"] = {"bytes": None, "path": f"{number}.png"}
    path = written(tmp_path / "m.parquet", rows)
    before = load(path)
    Image.fromarray(drawn_face(99)).save(tmp_path / "2.png")
    after = load(path)
    same = (before.samples.pixels == after.samples.pixels).all((1, 2, 3))
    assert same.tolist() == [True, True, False, True]
    assert before.facts["pictures"] != after.facts["pictures"]


def test_points_that_change_are_cut_anew(tmp_path: Path, cache: Path) -> None:
    load(FACES)
    manifest = load_manifest(FACES)
    points = [[[x + 3, y] for x, y in row] for row in manifest.column("points5")]
    write_manifest(manifest.with_column("points5", points), tmp_path / "moved.parquet")
    load(tmp_path / "moved.parquet")
    assert len(kept(cache)) == 2


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_samples_are_what_the_aligner_cuts(cache: Path, colour: Any) -> None:
    data = load(FACES, colour=colour, detail=20)
    manifest = load_manifest(FACES)
    assert data.samples.pixels.shape[-1] == (1 if colour == "grey" else 3)
    for number in (0, 7, len(data.samples) - 1):
        row = int(data.samples.rows[number])
        points = manifest.points5(row)
        assert points is not None
        wanted = colour_of(align(manifest.picture(row), points, "fer2013", 32, detail=20), colour)
        np.testing.assert_array_equal(data.samples.pixels[number], wanted[:, :, : data.samples.pixels.shape[-1]])
    assert data.facts["cut"] == {"points": len(data.samples)}


def test_cut_frame_takes_the_given_frame(cache: Path) -> None:
    data = load(FACES, cut="frame", margin=0.1)
    manifest = load_manifest(FACES)
    row = int(data.samples.rows[3])
    box = manifest.box(row)
    assert box is not None
    np.testing.assert_array_equal(data.samples.pixels[3], frame(manifest.picture(row), box, 0.1, 32))
    assert data.facts["cut"] == {"frame": len(data.samples)}


def test_rows_are_searched_only_where_nobody_has(astronaut: Path, tmp_path: Path, cache: Path) -> None:
    portrait = np.asarray(Image.open(astronaut).convert("RGB").crop((150, 0, 310, 200)).resize((64, 80)))
    rows = [
        {
            "image": {"bytes": png(np.roll(portrait, n, axis=1)), "path": None},
            "label": LABELS.names[n % 2],
            "split": "train",
        }
        for n in range(4)
    ]
    searched = [{**row, "points5_status": "no_face"} for row in rows]
    assert load(written(tmp_path / "new.parquet", rows)).facts["cut"] == {"detected": 4}
    assert load(written(tmp_path / "prepared.parquet", searched)).facts["cut"] == {"frame": 4}
    assert load(tmp_path / "new.parquet", cut="frame").facts["cut"] == {"frame": 4}


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENFER_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("OPENFER_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "openfer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "openfer"


def test_rows_that_cannot_be_used_are_left_out_and_the_others_stay(tmp_path: Path, cache: Path) -> None:
    rows = rows_of(10)
    rows[1]["status"] = "no majority"
    rows[2]["image"] = {"bytes": b"no picture", "path": None}
    rows[3]["image"] = {"bytes": None, "path": "gone.png"}
    rows[4]["label"] = None
    rows[5]["split"] = "test"
    rows[6]["status"] = None  # nobody said anything against it
    data = load(written(tmp_path / "m.parquet", rows), holdout=0.0)
    numbers = data.samples.rows[data.train]
    manifest = open_manifest(str(tmp_path / "m.parquet")).select()
    assert [rows[n] for n in (0, 6, 7, 8, 9)] == [
        next(r for r in rows if r["image"]["bytes"] == manifest.encoded(int(n))) for n in numbers
    ]
    assert data.facts["rows"] == 5


def test_leaks_are_left_out_and_counted(tmp_path: Path, cache: Path) -> None:
    rows = rows_of(6)
    rows.append({**rows[0], "split": "test"})
    path = written(tmp_path / "m.parquet", rows)
    assert load(path, holdout=0.0).facts["leaks_left_out"] == 1
    assert len(load(path, holdout=0.0).train) == 5
    assert len(load(path, holdout=0.0, drop_leaks=False).train) == 6


def test_train_and_holdout_share_out_the_samples(cache: Path) -> None:
    data = load(FACES, holdout=0.3)
    assert sorted([*data.train, *data.holdout]) == list(range(len(data.samples)))
    assert (data.facts["rows"], data.facts["holdout"]) == (len(data.train), len(data.holdout))
    people = np.array(load_manifest(FACES).column("subject"))[data.samples.rows]
    assert set(people[data.train]).isdisjoint(people[data.holdout])


def test_targets_are_votes_where_there_are_some(tmp_path: Path, cache: Path) -> None:
    rows = rows_of(4)
    rows[2]["votes"] = [0.1, 0.0, 0.0, 0.6, 0.3, 0.0, 0.0]
    samples = load(written(tmp_path / "m.parquet", rows), holdout=0.0).samples
    np.testing.assert_allclose(samples.targets[2], rows[2]["votes"])
    np.testing.assert_array_equal(samples.targets[3], np.eye(7)[1])
    assert samples.labels.tolist() == [0, 1, 3, 1]


def test_chosen_classes_are_learned_as_if_there_were_no_others(tmp_path: Path, cache: Path) -> None:
    rows = [{**row, "label": LABELS.names[n % 3]} for n, row in enumerate(rows_of(12))]
    rows[2]["votes"] = [0.2, 0.2, 0.6, 0.0, 0.0, 0.0, 0.0]
    path = written(tmp_path / "m.parquet", rows)
    whole, names = load(path, holdout=0.0), (LABELS.names[2], LABELS.names[0])
    few = load(path, holdout=0.0, classes=names)
    kept = [n for n, label in enumerate(whole.samples.labels) if whole.labels.names[label] in names]
    assert few.samples.rows.tolist() == whole.samples.rows[kept].tolist()
    assert few.labels.names == tuple(name for name in whole.labels if name in names)
    columns = whole.labels.columns_for(few.labels)
    wanted = whole.samples.targets[kept][:, columns]
    np.testing.assert_allclose(few.samples.targets, wanted / wanted.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(few.samples.pixels, whole.samples.pixels[kept])
    assert f"only {', '.join(few.labels)}" in few.facts["rule"]
    with pytest.raises(DataError, match="did you mean"):
        load(path, classes=(names[0][:-1], names[1]))
    with pytest.raises(DataError, match="two or more names"):
        load(path, classes=names[:1])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"points5": [[1.0, 1.0]] * 5, "points5_status": None}, "the five points coincide"),
        ({"points5": [[1.0, 1.0]] * 4, "points5_status": None}, "expected 5 points, got 4"),
        ({"box": [1.0, 1.0, 0.0, 0.0]}, "expected a size above 0"),
        ({"box": [1.0, 1.0, -4.0, 3.0]}, "expected width and height >= 0"),
        ({"box": [float("nan")] * 4}, "width and height"),
    ],
)
def test_a_row_that_cannot_be_cut_is_named(tmp_path: Path, cache: Path, changes: dict[str, Any], says: str) -> None:
    rows = rows_of(6)
    rows[4].update(changes, source="faces.csv:17")
    with pytest.raises(DataError) as caught:
        load(written(tmp_path / "m.parquet", rows))
    message = str(caught.value)
    assert message.startswith("faces.csv:17: cannot be cut (")
    assert says in message
    assert "\n" not in message
    assert not list(cache.glob("*.npy"))
    assert not list(cache.glob(".*"))


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("nothing.parquet", "no such manifest; make one with `openfer data scan`"),
        ("mini:1", "split 'train' has no two classes with usable pictures"),
    ],
)
def test_a_manifest_that_holds_nothing_is_refused(cache: Path, manifest: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        load(manifest)
    assert says in str(caught.value)


def test_landmarks_lie_in_the_picture_that_the_network_reads(tmp_path: Path, cache: Path) -> None:
    manifest = load_manifest(FACES)
    statuses = [None] * len(manifest)
    statuses[3] = "uncertain"  # such landmarks are nobody's
    write_manifest(manifest.with_column("landmarks_status", statuses), tmp_path / "m.parquet")
    samples = load(tmp_path / "m.parquet", holdout=0.0, inputs=("image", "landmarks")).samples
    assert samples.landmarks is not None
    known = ~np.isnan(samples.landmarks).any((1, 2))
    assert known.tolist() == [row != 3 for row in samples.rows]
    eyes_and_mouth = np.array([points5_of(points) for points in samples.landmarks[known]])
    # The five points go to the template's places: the landmarks are near them, in every face.
    assert np.abs(eyes_and_mouth - TEMPLATES["fer2013"]).mean() < 0.03
    assert samples[np.arange(2)].landmarks.shape == (2, 68, 2)  # type: ignore[union-attr]
    assert load(tmp_path / "m.parquet", holdout=0.0).samples.landmarks is None


def test_several_manifests_are_one(tmp_path: Path, cache: Path) -> None:
    rows = rows_of(8)
    for name, part in (("a", rows[:5]), ("b", rows[5:])):
        (tmp_path / name).mkdir()
        written(tmp_path / name / "m.parquet", part)
    both = load(f"{tmp_path}/a/m.parquet, {tmp_path}/b/m.parquet", holdout=0.0)
    one = load(written(tmp_path / "all.parquet", rows), holdout=0.0)
    np.testing.assert_array_equal(both.samples.pixels, one.samples.pixels)


def test_the_set_that_comes_along_has_a_name() -> None:
    assert open_manifest(FACES).digest == load_manifest(MINI).rows(np.arange(42)).digest
    assert len(open_manifest(f"{FACES}, {MINI}")) == 42 + len(load_manifest(MINI))


def maker(
    augment: AugmentOptions, inputs: tuple[str, ...] = ("image",), channels: int = 1, seed: int = 5
) -> BatchMaker:
    """Batches of 40 random pictures."""
    rng = np.random.default_rng(0)
    targets = rng.dirichlet(np.ones(4), 40).astype(np.float32)
    samples = Samples(
        pixels=rng.integers(0, 256, (40, 16, 16, channels), dtype=np.uint8),
        targets=targets,
        labels=targets.argmax(1),
        rows=np.arange(40) + 100,
    )
    return BatchMaker(
        samples=samples,
        augment=augment,
        mean=(0.5, 0.4, 0.3),
        std=(0.5, 0.25, 0.2),
        inputs=inputs,
        device=torch.device("cpu"),
        seed=seed,
    )


WILD = AugmentOptions(
    flip=0.5, affine=(20, 0.2, 0.1), brightness=0.2, contrast=0.3, blur=20, rescale=0.5, erase=0.5, mixup=0.4
)
KEY = (0, 3, 17)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_normalised_by_channel(channels: int) -> None:
    batches = maker(AugmentOptions(flip=0), channels=channels)
    chosen = np.array([3, 1, 39])
    batch = batches.train(chosen, KEY)
    pixels = np.broadcast_to(batches.samples.pixels[chosen] / 255.0, (3, 16, 16, 3))
    wanted = (pixels - np.array([0.5, 0.4, 0.3])) / np.array([0.5, 0.25, 0.2])
    np.testing.assert_allclose(batch["image"].numpy(), wanted.transpose(0, 3, 1, 2), atol=1e-5)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch["target"], batches.samples.targets[chosen])
    np.testing.assert_array_equal(batch["one_hot"], np.eye(4)[batches.samples.labels[chosen]])
    assert batch["row"].tolist() == [3, 1, 39]


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
@pytest.mark.parametrize("inputs", [("image",), ("image", "image2")])
def test_a_step_is_the_same_however_it_is_shared_out(parts: int, inputs: tuple[str, ...]) -> None:
    batches = maker(WILD, inputs)
    chosen = np.random.default_rng(1).permutation(40)[:15]
    whole = batches.train(chosen, KEY)
    cuts = np.linspace(0, 15, parts + 1).round().astype(int)
    pieces = [batches.train(chosen, KEY, slice(int(a), int(b))) for a, b in pairwise(cuts)]
    assert set(whole) == {*inputs, "image", "target", "label", "one_hot", "row"}
    for name, value in whole.items():
        torch.testing.assert_close(torch.cat([piece[name] for piece in pieces]), value, rtol=0, atol=1e-5)


def test_changes_are_a_function_of_seed_key_and_sample() -> None:
    options = replace(WILD, mixup=0.0)
    batches = maker(options)
    chosen = np.arange(20)
    image = batches.train(chosen, KEY)["image"]
    order = np.random.default_rng(2).permutation(20)
    torch.testing.assert_close(batches.train(chosen[order], KEY)["image"], image[order], rtol=0, atol=1e-5)
    assert torch.equal(batches.train(chosen, KEY)["image"], image)
    for other in (batches.train(chosen, (0, 3, 18)), maker(options, seed=6).train(chosen, KEY)):
        assert (other["image"] != image).flatten(1).any(1).all()


def test_two_views_of_a_picture_differ_and_the_first_is_what_it_is_alone() -> None:
    chosen = np.arange(20)
    options = replace(WILD, mixup=0.0)
    two = maker(options, ("image", "image2")).train(chosen, KEY)
    assert (two["image"] != two["image2"]).flatten(1).any(1).all()
    torch.testing.assert_close(two["image"], maker(options).train(chosen, KEY)["image"])


def test_mixup_mixes_pictures_and_targets_with_one_weight() -> None:
    options = AugmentOptions(flip=0, mixup=1.0)
    batches = maker(options, ("image", "image2"))
    # A class for every sample, so that a target tells the partner and the weight.
    samples = replace(batches.samples, targets=np.eye(40, dtype=np.float32), labels=np.arange(40))
    batches = replace(batches, samples=samples)
    plain = replace(batches, augment=AugmentOptions(flip=0))
    weights = []
    for step in range(40):
        chosen = np.arange(step % 3, step % 3 + 12)
        batch, unmixed = batches.train(chosen, (0, 0, step)), plain.train(chosen, (0, 0, step))
        others = batch["target"].clone()
        own = others[range(12), chosen].clone()
        others[range(12), chosen] = 0
        weight = float(own.min())
        alone = others.sum(1) == 0  # their own partners
        partner = torch.where(alone, torch.arange(12), others.argmax(1) - int(chosen[0]))
        assert sorted(partner.tolist()) == list(range(12))
        torch.testing.assert_close(own[~alone], torch.full((int((~alone).sum()),), weight))
        for name in ("image", "image2", "target", "one_hot"):
            wanted = weight * unmixed[name] + (1 - weight) * unmixed[name][partner]
            torch.testing.assert_close(batch[name], wanted, rtol=0, atol=1e-5)
        assert torch.equal(batch["label"], unmixed["label"])
        weights.append(weight)
    # Beta(1, 1) is uniform.
    assert abs(np.mean(weights) - 0.5) < 0.15
    assert 0.2 < np.std(weights) < 0.4


def test_judged_pictures_come_in_order_without_changes() -> None:
    batches = maker(WILD)
    chosen = np.array([5, 2, 9, 30, 7])
    parts = list(batches.judge(chosen, 2))
    assert [len(part["row"]) for part in parts] == [2, 2, 1]
    assert torch.cat([part["row"] for part in parts]).tolist() == chosen.tolist()
    plain = maker(AugmentOptions(flip=0)).train(chosen, KEY)
    torch.testing.assert_close(torch.cat([part["image"] for part in parts]), plain["image"])


def test_alignment_takes_all_of_the_recipes_settings() -> None:
    options = DataOptions(manifest="m", align="arcface112", colour="grey", margin=0.2, detail=48)
    alignment = alignment_of(options, 96)
    assert (alignment.template, alignment.size, alignment.colour) == ("arcface112", 96, "grey")
    assert (alignment.margin, alignment.detail) == (0.2, 48)


def test_ways_are_kept_beside_the_pictures(cache: Path) -> None:
    load(FACES)
    (facts,) = cache.glob("*.npz")
    with np.load(facts) as values:
        assert set(values["ways"]) == {"points"}
    facts.unlink()  # half an entry is none
    calls: list[int] = []
    load(FACES, advance=lambda done, count: calls.append(done))
    assert calls


def test_mixup_draws_apart_from_the_views() -> None:
    assert MIXUP not in range(len(("image", "image2")))


def test_training_and_evaluation_read_the_same_face_and_landmarks(cache: Path) -> None:
    manifest, data = load_manifest(FACES), load(FACES, holdout=0.0, inputs=("image", "landmarks"))
    assert data.samples.landmarks is not None
    for place in (0, 7, 20):
        row = int(data.samples.rows[place])
        cut = cut_row(manifest, row, alignment_of(DataOptions(manifest=FACES), data.samples.pixels.shape[1]), None)
        assert isinstance(cut, Cut)
        np.testing.assert_array_equal(data.samples.pixels[place], cut.pixels)
        np.testing.assert_array_equal(data.samples.landmarks[place], row_landmarks(manifest, row, cut, Landmarker()))
