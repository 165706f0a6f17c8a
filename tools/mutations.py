"""What `tools/mutate.py` changes: each formula of a file in turn, by a sign, a constant, an axis or a dropped term."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

SWAPPED: dict[type[ast.AST], type[Any]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
RENAMED = {"mean": "sum", "sum": "mean", "max": "min", "min": "max", "argmax": "argmin", "any": "all", "all": "any"}
DROPPED = ("detach", "sqrt", "exp", "log", "abs", "square", "clamp", "softmax", "log_softmax", "relu", "rsqrt", "flip")
"""Calls that are left out, their argument taken as it is."""
SKIPPED = (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Mutation:
    """One change of one place in a file.

    Args:
        file: path from `src/openfer`.
        place: function or class around it.
        line: in the file.
        before, after: the expression as text.
        code: the changed file, compiled.
        again: how many mutants before it read the same.
    """

    file: str
    place: str
    line: int
    before: str
    after: str
    code: CodeType
    again: int

    @property
    def key(self) -> str:
        """What it is called in the list of explained survivors; without the line, which moves."""
        number = f" ({self.again + 1})" if self.again else ""
        return f"{self.file} {self.place}: {self.before} -> {self.after}{number}"


def mutations(source: str, path: str, file: str, only: frozenset[str] = frozenset()) -> Iterator[Mutation]:
    """Every change of a file.

    Args:
        source: its text.
        path: where tracebacks say that it lies.
        file: what it is called in the answers.
        only: top-level functions and classes to change; empty for the whole file.
    """
    tree = ast.parse(source)
    seen = Counter[tuple[str, str, str]]()
    for holder, field, index, place, node in list(_places(tree, only)):
        for changed in _changes(node):
            ast.copy_location(changed, node)
            # A number alone says little: the list shows what it stands in.
            shown = isinstance(node, ast.Constant) and isinstance(holder, ast.expr | ast.keyword | ast.Assign)
            before = ast.unparse(holder if shown else node)
            _put(holder, field, index, changed)
            after = ast.unparse(holder if shown else changed)
            code = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
            _put(holder, field, index, node)
            yield Mutation(file, place, node.lineno, before, after, code, seen[place, before, after])
            seen[place, before, after] += 1


def _put(holder: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(holder, field, node)
    else:
        getattr(holder, field)[index] = node


def _places(tree: ast.Module, only: frozenset[str]) -> Iterator[tuple[ast.AST, str, int | None, str, Any]]:
    """Every expression that counts: its holder, field and index, the function around it, and itself."""

    def walk(node: ast.AST, place: str) -> Iterator[tuple[ast.AST, str, int | None, str, Any]]:
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(child, ast.AST) or isinstance(child, SKIPPED) or _is_text(child):
                    continue
                inside = place
                if isinstance(child, ast.FunctionDef | ast.ClassDef):
                    if only and node is tree and child.name not in only:
                        continue
                    inside = f"{place}.{child.name}" if place else child.name
                elif only and node is tree:
                    continue
                if isinstance(child, ast.expr):
                    yield node, field, index, inside or "module", child
                yield from walk(child, inside)

    return walk(tree, "")


def _is_text(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else node
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _changes(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        swapped = SWAPPED.get(type(node.op))
        if swapped is not None:
            yield ast.BinOp(node.left, swapped(), node.right)
        yield node.left
        if not isinstance(node.op, ast.Pow | ast.Div | ast.FloorDiv | ast.Mod):
            yield node.right
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        yield ast.Compare(node.left, [SWAPPED[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(SWAPPED[type(node.op)](), node.values)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in _numbers(node.value))
    elif isinstance(node, ast.Call):
        yield from _calls(node)


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1] if value == 0 else [value + 1, value - 1]
    return [value * 1.5 + 0.1] if isinstance(value, float) else []


def _calls(node: ast.Call) -> Iterator[ast.expr]:
    if not isinstance(node.func, ast.Attribute):
        return
    name, of = node.func.attr, node.func.value
    if name in RENAMED:
        yield ast.Call(ast.Attribute(of, RENAMED[name], ast.Load()), node.args, node.keywords)
    if name in DROPPED:
        module = isinstance(of, ast.Name) and of.id in ("torch", "F", "np")
        yield node.args[0] if module and node.args else of
