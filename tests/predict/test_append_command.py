"""`openfer predict --append` after real kills: the same file and the same overlays as without them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

RUN = "from openfer.cli.main import run; run()"
KILLED_BEFORE_RENAMING = f"""
import os, pathlib, signal
pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{RUN}
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals there")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of which many have the same name, some cannot be read, and one is a link to another."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(36):
        file = folder / f"day {number % 6}" / f"{number // 6}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(file)
    for name in ("day 0/3.png", "day 4/b\nc.jpg"):
        (folder / name).write_bytes(b"text")
    (folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1")
    (folder / "day 5" / "link.png").symlink_to(folder / "day 1" / "1.png")
    return folder


def command(bundle: Path, out: Path, *arguments: str | Path, code: str = RUN) -> subprocess.Popen[str]:
    arguments = (*arguments, "--out", out, "--model", bundle, "--detector", "none")
    return subprocess.Popen(
        [sys.executable, "-c", code, "predict", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said  # done, but some photos could not be read
    assert "Traceback" not in said
    return said


def kill_once_it_has(rows: int, process: subprocess.Popen[str], out: Path) -> None:
    journal = out.with_name(f".{out.name}.openfer-journal")
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > rows:
            process.kill()
            break
        time.sleep(0.001)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_that_is_killed_twice_and_continued_ends_as_if_it_had_not_been(
    photos: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    def run(out: Path, *options: str) -> subprocess.Popen[str]:
        return command(bundle_folder, out, photos, photos / "day 2", "--draw", out.parent / "marked", *options)

    said = finished(run(tmp_path / "whole" / "a.csv"))
    assert said.startswith("45 photos, 42 faces, 2 with something unreadable, 1 of a kind that is not supported in ")
    wanted = content(tmp_path / "whole")
    assert len(wanted) == 43

    out = tmp_path / "killed" / "a.csv"
    kill_once_it_has(5, run(out), out)
    kill_once_it_has(20, run(out, "--append"), out)
    assert not out.exists()
    said = finished(run(out, "--append"))
    assert "were there already" in said
    assert content(out.parent) == wanted


def test_a_kill_while_the_file_is_put_in_place_leaves_the_old_one_and_then_nothing_but_the_new_one(
    photos: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.parquet"
    finished(command(bundle_folder, out, photos / "day 3", photos / "clip.mp4"))
    old = out.read_bytes()
    process = command(bundle_folder, out, photos, "--append", code=KILLED_BEFORE_RENAMING)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert out.read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 3
    assert finished(command(bundle_folder, out, photos, "--append")).startswith("0 photos, 0 faces in ")
    assert list(tmp_path.iterdir()) == [out]
    paths = pq.read_table(out)["path"].to_pylist()
    assert len(paths) == len(set(paths)) == 39
