"""Sets of generated faces: order does not matter, people keep to their split, the file says what was drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from openfer.data.manifest import SPLITS, Manifest, load_manifest
from openfer.errors import ConfigError
from openfer.labels import label_set
from openfer.synth import sets
from openfer.synth.action_units import UNITS
from openfer.synth.sets import draw_picture, draw_set, write_set


@pytest.fixture(scope="module")
def faces() -> Manifest:
    return draw_set(49, 5, size=48)


def test_the_same_seed_draws_the_same_rows_and_another_seed_others(faces: Manifest) -> None:
    assert draw_set(8, 5, size=48).table.equals(faces.table.slice(0, 8))
    other = draw_set(4, 6, size=48)
    assert all(other.encoded(row) != faces.encoded(row) for row in range(4))


def test_a_picture_depends_on_its_number_alone(faces: Manifest) -> None:
    for number in (40, 3):
        rendering, row = draw_picture(5, number, size=48)
        assert row["image"]["bytes"] == faces.encoded(number)
        assert np.allclose(rendering.truth.landmarks, faces.column("landmarks68")[number], atol=1e-4)


def test_the_file_holds_the_set_whatever_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "CHUNK", 10)  # more chunks than the workers are given ahead
    counts: list[int] = []
    write_set(tmp_path / "one.parquet", 75, 5, size=32, command="openfer synth", progress=counts.append)
    write_set(tmp_path / "two.parquet", 75, 5, size=32, workers=2)
    one, two = load_manifest(tmp_path / "one.parquet"), load_manifest(tmp_path / "two.parquet")
    assert one.table.equals(two.table)
    assert one.table.equals(draw_set(75, 5, size=32).table)
    assert counts == [10, 20, 30, 40, 50, 60, 70, 75]
    assert (one.origin.layout, one.origin.command, one.labels) == ("synth", "openfer synth", label_set("basic7"))
    assert list(tmp_path.glob(".*")) == []


def test_truth_comes_back_from_the_file(tmp_path: Path) -> None:
    write_set(tmp_path / "set.parquet", 3, 5, size=64)
    manifest = load_manifest(tmp_path / "set.parquet")
    for number in range(3):
        rendering, row = draw_picture(5, number, size=64)
        truth = rendering.truth
        assert np.allclose(manifest.points5(number), truth.points5, atol=1e-4)
        assert np.allclose(manifest.column("landmarks68")[number], truth.landmarks, atol=1e-4)
        assert [manifest.column(name)[number] for name in ("yaw", "pitch", "roll")] == pytest.approx(
            [truth.yaw, truth.pitch, truth.roll], abs=1e-5
        )
        units = dict(manifest.column("aus")[number])
        assert list(units) == [f"AU{unit}" for unit in UNITS]
        assert units == pytest.approx(dict(row["aus"]), abs=1e-6)
        difference = manifest.picture(number).astype(int) - rendering.picture
        assert np.abs(difference).mean() < 8  # JPEG


def test_people_show_every_expression_and_stand_in_one_split(faces: Manifest) -> None:
    subjects, labels, splits = (faces.column(name) for name in ("subject", "label", "split"))
    for person in range(7):
        rows = slice(7 * person, 7 * person + 7)
        assert len(set(subjects[rows])) == len(set(splits[rows])) == 1
        assert set(labels[rows]) == set(label_set("basic7"))
    assert len(set(subjects)) == 7
    assert set(splits) == set(SPLITS)
    assert Counter(splits)["train"] == 35


def test_the_intensity_is_that_of_the_action_units(faces: Manifest) -> None:
    strength = np.array([sum(value for _, value in row) for row in faces.column("aus")])
    intensity = np.array(faces.column("intensity"))
    neutral = np.array(faces.column("label")) == "neutral"
    assert (intensity[neutral] == 0).all()
    assert ((intensity[~neutral] >= 0.45) & (intensity[~neutral] <= 1)).all()
    assert strength[~neutral].mean() > 3 * strength[neutral].mean()


def test_action_units_alone_come_without_a_label() -> None:
    manifest = draw_set(7, 5, size=32, labels="aus")
    assert manifest.column("label") == [None] * 7
    assert all(len(row) == len(UNITS) for row in manifest.column("aus"))


def test_other_label_sets_are_drawn_in_their_own_order() -> None:
    manifest = draw_set(7, 5, size=32, labels="happiness,contempt")
    assert manifest.labels.names == ("happiness", "contempt")
    assert set(manifest.column("label")) == {"happiness", "contempt"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count from 1"),
        ({"seed": -1}, "seed from 0"),
        ({"size": 8}, "size from 32"),
        ({"labels": "rafdb_compound"}, "'happily_surprised' cannot be drawn"),
        ({"labels": "emotions"}, "unknown label set"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        write_set(tmp_path / "set.parquet", **{"count": 7, "seed": 1, **arguments})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_generator_leaves_the_global_random_state_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    draw_set(2, 0, size=32)
    assert (before == np.random.get_state()[1]).all()  # type: ignore[index]
