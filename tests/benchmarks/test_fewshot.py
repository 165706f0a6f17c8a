"""The few-shot benchmark: one table, the same episodes for every model, the first as the reference."""

from __future__ import annotations

from pathlib import Path

import fewshot
import pytest

from openfer.data.manifest import write_manifest
from tests.evaluate.drawn import manifest_of


def test_the_script_prints_its_table(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(name, 10 * c + i, "train") for c, name in enumerate(("anger", "disgust", "fear")) for i in range(6)]
    write_manifest(manifest_of(rows), tmp_path / "m.parquet")
    monkeypatch.chdir(tmp_path)
    Path("toy").symlink_to(bundle_folder)
    models = ["toy", "toy:euclidean"]
    fixed = ["--manifest", str(tmp_path / "m.parquet"), "--split", "train", "--detector", "none"]
    monkeypatch.setattr("sys.argv", ["fewshot.py", *models, *fixed, "--episodes", "30"])
    fewshot.main()
    shown = capsys.readouterr().out
    for text in ("30 episodes, 3-way 3-shot", "toy:euclidean", "disgust", "p (Holm)", "s / 1,000"):
        assert text in shown
    monkeypatch.setattr("sys.argv", ["fewshot.py", models[0], *fixed, "--k-shot", "9"])
    with pytest.raises(SystemExit):
        fewshot.main()
    assert "class 'anger': 6 different pictures, an episode needs 10" in capsys.readouterr().err
