"""What a comparison calls its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openfer.errors import ConfigError, did_you_mean
from openfer.evaluate.predictions import Predictions


def model_names(paths: Sequence[Path], files: Sequence[Predictions]) -> tuple[str, ...]:
    """A name for each file that no other has: its model's; the path's part that tells files apart where the model's
    name is unknown, and added to it where several files have the same."""
    models = [printable(file.context.model) for file in files]
    tails = _tails(paths)
    return tuple(
        tail if not model else model if models.count(model) == 1 and model not in tails else f"{model} ({tail})"
        for model, tail in zip(models, tails, strict=True)
    )


def find_baseline(word: str, names: Sequence[str], paths: Sequence[Path], files: Sequence[Predictions]) -> str:
    """The name that a user's word means: a name of the comparison, a file, or a model that only one file has.

    Raises:
        ConfigError: none of the files is meant, or several are.
    """
    if word in names:
        return word
    given = [str(path) for path in paths]
    stems = [path.stem for path in paths]
    models = [file.context.model for file in files]
    for words in (given, stems, models):
        if words.count(word) == 1:
            return names[words.index(word)]
    raise ConfigError(f"--baseline '{word}': not one of the models; {did_you_mean(word, names)}")


def printable(text: str) -> str:
    """A path that is not UTF-8 with question marks in place of the bytes that no encoding can show."""
    return text.encode(errors="replace").decode()


def _tails(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart, without what all of them end with; repeated ones numbered."""
    plain = [Path(printable(str(path.absolute()))) for path in paths]
    parts = [(*path.parts[:-1], path.name.removesuffix(".parquet")) for path in plain]
    different = set(parts)
    end = 0
    while len(different) > 1 and len({part[-1 - end] for part in different}) == 1:
        end += 1
    start = end + 1
    while len({part[-start : len(part) - end] for part in different}) < len(different):
        start += 1
    tails = ["/".join(part[-start : len(part) - end]).replace("//", "/") for part in parts]
    return [
        tail if tails.count(tail) == 1 else f"{tail} #{tails[: place + 1].count(tail)}"
        for place, tail in enumerate(tails)
    ]
