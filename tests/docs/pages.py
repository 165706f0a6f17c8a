"""The examples of a page of the documentation: its fenced blocks, in order, and what they are expected to print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: [^\n]+ -->\s*\Z")
"""Stands right before a block that cannot be run in a test, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A block of commands or Python.

    Args:
        line: where it stands in its page, from 1 on.
        language: `bash` or `python`.
        code: its text.
        output: the `text` block right after it; None where nothing is promised.
    """

    line: int
    language: str
    code: str
    output: str | None


def examples(page: Path) -> list[Example]:
    """The blocks of a page that are run."""
    text = page.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    found = []
    for place, fence in enumerate(fences):
        language, code = fence.groups()
        if language not in ("bash", "python") or NOT_RUN.search(text[: fence.start()]):
            continue
        output, following = None, fences[place + 1] if place + 1 < len(fences) else None
        if following and following.group(1) == "text":
            # What stands between a command and its output is at most a line such as "prints:".
            between = text[fence.end() : following.start()].strip()
            output = following.group(2) if len(between) < 60 and "\n" not in between else None
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Example(line=line, language=language, code=code, output=output))
    return found


def pages() -> list[Path]:
    """Every page that is written by hand."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
