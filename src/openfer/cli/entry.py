"""Where the command `openfer` begins: Ctrl-C is quiet from here on, also while the rest is still being imported."""

from __future__ import annotations

import sys


def run() -> None:
    """The entry point of the command `openfer`."""
    try:
        from openfer.cli.main import run as run_commands

        run_commands()
    except KeyboardInterrupt:
        sys.stderr.write("openfer: interrupted\n")
        sys.exit(130)
