"""Options that are components themselves, in tables of their own: `[loss.distance]` with `name = "…"`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from siamesekit.errors import ComponentError
from siamesekit.problems import shown
from siamesekit.signatures import REQUIRED, Parameter

Problem = tuple[str, str]
"""Where something is wrong, and what."""


class OfItsKind(Protocol):
    """What a registry does for the tables of its kind."""

    def names(self) -> list[str]:
        """All names."""
        ...

    def check(
        self, name: str, options: Mapping[str, Any], also: Iterable[str] = ()
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Validate options against a component's signature."""
        ...

    def build(self, name: str, options: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
        """Build a component."""
        ...


def check_nested(option: Parameter, value: Any, registry: OfItsKind) -> tuple[Any, list[Problem]]:
    """Validate the table of an option that is a component, or the list of tables of one that is several.

    Args:
        option: of a component.
        value: as it comes from TOML; `REQUIRED` where it is not there.
        registry: of the option's kind.

    Returns:
        The tables with all their defaults, and the problems as pairs (place in the component's table, what is wrong).
    """
    if value is REQUIRED:
        if option.required:
            return None, [(option.name, "is required")]
        value = list(option.default) if option.many and option.default is not None else option.default
    if value is None:
        return None, []
    if option.many != isinstance(value, list):
        wanted = f"a list of tables, [[…{option.name}]]" if option.many else "a table"
        return None, [(option.name, f'must be {wanted} with name = "…", not {shown(value)}')]
    resolved, problems = [], []
    for number, table in enumerate(value if option.many else [value]):
        place = f"{option.name}.{number}" if option.many else option.name
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            problems.append((place, f"must be a table with a name: choices: {', '.join(registry.names())}"))
            continue
        try:
            checked, wrong = registry.check(table["name"], _without_name(table), also=["name"])
        except ComponentError as error:
            problems.append((f"{place}.name", str(error)))
            continue
        resolved.append({"name": table["name"], **checked})
        problems += [(f"{place}.{inner}", what) for inner, what in wrong]
    if problems:
        return None, problems
    return (resolved if option.many else resolved[0]), []


def build_nested(option: Parameter, tables: Any, registry: OfItsKind, runtime: Mapping[str, Any]) -> Any:
    """Build what a checked option's table, or list of tables, describes.

    Args:
        option: of a component.
        tables: checked.
        registry: of the option's kind.
        runtime: values that the outer component is built with, and the inner ones too.
    """
    built = [registry.build(table["name"], _without_name(table), **runtime)
             for table in (tables if option.many else [tables])]  # fmt: skip
    return built if option.many else built[0]


def _without_name(table: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a nested component's table."""
    return {key: value for key, value in table.items() if key != "name"}
