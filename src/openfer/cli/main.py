"""`openfer`: every command, and the one place where errors become a line and an exit status.

Exit status: 0 what was asked was done; 1 done, but some inputs failed (their rows say why); 2 wrong use or refused
input; 130 interrupted.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from openfer import __version__
from openfer.cli import (
    benchmark,
    compare,
    data,
    demo,
    evaluate,
    export,
    importing,
    listing,
    predict,
    support,
    synth,
    train,
)
from openfer.cli.ends import INTERRUPTED, REFUSED, Commands, InterruptionError, close_output, prepare_streams, say
from openfer.errors import OpenFERError

app = typer.Typer(
    name="openfer",
    cls=Commands,
    help="Facial expressions: read them in photos, train models of them, and judge those honestly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("predict")(predict.predict)
app.add_typer(support.app, name="support")
app.add_typer(data.app, name="data")
app.command("synth")(synth.synth)
app.command("train")(train.train)
app.command("import")(importing.import_)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("benchmark")(benchmark.benchmark)
app.command("export")(export.export)
app.command("methods")(listing.methods)
app.command("recipes")(listing.recipes)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"openfer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Read by `run` and by the callbacks."""


def run() -> None:
    """The entry point of the command `openfer`."""
    prepare_streams()
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    status, line = 0, ""
    try:
        app(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        line = "interrupted" if status == INTERRUPTED else ""
    except OpenFERError as error:
        if "--debug" in sys.argv:
            raise
        status, line = REFUSED, str(error)
    except (KeyboardInterrupt, InterruptionError) as stop:
        status, line = INTERRUPTED, str(stop) or "interrupted"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done; a second Ctrl-C has nothing to stop
    if line:
        say(line)
    sys.exit(close_output(status))
