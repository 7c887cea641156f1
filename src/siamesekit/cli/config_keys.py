"""What `list tables` and `show table` say of a config: its tables, their keys with types, defaults and meaning."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic_core import PydanticUndefined

from siamesekit.cli.option_lines import line_of
from siamesekit.config.key_places import holds_a_table, table_names
from siamesekit.config.schema import field_docs
from siamesekit.config.tables import NESTED_TABLES, OPTIONAL_TABLES, REQUIRED_TABLES, TABLES, ComponentTable, Table
from siamesekit.errors import UserError, did_you_mean, near
from siamesekit.options import Index
from siamesekit.registry import Registry
from siamesekit.signatures import REQUIRED, Parameter, in_words

WORDS = ("table", "tables")
"""What stands in the place of a component's kind: `siamesekit show table NAME`, `siamesekit list tables`."""


@dataclass(frozen=True)
class Key:
    """A key that may stand in a table.

    Attributes:
        parameter: its name, type and default.
        meaning: what it says; empty where its name says it.
    """

    parameter: Parameter
    meaning: str


@dataclass(frozen=True)
class ConfigTable:
    """A table of a config.

    Attributes:
        name: dotted, `encoder.head`.
        purpose: what it is for.
        if_left_out: what then is: an error, none of its stage, or its defaults.
        component: the key that names its component, whose options stand beside the table's own keys; None where it
            takes none.
        registry: of the component's kind.
        keys: its own, without `component`.
        inner: the dotted names of the tables that may stand in it, those of components aside.
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
        """Its keys, the component's first."""
        return self.keys if self.component is None else (self.component, *self.keys)

    def snippet(self) -> str:
        """The table, ready to be pasted into a config: what is optional is a comment and has its default."""
        lines = [f"[{self.name}]"]
        if self.component is not None and self.registry is not None:
            name = self.component.parameter
            choose = f'{name.name} = "…"  # required: siamesekit list {self.registry.plural}'
            lines.append(choose if name.required else line_of(name))
        return "\n".join([*lines, *(line_of(key.parameter) for key in self.keys)]) + "\n"


TOP = (
    Key(Parameter("name", str, "str", None),
        "The run's name, and its folder's below runs/. The file's name where it is left out."),
    Key(Parameter("seed", Index, "Index", 0), "All random numbers follow from it."),
    Key(Parameter("plugins", tuple[Path, ...], "tuple[Path, …]", ()),
        "Python files beside this one that register components of your own: their code runs."),
)  # fmt: skip
"""The keys above all tables."""


def config_table(name: str) -> ConfigTable:
    """The table of a dotted name.

    Raises:
        UserError: there is none; the message has near matches and all choices.
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
    """All of them, in the order of `table_names`."""
    return [config_table(name) for name in table_names()]


def described_table(table: ConfigTable) -> dict[str, Any]:
    """A table as JSON."""
    shown: dict[str, Any] = {"table": table.name, "summary": table.purpose, "if_left_out": table.if_left_out}
    if table.registry is not None and table.component is not None:
        shown |= {"component": table.registry.kind, "key": table.component.parameter.name}
    keys = [_described(key) for key in table.every_key]
    return {**shown, "keys": keys, "tables": list(table.inner), "toml": table.snippet()}


def described_tables() -> dict[str, Any]:
    """The keys above all tables, and the tables, as JSON."""
    return {"keys": [_described(key) for key in TOP], "tables": [described_table(table) for table in config_tables()]}


def _described(key: Key) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": key.parameter.name, "type": in_words(key.parameter.annotation)}
    if not key.parameter.required:
        shown["default"] = key.parameter.default
    return {**shown, "description": key.meaning} if key.meaning else shown


def _component_key(model: type[Table]) -> Key | None:
    if model.registry is None or not issubclass(model, ComponentTable):
        return None
    parameter = Parameter(model.component_key, str, "str", _default(model, model.component_key))
    return Key(parameter, f"The {model.registry.kind}: {model.registry.purpose}.")


def _own_keys(model: type[Table]) -> Iterator[Key]:
    """The keys but for the component's; what holds a table is no key."""
    types, said = typing.get_type_hints(model, include_extras=True), field_docs(model)
    component = {"options", model.component_key} if issubclass(model, ComponentTable) else set()
    for name in model.model_fields:
        if name not in component and not holds_a_table(types[name]):
            parameter = Parameter(name, types[name], in_words(types[name]), _default(model, name))
            yield Key(parameter, said.get(name, ""))


def _default(model: type[Table], name: str) -> Any:
    default = model.model_fields[name].default
    return REQUIRED if default is PydanticUndefined else default


def _purpose(model: type[Table]) -> str:
    """A table's docstring without its name, or what its component is for."""
    said = re.sub(r"\A`\[\S+\]`[:.]?\s*", "", " ".join(inspect.cleandoc(model.__doc__ or "").split()))
    said = said or (f"{model.registry.purpose}." if model.registry is not None else "")
    return said[:1].upper() + said[1:] if re.match(r"[a-z]+\b", said) else said


def _if_left_out(place: tuple[str, ...]) -> Literal["an error", "none", "defaults"]:
    *outer, last = place
    if not outer:
        required, optional = last in REQUIRED_TABLES, last in OPTIONAL_TABLES
    else:
        [holder] = [TABLES[name] for name in outer]  # they are one deep
        required, optional = False, holder.model_fields[last].default is None
    if required:
        return "an error"
    return "none" if optional else "defaults"
