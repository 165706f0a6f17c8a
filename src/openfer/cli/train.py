"""`openfer train`: a recipe becomes a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openfer.cli.common import console, print_json, progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from openfer.learn.checkpoint import Progress
    from openfer.learn.record import Watch


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of one that comes along (openfer recipes).")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as optim.lr=1e-3.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder.")] = Path("run"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from its checkpoint; afresh where there is none.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the log's last row as JSON.")] = False,
) -> None:
    """Train a model. A run that was killed goes on with --resume, to the same weights."""
    from openfer.cli.listing import recipe_path
    from openfer.learn import require_torch
    from openfer.learn.recipe import load_recipe

    # First, as it is quick: a typo is answered before PyTorch is loaded.
    loaded = load_recipe(recipe_path(recipe), overrides or [])
    require_torch()
    from openfer.learn import engine

    with progress("{task.fields[facts]}") as bar:
        done = engine.train(loaded, out, resume=resume, watch=make_watch(bar, quiet=json))
    if json:
        print_json({"out": str(out), **done.log[-1]})
        return
    text = console()
    last = done.log[-1]
    of = str(last["epoch"]) if last["epoch"] == len(done.log) else f"{last['epoch']} of the stage '{last['stage']}'"
    text.print(f"Done: [bold]{out}[/bold] ({last['best_epoch']} is the best epoch of {of}).")
    text.print(f"Next: openfer evaluate {out} MANIFEST --split test --out report   or   openfer export {out} my_model")


def make_watch(bar: Bar, *, quiet: bool) -> Watch:
    """Shows a run: a bar with loss, accuracy and time left, and a line an epoch."""
    from openfer.learn.record import Watch

    class Shown(Watch):
        task: Any = None

        def cut(self, done: int, count: int) -> None:
            self._show("cutting faces", done, count, "")

        def note(self, text: str) -> None:
            bar.console.print(f"note: {text}")

        def step(self, progress: Progress, steps: int, total: int) -> None:
            sums = progress.sums
            count = max(1.0, sums.get("count", 0.0))
            loss = sum(value for name, value in sums.items() if name.startswith("loss_")) / count
            facts = f"loss {loss:.3f}  accuracy {sums.get('right', 0.0) / count:.1%}"
            self._show(f"epoch {progress.epoch + 1}", progress.epoch * steps + progress.step, total, facts)

        def epoch(self, progress: Progress) -> None:
            if not quiet:
                row = progress.log[-1]
                shown = [f"{key} {value:.4f}" for key, value in row.items() if isinstance(value, float) and key != "lr"]
                bar.console.print(f"{row['stage']} epoch {row['epoch']}: {'  '.join(shown)}")

        def _show(self, what: str, done: int, count: int, facts: str) -> None:
            if self.task is None:
                self.task = bar.add_task(what, total=count, facts=facts)
            bar.update(self.task, description=what, completed=done, total=count, facts=facts)

    return Shown()
