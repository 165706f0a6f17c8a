"""Every command and every line of Python in the documentation is run, and prints what the page shows."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.desk import lay_out
from tests.docs.pages import ROOT, Example, examples, pages

CHECKER = doctest.OutputChecker()
LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
"""`...` in a page stands for anything; blanks do not count."""
ELSEWHERE = ("make ", "source ", "pip ", "git ", "#")
"""Lines that set up a machine."""
PAGES = [page for page in pages() if examples(page)]


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory: pytest.TempPathFactory, astronaut: Path, coffee: Path) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    lay_out(folder, astronaut, coffee)
    return folder


@pytest.fixture
def desk(tmp_path: Path, laid_out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what the pages speak of."""
    shutil.copytree(laid_out, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_does_what_it_says(page: Path, desk: Path) -> None:
    for example in examples(page):
        printed = _bash(example) if example.language == "bash" else _python(example, desk)
        wanted = example.output
        if wanted is not None and not CHECKER.check_output(wanted, printed, LOOSE):
            pytest.fail(f"{page.name}:{example.line} prints\n{printed}\nthe page shows\n{wanted}")


def _bash(example: Example) -> str:
    # What `make demo` does once it has installed everything.
    code = re.sub(r"^make demo\b", "openfer demo", example.code, flags=re.MULTILINE)
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(ELSEWHERE)]
    run = subprocess.run(
        ["bash", "-c", "\n".join(lines)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    # 1 says that some input failed, which a page may show on purpose; 2 and more are mistakes of the page.
    assert run.returncode in (0, 1), f"line {example.line}: {example.code}\n{run.stdout}"
    return run.stdout


def _python(example: Example, desk: Path) -> str:
    script = desk / "example.py"
    script.write_text(example.code, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert run.returncode == 0, f"line {example.line}: {example.code}\n{run.stdout}"
    return run.stdout
