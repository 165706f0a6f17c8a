"""The bar of `openfer predict` knows how far it is without having kept anybody waiting."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openfer.cli import photos
from openfer.cli.photos import photo_bar
from openfer.predict import sources


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal; to be called in the test, since pytest puts its own stream there before it."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    return stream


def counts_slowly(monkeypatch: pytest.MonkeyPatch, *, number: int, seconds: float) -> list[int]:
    """Folders that take their time; the list that comes back holds the number of photos counted."""
    counted: list[int] = []

    def find(*_: object, **__: object) -> Iterator[Path]:
        for photo in range(number):
            time.sleep(seconds / number)
            counted.append(photo)
            yield Path(str(photo))

    monkeypatch.setattr(sources, "find_pictures", find)
    return counted


def test_the_total_comes_when_it_is_known_less_what_was_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    counted = counts_slowly(monkeypatch, number=9, seconds=0.05)
    with photo_bar(["folder"], leave_out=None, hidden=False) as advance:
        advance(4)
        for thread in threading.enumerate():
            if isinstance(thread, photos._Count):
                thread.join(timeout=20)
        advance(4)
    assert len(counted) == 9
    assert "2/5" in terminal.getvalue()
    assert "/?" in terminal.getvalue()
    assert "photos/s" in terminal.getvalue()


def test_counting_ends_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    counted = counts_slowly(monkeypatch, number=10_000, seconds=100)
    with photo_bar(["folder"], leave_out=None, hidden=False) as advance:
        advance(0)
    time.sleep(0.05)
    done = len(counted)
    time.sleep(0.05)
    assert len(counted) == done < 100


@pytest.mark.parametrize(("named", "hidden"), [("-", False), ("folder", True)])
def test_a_list_is_not_read_twice_and_a_hidden_bar_counts_nothing(
    monkeypatch: pytest.MonkeyPatch, named: str, hidden: bool
) -> None:
    terminal = on_terminal(monkeypatch)
    counted = counts_slowly(monkeypatch, number=2, seconds=0.001)
    with photo_bar([named], leave_out=None, hidden=hidden) as advance:
        time.sleep(0.02)
        advance(0)
    assert counted == []
    assert ("1/?" in terminal.getvalue()) is not hidden
