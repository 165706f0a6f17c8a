"""The benchmark of the channel selection: one table, and both ways of choosing agree."""

from __future__ import annotations

import channel_selection
import pytest


def test_the_script_prints_its_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--shape", "2", "3", "4", "5", "3", "3", "--rounds", "2"]
    monkeypatch.setattr("sys.argv", ["channel_selection.py", *arguments])
    channel_selection.main()
    shown = capsys.readouterr().out
    for text in ("[2, 3, 4, 5, 3, 3]", "class mean", "channel selection", "the same in a loop"):
        assert text in shown
