"""Content of `list tables` and `show table`: the tables of a config, and their keys with types and defaults."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic_core import PydanticUndefined

from siamesekit.config.describe.lines import option_line
from siamesekit.config.key_places import holds_a_table, table_names
from siamesekit.config.schema import field_docs
from siamesekit.config.tables import NESTED_TABLES, OPTIONAL_TABLES, REQUIRED_TABLES, TABLES, ComponentTable, Table
from siamesekit.errors import UserError
from siamesekit.options import Index
from siamesekit.registry import Registry
from siamesekit.registry.signatures import REQUIRED, Parameter, type_in_words
from siamesekit.wording import did_you_mean, near

WORDS = ("table", "tables")
"""Words accepted in place of a kind: `siamesekit show table NAME`, `siamesekit list tables`."""


@dataclass(frozen=True)
class Key:
    """A key of a table.

    Attributes:
        parameter: name, type and default of the key.
        meaning: description of the key; empty if the name says it all.
    """

    parameter: Parameter
    meaning: str


@dataclass(frozen=True)
class ConfigTable:
    """A table of a config.

    Attributes:
        name: dotted name, such as `encoder.head`.
        purpose: purpose of the table.
        if_left_out: what happens without the table: an error, no such stage, or the defaults.
        component: key that names the component, whose options the table also takes; None if there is no component.
        registry: registry of the component's kind.
        keys: own keys of the table, without `component`.
        inner: dotted names of the nested tables, except those of components.
    """

    name: str
    purpose: str
    if_left_out: Literal["an error", "none", "defaults"]
    component: Key | None
    registry: Registry | None
    keys: tuple[Key, ...]
    inner: tuple[str, ...]

    @property
    def every_key(self) -> tuple[Key, ...]:
        """All keys of the table, that of the component first."""
        return self.keys if self.component is None else (self.component, *self.keys)

    def snippet(self) -> str:
        """The table as TOML to paste into a config; optional keys are comments with their defaults."""
        lines = [f"[{self.name}]"]
        if self.component is not None and self.registry is not None:
            name = self.component.parameter
            choose = f'{name.name} = "…"  # required: siamesekit list {self.registry.plural}'
            lines.append(choose if name.required else option_line(name))
        return "\n".join([*lines, *(option_line(key.parameter) for key in self.keys)]) + "\n"


TOP = (
    Key(
        Parameter("name", str, "str", None),
        "Name of the run and of its folder in runs/. Default: the name of the file.",
    ),
    Key(Parameter("seed", Index, "Index", 0), "Seed of all random numbers."),
    Key(
        Parameter("plugins", tuple[Path, ...], "tuple[Path, …]", ()),
        "Python files in the config's folder that register components; their code runs.",
    ),
)
"""The top-level keys."""


def config_table(name: str) -> ConfigTable:
    """The table with a dotted name.

    Raises:
        UserError: unknown table; the message has near matches and all choices.
    """
    names = table_names()
    if name not in names:
        hint = did_you_mean(place for place in names if place.endswith(f".{name}")) or near(name, names)
        raise UserError(f"unknown table {name!r}{hint}; choices: {', '.join(names)}")
    place = tuple(name.split("."))
    model = NESTED_TABLES[place] if place in NESTED_TABLES else TABLES[name]
    return ConfigTable(
        name=name,
        purpose=_purpose(model),
        if_left_out=_if_left_out(place),
        component=_component_key(model),
        registry=model.registry,
        keys=tuple(_own_keys(model)),
        inner=tuple(".".join(inner) for inner in NESTED_TABLES if inner[:-1] == place),
    )


def config_tables() -> list[ConfigTable]:
    """All tables, in the order of `table_names`."""
    return [config_table(name) for name in table_names()]


def described_table(table: ConfigTable) -> dict[str, Any]:
    """A table as JSON."""
    shown: dict[str, Any] = {"table": table.name, "summary": table.purpose, "if_left_out": table.if_left_out}
    if table.registry is not None and table.component is not None:
        shown |= {"component": table.registry.kind, "key": table.component.parameter.name}
    keys = [_described(key) for key in table.every_key]
    return {**shown, "keys": keys, "tables": list(table.inner), "toml": table.snippet()}


def described_tables() -> dict[str, Any]:
    """The top-level keys and all tables as JSON."""
    return {"keys": [_described(key) for key in TOP], "tables": [described_table(table) for table in config_tables()]}


def _described(key: Key) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": key.parameter.name, "type": type_in_words(key.parameter.annotation)}
    if not key.parameter.required:
        shown["default"] = key.parameter.default
    return {**shown, "description": key.meaning} if key.meaning else shown


def _component_key(model: type[Table]) -> Key | None:
    if model.registry is None or not issubclass(model, ComponentTable):
        return None
    parameter = Parameter(model.component_key, str, "str", _default(model, model.component_key))
    return Key(parameter, f"The {model.registry.kind}: {model.registry.purpose}.")


def _own_keys(model: type[Table]) -> Iterator[Key]:
    """The keys of a table except that of the component; nested tables are not keys."""
    types, said = typing.get_type_hints(model, include_extras=True), field_docs(model)
    component = {"options", model.component_key} if issubclass(model, ComponentTable) else set()
    for name in model.model_fields:
        if name not in component and not holds_a_table(types[name]):
            parameter = Parameter(name, types[name], type_in_words(types[name]), _default(model, name))
            yield Key(parameter, said.get(name, ""))


def _default(model: type[Table], name: str) -> Any:
    default = model.model_fields[name].default
    return REQUIRED if default is PydanticUndefined else default


def _purpose(model: type[Table]) -> str:
    """The docstring of a table without its name, or else the purpose of its component."""
    said = re.sub(r"\A`\[\S+\]`[:.]?\s*", "", " ".join(inspect.cleandoc(model.__doc__ or "").split()))
    said = said or (f"{model.registry.purpose}." if model.registry is not None else "")
    return said[:1].upper() + said[1:] if re.match(r"[a-z]+\b", said) else said


def _if_left_out(place: tuple[str, ...]) -> Literal["an error", "none", "defaults"]:
    *outer, last = place
    if not outer:
        required, optional = last in REQUIRED_TABLES, last in OPTIONAL_TABLES
    else:
        [holder] = [TABLES[name] for name in outer]  # tables are nested one level deep
        required, optional = False, holder.model_fields[last].default is None
    if required:
        return "an error"
    return "none" if optional else "defaults"
