"""Signatures of another package's classes, read from its sources along the chain of base classes.

A constructor that passes `**kwargs` to its base also takes the base's parameters, except those that it sets itself.
Nothing is imported or run, so that a config is checked before torch is loaded.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from siamesekit.errors import ComponentError
from siamesekit.registry.adapted.prose import plain
from siamesekit.registry.component import Member
from siamesekit.registry.signatures import REQUIRED, Marker, Parameter, type_in_words

COMPUTED: Any = Marker("computed")
"""Default of a parameter whose default is not a literal."""


@dataclass(frozen=True)
class ClassParameter:
    """A constructor's parameter: name, default, and annotation as spelt in the source."""

    name: str
    default: Any
    annotation: str


@cache
def package_folder(package: str) -> Path:
    """The folder of a package's sources.

    Raises:
        ComponentError: The package is not installed.
    """
    top, *inner = package.split(".")
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise ComponentError(f"the package {top} is not installed: pip install {top.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0]).joinpath(*inner)


@cache
def classes_of(*packages: str) -> Mapping[str, ast.ClassDef]:
    """The top-level classes of some packages by name, without sub-packages; the first of several same names wins."""
    found: dict[str, ast.ClassDef] = {}
    for package in packages:
        for file in sorted(package_folder(package).glob("*.py")):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, node)
    return found


def lineage(name: str, classes: Mapping[str, ast.ClassDef]) -> list[str]:
    """Method resolution order of a class, without bases that are not in `classes`."""
    bases = [base for base in map(_last_name, classes[name].bases) if base in classes]
    rows = [*(lineage(base, classes) for base in bases), bases]
    order = [name]
    while rows := [row for row in rows if row]:
        head = next(row[0] for row in rows if not any(row[0] in other[1:] for other in rows))
        order.append(head)
        rows = [row[1:] if row[0] == head else row for row in rows]
    return order


def parameters_of(name: str, classes: Mapping[str, ast.ClassDef]) -> list[ClassParameter]:
    """The parameters of a class's constructor, including those that it passes on to its bases."""
    found: dict[str, ClassParameter] = {}
    settled: set[str] = set()
    for ancestor in lineage(name, classes):
        constructor = _constructor(classes[ancestor])
        if constructor is None:
            continue
        for parameter in _own_parameters(constructor):
            if parameter.name not in settled:
                found.setdefault(parameter.name, parameter)
        settled |= _passed(constructor)
        if constructor.args.kwarg is None:
            break
    # parameters without a default first, as in a signature
    return sorted(found.values(), key=lambda parameter: parameter.default is not REQUIRED)


def doc_of(name: str, classes: Mapping[str, ast.ClassDef]) -> str:
    """A class's docstring, or its constructor's, as plain text; empty if there is none."""
    node = classes[name]
    constructor = _constructor(node)
    text = ast.get_docstring(node) or (ast.get_docstring(constructor) if constructor is not None else None)
    return plain(inspect.cleandoc(text or ""))


def descendants(base: str, classes: Mapping[str, ast.ClassDef]) -> list[str]:
    """The subclasses of a base, sorted, without the base."""
    return sorted(name for name in classes if name != base and base in lineage(name, classes))


def without(parameters: Iterable[ClassParameter], names: Iterable[str]) -> list[ClassParameter]:
    """The parameters except those with the given names."""
    left_out = set(names)
    return [parameter for parameter in parameters if parameter.name not in left_out]


def kebab(name: str) -> str:
    """A class's name as a config spells it: `MultiSimilarity` → `multi-similarity`, `NTXent` → `nt-xent`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def option(name: str, kind: Any, default: Any) -> Parameter:
    """An option of a type; a float option's integer default is written as a float: `p = 2.0`."""
    shown = type_in_words(kind)
    if isinstance(default, int) and not isinstance(default, bool) and shown.startswith("float"):
        default = float(default)
    return Parameter(name, kind, shown, default)


def member_of(
    parameters: Iterable[ClassParameter], option_of: Callable[[ClassParameter], Parameter], doc: str, source: str
) -> Member:
    """A class as a family's member.

    Args:
        parameters: parameters that a config can set.
        option_of: converts a parameter to an option; raises ComponentError if its type is unknown.
        doc: description.
        source: the class, `package.module.Class`.

    Returns:
        The member. If the type of a parameter is unknown, the member has a `problem` and other members are unaffected.
    """
    try:
        return Member(tuple(option_of(parameter) for parameter in parameters), doc, source)
    except ComponentError as error:
        return Member((), doc, source, problem=f"{source} cannot be used: {error}")


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)


def _own_parameters(constructor: ast.FunctionDef) -> Iterator[ClassParameter]:
    given = constructor.args
    positional = [*given.posonlyargs, *given.args][1:]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = [
        *zip(positional, defaults[-len(positional) :] if positional else [], strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        yield ClassParameter(
            argument.arg, _literal(default), ast.unparse(argument.annotation) if argument.annotation else ""
        )


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return REQUIRED
    if isinstance(node, ast.Attribute) and _last_name(node.value).endswith("Mode"):
        return node.attr.lower()  # torchvision accepts "nearest" for the enum member `InterpolationMode.NEAREST`
    try:
        return ast.literal_eval(node)
    except ValueError:
        return COMPUTED


def _passed(constructor: ast.FunctionDef) -> set[str]:
    """The keywords that a constructor sets in the call of its base's constructor."""
    keywords: set[str] = set()
    for call in ast.walk(constructor):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")):
                keywords |= {word.arg for word in call.keywords if word.arg is not None}
    return keywords


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]
