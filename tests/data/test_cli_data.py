"""`openfer data` as a user runs it, and the script for the development arrays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from openfer.cli.data import app
from openfer.data.manifest import load_manifest
from openfer.errors import ConfigError, DataError
from tests.layouts import WORKED_VOTES, class_folders, drawn_face, ferplus_folders, save_face

TOOL = Path(__file__).parents[2] / "tools" / "dev_manifest.py"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_scan_shows_counts_and_notes(tmp_path: Path) -> None:
    ferplus_folders(tmp_path / "set")
    result = run("scan", "ferplus", tmp_path / "set", tmp_path / "m.parquet", "--votes", "multi_target")
    assert result.exit_code == 0, result.output
    assert "multi_target (train), majority (validation, test)" in result.output
    assert "train: 10 rows, the official release has 28,558" in result.output
    assert "left out: " in result.output
    neutral = next(line for line in result.output.splitlines() if line.startswith("neutral"))
    assert neutral.split() == ["neutral", "4", "1", "1"]


def test_scan_as_json_with_a_missing_picture(tmp_path: Path) -> None:
    ferplus_folders(tmp_path / "set")
    (tmp_path / "set" / "FER2013Train" / "fer0000001.png").unlink()
    result = run("scan", "ferplus", tmp_path / "set", tmp_path / "m.parquet", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["missing"] == ["FER2013Train/fer0000001.png"]
    assert report["counts"]["train"]["happiness"] == 1
    assert len(load_manifest(tmp_path / "m.parquet")) == report["rows"] == 30


def test_verify(tmp_path: Path) -> None:
    class_folders(tmp_path / "set", {"happy": ["1.png"], "sad": ["[bold].png"]})
    (tmp_path / "set" / "sad" / "[bold].png").write_bytes(b"no picture")
    assert run("scan", "folder", tmp_path / "set", tmp_path / "m.parquet").exit_code == 0
    result = run("scan", "folder", tmp_path / "set", tmp_path / "m.parquet", "--verify")
    assert result.exit_code == 1
    assert "sad/[bold].png: unreadable: not a picture" in result.output


def test_check_and_stats(tmp_path: Path) -> None:
    for place in ("train/happy", "train/sad", "test/happy"):
        save_face(tmp_path / "set" / place / "1.png", 0)
    run("scan", "folder", tmp_path / "set", tmp_path / "m.parquet")
    result = run("check", tmp_path / "m.parquet")
    assert result.exit_code == 0, result.output
    assert "exact duplicates: 1 inside train, 1 of test also in train" in result.output
    assert "label conflicts among duplicates: 1\n" in result.output
    (tmp_path / "set" / "test" / "happy" / "1.png").unlink()
    broken = run("check", tmp_path / "m.parquet", "--json")
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["missing"][0]["reason"] == "missing"
    counted = run("stats", tmp_path / "m.parquet")
    assert counted.exit_code == 0
    assert "width 48 / 48 / 48 px" in counted.output
    assert json.loads(run("stats", tmp_path / "m.parquet", "--json").stdout)["counts"]["train"] == {
        "happiness": 1,
        "sadness": 1,
    }


def test_prepare(tmp_path: Path, astronaut: Path, coffee: Path) -> None:
    for source, folder in ((astronaut, "happy"), (coffee, "sad")):
        (tmp_path / "set" / folder).mkdir(parents=True)
        (tmp_path / "set" / folder / "1.png").write_bytes(source.read_bytes())
    run("scan", "folder", tmp_path / "set", tmp_path / "m.parquet")
    result = run("prepare", tmp_path / "m.parquet", tmp_path / "p.parquet", "--threads", "1", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"] == 2
    assert load_manifest(tmp_path / "p.parquet").column("points5_status")[1] == "no_face"
    (tmp_path / "set" / "sad" / "1.png").unlink()
    result = run("prepare", tmp_path / "m.parquet", tmp_path / "p.parquet", "--threads", "1")
    assert result.exit_code == 1
    assert "1 unreadable" in result.output


def test_wrong_use_is_refused_before_work(tmp_path: Path) -> None:
    result = run("scan", "folder", tmp_path, tmp_path / "photo.jpg")
    assert isinstance(result.exception, ConfigError)
    assert "photo.jpg: expected the name of a .parquet file" in str(result.exception)
    assert isinstance(run("check", tmp_path / "none.parquet").exception, DataError)
    assert isinstance(
        run("prepare", tmp_path / "none.parquet", tmp_path / "p.parquet", "--threads", "0").exception, ConfigError
    )


def test_a_refusal_is_one_line_and_status_two(tmp_path: Path) -> None:
    class_folders(tmp_path, {"3": ["1.png"]})
    command = [sys.executable, "-c", "from openfer.cli.main import run; run()", "data", "scan", "folder"]
    result = subprocess.run([*command, tmp_path, tmp_path / "m.parquet"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "--labels rafdb" in result.stderr


@pytest.mark.skipif(not TOOL.is_file(), reason="the tools are not part of an installed package")
def test_development_arrays_become_a_manifest(tmp_path: Path) -> None:
    pictures = np.stack([drawn_face(seed) for seed in range(len(WORKED_VOTES))])
    for name in ("ferplus_train.npz", "ferplus_valid.npz"):
        differences = np.diff(pictures, axis=1, prepend=np.zeros_like(pictures[:, :1]))
        votes = np.array(WORKED_VOTES, dtype=np.uint8)
        np.savez(
            tmp_path / name, images_dy=differences, number=np.arange(10, dtype=np.int32), votes=votes, votes_new=votes
        )
    out = tmp_path / "m.parquet"
    command = [sys.executable, TOOL, tmp_path, out, "--votes", "crossentropy"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "train: 10 rows, 6 usable\nvalidation: 10 rows, 2 usable\n"
    manifest = load_manifest(out)
    np.testing.assert_array_equal(manifest.picture(13)[..., 0], pictures[3])
    assert manifest.column("source")[13] == "fer0000003.png"
    assert manifest.column("split")[9:11] == ["train", "validation"]
