"""`openfer support build` and `openfer predict --support` as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from openfer.cli.ends import InterruptionError
from openfer.cli.main import app
from openfer.errors import ConfigError, DataError, OpenFERError
from openfer.predict.support.file import load_support
from tests.predict.examples import UNITS, face, lay_out


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people with each of three expressions. Do not write into it."""
    return lay_out(tmp_path_factory.mktemp("drawn") / "mine", range(3))


@pytest.fixture
def photos(tmp_path: Path, coffee: Path) -> Path:
    """Two faces, a cup and a text file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("wink", "doubt"):
        Image.fromarray(face(name, 9)).save(folder / f"{name}.png")
    shutil.copy(coffee, folder / "cup.png")
    (folder / "torn.jpg").write_bytes(b"text")
    return folder


def invoke(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result.stdout, result.stderr


@pytest.fixture
def built(mine: Path, tmp_path: Path, bundle_folder: Path) -> Path:
    invoke("support", "build", mine, tmp_path / "mine.npz", "--model", bundle_folder)
    return tmp_path / "mine.npz"


def test_building_says_how_well_the_classes_are_told_apart(mine: Path, tmp_path: Path, bundle_folder: Path) -> None:
    out = tmp_path / "mine.npz"
    stdout, _ = invoke("support", "build", mine, out, "--model", bundle_folder)
    lines = stdout.splitlines()
    assert lines[0].split("  ")[0] == "class"
    assert [line.split()[:2] for line in lines[1:5]] == [["doubt", "3"], ["effort", "3"], ["wink", "3"], ["all", "9"]]
    assert " of 9, " in lines[4]
    assert "--min-similarity" in lines[5]
    assert lines[-1] == f"Next: openfer predict PHOTO --support {out}"
    assert load_support(out).labels.names == ("doubt", "effort", "wink")


def test_building_with_json_prints_one_document(mine: Path, tmp_path: Path, bundle_folder: Path) -> None:
    stdout, _ = invoke("support", "build", mine, tmp_path / "mine.npz", "--model", bundle_folder, "--json")
    document = json.loads(stdout)
    assert document["model"]["name"] == "toy"
    assert [row["name"] for row in document["classes"]] == ["doubt", "effort", "wink"]
    assert document["left_out"]["tried"] == 9


def test_a_picture_without_a_face_is_said_and_is_exit_status_1(
    mine: Path, tmp_path: Path, bundle_folder: Path, coffee: Path
) -> None:
    folder = shutil.copytree(mine, tmp_path / "own")
    shutil.copy(coffee, folder / "wink" / "cup.png")
    _, stderr = invoke("support", "build", folder, tmp_path / "mine.npz", "--model", bundle_folder, code=1)
    assert "wink/cup.png: no face found; not used" in stderr


def test_classes_that_cannot_be_told_apart_are_warned_of(tmp_path: Path, bundle_folder: Path) -> None:
    for number in range(8):
        (tmp_path / "own" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(face("wink", number)).save(tmp_path / "own" / "ab"[number % 2] / f"{number}.png")
    _, stderr = invoke("support", "build", tmp_path / "own", tmp_path / "own.npz", "--model", bundle_folder)
    assert "warning: these pictures do not show that the classes can be told apart" in stderr


@pytest.mark.parametrize("out", ["mine.csv", "mine"])
def test_a_wrong_name_is_refused_before_any_work(mine: Path, tmp_path: Path, out: str) -> None:
    with pytest.raises(ConfigError, match=r"expected the name of a \.npz file"):
        invoke("support", "build", mine, tmp_path / out, "--model", "no such model")


def test_a_support_that_fails_leaves_the_old_file(mine: Path, built: Path, bundle_folder: Path, tmp_path: Path) -> None:
    before = built.read_bytes()
    folder = shutil.copytree(mine, tmp_path / "own")
    shutil.copy(folder / "wink" / "0.png", folder / "doubt" / "x.png")
    with pytest.raises(DataError):
        invoke("support", "build", folder, built, "--model", bundle_folder)
    assert built.read_bytes() == before


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_rows_have_the_classes_and_the_similarity(built: Path, photos: Path, bundle_folder: Path, ending: str) -> None:
    out = photos.parent / f"faces.{ending}"
    common = ("predict", photos, "--model", bundle_folder, "--support", built, "--min-similarity", "-1")
    _, stderr = invoke(*common, "--out", out, code=1)
    assert stderr.startswith("4 photos, 2 faces, 1 without a face, 1 with something unreadable")
    if ending == "parquet":
        rows = pq.read_table(out).to_pylist()
    elif ending == "csv":
        head, *lines = (line.split(",") for line in out.read_text().splitlines())
        rows = [dict(zip(head, line, strict=False)) for line in lines]
    else:
        text = out.read_text()
        rows = json.loads(text) if ending == "json" else [json.loads(line) for line in text.splitlines()]
    columns = list(rows[0])
    assert columns[columns.index("confidence") :] == [
        "confidence",
        *(f"p_{name}" for name in sorted(UNITS)),
        "similarity",
        "status",
        "note",
    ]
    faces = [row for row in rows if row["status"] == "ok"]
    assert len(faces) == 2
    assert all(row["label"] in UNITS and -1 <= float(row["similarity"]) <= 1 for row in faces)
    # A run that is continued finds nothing left to do, and refuses other examples.
    _, stderr = invoke(*common, "--out", out, "--append", code=1)
    assert "0 photos, 0 faces" in stderr


def test_a_face_unlike_the_examples_is_none_everywhere(built: Path, photos: Path, bundle_folder: Path) -> None:
    common = ("predict", photos / "wink.png", "--model", bundle_folder, "--support", built, "--min-similarity", "1")
    stdout, stderr = invoke(*common)
    assert "none" in stdout.splitlines()[1].split()
    assert "similarity" in stdout
    assert "1 of none of the classes" in stderr
    stdout, _ = invoke(*common, "--json", "--draw", photos.parent / "marked")
    (row,) = json.loads(stdout)
    assert row["label"] == "none"
    assert row["confidence"] == max(row[f"p_{name}"] for name in UNITS)
    assert [path.name for path in (photos.parent / "marked").iterdir()] == ["wink-faces.png"]


def test_a_folder_is_a_support_too_and_answers_alike(
    mine: Path, built: Path, photos: Path, bundle_folder: Path
) -> None:
    common = ("predict", photos, "--model", bundle_folder, "--json")
    from_file, _ = invoke(*common, "--support", built, code=1)
    from_folder, stderr = invoke(*common, "--support", mine, code=1)
    assert json.loads(from_folder) == json.loads(from_file)
    assert "support: 3 classes, 9 pictures; " in stderr
    assert " of 9 named right when left out (95 % interval " in stderr


def test_other_examples_cannot_continue_a_run(
    mine: Path, built: Path, photos: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = photos.parent / "faces.csv"
    common = ("predict", photos, "--model", bundle_folder, "--out", out, "--append")
    monkeypatch.setattr("openfer.cli.photos.Tally.add", _interrupting())
    with pytest.raises(InterruptionError, match="2 photos are kept"):
        invoke(*common, "--support", built)
    monkeypatch.undo()
    fewer = shutil.copytree(mine, photos.parent / "fewer")
    (fewer / "wink" / "0.png").unlink()
    with pytest.raises(ConfigError, match="made with another --support"):
        invoke(*common, "--support", fewer)
    with pytest.raises(ConfigError, match="made with another --min-similarity"):
        invoke(*common, "--support", built, "--min-similarity", "0.5")


def test_options_need_each_other(built: Path, photos: Path, bundle_folder: Path) -> None:
    common = ("predict", photos, "--model", bundle_folder)
    for arguments, words in (
        (("--min-similarity", "0.5"), "--min-similarity: to what"),
        (("--support", built, "--labels", "fear,anger"), "labels: are the model's"),
        (("--support", photos / "gone.npz"), r"gone\.npz: cannot be read"),
    ):
        with pytest.raises(OpenFERError, match=words):
            invoke(*common, *arguments)


def _interrupting():  # type: ignore[no-untyped-def]
    """Counting photos ends in Ctrl-C at the third."""
    seen = []

    def add(self: object, picture: object, rows: object) -> None:
        seen.append(picture)
        if len(seen) == 3:
            raise KeyboardInterrupt

    return add
