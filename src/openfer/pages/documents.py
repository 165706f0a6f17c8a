"""What reports share as files: JSON for programs, pictures, and a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openfer.errors import DataError, reason
from openfer.files import replacing

if TYPE_CHECKING:
    from jinja2 import Environment


Content = bytes | str | dict[str, Any]


def write_documents(folder: Path, contents: Mapping[str, Content]) -> None:
    """Write files into a folder, each whole or not at all.

    Args:
        folder: made where it is missing.
        contents: name -> bytes as they are, text (a page), or values that become JSON.

    Raises:
        DataError: the folder cannot be written to.
    """
    encoded = {name: _encoded(content) for name, content in contents.items()}
    for name, content in encoded.items():
        with replacing(folder / name) as beside:
            beside.write_bytes(content)


def _encoded(content: Content) -> bytes:
    # A command may hold a path that is not UTF-8: JSON has an escape for its bytes, in HTML it becomes a question mark.
    match content:
        case bytes():
            return content
        case str():
            return content.encode(errors="replace")
        case _:
            text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            return text.encode(errors="backslashreplace")


def read_values(path: Path, *, version: int, what: str, command: str) -> dict[str, Any]:
    """The values of a JSON file that one of our commands wrote.

    Args:
        path: of the file.
        version: the format that this program reads.
        what: the file's name for people, such as `report`.
        command: what writes it, such as `evaluate`.

    Raises:
        DataError: missing, not JSON, or of another version.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = values["format"]
    except OSError as error:
        raise DataError(f"{path}: no {what} ({error.strerror}); `openfer {command}` writes one") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a {what} of `openfer {command}` ({reason(error)}); {command} again") from error
    if found != version:
        raise DataError(f"{path}: {what} version {found}, this program reads {version}; {command} again")
    return values


def environment(package: str) -> Environment:
    """Where a package's templates are filled: what comes from data is escaped, what is missing is an error.

    Args:
        package: whose folder holds the templates; `base.css`, the look of every page, is there for all of them.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("openfer.pages", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
