"""Changes each formula of a method in turn and runs its tests: what survives is not tested, or does not matter.

python tools/mutate.py arm

The files are those of the method's folder and what they import from `learn/heads`, `learn/losses`, `learn/fewshot` and
`learn/samplers.py`; the tests are `tests/golden/test_METHOD*`, `tests/learn/methods/test_METHOD*` and those of the
imported parts. Tests are collected once. Each mutant is a fork in which the changed code takes the place of the old in
the functions that are loaded already; it runs the quickest tests first and stops at the first that fails.
`tools/survivors/METHOD.yaml` says why a survivor may live. Exit status 1: a survivor without a reason, or the reverse.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from mutations import Mutation, mutations

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "openfer"
PARTS = ("openfer.learn.heads.", "openfer.learn.losses.", "openfer.learn.fewshot.", "openfer.learn.samplers")
SHARED = {"Sampler", "ShuffledBatches"}
"""Samplers that are no method's own."""
LONGEST = 300
"""Processor seconds after which a mutant counts as found: it does not end."""


def sources(method: str) -> dict[str, frozenset[str]]:
    """Modules to change, each with the names that count; none means all of it."""
    names = sorted((SOURCE / "learn" / "methods" / method).glob("*.py"))
    if not names:
        sys.exit(f"mutate: no method '{method}' in src/openfer/learn/methods")
    found: dict[str, frozenset[str]] = {}
    waiting = [".".join(("openfer", *path.relative_to(SOURCE).with_suffix("").parts)) for path in names]
    while waiting:
        module = waiting.pop()
        found.setdefault(module, frozenset())
        for node in ast.walk(ast.parse(path_of(module).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(PARTS):
                continue
            assert node.module is not None
            if node.module == "openfer.learn.samplers":
                used = {name.name for name in node.names} - SHARED
                if used:
                    found[node.module] = found.get(node.module, frozenset()) | used
            elif node.module not in found:
                waiting.append(node.module)
    return found


def path_of(module: str) -> Path:
    """A module's file."""
    base = SOURCE.parent.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def tests(method: str, modules: dict[str, frozenset[str]]) -> list[str]:
    """Test files of a method and of the parts that it uses."""
    folders = (ROOT / "tests" / "golden", ROOT / "tests" / "learn" / "methods")
    found = [path for folder in folders for path in sorted(folder.glob(f"test_{method}*.py"))]
    for module in modules:
        folder, name = module.split(".")[-2:]
        for pattern in (f"**/test_*{name}*.py", f"**/test_{folder}_*.py"):
            found += sorted((ROOT / "tests" / "learn").glob(pattern)) if module.startswith(PARTS) else []
    return [str(path.relative_to(ROOT)) for path in dict.fromkeys(found)]


def transplant(module: Any, code: CodeType) -> None:
    """Let the functions and constants of a loaded module do what its changed code says, wherever they are known."""
    from openfer.learn.method import METHODS

    known = dict(METHODS)
    METHODS.clear()  # a class of the same name registers itself anew
    changed = {"__name__": module.__name__, "__file__": module.__file__, "__package__": module.__package__}
    with warnings.catch_warnings():
        # timm warns of a backbone that registers itself anew; no mutant is found by that.
        warnings.simplefilter("ignore")
        exec(code, changed)
    METHODS.clear()
    METHODS.update(known)
    for name, value in changed.items():
        if not name.startswith("__"):
            _replace(vars(module), name, value, module.__name__)


def _replace(holder: Any, name: str, new: Any, module: str) -> None:
    old = holder.get(name) if isinstance(holder, dict) else vars(holder).get(name)
    pairs = [(_function(one), _function(other)) for one, other in zip(_parts(old), _parts(new), strict=False)]
    if all(one is not None and other is not None for one, other in pairs) and pairs:
        for one, other in pairs:
            one.__code__, one.__defaults__, one.__kwdefaults__ = (
                other.__code__,
                other.__defaults__,
                other.__kwdefaults__,
            )
    elif inspect.isclass(old) and inspect.isclass(new):
        if old.__module__ == module:
            for part, value in list(vars(new).items()):
                if not part.startswith("__") or part in ("__dataclass_fields__", "__init__"):
                    _replace(old, part, value, module)
    elif isinstance(holder, dict):
        holder[name] = new
    else:
        setattr(holder, name, new)


def _parts(value: Any) -> Sequence[Any]:
    return [part for part in (value.fget, value.fset) if part] if isinstance(value, property) else [value]


def _function(value: Any) -> Any:
    """The function inside a method or a decorator; None for anything else."""
    value = getattr(value, "__func__", value)
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value if isinstance(value, FunctionType) else None


def forked(work: Callable[[], int]) -> int:
    """The exit status of some work done in a fork; not 0 where it does not end."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 98
        try:
            # Processor seconds: on a busy machine the clock says nothing.
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + LONGEST,) * 2)
            quiet = os.open(os.devnull, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(quiet, stream)
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def seconds_of(items: Sequence[pytest.Item], stop: bool = True) -> tuple[list[float], bool]:
    """Run collected tests in this order: how long each took, and whether all pass."""
    from _pytest.runner import runtestprotocol

    times, passing = [], True
    for place, item in enumerate(items):
        begun = time.process_time()
        following = items[place + 1] if place + 1 < len(items) else None
        passing &= not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))
        times.append(time.process_time() - begun)
        if stop and not passing:
            break
    return times, passing


@dataclass
class Trial:
    """A pytest plugin that runs the collected tests against every mutant instead of once.

    Args:
        mutants: module name and mutant.
        slowest: tests that take as many seconds are left out.
        survivors: filled while it runs.
    """

    mutants: list[tuple[str, Mutation]]
    slowest: float
    survivors: list[Mutation] = field(default_factory=list)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Called by pytest once everything is collected."""
        items = self._by_speed(session.items)
        begun = time.monotonic()
        for number, (module, mutant) in enumerate(self.mutants, start=1):
            if not forked(lambda module=module, mutant=mutant: self._judge(module, mutant, items)):  # type: ignore[misc]
                self.survivors.append(mutant)
            if number % 50 == 0:
                print(f"{number} of {len(self.mutants)}: {len(self.survivors)} survive", flush=True)
        taken = time.monotonic() - begun
        found = len(self.mutants) - len(self.survivors)
        print(f"{len(items)} tests; {found} mutants found, {len(self.survivors)} survive, {taken:.0f} s")
        return True

    def _by_speed(self, items: list[pytest.Item]) -> list[pytest.Item]:
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "seconds.json"

            def run() -> int:
                times, passing = seconds_of(items)
                record.write_text(json.dumps(times if passing else items[len(times) - 1].nodeid))
                return 0

            forked(run)
            times = json.loads(record.read_text())
        if isinstance(times, str):
            pytest.exit(f"mutate: {times} fails as it is", returncode=2)
        ordered = sorted(zip(times, items, strict=True), key=lambda pair: pair[0])
        return [item for seconds, item in ordered if seconds < self.slowest]

    def _judge(self, module: str, mutant: Mutation, items: list[pytest.Item]) -> int:
        try:
            transplant(sys.modules[module], mutant.code)
        except Exception:  # cannot even be loaded
            return 1
        return int(not seconds_of(items)[1])


def main() -> None:
    """Read the arguments, change, test, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", help="a folder of src/openfer/learn/methods")
    parser.add_argument("--only", default="", help="only mutants whose name holds this text")
    parser.add_argument("--slowest", type=float, default=60.0, help="leave out tests that take as many CPU seconds")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    options = parser.parse_args()
    modules = sources(options.method)
    mutants = [
        (module, mutant)
        for module, names in modules.items()
        for mutant in mutations(path_of(module).read_text(), str(path_of(module)), _short(module), names)
        if options.only in mutant.key
    ]
    if options.list:
        print("\n".join(mutant.key for _, mutant in mutants))
        return
    print(f"{len(mutants)} mutants of {', '.join(map(_short, modules))}", flush=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.chdir(ROOT)
    trial = Trial(mutants, options.slowest)
    arguments = ["-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-s", *tests(options.method, modules)]
    status = pytest.main(arguments, plugins=[trial])
    if status != pytest.ExitCode.OK:
        sys.exit(int(status))
    sys.exit(tell(options.method, trial.survivors, whole=not options.only))


def tell(method: str, survivors: list[Mutation], *, whole: bool) -> int:
    """Print survivors and reasons; 1 where one stands without the other."""
    import yaml

    folder = Path(__file__).parent / "survivors"
    reasons: dict[str, dict[str, str]] = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) or {} for path in sorted(folder.glob("*.yaml"))
    }
    # A part that several methods share is explained once.
    known = {key for some in reasons.values() for key in some}
    unexplained = [mutant for mutant in survivors if mutant.key not in known]
    for mutant in unexplained:
        print(f"survives: {mutant.key}   (line {mutant.line})")
    stale = sorted(set(reasons.get(method, {})) - {mutant.key for mutant in survivors}) if whole else []
    for key in stale:
        print(f"reason without a survivor: {key}")
    return int(bool(unexplained or stale))


def _short(module: str) -> str:
    return path_of(module).relative_to(SOURCE).as_posix()


if __name__ == "__main__":
    main()
