"""How commands end other than well: interrupted, nobody reads on, no room. One line and an exit status, no trace."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from openfer.errors import DataError, reason

INTERRUPTED, REFUSED = 130, 2


class InterruptionError(Exception):
    """The user, or the system, asked the command to end; the message says what is left of it."""


class Commands(TyperGroup):
    """Commands whose interruptions and closed pipes get our own ends; typer has others for them."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the user named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise InterruptionError(str(stop)) from stop
        except BrokenPipeError:
            let_go(sys.stdout, sys.stderr)
            raise typer.Exit(0) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise DataError(f"{where}{error.strerror or reason(error)}") from error


def say(line: str) -> None:
    """One line on standard error, if anybody reads it; names in it can neither break it nor steer the terminal."""
    from openfer.predict.sinks.table import printable

    with suppress(OSError):
        typer.echo(f"openfer: {printable(line)}", err=True)


def let_go(*streams: TextIO) -> None:
    """Nobody reads these streams any more: what is still written to them goes nowhere."""
    for stream in streams:
        with suppress(OSError):  # a stand-in that is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def close_output(status: int) -> int:
    """Write out what waits for standard output.

    Args:
        status: the exit status so far.

    Returns:
        The exit status.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        let_go(sys.stdout)
    except OSError as error:
        let_go(sys.stdout)
        if status < REFUSED:
            say(f"standard output: cannot be written ({error.strerror})")
            return REFUSED
    return status


def prepare_streams() -> None:
    """Make sure that there are standard streams, and that they take any character.

    For one that the caller closed (`>&-`) Python has None, and the next file that is opened would take its number.
    Writing to the closed output stays an error; what is said on the closed error stream is lost.
    """
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside the block a request to end (SIGTERM) is answered as Ctrl-C is."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt("asked to end")

    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
