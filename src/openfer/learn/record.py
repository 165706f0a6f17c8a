"""What a run leaves on disk for people: the resolved recipe, versions and hashes, a row an epoch, curves."""

from __future__ import annotations

import csv
import io
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from openfer import __version__
from openfer.errors import ConfigError, DataError, ModelError, reason
from openfer.files import write_text
from openfer.learn.checkpoint import BEST, CHECKPOINT, HOLDOUT, LAST, RECIPE, Progress
from openfer.learn.pictures import TrainingData
from openfer.learn.recipe import Recipe

RUN = "run.json"
LOG = "log.csv"
PACKAGES = ("torch", "torchvision", "timm", "accelerate", "numpy", "onnxruntime")


class Watch:
    """Is told how a run goes; this one keeps silent. The command line's draws a progress bar."""

    def cut(self, done: int, count: int) -> None:
        """So many of so many pictures are cut."""

    def note(self, text: str) -> None:
        """Something that one should know before the training begins."""

    def step(self, progress: Progress, steps: int, total: int) -> None:
        """Steps were taken: `progress.step` of `steps` in this epoch; `total` in this stage."""

    def epoch(self, progress: Progress) -> None:
        """An epoch ended; its row is the last of `progress.log`."""


def check_folder(out: Path, resume: bool) -> None:
    """Refuse a folder that holds a run already.

    Raises:
        ConfigError: it holds a run and `resume` is not set, or it is not a folder.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; choose another --out")
    holds = [name for name in (CHECKPOINT, BEST, RECIPE) if (out / name).exists()]
    if holds and not resume:
        raise ConfigError(f"{out}: holds a run already ({holds[0]}); add --resume to go on, or choose another --out")


def remove_leftovers(out: Path) -> None:
    """Remove what a killed run was writing."""
    for part in out.glob(".*.part"):
        part.unlink(missing_ok=True)


def begin_folder(out: Path, recipe: Recipe, data: TrainingData) -> None:
    """Make the run's folder, with `recipe.yaml` and `run.json`: what was trained on what, with which versions.

    Raises:
        ConfigError: the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be made ({error.strerror}); choose another --out") from error
    for name in (BEST, LAST, LOG, HOLDOUT):
        (out / name).unlink(missing_ok=True)
    write_text(out / RECIPE, recipe.to_yaml())
    facts = {
        "openfer": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in PACKAGES},
        "command": sys.argv,
        "labels": list(data.labels.names),
        "label_set": data.labels.name,
        "data": data.facts,
        "seed": recipe.run.seed,
    }
    write_text(out / RUN, json.dumps(facts, indent=2) + "\n")


def check_same_data(out: Path, data: TrainingData) -> None:
    """Refuse to go on with other data than the run began with.

    Raises:
        DataError: the manifest, its labels or the rows used have changed since.
    """
    before = read_facts(out)["data"]
    changed = [name for name in before if before[name] != data.facts.get(name)]
    if changed:
        raise DataError(
            f"{out / RUN}: the data are not those the run began with ({changed[0]} differs); choose another --out"
        )


def read_facts(run: Path) -> dict[str, Any]:
    """What `run.json` says. Raises `ModelError` where it cannot be read."""
    path = run / RUN
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({reason(error)}); train into another --out") from error
    missing = {"labels", "label_set", "data"} - set(facts)
    if missing:
        raise ModelError(f"{path}: '{min(missing)}' is missing; train into another --out")
    return facts


def write_log(out: Path, rows: list[dict[str, Any]], tensorboard: bool) -> None:
    """Write `log.csv` whole, and the newest row to TensorBoard."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / LOG, text.getvalue())
    if tensorboard:
        board = _board(out)
        for name, value in rows[-1].items():
            if isinstance(value, float):
                board.add_scalar(name.replace("_", "/", 1), value, len(rows))
        board.flush()


_BOARDS: dict[Path, Any] = {}


def _board(out: Path) -> Any:
    if out not in _BOARDS:
        from torch.utils.tensorboard import SummaryWriter

        _BOARDS[out] = SummaryWriter(str(out / "tensorboard"))
    return _BOARDS[out]


def close_log(out: Path) -> None:
    """Close the run's TensorBoard file."""
    if out in _BOARDS:
        _BOARDS.pop(out).close()


def _commit() -> str | None:
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
