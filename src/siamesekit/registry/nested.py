"""Nested components: options that are components, given as a table such as `[loss.distance]` with `name = "…"`.

In Python a name, a table with a name, or a built object is accepted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from siamesekit.errors import ComponentError
from siamesekit.options import Weighted
from siamesekit.registry.signatures import REQUIRED, Parameter
from siamesekit.wording import shown

Problem = tuple[str, str]
"""Pair (place, what is wrong)."""

COMPONENT = "__component__"
"""Attribute of a registered class or function that holds its kind and the names of its parameters."""
SHOWN_ITEMS, SHOWN_CHARACTERS = 8, 200
"""Maximum numbers of items and characters in an abbreviated value."""

_ADAPTED = {"pytorch_metric_learning": "pml"}
"""Packages whose objects do not follow the protocols of components, and the family that adapts them."""
_AS_THEY_ARE = ("reducer", "regularizer")
"""Kinds whose families build the package's own objects."""


class OfItsKind(Protocol):
    """Protocol of a registry, as far as nested components need it."""

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
    """Validate the table of a nested component, or the list of tables of several.

    Args:
        option: an option of a component.
        value: value from TOML; `REQUIRED` if absent.
        registry: registry of the option's kind.
        in_python: whether a name or a built component may replace a table.

    Returns:
        The tables with defaults filled in, or the built components, and the problems as pairs (place in the component's
        table, what is wrong).
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
    resolved: list[Any] = []
    problems: list[Problem] = []
    weighted = option.nested is not None and option.nested.weighted
    for number, table in enumerate(value if option.many else [value]):
        place = f"{option.name}.{number}" if option.many else option.name
        weight: Any = 1.0
        if weighted:
            table, weight = _with_weight(table, in_python)
            if wrong_weight := _problem_of_weight(weight):
                problems.append((f"{place}.weight", wrong_weight))
        if in_python and isinstance(table, str):
            table = {"name": table}
        elif in_python and not isinstance(table, Mapping):
            resolved.append(Weighted(table, weight) if weighted else table)
            problems += [(place, wrong) for wrong in [what_is_wrong(table, registry.kind)] if wrong]
            continue
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            problems.append((place, f"must be a table with a name; choices: {', '.join(registry.names())}"))
            continue
        try:
            own = ["name", "weight"] if weighted else ["name"]
            checked, wrong = registry.check(table["name"], _without_name(table), also=own, in_python=in_python)
        except ComponentError as error:
            problems.append((f"{place}.name", str(error)))
            continue
        resolved.append({"name": table["name"], **({"weight": float(weight)} if weighted else {}), **checked})
        problems += [(f"{place}.{inner}", what) for inner, what in wrong]
        if weighted and "weight" in checked:
            hidden = f"{registry.kind} {table['name']!r} has an option 'weight', which is this table's own key"
            problems.append((f"{place}.name", f"{hidden}: rename the option"))
    if problems:
        return None, problems
    return (resolved if option.many else resolved[0]), []


def build_nested(option: Parameter, tables: Any, registry: OfItsKind, offered: Mapping[str, Any]) -> Any:
    """Build the component of an option's table, or of each table in a list; built components are kept.

    Args:
        option: an option of a component.
        tables: checked table or tables.
        registry: registry of the option's kind.
        offered: runtime values available to the outer component and to nested ones.
    """

    def build(table: Any) -> Any:
        if not isinstance(table, Mapping):
            return table
        return registry.build_for_run(table["name"], _without_name(table), **offered)

    if option.nested is not None and option.nested.weighted:
        parts = [_with_weight(table, in_python=True) for table in tables]
        return [Weighted(build(table), weight) for table, weight in parts]
    return [build(table) for table in tables] if option.many else build(tables)


def _with_weight(value: Any, in_python: bool) -> tuple[Any, Any]:
    """An item of a weighted list without its weight, and the weight, 1.0 by default.

    The item is a table with a key `weight`; in Python also a pair of a component and a weight.
    """
    if isinstance(value, Mapping):
        return {key: inner for key, inner in value.items() if key != "weight"}, value.get("weight", 1.0)
    if in_python and isinstance(value, tuple) and len(value) == 2:
        return value
    return value, 1.0


def _problem_of_weight(weight: Any) -> str:
    """What is wrong with a weight; empty if it is valid."""
    if isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < math.inf:
        return ""
    return f"must be a number above 0, not {shown(weight)}"


def component_from(value: Any, registry: OfItsKind, what: str) -> Any:
    """The component that a value describes: a built object, a name, or a table with a name.

    Args:
        value: value from Python.
        registry: registry of its kind.
        what: name of the value in messages.

    Raises:
        ComponentError: The value does not describe a component, or the component cannot be built.
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
    """Why an object is not a built component of a kind; empty if it is one."""
    if isinstance(value, type):
        return f"must be an object, not the class {value.__name__}: write {value.__name__}(…)"
    package = type(value).__module__.partition(".")[0]
    if package in _ADAPTED and kind not in _AS_THEY_ARE:
        return (
            f"must be {_a(kind)}, not {type(value).__name__} of {package}: "
            f'give its name, "{_ADAPTED[package]}/…" (siamesekit list {kind} {_ADAPTED[package]})'
        )
    registered = getattr(value, COMPONENT, None)
    if registered is not None and registered.kind != kind:
        return f"must be {_a(kind)}, not the {registered.kind} {brief(value)}"
    if registered is None and not callable(value):
        return f"must be {_wanted(kind)}, not {brief(value)}"
    return ""


def brief(value: Any) -> str:
    """A value abbreviated to one line: numbers and names in full, arrays as dtype and shape."""
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
