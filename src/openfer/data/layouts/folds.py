"""Folds with whole subjects, for data sets without an official split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from openfer.data.layouts.common import Row, ScanOptions, head
from openfer.errors import ConfigError, DataError
from openfer.files import natural_key


@dataclass(frozen=True, slots=True)
class Fold:
    """Part `number` (from 1) of `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_fold(text: str) -> Fold:
    """`3/10` as a fold. Raises `ConfigError` for anything else."""
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text.strip())
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count or count < 2:
        raise ConfigError(f"--fold {text}: expected K/N with 1 <= K <= N and N >= 2, such as 3/10")
    return Fold(number, count)


def split_by_subject(
    rows: list[Row], options: ScanOptions, notes: list[str], published: Sequence[Sequence[str]] = ()
) -> str:
    """Give every row its split: without `--fold` all are train, with it the subjects of one part are test.

    The sorted subjects are dealt to the parts in turn: neither the order on disk nor chance decides. Where the
    literature has as many parts of its own, those are taken.

    Args:
        rows: changed in place.
        options: `fold` is read.
        notes: what was done is added.
        published: the subjects of each published part, in the order of the folds that test them.

    Returns:
        What to add to the label rule.

    Raises:
        ConfigError: more parts than subjects.
        DataError: a row has no subject, or one that no published part has.
    """
    if options.fold is None:
        for row in rows:
            row["split"] = "train"
        notes.append(
            "no official split: every row is train; --fold K/N makes the K-th of N parts, with whole subjects, the test"
        )
        return ""
    fold = parse_fold(options.fold)
    nameless = next((row for row in rows if row.get("subject") is None), None)
    if nameless is not None:
        raise DataError(f"{nameless['source']}: its subject is not known, so there are no folds by subject")
    subjects = sorted({row["subject"] for row in rows}, key=natural_key)
    if len(published) == fold.count:
        unknown = [subject for subject in subjects if not any(subject in part for part in published)]
        if unknown:
            raise DataError(
                f"--fold {fold}: no published part has the subject {head(unknown)}; choose another number of parts"
            )
        tested, how = set(published[fold.number - 1]) & set(subjects), "the parts of the literature"
    else:
        if fold.count > len(subjects):
            raise ConfigError(f"--fold {fold}: there are only {len(subjects)} subjects")
        tested, how = set(subjects[fold.number - 1 :: fold.count]), "sorted subjects dealt to the parts in turn"
    for row in rows:
        row["split"] = "test" if row["subject"] in tested else "train"
    notes.append(f"fold {fold} ({how}): test has {', '.join(sorted(tested, key=natural_key)) or 'no subject'}")
    return f"; fold {fold} by subject, {how}"
