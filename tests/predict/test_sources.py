"""What a user names becomes pictures, in a stable order, and nothing named is lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from openfer.files import natural_key
from openfer.predict.sources import Missing, find_pictures


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photos/ with pictures, notes, hidden things and folders; the working folder is its parent."""
    for name in (
        "10.jpg",
        "2.JPG",
        "notes.txt",
        ".hidden.jpg",
        "b/3.png",
        "a/1.webp",
        "a/deep/x.gif",
        ".trash/old.jpg",
        "empty/readme.md",
    ):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def names(*sources: str | Path, leave_out: Path | None = None) -> list[str]:
    return [
        f"{found.path}: {found.why}" if isinstance(found, Missing) else found.as_posix()
        for found in find_pictures(sources, leave_out=leave_out)
    ]


ALL = ["photos/2.JPG", "photos/10.jpg", "photos/a/1.webp", "photos/a/deep/x.gif", "photos/b/3.png"]


def test_a_folder_gives_its_pictures_in_natural_order_its_own_before_those_below() -> None:
    assert names("photos") == ALL


def test_sources_keep_their_order_and_may_be_named_twice() -> None:
    assert names("photos/b/3.png", "photos/a", "photos/b/3.png") == [
        "photos/b/3.png",
        "photos/a/1.webp",
        "photos/a/deep/x.gif",
        "photos/b/3.png",
    ]


def test_a_file_that_is_named_is_taken_whatever_its_ending() -> None:
    assert names("photos/notes.txt", "photos/.hidden.jpg") == ["photos/notes.txt", "photos/.hidden.jpg"]


def test_what_is_not_there_or_holds_nothing_is_still_a_row() -> None:
    assert names("nope.jpg", "photos/empty", "nope/*.jpg", "photos/*.bmp") == [
        "nope.jpg",
        "photos/empty: no pictures in this folder",
        "nope/*.jpg: no picture matches this pattern",
        "photos/*.bmp: no picture matches this pattern",
    ]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("photos/*.jpg", ["photos/10.jpg"]),
        ("photos/*.txt", ["photos/notes.txt"]),  # an ending that is asked for
        ("photos/**/*.png", ["photos/b/3.png"]),
        ("photos/[ab]", ["photos/a/1.webp", "photos/a/deep/x.gif", "photos/b/3.png"]),
        ("photos/?.JPG", ["photos/2.JPG"]),
        ("photos/.trash/*.jpg", ["photos/.trash/old.jpg"]),  # hidden, but named
    ],
)
def test_patterns(pattern: str, wanted: list[str]) -> None:
    assert names(pattern) == wanted
    assert names(str(Path.cwd() / pattern)) == [(Path.cwd() / name).as_posix() for name in wanted]


@pytest.mark.parametrize("pattern", ["photos/**", "photos/**/*"])
def test_double_stars_reach_everything_once(pattern: str) -> None:
    assert sorted(names(pattern)) == sorted(ALL)


@pytest.mark.parametrize("pattern", ["photos/**.jpg", "*\0.jpg", "x" * 5000 + "*"])
def test_impossible_patterns_are_rows_too(pattern: str) -> None:
    (found,) = find_pictures([pattern])
    assert isinstance(found, Missing)


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 5000])
def test_impossible_names_are_rows_too(name: str) -> None:
    assert len(list(find_pictures([name]))) == 1


def test_a_file_whose_name_looks_like_a_pattern(tree: Path) -> None:
    (tree / "me[1].jpg").write_bytes(b"")
    assert names("photos/me[1].jpg") == ["photos/me[1].jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_loops_of_links_end_and_linked_folders_are_read_once(tree: Path) -> None:
    (tree / "a" / "up").symlink_to(tree)
    (tree / "a" / "again").symlink_to(tree / "a" / "deep")
    (tree / "self").symlink_to(tree / "self")
    assert sorted(Path(name).name for name in names("photos")) == sorted(Path(name).name for name in ALL)
    assert len(names("photos/**/*")) >= len(ALL)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_in_a_folder_is_passed_over_and_a_broken_link_is_a_row(tree: Path) -> None:
    os.mkfifo(tree / "b" / "pipe.jpg")
    (tree / "b" / "gone.jpg").symlink_to(tree / "nowhere.jpg")
    assert names("photos/b") == ["photos/b/3.png", "photos/b/gone.jpg"]


def test_the_folder_of_overlays_is_left_out_inside_others_only(tree: Path) -> None:
    assert names("photos", leave_out=tree / "a") == [name for name in ALL if "/a/" not in name]
    assert names("photos/**/*.webp", leave_out=tree / "a") == ["photos/**/*.webp: no picture matches this pattern"]
    assert names("photos/a", leave_out=tree / "a") == ["photos/a/1.webp", "photos/a/deep/x.gif"]


def test_folders_are_read_only_when_their_turn_comes(tree: Path) -> None:
    found = find_pictures(["photos"])
    next(found)
    (tree / "b" / "late.png").write_bytes(b"")
    assert Path("photos/b/late.png") in list(found)


def test_natural_order() -> None:
    mixed = ["b1", "a10", "A2", "a", "10", "9", "a2b"]
    assert sorted(mixed, key=natural_key) == ["9", "10", "a", "A2", "a2b", "a10", "b1"]
