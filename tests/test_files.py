"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openfer.errors import DataError
from openfer.files import blaming, remove_leftovers, replacing, sha256_of, write_text


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "result.txt"
    write_text(file, "old")

    def fail_halfway() -> None:
        with replacing(file) as beside:
            beside.write_text("half of the n")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_readers_see_the_old_file_until_the_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "result.txt"
    with replacing(file) as beside:
        beside.write_text("new")
        assert not file.exists()
    assert file.read_text() == "new"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_text(tmp_path / "file" / "result.txt", "x")


def test_a_closed_pipe_inside_the_block_is_not_the_files_fault(tmp_path: Path) -> None:
    def pipe_breaks() -> None:
        with replacing(tmp_path / "a") as beside:
            beside.write_text("x")
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        pipe_breaks()


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_what_a_killed_run_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine, left, other = (
        tmp_path / f".a[1].csv.{os.getpid()}.part",
        tmp_path / f".a[1].csv.{gone.pid}.part",
        tmp_path / f".b.csv.{gone.pid}.part",
    )
    for file in (mine, left, other, tmp_path / "a.part", tmp_path / ".a[1].csv.part"):
        file.touch()
    remove_leftovers(tmp_path, "a[[]1].csv")
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 4
    remove_leftovers(tmp_path, "*.csv")
    assert not other.exists()
    assert mine.exists()
    remove_leftovers(tmp_path / "nowhere", "*")


def test_errors_of_the_system_name_the_file() -> None:
    def full() -> None:
        with blaming(Path("a.csv")):
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"^a\.csv: cannot be written \(No space left on device\)$"):
        full()
