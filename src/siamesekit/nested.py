"""Options that are components themselves: tables of their own, `[loss.distance]` with `name = "…"`; in Python objects.

In Python the name alone will do for a table, and what is built stands for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from siamesekit.errors import ComponentError
from siamesekit.problems import shown
from siamesekit.signatures import REQUIRED, Parameter

Problem = tuple[str, str]
"""Where something is wrong, and what."""

COMPONENT = "__component__"
"""Attribute of a registered class or function: its kind, and the names of its parameters."""
SHOWN_ITEMS, SHOWN_CHARACTERS = 8, 200
"""How much of a value is shown in short."""

_ADAPTED = {"pytorch_metric_learning": "pml"}
"""Packages whose objects work otherwise than components do, and the family by which they are named."""
_AS_THEY_ARE = ("reducer", "regularizer")
"""Kinds of which a family gives the package's own objects."""


class OfItsKind(Protocol):
    """What a registry does for the tables of its kind."""

    kind: str

    def names(self) -> list[str]:
        """All names."""
        ...

    def check(
        self, name: str, options: Mapping[str, Any], also: Iterable[str] = (), in_python: bool = False
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Validate options against a component's signature."""
        ...

    def build_for_run(self, name: str, options: Mapping[str, Any], **offered: Any) -> Any:
        """Build a component."""
        ...


def check_nested(
    option: Parameter, value: Any, registry: OfItsKind, in_python: bool = False
) -> tuple[Any, list[Problem]]:
    """Validate the table of an option that is a component, or the list of tables of one that is several.

    Args:
        option: of a component.
        value: as it comes from TOML; `REQUIRED` where it is not there.
        registry: of the option's kind.
        in_python: whether a name alone, and a component that is built, may stand in the place of a table.

    Returns:
        The tables with all their defaults, or what is built, and the problems as pairs (place in the component's table,
        what is wrong).
    """
    if value is REQUIRED:
        if option.required:
            return None, [(option.name, "is required")]
        value = list(option.default) if option.many and option.default is not None else option.default
    if value is None and not (in_python and option.required):
        return None, []
    if in_python and option.many and isinstance(value, tuple):
        value = list(value)
    if option.many != isinstance(value, list):
        if in_python:
            wanted = f"a list, each item {_wanted(registry.kind)}" if option.many else _wanted(registry.kind)
            return None, [(option.name, f"must be {wanted}, not {brief(value)}")]
        wanted = f"a list of tables, [[…{option.name}]]" if option.many else "a table"
        return None, [(option.name, f'must be {wanted} with name = "…", not {shown(value)}')]
    resolved, problems = [], []
    for number, table in enumerate(value if option.many else [value]):
        place = f"{option.name}.{number}" if option.many else option.name
        if in_python and isinstance(table, str):
            table = {"name": table}
        elif in_python and not isinstance(table, Mapping):
            resolved.append(table)
            problems += [(place, wrong) for wrong in [what_is_wrong(table, registry.kind)] if wrong]
            continue
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            problems.append((place, f"must be a table with a name: choices: {', '.join(registry.names())}"))
            continue
        try:
            checked, wrong = registry.check(table["name"], _without_name(table), also=["name"], in_python=in_python)
        except ComponentError as error:
            problems.append((f"{place}.name", str(error)))
            continue
        resolved.append({"name": table["name"], **checked})
        problems += [(f"{place}.{inner}", what) for inner, what in wrong]
    if problems:
        return None, problems
    return (resolved if option.many else resolved[0]), []


def build_nested(option: Parameter, tables: Any, registry: OfItsKind, offered: Mapping[str, Any]) -> Any:
    """Build what a checked option's table, or list of tables, describes; what is built already stays.

    Args:
        option: of a component.
        tables: checked.
        registry: of the option's kind.
        offered: runtime values that the outer component is offered, and the inner ones too.
    """
    built = [
        registry.build_for_run(table["name"], _without_name(table), **offered) if isinstance(table, Mapping) else table
        for table in (tables if option.many else [tables])
    ]
    return built if option.many else built[0]


def component_from(value: Any, registry: OfItsKind, what: str) -> Any:
    """The component that a value stands for: itself, or built by its name or from a table with a name.

    Args:
        value: as Python gave it.
        registry: of its kind.
        what: names it in a message.

    Raises:
        ComponentError: it is none, or cannot be built.
    """
    if isinstance(value, str):
        return registry.build_for_run(value, {})
    if isinstance(value, Mapping):
        if not isinstance(value.get("name"), str):
            raise ComponentError(f"{what} must be {_wanted(registry.kind)}, not {brief(value)}")
        return registry.build_for_run(value["name"], _without_name(value))
    if wrong := what_is_wrong(value, registry.kind):
        raise ComponentError(f"{what} {wrong}")
    return value


def what_is_wrong(value: Any, kind: str) -> str:
    """What is wrong with an object where a built component of a kind is wanted; empty where nothing is."""
    if isinstance(value, type):
        return f"must be an object, not the class {value.__name__}: write {value.__name__}(…)"
    package = type(value).__module__.partition(".")[0]
    if package in _ADAPTED and kind not in _AS_THEY_ARE:
        return (f"must be {_a(kind)}, not {type(value).__name__} of {package}: "
                f"give its name, \"{_ADAPTED[package]}/…\" (siamesekit list {kind} {_ADAPTED[package]})")  # fmt: skip
    registered = getattr(value, COMPONENT, None)
    if registered is not None and registered.kind != kind:
        return f"must be {_a(kind)}, not the {registered.kind} {brief(value)}"
    if registered is None and not callable(value):
        return f"must be {_wanted(kind)}, not {brief(value)}"
    return ""


def brief(value: Any) -> str:
    """A value in short, on one line: numbers and names as they are, arrays by their type and shape."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        return f"<{str(value.dtype).removeprefix('torch.')} {list(value.shape)}>"
    if isinstance(value, list | tuple) and len(value) <= SHOWN_ITEMS:
        inner = ", ".join(map(brief, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, list | tuple | set | frozenset | dict) and len(value) > SHOWN_ITEMS:
        return f"<{type(value).__name__} of {len(value)}>"
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _wanted(kind: str) -> str:
    return f"{_a(kind)}, its name, or a table with a name"


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _without_name(table: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a nested component's table."""
    return {key: value for key, value in table.items() if key != "name"}
