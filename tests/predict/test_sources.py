"""What a user names becomes pictures, in a stable order, and nothing named is lost."""

from __future__ import annotations

import io
import os
import re
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openfer.files import natural_key
from openfer.predict.sources import Missing, find_pictures, listed_names


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


class Blocks(io.BufferedIOBase):
    """Standard input as a pipe gives it: a block at a time, as its writer wrote them."""

    def __init__(self, *blocks: bytes) -> None:
        self.waiting = list(blocks)
        self.buffer = self

    def read1(self, size: int = -1, /) -> bytes:
        return self.waiting.pop(0) if self.waiting else b""


def listed(monkeypatch: pytest.MonkeyPatch, *blocks: bytes, sources: tuple[str, ...] = ("-",)) -> list[str]:
    monkeypatch.setattr(sys, "stdin", Blocks(*blocks))
    return names(*sources)


def test_a_dash_stands_for_the_names_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"photos/notes.txt\nphotos/a\n\nnope.jpg\nphotos/b/3.png"
    assert listed(monkeypatch, lines, sources=("photos/10.jpg", "-", "photos/2.JPG")) == [
        "photos/10.jpg",
        "photos/notes.txt",
        "photos/a/1.webp",
        "photos/a/deep/x.gif",
        "nope.jpg",
        "photos/b/3.png",
        "photos/2.JPG",
    ]
    assert listed(monkeypatch) == []
    assert listed(monkeypatch, b"a.jpg\r\nb\r.jpg\r\n") == ["a.jpg", "b\r.jpg"]
    assert listed(monkeypatch, b"photos/*.jpg\n-\n") == ["photos/*.jpg", "-"]  # names, not patterns


def test_names_that_end_in_null_bytes_may_hold_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch, b"one\ntwo\r\n.jpg\0thr", b"ee.jpg\0") == ["one\ntwo\r\n.jpg", "three.jpg"]


def test_names_that_are_not_utf_8_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = listed(monkeypatch, b"caf\xe9.jpg\n")
    assert os.fsencode(name) == b"caf\xe9.jpg"


def test_a_list_is_read_only_as_far_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Blocks(b"a.jpg\nb.j", b"pg\nc.jpg\n", b"d.jpg\n")
    monkeypatch.setattr(sys, "stdin", stream)
    found = find_pictures(["-"])
    assert next(found) == Path("a.jpg")
    assert len(stream.waiting) == 2
    assert next(found) == Path("b.jpg")
    assert len(stream.waiting) == 1


def test_standard_input_that_is_closed_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert names("-") == ["-: standard input is closed"]


@given(
    st.lists(st.binary(min_size=1, max_size=9).filter(lambda name: b"\0" not in name), min_size=1),
    st.integers(1, 20),
)
def test_every_name_comes_out_of_a_list_as_it_was_however_it_is_cut(wanted: list[bytes], size: int) -> None:
    text = b"".join(name + b"\0" for name in wanted)
    head = text.index(b"\0") + 1
    rest = [text[start : start + size] for start in range(head, len(text), size)]
    assert [os.fsencode(name) for name in listed_names(Blocks(text[:head], *rest))] == wanted


def test_videos_are_rows_too(tree: Path) -> None:
    (tree / "b" / "Clip.MP4").write_bytes(b"")
    assert names("photos/b") == ["photos/b/3.png", "photos/b/Clip.MP4"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_pipes_sockets_and_devices_that_are_named_are_rows_that_nothing_waits_for(tree: Path) -> None:
    os.mkfifo(tree / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.jpg")
        assert names("photos/pipe.jpg", "s.jpg", "/dev/zero") == [
            "photos/pipe.jpg: a pipe, not a file",
            "s.jpg: a socket, not a file",
            "/dev/zero: a device, not a file",
        ]
    assert names("photos/*.jpg") == ["photos/10.jpg"]


def test_a_folder_that_cannot_be_read_is_a_row_and_the_others_are_read(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names("photos") == ["photos/2.JPG", "photos/10.jpg", "photos/a: Permission denied", "photos/b/3.png"]
    assert names("photos/a") == ["photos/a: Permission denied"]


def test_line_ends_and_other_odd_letters_in_names(tree: Path) -> None:
    odd = [" .jpg", "a\nb.jpg", "a\tb.jpg", "ä 写.jpg", os.fsdecode(b"\xff.jpg")]
    for name in odd:
        (tree / "empty" / name).write_bytes(b"")
    assert sorted(names("photos/empty")) == sorted(f"photos/empty/{name}" for name in odd)
    assert sorted(names("photos/empty/*.jpg")) == sorted(f"photos/empty/{name}" for name in odd)


def test_a_pattern_that_does_not_end_in_the_stack_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(*_: object) -> object:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(Path, "glob", too_deep)
    (found,) = find_pictures(["**/*.jpg"])
    assert isinstance(found, Missing)


def test_natural_order() -> None:
    mixed = ["b1", "a10", "A2", "a", "10", "9", "a2b"]
    assert sorted(mixed, key=natural_key) == ["9", "10", "a", "A2", "a2b", "a10", "b1"]


@given(st.lists(st.text("aB_. 019٣é", max_size=6), max_size=6))
def test_natural_order_is_that_of_numbers_and_of_letters_without_case(names: list[str]) -> None:
    def parts(name: str) -> tuple[list[tuple[int, int, str]], str]:
        found = re.split(r"(\d+)", name.casefold())
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in found if part], name

    assert sorted(names, key=natural_key) == sorted(names, key=parts)
