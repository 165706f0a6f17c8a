"""`openfer synth` as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from openfer.data.manifest import load_manifest
from openfer.synth import draw_faces


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from openfer.cli.main import run; run()"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


def test_it_writes_the_manifest_and_says_so(tmp_path: Path) -> None:
    result = run("synth", str(tmp_path / "new"), "--count", "36", "--seed", "4", "--size", "48")
    assert (result.returncode, result.stderr) == (0, "")
    path = tmp_path / "new" / "manifest.parquet"
    assert str(path) in result.stdout
    assert "36 drawn faces of 6 persons" in result.stdout
    manifest = load_manifest(path)
    assert manifest.digest == draw_faces(36, 4, 48).digest
    assert "--count 36" in manifest.origin.command


def test_json_is_one_document(tmp_path: Path) -> None:
    result = run("synth", str(tmp_path), "--count", "36", "--size", "32", "--json")
    answer = json.loads(result.stdout)
    assert answer["pictures"] == 36
    assert answer["splits"] == {"train": 22, "validation": 7, "test": 7}


def test_wrong_use_ends_with_status_2_one_line_and_no_file(tmp_path: Path) -> None:
    result = run("synth", str(tmp_path / "new"), "--count", "0")
    assert result.returncode == 2
    assert result.stderr.splitlines() == ["openfer: synth: expected count from 1 to 1000000, got 0"]
    assert list(tmp_path.iterdir()) == []
