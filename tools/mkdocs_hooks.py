"""Called by MkDocs: the page of commands is written from the program's own help."""

from __future__ import annotations

from typing import Any

PLACE = "{{ commands }}"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the help of every command where a page asks for it."""
    return markdown.replace(PLACE, _commands()) if PLACE in markdown else markdown


def _commands() -> str:
    import typer
    from typer.cli import get_docs_for_click

    from openfer.cli.main import app

    command = typer.main.get_command(app)
    # Older versions of Typer use Click's own classes, later ones carry theirs.
    context: Any = command.make_context("openfer", [], resilient_parsing=True)
    # The page has a title of its own: the program's name and general help are left out.
    text = get_docs_for_click(obj=command, ctx=context, name="openfer")
    return text[text.index("## `openfer demo`") :]
