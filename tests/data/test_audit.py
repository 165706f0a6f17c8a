"""An audit says what splits share, what contradicts itself and what is of poor quality; cleaning removes it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner, Result

from openfer.cli.data import app
from openfer.data.audit.build import audit
from openfer.data.audit.clean import left_out, parse_drops, without
from openfer.data.manifest import Manifest, load_manifest, write_manifest
from openfer.errors import ConfigError, DataError
from tests.data.auditing import CHANGES, manifest_of, row, scene

A, B, C, D, E, F, G = (scene(seed) for seed in range(7))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *(str(argument) for argument in arguments)])


def leaks_of(manifest: Manifest) -> list[tuple[str, str, str, tuple[int, ...]]]:
    return [(one.kind, one.later, one.earlier, one.rows) for one in audit(manifest).leaks]


def test_copies_across_splits_are_leaks() -> None:
    manifest = manifest_of(
        row(A, "train"),
        row(A, "train"),
        row(A, "validation"),
        row(CHANGES["jpeg"](B), "train"),
        row(B, "test", status="no majority"),
        row(CHANGES["mirrored"](B), "validation"),
        row(C, "test"),
        row(C, None),
        row(D, "train", None),
    )
    found = audit(manifest)
    assert [(one.kind, one.later, one.earlier, one.rows, one.usable) for one in found.leaks] == [
        ("exact", "validation", "train", (2,), 1),
        ("near", "validation", "train", (5,), 1),
        ("near", "test", "train", (4,), 0),
        ("near", "test", "validation", (4,), 0),
    ]
    assert [group.tolist() for group in found.groups] == [[0, 1, 2], [6, 7]]
    assert list(zip(found.pairs.first, found.pairs.second, found.pairs.mirrored, strict=True)) == [
        (3, 4, False),
        (3, 5, True),
        (4, 5, True),
    ]
    assert [one.kind for one in audit(manifest, near=False).leaks] == ["exact"]


def test_an_exact_copy_is_not_counted_as_a_near_one() -> None:
    found = leaks_of(manifest_of(row(A, "train"), row(CHANGES["jpeg"](A), "train"), row(A, "test")))
    assert found == [("exact", "test", "train", (2,))]


def test_people_and_clips_in_two_splits_are_leaks() -> None:
    found = audit(
        manifest_of(
            row(A, "train", subject="s1", group="s1/1"),
            row(B, "test", subject="s1", group="s1/2"),
            row(C, "validation", subject="s2", group="s2/1"),
            row(D, "test", subject="s2", group="s2/1"),
            row(E, "test", subject="s3"),
            row(F, "test"),
        )
    )
    assert [(one.kind, one.later, one.earlier, one.rows, one.names) for one in found.leaks] == [
        ("subject", "test", "train", (1,), ("s1",)),
        ("subject", "test", "validation", (3,), ("s2",)),
        ("clip", "test", "validation", (3,), ("s2/1",)),
    ]


def test_copies_with_different_labels_contradict_each_other() -> None:
    found = audit(
        manifest_of(
            row(A, "train", "anger"),
            row(A, "train", "fear"),
            row(A, "test", None),
            row(B, "train", "anger"),
            row(B, "train", None),
            row(CHANGES["darker"](B), "test", "sadness"),
            row(C, "train", "anger"),
            row(CHANGES["darker"](C), "train", "anger"),
        )
    ).contradictions
    assert [(one.kind, one.rows, one.labels) for one in found] == [
        ("exact", (0, 1, 2), ("anger", "fear", None)),
        ("near", (3, 4, 5), ("anger", None, "sadness")),
    ]


def test_poor_pictures() -> None:
    found = audit(
        manifest_of(
            row(A, "train"),
            row(Image.new("L", (50, 50)), "train"),
            row(Image.new("RGB", (50, 50), "white"), "train"),
            row(A.point(lambda value: value * 0.2), "train"),
            row(B.filter(ImageFilter.GaussianBlur(8)), "train"),
            row(C.resize((30, 60)), "train"),
            row(Image.new("L", (50, 50), 128), "test"),
        )
    )
    poor = {name: rows.tolist() for name, rows in found.poor.items()}
    assert poor == {"black": [1], "blank": [2, 6], "dark": [3], "blurred": [4], "small": [5]}
    assert [(int(a), int(b)) for a, b in zip(found.pairs.first, found.pairs.second, strict=True)] == [(0, 3)]


def test_a_row_is_what_its_box_holds() -> None:
    photo = Image.fromarray(np.hstack([np.asarray(A), np.asarray(B)]))
    left, right = [0.0, 0.0, 96.0, 96.0], [96.0, 0.0, 96.0, 96.0]
    found = audit(
        manifest_of(
            row(photo, "train", box=left),
            row(photo, "test", box=right),
            row(B, "validation", box=[500.0, 0.0, 5.0, 5.0]),  # outside: the whole picture
        )
    )
    assert [(one.kind, one.later, one.earlier) for one in found.leaks] == [("exact", "test", "validation")]
    assert found.looks.sizes.tolist() == [[96, 96]] * 3


def mixed() -> Manifest:
    near = CHANGES["jpeg"]
    return manifest_of(
        row(A, "train"),  # 0 stands in validation
        row(A, "validation"),  # 1
        row(near(B), "validation"),  # 2 nearly stands in test
        row(B, "test"),  # 3
        row(C, "train", "anger"),  # 4 contradicts 5
        row(C, "train", "fear"),  # 5
        row(D, "train", subject="s"),  # 6 its person stands in test
        row(E, "test", subject="s"),  # 7
        row(F, "train"),  # 8
        row(near(F), "train"),  # 9 repeats 8
        row(b"broken", "test"),  # 10
        row(b"", "train", None, status="no file name"),  # 11 never had a picture
        row(G, None, None),  # 12
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {0: "leaks", 2: "leaks", 4: "conflicts", 5: "conflicts", 6: "subjects", 10: "unreadable"}),
        ({"keep": "train"}, {1: "leaks", 2: "leaks", 7: "subjects", 10: "unreadable"}),
        ({"drop": ("copies",)}, {5: "copies", 9: "copies"}),
        ({"drop": ()}, {}),
    ],
)
def test_what_is_left_out(options: dict[str, Any], expected: dict[int, str]) -> None:
    manifest = mixed()
    assert left_out(manifest, audit(manifest), **options) == expected


@pytest.mark.parametrize("keep", ["evaluation", "train"])
def test_a_cleaned_manifest_has_no_leak(keep: Any) -> None:
    manifest = mixed()
    dropped = left_out(manifest, audit(manifest), keep=keep)
    clean = without(manifest, dropped, keep=keep)
    assert audit(clean).leaks == ()
    assert len(clean) == len(manifest) - len(dropped)
    assert clean.origin.notes[-1].startswith(f"audit: {len(dropped)} of 13 rows left out (kept whole: {keep}): ")


def test_wrong_wishes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--drop everything: expected some of unreadable"):
        parse_drops("leaks, everything")
    with pytest.raises(DataError, match="no row is left"):
        without(manifest_of(row(A, "train")), {0: "leaks"})
    for options in (("--keep", "test"), ("--drop", "leaks"), ("--threads", 0), ("--write", tmp_path / "m.csv")):
        assert isinstance(run(tmp_path / "none.parquet", *options).exception, ConfigError)
    assert isinstance(run(tmp_path / "none.parquet").exception, DataError)
    assert list(tmp_path.iterdir()) == []


class _Page(HTMLParser):
    """Counts the pictures of a page, and refuses anything from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link")
        if tag == "img":
            assert (dict(attrs)["src"] or "").startswith("data:image/jpeg;base64,")
            self.pictures += 1


def test_the_command(tmp_path: Path) -> None:
    manifest, out = tmp_path / "m.parquet", tmp_path / "out"
    write_manifest(mixed(), manifest)
    result = run(manifest, "--out", out, "--write", tmp_path / "clean" / "c.parquet", "--threads", 2)
    assert result.exit_code == 1  # a broken picture
    assert "13 rows, 9 different pictures, 1 missing or unreadable" in result.output
    assert "leak: 1 rows of validation share exact copies of a picture with train" in result.output
    assert "left out: 6 of 13 rows" in result.output
    report = json.loads((out / "audit.json").read_text())
    assert report["exact"] == [[0, 1], [4, 5]]
    assert [(one["first"], one["second"]) for one in report["near"]] == [(2, 3), (8, 9)]
    assert report["left_out"]["rows"] == [
        [0, "leaks"],
        [2, "leaks"],
        [4, "conflicts"],
        [5, "conflicts"],
        [6, "subjects"],
        [10, "unreadable"],
    ]
    measures = report["measures"]
    assert [values[0] for values in measures["rows"]] == list(range(13))
    codes = [values[1] for values in measures["rows"]]
    assert codes[0] == codes[1]
    assert codes[10] is codes[11] is None
    bits = bin(int(codes[8], 16) ^ int(codes[9], 16)).count("1")
    assert report["near"][1]["distance"] <= bits
    page = _Page()
    page.feed((out / "audit.html").read_text())
    assert page.pictures == 2 + 2 + 2 + 2  # across splits: exact and near; inside: two labels and near
    clean = tmp_path / "clean" / "c.parquet"
    assert run(clean, "--out", out, "--strict", "--threads", 1).exit_code == 0
    assert load_manifest(clean).column("subject").count("s") == 1


def test_strict_ends_with_one_where_splits_share_something(tmp_path: Path) -> None:
    write_manifest(manifest_of(row(A, "train"), row(CHANGES["jpeg"](A), "test")), tmp_path / "m.parquet")
    assert run(tmp_path / "m.parquet", "--out", tmp_path).exit_code == 0
    assert run(tmp_path / "m.parquet", "--out", tmp_path, "--strict").exit_code == 1
    assert run(tmp_path / "m.parquet", "--out", tmp_path, "--strict", "--no-near").exit_code == 0
    printed = run(tmp_path / "m.parquet", "--out", tmp_path, "--json")
    assert json.loads(printed.stdout)["leaks"][0]["rows"] == [1]


def test_missing_pictures_and_bare_manifests(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(row(A, None)["image"]["bytes"])
    rows = [{"image": {"bytes": None, "path": f"{name}.png"}, "split": "train"} for name in "ab"]
    write_manifest(manifest_of(*rows), tmp_path / "m.parquet")
    result = run(tmp_path / "m.parquet", "--out", tmp_path / "out", "--write", tmp_path / "x" / "c.parquet")
    assert result.exit_code == 1
    assert "row 1 b.png: missing" in result.output
    clean = load_manifest(tmp_path / "x" / "c.parquet")
    assert clean.column("image")[0]["path"] == "../a.png"
    clean.picture(0)
    assert [value["path"] for value in clean.column("image")] == ["../a.png"]
