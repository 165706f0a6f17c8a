"""`openfer data prepare` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from openfer.cli.data import app
from openfer.data.manifest import load_manifest, write_manifest
from openfer.errors import ConfigError
from tests.data.preparing import embedded


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


@pytest.fixture
def portraits(tmp_path: Path, astronaut: Path, coffee: Path) -> Path:
    write_manifest(embedded([astronaut.read_bytes(), coffee.read_bytes()], tmp_path), tmp_path / "m.parquet")
    return tmp_path / "m.parquet"


def test_a_portrait_and_a_cup(portraits: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.parquet"
    result = run(portraits, out, "--patches", "landmarks", "--crops", "--size", 128, "--threads", 1)
    assert result.exit_code == 0, result.output
    assert "2 rows: five points of 1 found, 0 given, 1 without a face, 0 unreadable" in result.output
    prepared = load_manifest(out)
    assert prepared.column("landmarks_status")[0] == "detected"
    # Read off the picture by eye: outer corners of the eyes, tip of the nose, chin.
    points = prepared.landmarks68(0)
    assert points is not None
    np.testing.assert_allclose(points[[36, 45, 30, 8]], [(193, 103), (258, 107), (223, 125), (222, 178)], atol=9)
    assert prepared.picture(0, "face").shape == (128, 128, 3)
    assert prepared.picture(0, "eyes").shape == (64, 64, 3)
    assert prepared.column("landmarks_status")[1] == "no_face"
    assert "data:image/jpeg" in (tmp_path / "p.report.html").read_text()


def test_json_and_a_report_elsewhere(portraits: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "page.html"
    result = run(portraits, tmp_path / "p.parquet", "--no-landmarks", "--report", page, "--json")
    found = json.loads(result.stdout)
    assert found["points5"] == {"given": 0, "detected": 1, "no_face": 1, "unreadable": 0}
    assert found["landmarks"] == {}
    assert found["splits"]["train"] == found["points5"]
    assert found["report"] == str(page)
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--files", "cut"], "--files: nothing to write there; ask for --crops or --patches"),
        (["--report", "page.txt"], r"page\.txt: expected the name of an \.html file"),
        (["--patches", "region"], "patches: unknown 'region'; did you mean 'regions'?"),
        (["--patches", "landmarks", "--no-landmarks"], "patches: 'landmarks' needs the landmarks"),
        (["--cut", "box"], "cut: unknown 'box'"),
        (["--template", "arcface"], "align: unknown template 'arcface'; did you mean 'arcface112'"),
        (["--size", "4"], "align: expected a size from 8 to 1024 px, got 4"),
    ],
)
def test_wrong_use_is_refused_before_work(tmp_path: Path, options: list[str], message: str) -> None:
    result = run(tmp_path / "none.parquet", tmp_path / "p.parquet", *options)
    assert isinstance(result.exception, ConfigError)
    with pytest.raises(ConfigError, match=message):
        raise result.exception
