"""What can go wrong because of the input, as opposed to a bug in the program.

Every message is one line: what was wrong, the value, and the way out. The command line prints it and ends with
status 2; a trace means a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OpenFERError(Exception):
    """Base of every error that a user can mend."""


class ConfigError(OpenFERError):
    """A recipe, an option or an argument is not what was expected."""


class DataError(OpenFERError):
    """A data set, a manifest or a picture is not what was expected."""


class UnsupportedError(DataError):
    """A kind of file that is known, but not read: a video, or a format whose plug-in is not installed."""


class ModelError(OpenFERError):
    """A bundle, a run or a set of weights does not hold what it promises."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for an unknown word: ``did you mean 'x'?``, or the list of what is known.

    Args:
        word: what the user wrote.
        known: the words that are allowed.
    """
    names = sorted(known)
    near = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    if near:
        return f"did you mean '{next(name for name in names if name.lower() == near[0])}'?"
    return f"known: {', '.join(names)}" if names else "nothing is known here"


def reason(error: Exception) -> str:
    """The first line of another library's error, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
