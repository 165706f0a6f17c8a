"""A file of predictions can be continued: however a run ends, the next one loses no row and repeats none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from openfer.errors import ConfigError, DataError
from openfer.predict.sinks import ENDINGS, open_sink
from openfer.predict.sinks.output import open_output
from openfer.records import Box, Face, Prediction

NAMES = ("fear", "anger")
SETTINGS = {"--detect-size": 480}
FACE = Face(box=Box(x=1.5, y=1 / 3, w=30.1, h=40.7), score=0.9)


def face(path: str, number: int) -> Prediction:
    share = (number + 1) / 7
    return Prediction(path=path, face=number, found=FACE, probabilities={"fear": share, "anger": 1 - share})


PICTURES = {
    "a.jpg": [face("a.jpg", number) for number in range(3)],
    'odd "1", \n\r.jpg': [Prediction(path='odd "1", \n\r.jpg', status="no_face", note="first of 2 frames")],
    "ü.jpg": [face("ü.jpg", 0)],
    "gone.jpg": [Prediction(path="gone.jpg", status="unreadable: no such file")],
    "z.jpg": [face("z.jpg", 0), Prediction(path="z.jpg", face=1, found=FACE, status="unreadable: too small")],
}
NAMED = [*PICTURES, "a.jpg", "ü.jpg"]
"""Two photos are named twice."""


ODD = st.one_of(st.characters(), st.sampled_from("\r\n\"',;\\\0\u2028"))
"""Letters of names, those that files might trip over more often than by chance."""


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill; the test puts back what a kill would have left."""


def run(
    file: Path,
    named: Sequence[str] = NAMED,
    *,
    append: bool = False,
    stop: int | None = None,
    options: dict[str, int] = SETTINGS,
    end: type[BaseException] = Killed,
) -> int:
    """Read photos as the command does; ends in the middle after `stop` of them.

    Returns:
        How many were read.
    """
    done = 0
    with open_output(file, NAMES, settings=options, append=append) as output:
        for picture in output.left(Path(name) for name in named):
            if done == stop:
                raise end
            output.write(PICTURES[str(picture)])
            done += 1
        if done == stop:
            raise end
    return done


def journal_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.openfer-journal")


def whole(folder: Path, ending: str, *, before: Sequence[str] = (), named: Sequence[str] = NAMED) -> bytes:
    """The file of a run that nothing interrupted."""
    file = folder / "whole" / f"faces{ending}"
    if before:
        run(file, before)
    run(file, named, append=bool(before))
    content = file.read_bytes()
    file.unlink()
    assert list(file.parent.iterdir()) == []
    return content


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_writes_what_a_sink_writes_and_leaves_nothing_beside_it(tmp_path: Path, ending: str) -> None:
    with open_sink(tmp_path / f"sink{ending}", NAMES) as sink:
        for name in NAMED:
            for row in PICTURES[name]:
                sink.write(row)
    assert whole(tmp_path, ending) == (tmp_path / f"sink{ending}").read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("before", [(), ("z.jpg", "a.jpg")])
def test_a_run_killed_after_any_photo_is_continued_to_the_same_file(
    tmp_path: Path, ending: str, before: tuple[str, ...]
) -> None:
    named = [*before, *NAMED]
    wanted, file = whole(tmp_path, ending, before=before, named=named), tmp_path / f"faces{ending}"
    for stop in range(len(NAMED) + 1):
        if before:
            run(file, before)
        old = file.read_bytes() if before else None
        with pytest.raises(Killed):
            run(file, named, append=True, stop=stop)
        assert (file.read_bytes() if file.exists() else None) == old
        assert run(file, named, append=True) == len(NAMED) - stop
        assert file.read_bytes() == wanted
        assert not journal_of(file).exists()
        file.unlink()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    """A folder, the journal of a run that read everything, and the file that it would have written."""
    folder = tmp_path_factory.mktemp("journal")
    wanted, file = whole(folder, ".csv"), folder / "faces.csv"
    with pytest.raises(Killed):
        run(file, stop=len(NAMED))
    return folder, journal_of(file).read_bytes(), wanted


@given(st.data())
def test_a_journal_torn_at_any_byte_is_continued_to_the_same_file(
    journal: tuple[Path, bytes, bytes], data: st.DataObject
) -> None:
    folder, content, wanted = journal
    file = folder / "faces.csv"
    file.unlink(missing_ok=True)
    ends = [place + side for place, byte in enumerate(content) if byte == ord("\n") for side in (0, 1)]
    cut = data.draw(st.one_of(st.integers(0, len(content)), st.sampled_from(ends)))
    journal_of(file).write_bytes(content[:cut])
    run(file, append=True)
    assert file.read_bytes() == wanted


@given(st.data())
@settings(max_examples=60)
def test_photos_after_a_damaged_line_of_the_journal_are_read_again(
    journal: tuple[Path, bytes, bytes], data: st.DataObject
) -> None:
    folder, content, wanted = journal
    file, lines = folder / "faces.csv", content.splitlines(keepends=True)
    file.unlink(missing_ok=True)
    damaged = data.draw(st.integers(1, len(lines) - 1))
    lines[damaged] = data.draw(st.sampled_from([b"\0\0\n", b"[[1]]\n", b"7\n", b"null\n", b'{"x": 1}\n', b"\xff\n"]))
    journal_of(file).write_bytes(b"".join(lines))
    assert run(file, append=True) == len(NAMED) - damaged + 1
    assert file.read_bytes() == wanted


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("before", [(), ("z.jpg", "a.jpg")])
def test_a_kill_while_the_file_is_put_in_place(
    tmp_path: Path, ending: str, moment: str, before: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [*before, *NAMED]
    wanted, file = whole(tmp_path, ending, before=before, named=named), tmp_path / f"faces{ending}"
    if before:
        run(file, before)
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if moment == "after":
            replace(self, target)
        raise Killed

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        run(file, named, append=True)
    monkeypatch.undo()
    assert journal_of(file).exists()
    assert run(file, named, append=True) == 0
    assert file.read_bytes() == wanted
    assert not journal_of(file).exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_finished_file_gets_only_the_photos_that_it_lacks(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"faces{ending}"
    assert run(file, ["z.jpg", "a.jpg"]) == 2
    assert run(file, ["a.jpg", "ü.jpg", "z.jpg", "a.jpg"], append=True) == 2
    assert file.read_bytes() == whole(tmp_path, ending, named=["z.jpg", "a.jpg", "ü.jpg", "a.jpg"])
    again = file.stat()
    assert run(file, ["ü.jpg"], append=True) == 0
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def test_photos_that_were_there_are_counted_and_so_are_those_that_could_not_be_read(tmp_path: Path) -> None:
    run(tmp_path / "a.csv", ["gone.jpg", "a.jpg", "z.jpg"])
    with open_output(tmp_path / "a.csv", NAMES, settings={}, append=True) as output:
        assert list(output.pictures()) == ["gone.jpg", "a.jpg", "z.jpg"]
        left = list(output.left(Path(name) for name in ("gone.jpg", "a.jpg", "a.jpg", "ü.jpg")))
        assert (left, output.skipped, output.skipped_failures) == ([Path("a.jpg"), Path("ü.jpg")], 2, 1)


def test_a_run_that_was_to_replace_the_file_still_does_when_it_is_continued(tmp_path: Path) -> None:
    file = tmp_path / "faces.csv"
    run(file, ["z.jpg"])
    with pytest.raises(Killed):
        run(file, stop=2)
    run(file, append=True)
    assert file.read_bytes() == whole(tmp_path, ".csv")


def test_without_append_a_run_starts_afresh(tmp_path: Path) -> None:
    file = tmp_path / "faces.csv"
    with pytest.raises(Killed):
        run(file, stop=3, options={"--detect-size": 960})
    assert run(file) == len(NAMED)
    assert file.read_bytes() == whole(tmp_path, ".csv")


@pytest.mark.parametrize("end", [KeyboardInterrupt, DataError])
def test_an_interruption_says_what_is_kept_and_how_to_go_on(tmp_path: Path, end: type[BaseException]) -> None:
    with pytest.raises(end) as caught:
        run(tmp_path / "a.csv", stop=3, end=end)
    assert str(caught.value).endswith("; 3 photos are kept, --append goes on from there")
    with pytest.raises(end) as caught:
        run(tmp_path / "b.csv", stop=0, end=end)
    assert str(caught.value) == ""
    assert [path.name for path in tmp_path.iterdir()] == [".a.csv.openfer-journal"]


def test_a_continued_run_needs_the_same_settings(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with pytest.raises(Killed):
        run(file, stop=3)
    with pytest.raises(ConfigError, match=r"made with another --detect-size, --model; repeat its options, or delete"):
        run(file, append=True, options={"--detect-size": 960, "--model": 1})
    assert run(file, append=True) == len(NAMED) - 3


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_with_other_columns_is_refused_and_stays(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a{ending}"
    run(file)
    content = file.read_bytes()
    for names, difference in {
        ("fear", "anger", "awe"): "no column p_awe",
        ("fear",): "a column p_anger",
        ("anger", "fear"): "their order differs",
    }.items():
        with (
            pytest.raises(ConfigError, match=difference),
            open_output(file, names, settings=SETTINGS, append=True),
        ):
            pass
    assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "no column path"),
        ("a.csv", b"\xff\xfe", "line 0: not a row of predictions"),
        ("a.json", b"{}", "not an array of predictions"),
        ("a.json", b'[{"path": 1}, 7]', "no column face"),
        ("a.json", b"[7]", "not an array of predictions"),
        ("a.jsonl", b"[1]\n", "line 1: not a row of predictions"),
        ("a.jsonl", b'{"path', "line 1: not a row of predictions"),
        ("a.parquet", b"PAR1", "not a Parquet file that can be read"),
    ],
)
def test_a_file_of_something_else_is_refused_and_stays(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ConfigError, DataError), match=message):
        run(tmp_path / name, append=True)
    assert (tmp_path / name).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "damage"),
    [("a.csv", b"x,0\n"), ("a.csv", b'"torn'), ("a.jsonl", b"{"), ("a.json", b"")],
)
def test_a_file_that_is_damaged_further_down_is_refused(tmp_path: Path, name: str, damage: bytes) -> None:
    run(tmp_path / name)
    content = (tmp_path / name).read_bytes().removesuffix(b"\n]\n") + damage
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"a\.\w+.*: not an? \w+ of predictions"):
        run(tmp_path / name, append=True)
    assert (tmp_path / name).read_bytes() == content


def test_a_file_that_was_changed_after_the_interruption_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    run(file, ["z.jpg"])
    with pytest.raises(Killed):
        run(file, append=True, stop=2)
    content = file.read_bytes()
    for changed in (content + content.splitlines(keepends=True)[1], None):
        file.unlink()
        if changed is not None:
            file.write_bytes(changed)
        with pytest.raises(ConfigError, match="was changed after a run on it was interrupted; put it back"):
            run(file, append=True)
        file.write_bytes(content)
    assert run(file, append=True) == len(NAMED) - 3


def test_two_runs_do_not_write_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with open_output(file, NAMES, settings=SETTINGS) as output:
        output.write(PICTURES["a.jpg"])
        for append in (True, False):
            with pytest.raises(ConfigError, match="another run is writing it"):
                run(file, append=append)
        run(tmp_path / "b.csv")
    assert file.read_text().count("a.jpg") == 3


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".a.csv.999999999.part"
    left.write_bytes(b"half a fi")
    run(tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "a.csv").symlink_to(tmp_path / "real" / "b.csv")
    run(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").is_symlink()
    assert run(tmp_path / "real" / "b.csv", append=True) == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_is_no_file_to_write_or_to_go_on_with(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    for append in (True, False):
        with pytest.raises(ConfigError, match="is a pipe or a device"):
            run(tmp_path / "a.csv", append=append)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(ODD),
            st.text(ODD, max_size=5),
            st.floats(allow_nan=False),
            st.integers(-5, 10**9),
        ),
        max_size=4,
    )
)
@example([("caf\udce9\r.jpg", "\ud800", 1e-300, 0), ("", "", -0.0, 1)])  # what is no letter comes back as an escape
def test_every_value_comes_back_from_every_format(tmp_path: Path, values: list[tuple[str, str, float, int]]) -> None:
    rows = [
        Prediction(
            path=path,
            face=number,
            found=Face(box=Box(x=share, y=-share, w=0.1, h=0)),
            probabilities={"fear": share, "anger": number},
            note=text,
        )
        for path, text, share, number in values
    ]
    for ending, form in ENDINGS.items():
        file = tmp_path / f"a{ending}"
        with open_sink(file, NAMES) as sink:
            for row in rows:
                sink.write(row)
        columns = tuple(Prediction(path="").to_row(NAMES))
        found = list(form.read(file, columns))
        assert len(found) == len(rows)
        for got, wanted in zip(found, [row.to_row(NAMES) for row in rows], strict=True):
            for name, value in wanted.items():
                text = value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
                assert got[name] == text, (ending, name)
