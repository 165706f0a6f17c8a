"""A run that is interrupted or killed goes on where it stopped, and writes what an undisturbed one writes."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openfer.data.manifest import Manifest, load_manifest, write_manifest
from openfer.data.prepare import PrepareOptions, prepare
from openfer.data.prepare.parts import open_parts
from openfer.errors import ConfigError, DataError
from openfer.vision.detect import load_detector
from openfer.vision.image import Picture
from openfer.vision.landmarks import Landmarks, Square
from tests.data.preparing import Middle, Ordinary, embedded
from tests.layouts import drawn_face

ROWS, BLOCK = 22, 4
OPTIONS = PrepareOptions(crops=True, patches="landmarks")


class Stopping(Ordinary):
    """Stops the run at its nth face."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.left, self.error = at, error

    def find(self, picture: Picture, squares: Sequence[Square]) -> list[Landmarks]:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().find(picture, squares)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openfer.data.prepare.run.BLOCK", BLOCK)


def faces(rows: int, folder: Path) -> Manifest:
    contents = []
    for seed in range(rows):
        stream = io.BytesIO()
        Image.fromarray(drawn_face(seed % 50)).save(stream, "PNG")
        contents.append(stream.getvalue())
    return embedded(contents, folder)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("disk full"), RuntimeError("a bug")], ids=str)
def test_an_interrupted_run_goes_on(tmp_path: Path, error: BaseException) -> None:
    manifest = faces(ROWS, tmp_path)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    prepare(manifest, Middle(), Ordinary(), whole / "p.parquet", OPTIONS, files=whole / "cut")
    with pytest.raises(type(error)) as caught:
        prepare(manifest, Middle(), Stopping(10, error), broken / "p.parquet", OPTIONS, files=broken / "cut")
    if isinstance(error, KeyboardInterrupt):
        assert "8 of 22 rows are kept, the same command goes on from there" in str(caught.value)
    assert not (broken / "p.parquet").exists()
    rest = Stopping(ROWS - 8, AssertionError("more than what was left"))
    steps: list[tuple[int, int]] = []
    report = prepare(
        manifest,
        Middle(),
        rest,
        broken / "p.parquet",
        OPTIONS,
        files=broken / "cut",
        workers=3,
        progress=lambda done, rows: steps.append((done, rows)),
    )
    assert report.resumed == 8
    assert steps[0][0] > 8
    assert steps[-1] == (ROWS, ROWS)
    assert files_of(broken) == files_of(whole)


def test_one_that_kept_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepare(faces(5, tmp_path), Middle(), Stopping(2, KeyboardInterrupt()), tmp_path / "o" / "p.parquet")
    assert files_of(tmp_path) == {}


def test_other_options_or_rows_are_refused_in_one_line(tmp_path: Path) -> None:
    manifest, out = faces(ROWS, tmp_path), tmp_path / "p.parquet"
    with pytest.raises(KeyboardInterrupt):
        prepare(manifest, Middle(), Stopping(10, KeyboardInterrupt()), out)
    with pytest.raises(ConfigError, match=r"p\.parquet: an interrupted run .* \(crops, patches\); .*openfer-parts to"):
        prepare(manifest, Middle(), Ordinary(), out, OPTIONS)
    with pytest.raises(ConfigError, match="other settings \\(manifest\\); repeat"):
        prepare(faces(ROWS - 1, tmp_path), Middle(), Ordinary(), out)
    assert prepare(manifest, Middle(), Ordinary(), out).resumed == 8


def test_a_damaged_part_is_prepared_again(tmp_path: Path) -> None:
    manifest, out = faces(ROWS, tmp_path), tmp_path / "p.parquet"
    with pytest.raises(KeyboardInterrupt):
        prepare(manifest, Middle(), Stopping(10, KeyboardInterrupt()), out)
    part = tmp_path / ".p.parquet.openfer-parts" / "000000004.parquet"
    part.write_bytes(part.read_bytes()[:50])
    assert prepare(manifest, Middle(), Ordinary(), out).resumed == 4
    prepare(manifest, Middle(), Ordinary(), tmp_path / "whole.parquet")
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_an_empty_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        prepare(faces(1, tmp_path).rows(np.array([], dtype=np.int64)), Middle(), Ordinary(), tmp_path / "p.parquet")


def test_two_manifests_can_share_a_folder_of_pictures(tmp_path: Path) -> None:
    for name in ("train", "test"):
        prepare(faces(2, tmp_path), Middle(), Ordinary(), tmp_path / f"{name}.parquet", OPTIONS, files=tmp_path / "cut")
    names = sorted(path.name for path in (tmp_path / "cut" / "images_lip").iterdir())
    assert names == ["test-0000000.png", "test-0000001.png", "train-0000000.png", "train-0000001.png"]


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    with open_parts(tmp_path / "p.parquet", {}, 1, 1), pytest.raises(ConfigError, match="another run is writing it"):
        prepare(faces(1, tmp_path), Middle(), Ordinary(), tmp_path / "p.parquet")
    prepare(faces(1, tmp_path), Middle(), Ordinary(), tmp_path / "p.parquet")


def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    manifest = faces(200, tmp_path)
    write_manifest(manifest, tmp_path / "m.parquet")
    code = "from openfer.cli.main import run; run()"
    command = [sys.executable, "-c", code, "data", "prepare", tmp_path / "m.parquet", tmp_path / "p.parquet"]
    command += ["--no-landmarks", "--crops", "--threads", "1"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    parts = tmp_path / ".p.parquet.openfer-parts"
    deadline = time.monotonic() + 60
    while not list(parts.glob("0*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "p.parquet").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "128 rows were prepared by the run that was interrupted" in again.stdout
    detector, options = load_detector("centerface", threads=1), PrepareOptions(landmarks=False, crops=True)
    prepare(load_manifest(tmp_path / "m.parquet"), detector, None, tmp_path / "whole.parquet", options)
    assert (tmp_path / "p.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert (tmp_path / "p.report.html").read_bytes() == (tmp_path / "whole.report.html").read_bytes()
    assert not parts.exists()
