"""The generated faces that come along: what is in the file, and the word that names them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from openfer.cli.main import app
from openfer.data.manifest import MINI, SPLITS, Manifest, load_manifest, write_manifest
from openfer.errors import DataError
from openfer.labels import label_set
from openfer.synth import mini_set
from openfer.synth.action_units import UNITS
from openfer.synth.sets import COLUMNS

SIDE = 96
PERSON = 7


@pytest.fixture(scope="module")
def mini() -> Manifest:
    return mini_set()


def test_it_is_small_and_knows_everything_of_every_row(mini: Manifest) -> None:
    assert MINI.stat().st_size <= 4_000_000
    assert mini.table.schema.equals(COLUMNS)
    assert len(mini) == 1400
    assert all(mini.table[name].null_count == 0 for name in COLUMNS.names)
    assert mini.labels == label_set("basic7")
    assert (mini.origin.layout, mini.origin.rule) == ("synth", "as drawn")


def test_a_person_stands_in_one_split_and_shows_every_expression(mini: Manifest) -> None:
    subjects, splits, labels = (
        np.array(mini.column(name)).reshape(-1, PERSON) for name in ("subject", "split", "label")
    )
    assert (subjects == subjects[:, :1]).all()
    assert len(set(subjects[:, 0])) == len(subjects) == 200
    assert (splits == splits[:, :1]).all()
    assert Counter(splits[:, 0].tolist()) == {"train": 143, "validation": 29, "test": 28}
    assert all(set(row) == set(mini.labels) for row in labels)


def test_truth_lies_inside_the_picture_and_in_range(mini: Manifest) -> None:
    landmarks, points, box = (np.array(mini.column(name)) for name in ("landmarks68", "points5", "box"))
    assert landmarks.shape == (1400, 68, 2)
    # The outline of a face may be cut by the frame, its features are not.
    assert ((landmarks[:, 17:] > 0) & (landmarks[:, 17:] < SIDE)).all()
    assert ((points > 0) & (points < SIDE)).all()
    assert ((box[:, :2] >= 0) & (box[:, 2:] > 0) & (box[:, :2] + box[:, 2:] <= SIDE)).all()
    assert (points[:, 0, 0] < points[:, 1, 0]).all()
    for row in mini.column("aus"):
        assert [unit for unit, _ in row] == [f"AU{unit}" for unit in UNITS]
    values = np.array([[value for _, value in row] for row in mini.column("aus")])
    intensity = np.array(mini.column("intensity"))
    assert (values.min(), values.max()) >= (0, 0)
    assert max(values.max(), intensity.max()) <= 1
    assert np.abs([mini.column(name) for name in ("yaw", "pitch", "roll")]).max() < 90


def test_every_picture_can_be_read_and_none_is_there_twice(mini: Manifest) -> None:
    few = mini.rows(np.arange(0, len(mini), 20))
    assert {few.picture(row).shape for row in range(len(few))} == {(SIDE, SIDE, 3)}
    assert len({mini.encoded(row) for row in range(len(mini))}) == len(mini)


def test_the_first_rows_have_a_name_too(mini: Manifest) -> None:
    assert load_manifest("mini").table.equals(mini.table)
    assert load_manifest("mini:35").table.equals(mini.table.slice(0, 35))
    assert set(load_manifest("mini:35").column("split")) == set(SPLITS)
    assert len(load_manifest("mini:14", Path("mini:7"))) == 21


@pytest.mark.parametrize("name", ["mini:", "mini:0", "mini:1401", "mini:many", "mini:-3"])
def test_another_count_is_refused(name: str) -> None:
    with pytest.raises(
        DataError, match="^" + name + r": expected mini:COUNT with a COUNT from 1 to 1400, or mini for all$"
    ):
        load_manifest(name)


def test_commands_know_it_and_a_file_of_that_name_is_found_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_manifest(load_manifest("mini:21"), tmp_path / "mini")
    for name, rows in (("mini", 1400), (str(tmp_path / "mini"), 21)):
        result = CliRunner().invoke(app, ["data", "stats", name, "--json"])
        assert json.loads(result.stdout)["rows"] == rows
    result = CliRunner().invoke(app, ["data", "prepare", "mini:7", "prepared.parquet", "--json"])
    assert json.loads(result.stdout)["points5"]["given"] == 7
    assert load_manifest("prepared.parquet").digest == load_manifest("mini:7").digest
