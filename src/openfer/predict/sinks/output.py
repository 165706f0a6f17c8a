"""The file of a run: rows are kept as they come, and put in place whole at the end. A later run can go on with it."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openfer.errors import ConfigError, DataError
from openfer.files import blaming, remove_leftovers, replacing, sha256_of
from openfer.predict.look import name_of
from openfer.predict.sinks import Format, format_of
from openfer.predict.sinks.journal import Journal, Run, open_journal
from openfer.predict.sinks.rows import Row, columns_of, row_of
from openfer.predict.sources import Source
from openfer.records import UNREADABLE, UNSUPPORTED, Prediction


class Output:
    """A file of predictions that is being written; `open_output` makes it.

    Args:
        file: the file.
        names: label names.
        form: its format.
        journal: of this run.
        landmarks: whether rows have the columns of the 68 points.
        similarity: whether rows have the column `similarity`.
        units: action units that have columns.
    """

    def __init__(
        self,
        file: Path,
        names: tuple[str, ...],
        *,
        form: Format,
        journal: Journal,
        landmarks: bool = False,
        similarity: bool = False,
        units: tuple[int, ...] = (),
    ) -> None:
        self._file, self._names, self._form, self._journal = file, names, form, journal
        self._extra: dict[str, Any] = {"landmarks": landmarks, "similarity": similarity, "units": units}
        self._done: Counter[str] = Counter()
        self._failed: set[str] = set()
        self.skipped = 0
        """Pictures that were passed over, since their rows are there."""
        self.skipped_failures = 0
        """Those of them that could not be read."""

    def pictures(self) -> Iterator[str]:
        """The names of the pictures whose rows are there, in the order of the rows."""
        return (str(row["path"]) for row in self._rows() if not row["face"])

    def left(self, pictures: Iterable[Source]) -> Iterator[Source]:
        """The pictures whose rows are not there; one that is named twice has to be there twice."""
        for picture in pictures:
            name = name_of(picture)
            if self._done[name] > 0:
                self._done[name] -= 1
                self.skipped += 1
                self.skipped_failures += name in self._failed
            else:
                yield picture

    def write(self, predictions: Sequence[Prediction]) -> None:
        """Keep the rows of one picture."""
        self._journal.add([row_of(prediction, self._names, **self._extra) for prediction in predictions])

    def _rows(self) -> Iterator[Row]:
        if self._keeps:
            yield from self._form.read(self._file, self.columns)
        yield from self._journal.rows()

    @property
    def columns(self) -> tuple[str, ...]:
        """Of its rows, in order."""
        return columns_of(self._names, **self._extra)

    @property
    def _keeps(self) -> bool:
        return self._journal.run is not None and self._journal.run.keeps

    def recall(self) -> None:
        """Learn which pictures are there."""
        for row in self._rows():
            name = str(row["path"])
            self._done[name] += not row["face"]
            if str(row["status"]).startswith((UNREADABLE, UNSUPPORTED)):
                self._failed.add(name)

    def finish(self) -> None:
        """Put the file in place, with all rows, and take the journal away."""
        if self._journal.pictures or not self._keeps:
            with replacing(self._file) as beside:
                with self._form.write(beside, self.columns) as write:
                    for row in self._rows():
                        write(row)
                self._journal.ready(sha256_of(beside))
        self._journal.remove()

    def kept(self) -> str:
        """What an interruption leaves, for people."""
        photos = self._journal.pictures
        return f"{photos:,} photo{'s are' if photos > 1 else ' is'} kept, --append goes on from there"


@contextmanager
def open_output(
    path: Path,
    names: Sequence[str],
    *,
    settings: Mapping[str, Any],
    append: bool = False,
    landmarks: bool = False,
    similarity: bool = False,
    units: tuple[int, ...] = (),
) -> Iterator[Output]:
    """A file of predictions, its format by its ending; there when the block ends well, else as it was before.

    However the block or the process ends, the rows that were written to it are kept in a journal beside the file.

    Args:
        path: the file; missing folders are made.
        names: the label names that are chosen among.
        settings: name -> value of all that changes answers; plain JSON values.
        append: go on with what an interrupted run kept, if there is any, else with what the file holds. Otherwise both
            are replaced.
        landmarks: with the columns of the 68 points.
        similarity: with the column `similarity`.
        units: action units that have columns.

    Raises:
        ConfigError: an unknown ending; no file; another run writes it; what there is to go on with has other columns
            or was made with other settings.
        DataError: the file cannot be written, or what is to be continued cannot be read.
    """
    form = format_of(path)
    file = Path(os.path.realpath(path)) if path.is_symlink() else path  # a link stays one
    with open_journal(file) as journal:
        output = Output(
            file,
            tuple(names),
            form=form,
            journal=journal,
            landmarks=landmarks,
            similarity=similarity,
            units=units,
        )
        try:
            _begin(file, journal, output.columns, settings, append=append)
            if append:
                output.recall()
            yield output
            output.finish()
        except BaseException as error:
            if not journal.pictures:
                journal.remove()
            elif isinstance(error, KeyboardInterrupt | DataError):
                raise type(error)(f"{str(error) or 'interrupted'}; {output.kept()}") from error
            raise


def _begin(file: Path, journal: Journal, columns: Sequence[str], settings: Mapping[str, Any], *, append: bool) -> None:
    """Make the journal that of this run, with what an interrupted one left in it where this run goes on with that."""
    remove_leftovers(file.parent, glob.escape(file.name))
    with blaming(file, "read"):
        before = sha256_of(file) if file.exists() else None
    run = Run(columns=list(columns), settings=dict(settings), keeps=append and before is not None, before=before)
    if append:
        journal.recover()
    if not append or not _goes_on(file, journal, run):
        journal.begin(run)


def _goes_on(file: Path, journal: Journal, run: Run) -> bool:
    """Whether an earlier run left something to go on with; raises `ConfigError` where it does not fit this run."""
    left = journal.run
    # A kill between putting the file in place and removing the journal: the file has it all.
    if left is None or not journal.pictures or (journal.written is not None and journal.written == run.before):
        return False
    names = left.settings.keys() | run.settings.keys()
    other = sorted(name for name in names if left.settings.get(name) != run.settings.get(name))
    if other or left.columns != run.columns:
        raise ConfigError(
            f"{file}: an interrupted run kept rows that were made with another {', '.join(other) or 'version'}; "
            f"repeat its options, or delete {journal.path} to drop those rows"
        )
    if left.before != run.before and (left.keeps or run.before is not None):
        raise ConfigError(
            f"{file}: was changed after a run on it was interrupted; "
            f"put it back as it was, or delete {journal.path}, which holds that run's rows"
        )
    return True
