"""Signatures as schemas: read from a live callable, or from a source file without importing it.

Both ways give the same `Parameter`s; `tests/registry/test_signatures.py` compares them for every shipped component.
Because sources are read, a config is checked before torch is loaded.
"""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from siamesekit.options import Nested

_NO_TORCH = {
    "__future__", "typing", "collections.abc", "pathlib", "annotated_types", "siamesekit.options",
    "siamesekit.data.unknown_names", "siamesekit.files.places",
}  # fmt: skip
"""Modules from which the types and defaults of options may come."""


_MODULE = "torch.nn.modules.module"


class Marker:
    """A sentinel, such as `REQUIRED`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


REQUIRED: Any = Marker("required")
"""Default of a parameter without a default."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a component's signature."""

    name: str
    annotation: Any
    shown: str
    """The annotation as the source spells it."""
    default: Any = REQUIRED
    variadic: bool = False

    @property
    def required(self) -> bool:
        """Whether the parameter has no default."""
        return self.default is REQUIRED

    @property
    def nested(self) -> Nested | None:
        """The kind of component of a nested component; None for other options."""
        return next(
            (mark for part in self._parts() for mark in getattr(part, "__metadata__", ()) if isinstance(mark, Nested)),
            None,
        )

    @property
    def many(self) -> bool:
        """Whether the option is a list of components."""
        return any(typing.get_origin(getattr(part, "__origin__", None)) is list for part in self._parts())

    def _parts(self) -> tuple[Any, ...]:
        union = typing.get_origin(self.annotation) in (typing.Union, types.UnionType)
        return typing.get_args(self.annotation) if union else (self.annotation,)

    def __str__(self) -> str:
        return f"{self.name}: {self.shown}" + ("" if self.required else f" = {self.default!r}")


@dataclass(frozen=True)
class SourceComponent:
    """A registration found in a source file; `registry` is the name of the registry's variable."""

    registry: str
    name: str
    parameters: list[Parameter]
    doc: str
    names: str | None
    members: str | None
    qualname: str


def live_parameters(factory: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a function, or of a class's own or inherited constructor."""
    if inspect.isclass(factory) and getattr(factory.__init__, "__module__", "") == _MODULE:
        return []  # no own constructor: the (*args, **kwargs) of torch.nn.Module are not options
    target: Any = inspect.unwrap(factory.__init__ if inspect.isclass(factory) else factory)
    namespace = dict(getattr(target, "__globals__", None) or vars(inspect.getmodule(factory) or types))
    parameters = []
    for parameter in inspect.signature(factory).parameters.values():
        annotation = parameter.annotation
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, namespace)
            except NameError:  # imported for type checking only: allowed for runtime values
                annotation = Any
        parameters.append(_parameter(parameter, annotation))
    return parameters


def read_source(file: Path, registry: str) -> list[SourceComponent]:
    """The components that `file` registers by `@<registry>.register("name")`, without running the file."""
    return [found for found in registrations(file) if found.registry == registry]


@cache
def registrations(file: Path) -> tuple[SourceComponent, ...]:
    """The components that `file` registers in any registry. Each file is read once.

    Only plain assignments and imports of a few modules without torch are evaluated, so that `Annotated` ranges and
    `Literal` choices have their values.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    found = []
    namespace: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in _NO_TORCH:
            _execute([node], namespace)
        elif isinstance(node, ast.Assign):
            try:
                _execute([node], namespace)
            except Exception:  # the assignment needs torch; options whose types need it fail below
                continue
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            registration = _registration(node)
            if registration is not None:
                registry, name, words = registration
                doc = inspect.cleandoc(ast.get_docstring(node) or "")
                parameters = _source_parameters(node, namespace)
                found.append(
                    SourceComponent(
                        registry, name, parameters, doc, words.get("names"), words.get("members"), node.name
                    )
                )
    return tuple(found)


def options_model(name: str, options: tuple[Parameter, ...]) -> type[BaseModel]:
    """A strict pydantic model of the options, which refuses unknown keys, NaN and infinity.

    Nested components are left out: their tables are checked against their own signatures.
    """
    options = tuple(option for option in options if option.nested is None)
    # Aliases, because pydantic forbids field names such as `copy` and `_any`, and an option may have any name.
    fields: dict[str, Any] = {
        f"option{number}": (option.annotation, Field(... if option.required else option.default, alias=option.name))
        for number, option in enumerate(options)
    }
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    return create_model(name, __config__=config, **fields)


def _registration(node: ast.FunctionDef | ast.ClassDef) -> tuple[str, str, dict[str, Any]] | None:
    """The registry's variable, the name and the keywords of `@REGISTRY.register("name")`."""
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=variable), attr="register"),
                args=[ast.Constant(value=str(name))],
                keywords=keywords,
            ):
                return variable, name, {word.arg: ast.literal_eval(word.value) for word in keywords if word.arg}
    return None


def _source_parameters(node: ast.FunctionDef | ast.ClassDef, namespace: dict[str, Any]) -> list[Parameter]:
    if isinstance(node, ast.ClassDef):
        constructors = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        if not constructors:
            return []
        function, skip = constructors[0], 1
    else:
        function, skip = node, 0
    stub = typing.cast(ast.FunctionDef, ast.parse("def stub(): ...").body[0])
    stub.args = function.args
    local = dict(namespace)
    _execute([ast.ImportFrom("__future__", [ast.alias("annotations")], 0), stub], local)
    parameters = []
    for parameter in list(inspect.signature(local["stub"]).parameters.values())[skip:]:
        try:
            annotation = eval(parameter.annotation, dict(namespace))
        except NameError:  # a torch type: only runtime values have one
            annotation = Any
        parameters.append(_parameter(parameter, annotation))
    return parameters


def _parameter(parameter: inspect.Parameter, annotation: Any) -> Parameter:
    shown = parameter.annotation
    return Parameter(
        name=parameter.name,
        annotation=Any if annotation is parameter.empty else annotation,
        shown=shown if isinstance(shown, str) else _spell(shown),
        default=REQUIRED if parameter.default is parameter.empty else parameter.default,
        variadic=parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD),
    )


def _spell(annotation: Any) -> str:
    return "Any" if annotation is inspect.Parameter.empty else type_in_words(annotation)


def type_in_words(annotation: Any) -> str:
    """A type in words, with ranges and choices spelt out and nested components named by kind."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        base, *marks = inner
        kinds = [mark.kind for mark in marks if isinstance(mark, Nested)]
        if kinds:
            plural = f"{kinds[0]}es" if kinds[0].endswith("s") else f"{kinds[0]}s"
            article = "an" if kinds[0][0] in "aeiou" else "a"
            return f"tables of {plural}" if typing.get_origin(base) is list else f"table of {article} {kinds[0]}"
        signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
        limits = [f"{sign} {getattr(mark, key)}" for mark in marks for key, sign in signs.items() if hasattr(mark, key)]
        return f"{type_in_words(base)} {', '.join(limits)}".strip()
    if origin is typing.Literal:
        return " | ".join(repr(choice) for choice in inner)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_in_words(part) for part in inner)
    if origin in (tuple, list):
        return f"{origin.__name__}[{', '.join('…' if part is ... else type_in_words(part) for part in inner)}]"
    if annotation is type(None):
        return "None"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")


def _execute(statements: list[Any], namespace: dict[str, Any]) -> None:
    module = ast.fix_missing_locations(ast.Module(body=statements, type_ignores=[]))
    exec(compile(module, "<signature>", "exec"), namespace)
