"""What a benchmark says: plain dataclasses, to be written as Markdown, HTML and Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from openfer.evaluate.intervals import Interval
from openfer.evaluate.predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training took. Parts of a training that was interrupted are added up.

    Args:
        seconds: on the clock.
        cpu_seconds: of all cores together; on a busy machine this says more.
        memory: peak of the process, bytes.
        device_memory: peak on the accelerator, bytes; 0 without one.
        parameters: of the network that is trained.
        model_bytes: size of the exported graph.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    device_memory: int = 0
    parameters: int = 0
    model_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One finished training of the grid, judged.

    Args:
        recipe: its name.
        data: name of the data set.
        seed: of the run.
        predictions: its answers.
        cost: None where nobody measured it.
    """

    recipe: str
    data: str
    seed: int
    predictions: Predictions
    cost: Cost | None = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A recipe's accuracy minus the baseline's on the same rows.

    Args:
        accuracy: mean over the seeds, and its interval.
        p: of the sign-flip test over rows (people or clips), right answers of the shared seeds counted together; None
            where no seed is shared.
        p_holm: corrected for the number of recipes that are compared on this data set.
    """

    accuracy: Interval
    p: float | None = None
    p_holm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the table: a recipe on a data set.

    Args:
        seeds: of its finished runs.
        scores: name -> mean over the seeds, and its interval over rows and seeds.
        each: name -> score of each seed.
        difference: to the baseline; None for the baseline itself.
        cost: mean over the runs that know theirs; None where none does.
    """

    recipe: str
    data: str
    seeds: tuple[int, ...]
    scores: Mapping[str, Interval]
    each: Mapping[str, tuple[float, ...]]
    difference: Difference | None = None
    cost: Cost | None = None


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What all lines of a data set share: the rows that every run judges, and how they came about.

    `episodes` says what few-shot episodes the rows are the queries of.
    """

    name: str
    rows: int
    splits: tuple[str, ...]
    resampled: str
    rule: str
    manifest: str
    absent: tuple[str, ...] = ()
    episodes: str = ""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The whole table. `notes` is what a reader of the numbers must know."""

    entries: tuple[Entry, ...]
    data: tuple[DataFacts, ...]
    baseline: str
    draws: int
    command: str = ""
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
