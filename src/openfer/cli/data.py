"""`openfer data`."""

from __future__ import annotations

import typer

app = typer.Typer(help="Data sets.", no_args_is_help=True)
