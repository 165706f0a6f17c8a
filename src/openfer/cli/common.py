"""What several commands share: consoles, progress bars, JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def console(*, to_error: bool = False) -> Console:
    """Where people read: a rich console on standard output (or error), plain where that is not a terminal."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            # Called while the error is handled. rich would end the program here, which is for the program to do.
            raise

    return Plain(stderr=to_error, highlight=False, soft_wrap=True)


def progress(*columns: str) -> Progress:
    """A progress bar on standard error with time left; silent where that is not a terminal.

    Args:
        columns: further text columns, as rich templates such as `{task.fields[loss]}`.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(column) for column in columns),
        TimeRemainingColumn(),
        console=console(to_error=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


@contextmanager
def counting_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as the callback that the data room calls; it shows when the first row is done."""
    with progress() as bar:
        task = bar.add_task(description, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def expect_parquet(out: Path) -> None:
    """Refuse a name that is not that of a Parquet file to write, by `ConfigError`."""
    from openfer.errors import ConfigError

    if out.suffix.lower() != ".parquet" or out.is_dir():
        raise ConfigError(f"{out}: expected the name of a .parquet file to write")


def print_json(value: Any) -> None:
    """A JSON document on standard output, nothing else beside it."""
    # JSON is UTF-8; where the stream writes anything else, escapes keep it valid.
    escape = sys.stdout.encoding.lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=escape) + "\n")


def command_line() -> str:
    """The command as the user wrote it, for the records that results keep."""
    import shlex

    return shlex.join(["openfer", *sys.argv[1:]])
