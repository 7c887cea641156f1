"""No function takes more than seven parameters: what belongs together is handed on together."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import siamesekit

ROOT = Path(siamesekit.__file__).parent
MOST = 7
PUBLIC = (
    "components/encoders/head.py:__init__",
    "experiment/running.py:run",
    "experiment/running.py:check",
    "gallery/catalogue.py:enrol",
    "gallery/catalogue.py:search",
    "gallery/catalogue.py:match",
    "gallery/catalogue.py:report",
)
"""Functions that a user calls with keywords, one for each choice."""


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    return " ".join(map(ast.unparse, node.decorator_list))


def factories(tree: ast.Module) -> set[ast.stmt]:
    """The `__init__` of each class that a registry knows."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and ".register(" in decorators(node)]
    return {part for each in classes for part in each.body if getattr(part, "name", "") == "__init__"}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions but factories of components and commands, which have a parameter for each option."""
    options = factories(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node in options:
            continue
        if not any(word in decorators(node) for word in (".register(", "app.command(", "commands.command(")):
            yield node


@pytest.mark.medium
def test_no_function_takes_more_than_seven_parameters() -> None:
    crowded, seen = [], 0
    for file in ROOT.rglob("*.py"):
        place = file.relative_to(ROOT).as_posix()
        for function in functions(ast.parse(file.read_text(encoding="utf-8"))):
            seen += 1
            arguments = function.args
            given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls", "ctx") for argument in given)
            if count > MOST and f"{place}:{function.name}" not in PUBLIC:
                crowded.append(f"{place}:{function.lineno} {function.name} takes {count}")
    assert seen > 1000
    assert crowded == []
