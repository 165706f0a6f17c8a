"""`openfer synth` as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from openfer.data.manifest import load_manifest
from openfer.synth import draw_set


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openfer", "synth", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_writes_the_manifest_and_says_so(tmp_path: Path) -> None:
    result = run(str(tmp_path / "new"), "--count", "9", "--seed", "4", "--size", "48", "--threads", "1")
    assert (result.returncode, result.stderr) == (0, "")
    path = tmp_path / "new" / "manifest.parquet"
    assert str(path) in result.stdout
    assert "9 generated faces of 2 persons" in result.stdout
    manifest = load_manifest(path)
    assert manifest.digest == draw_set(9, 4, size=48).digest
    assert "--count 9" in manifest.origin.command


def test_json_is_one_document_and_the_sheet_shows_the_first(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    result = run(
        str(tmp_path), "--count", "10", "--size", "32", "--labels", "aus", "--json", "--contact-sheet", str(sheet)
    )
    answer = json.loads(result.stdout)
    assert answer["pictures"] == 10
    assert sum(answer["splits"].values()) == 10
    assert set(load_manifest(tmp_path / "manifest.parquet").column("label")) == {None}
    with Image.open(sheet) as image:
        assert image.width == 8 * 32
        assert image.height > 2 * 32


def test_strip_draws_every_action_unit(tmp_path: Path) -> None:
    result = run("strip", str(tmp_path / "strip.png"), "--size", "32")
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "strip.png") as image:
        assert image.width == 2 * 5 * 32
        assert image.height > 10 * 32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "--count", "0"], "synth: expected count from 1 to 10000000, got 0"),
        (["new", "--labels", "happiness,bored"], "synth: 'bored' cannot be drawn"),
        (["new", "--contact-sheet", "sheet.xyz"], "--contact-sheet 'sheet.xyz': unknown ending '.xyz'; use .png"),
        (["strip", "strip.txt"], "strip 'strip.txt': unknown ending '.txt'; use .png"),
    ],
)
def test_wrong_use_ends_with_status_2_one_line_and_no_file(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"openfer: {said}")
    assert list(tmp_path.iterdir()) == []
