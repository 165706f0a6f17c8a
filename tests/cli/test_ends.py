"""Commands that do not end well still end cleanly: one line, the right status, no trace and no half file."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

RUN = "from openfer.cli.main import run; run()"
SLOW = f"""
import time
from openfer.predict.sinks.journal import Journal
add = Journal.add
Journal.add = lambda *rows: (time.sleep(0.02), add(*rows))
{RUN}
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals and devices there")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 200 small pictures."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(200):
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(folder / f"ä {number}.png")
    return folder


@pytest.fixture(scope="module")
def predict(photos: Path, bundle_folder: Path) -> list[str]:
    """The command, to which options are added."""
    return [sys.executable, "-c", RUN, "predict", str(photos), "--model", str(bundle_folder), "--detector", "none"]


def in_shell(line: str, command: list[str], *options: str, **kept: object) -> subprocess.CompletedProcess[str]:
    """A shell's line in which `"$@"` stands for the command."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        ["bash", "-c", line, "bash", *command, *options], capture_output=True, text=True, timeout=60, **kept
    )


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("openfer: ").strip()


def begun(command: list[str], **streams: Any) -> subprocess.Popen[str]:
    """A command that runs; it can be interrupted also where the tests cannot, as in the background of a script."""

    def listen() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen, **streams)


@pytest.mark.parametrize("request_to_end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_what_it_kept_and_the_next_one_goes_on(
    predict: list[str], tmp_path: Path, request_to_end: signal.Signals
) -> None:
    out, journal = tmp_path / "a.csv", tmp_path / ".a.csv.openfer-journal"
    command = [*predict, "--out", str(out)]
    slow = [SLOW if part == RUN else part for part in command]
    process = begun(slow, stdout=subprocess.PIPE)
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
        time.sleep(0.002)
    process.send_signal(request_to_end)
    stdout, stderr = process.communicate(timeout=60)
    done = subprocess.CompletedProcess(slow, process.returncode, stdout, stderr)
    said = re.fullmatch(r".+; (\d+) photos are kept, --append goes on from there", one_line(done, 130))
    assert said is not None, stderr
    assert stdout == ""
    assert list(tmp_path.iterdir()) == [journal]
    assert f"; {said[1]} were there already; " in one_line(in_shell('"$@"', command, "--append"), 0)
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text(encoding="utf-8").count("\n") == 201


def test_a_run_that_waits_for_names_can_be_interrupted(predict: list[str]) -> None:
    command = ["-" if "photos" in part else part for part in predict]
    process = begun(command, stdin=subprocess.PIPE)
    waits = f"/proc/{process.pid}/wchan"
    for _ in range(1000):
        if not Path(waits).exists() or "pipe" in Path(waits).read_text():
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "openfer: interrupted\n")


@pytest.mark.parametrize(("options", "reader"), [((), "true"), (("--json",), "head -1 > /dev/null")])
def test_a_reader_that_goes_away_ends_the_run_without_a_word(
    predict: list[str], options: tuple[str, ...], reader: str
) -> None:
    done = in_shell(f'"$@" | {reader}; exit ${{PIPESTATUS[0]}}', predict, *options)
    assert done.returncode == 0
    assert "rror" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_a_reader_that_goes_away_does_not_keep_files_from_being_written(predict: list[str], tmp_path: Path) -> None:
    done = in_shell(
        '"$@" | head -1 > /dev/null; exit ${PIPESTATUS[0]}', predict, "--json", "--out", str(tmp_path / "a.json")
    )
    assert "200 photos" in one_line(done, 0)
    assert len(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))) == 200
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(
    ("stdout", "reason"), [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_standard_output_that_takes_nothing_is_an_error(
    predict: list[str], options: tuple[str, ...], stdout: str, reason: str
) -> None:
    done = in_shell(f'"$@" {stdout}', predict, *options)
    assert one_line(done, 2) == f"standard output: cannot be written ({reason})"


def test_streams_that_are_closed_and_not_needed_do_no_harm(predict: list[str], tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    done = in_shell('"$@" <&- >&- 2>&-', predict, "--out", str(out))
    assert done.returncode == 0
    assert out.read_text(encoding="utf-8").count("\n") == 201


@pytest.mark.parametrize(
    ("limit", "options", "names"),
    [
        (500, ["--out", "a.csv"], {}),  # not even the journal's first line
        (20_000, ["--out", "a.csv"], {".a.csv.openfer-journal"}),
        (20_000, ["--out", "a.parquet"], {".a.parquet.openfer-journal"}),
        (1_000, ["--draw", "marked"], {"marked"}),
    ],
)
def test_no_room_ends_the_run_and_leaves_no_half_file(
    predict: list[str], tmp_path: Path, limit: int, options: list[str], names: set[str]
) -> None:
    def no_larger_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = in_shell('"$@"', predict, *options, cwd=tmp_path, preexec_fn=no_larger_files)
    said = one_line(done, 2)
    assert re.match(rf"{options[1]}.*: cannot be written \(File too large\)", said)
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert not list(tmp_path.glob("marked/*"))
    if "kept" in said:
        assert "200 photos" not in one_line(in_shell('"$@"', predict, *options, "--append", cwd=tmp_path), 0)
        assert {path.name for path in tmp_path.iterdir()} == {options[1]}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_named(predict: list[str], tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for option in ("--out", "--draw"):
        done = in_shell('"$@"', predict, option, str(tmp_path / "a.csv"))
        assert "Permission denied" in one_line(done, 2)


def test_letters_that_the_terminal_does_not_know_are_escaped(predict: list[str]) -> None:
    plain = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = in_shell('"$@"', predict, env=plain)
    assert done.returncode == 0
    assert "\\xe4 0.png" in done.stdout
    assert json.loads(in_shell('"$@"', predict, "--json", env=plain).stdout)[0]["path"].endswith("ä 0.png")


def test_a_name_cannot_break_the_line_of_an_error(predict: list[str]) -> None:
    assert "a\\nb\\x1b.csv" in one_line(in_shell('"$@"', predict, "--out", "/proc/a\nb\x1b.csv"), 2)


def test_append_needs_to_know_the_file(predict: list[str]) -> None:
    assert "Name it with --out F" in one_line(in_shell('"$@"', predict, "--append"), 2)
