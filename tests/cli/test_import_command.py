"""Published checkpoints and published ways to judge, on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from openfer.cli.main import app
from openfer.data.manifest import load_manifest, write_manifest
from openfer.errors import ModelError

MANY = ["data.manifest=mini:60", "backbone.size=64", "backbone.output_stride=16", "backbone.init=none"]


def test_a_file_that_is_no_checkpoint_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no tensors")
    arguments = ["--out", str(tmp_path / "run")]
    with pytest.raises(ModelError, match=r"text.pth: cannot be read as tensors"):
        CliRunner().invoke(
            app, ["import", "arm/rafdb", str(tmp_path / "text.pth"), *MANY, *arguments], catch_exceptions=False
        )
    assert not (tmp_path / "run").exists()


def test_only_a_run_is_judged_coupled(bundle_folder: Path, tmp_path: Path) -> None:
    write_manifest(load_manifest("mini:30"), tmp_path / "faces.parquet")
    arguments = [str(bundle_folder), str(tmp_path / "faces.parquet"), "--coupled", "8", "--out", str(tmp_path / "out")]
    with pytest.raises(ModelError, match="--coupled needs a folder of `openfer train`"):
        CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
