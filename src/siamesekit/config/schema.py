"""The JSON Schema of a config, for editors that complete and check TOML.

It covers what `load_config` checks of each key by itself: tables, components, options, types, ranges, choices, unknown
keys. It is draft-07, which Even Better TOML (Taplo) and Tombi read. A table that names a component lists the options of
all components under `properties`, for completion, and those of each component under `if`/`then`, for checking: Taplo
completes by `properties` and ignores `if`.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic_core import PydanticUndefined

from siamesekit.config.tables import (
    NAMED_WEIGHTS,
    NESTED_TABLES,
    REQUIRED_TABLES,
    TABLES,
    WEIGHT_SUFFIXES,
    ComponentTable,
    Table,
)
from siamesekit.options import Nested
from siamesekit.registry import REGISTRIES, STORES, Registry, registry_of
from siamesekit.registry.component import Component
from siamesekit.registry.signatures import Parameter
from siamesekit.wording import first_of

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
LIMITS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
SHOWN_OWNERS = 6
"""Number of components named in the description of an option that they share."""
KINDS: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Path: {"type": "string"},
}
WEIGHTS_SCHEMA: Schema = {
    "anyOf": [
        {"enum": list(NAMED_WEIGHTS)},
        {"type": "string", "pattern": f"({'|'.join(re.escape(suffix) for suffix in WEIGHT_SUFFIXES)})$"},
    ]
}
"""Schema of the keys `weights`: a name or a file, as in `load_config`."""

WEIGHTED = "weighted."
"""Prefix of the definition of a component's table that also has the key `weight`."""
WEIGHT_SCHEMA: Schema = {
    "description": "Factor of this term.",
    "type": "number",
    "exclusiveMinimum": 0,
    "default": 1.0,
}


def config_schema() -> Schema:
    """The schema of a config with all registered components; load plugins first."""
    used: set[str] = set()
    tables = {name: _table(model, (name,), used) for name, model in TABLES.items()}
    definitions: dict[str, Schema] = {}
    while waiting := sorted(used - set(definitions)):
        for kind in waiting:
            own = {"weight": WEIGHT_SCHEMA} if kind.startswith(WEIGHTED) else {}
            definitions[kind] = _component_table(registry_of(kind.removeprefix(WEIGHTED)), "name", own, "", "", used)
    for registry in REGISTRIES:
        if registry is STORES:  # no table of a config has one
            continue
        for component in concrete(registry):
            definitions[_reference(component)] = _options(component, used)
    return {
        "$schema": DRAFT,
        "title": "siamesekit config",
        "description": "An experiment: data, network, training, evaluation. Run it with: siamesekit run CONFIG",
        "type": "object",
        "properties": {
            "name": {
                "description": "Name of the run and of its folder in runs/. Default: the name of the file.",
                "type": "string",
                "pattern": r"^[\w][\w.-]*$",
            },
            "seed": {
                "description": "Seed of all random numbers.",
                "type": "integer",
                "minimum": 0,
                "maximum": 2**63 - 1,
                "default": 0,
            },
            "plugins": {
                "description": "Python files in the config's folder that register components; their code runs.",
                "type": "array",
                "items": {"type": "string"},
                "default": [],
            },
            **tables,
        },
        "required": list(REQUIRED_TABLES),
        "additionalProperties": False,
        "definitions": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def concrete(registry: Registry) -> Iterator[Component]:
    """The components of a kind with their options. A family is replaced by its members if these have own options."""
    for component in registry.components():
        if component.members_from is None:
            yield component
        else:
            yield from (component.member(model) for model in component.members())


def argument_docs(doc: str) -> dict[str, str]:
    """The text of each argument in the section `Args:` of a docstring, in one line, without types in brackets."""
    found: dict[str, list[str]] = {}
    inside, margin, entry = False, 0, 0
    current: list[str] = []
    for line in doc.splitlines():
        indent = len(line) - len(line.lstrip())
        if re.fullmatch(r"\s*(Args|Arguments|Parameters):\s*", line):
            inside, margin, entry = True, indent, 0
        elif inside and line.strip():
            if indent <= margin:
                inside = False
                continue
            entry = entry or indent
            begins = re.match(r"\s+\*{0,2}(\w+)(?: ?\(.*?\)+)?:\s*(.*)", line) if indent == entry else None
            if begins:
                current = found.setdefault(begins.group(1), [])
            current.append(begins.group(2).strip() if begins else line.strip())
    return {name: " ".join(" ".join(lines).split()) for name, lines in found.items()}


def type_schema(annotation: Any) -> Schema:
    """The JSON Schema of a type; a type that TOML cannot express accepts anything. None means an absent key."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        base, *marks = inner
        limits = {word: getattr(mark, sign) for mark in marks for sign, word in LIMITS.items() if hasattr(mark, sign)}
        return {**type_schema(base), **limits}
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin in (typing.Union, types.UnionType):
        parts = [type_schema(part) for part in inner if part is not type(None)]
        return parts[0] if len(parts) == 1 else {"anyOf": parts}
    if origin is tuple and inner[-1:] != (...,):
        fixed = [type_schema(part) for part in inner]
        return {"type": "array", "items": fixed, "additionalItems": False, "minItems": len(fixed)}
    if origin in (tuple, list):
        return {"type": "array", "items": type_schema(inner[0])}
    return dict(KINDS.get(annotation, {}))


def option_schema(option: Parameter, said: str = "") -> Schema:
    """The JSON Schema of an option; a nested component is a reference to its kind.

    Args:
        option: option of a component.
        said: description of the option.
    """
    described = {"description": said} if said else {}
    if option.nested is None:
        default = {} if option.required or option.default is None else {"default": _plain(option.default)}
        return {**described, **type_schema(option.annotation), **default}
    table = {"$ref": f"#/definitions/{_definition(option.nested)}"}
    if option.many:
        return {**described, "type": "array", "items": table}
    return {**described, "allOf": [table]}  # draft-07 ignores keys beside $ref


def _table(model: type[Table], place: tuple[str, ...], used: set[str]) -> Schema:
    """Schema of a stage's table: its own keys, its nested tables, and the options of its component if it has one."""
    said, hints = field_docs(model), typing.get_type_hints(model, include_extras=True)
    own: dict[str, Schema] = {}
    required = []
    for key, field in model.model_fields.items():
        if key == "options" or (key == model.component_key and issubclass(model, ComponentTable)):
            continue
        inner = NESTED_TABLES.get((*place, key))
        if inner is not None:
            own[key] = _table(inner, (*place, key), used)
            continue
        own[key] = {
            **({"description": said[key]} if key in said else {}),
            **(WEIGHTS_SCHEMA if key == "weights" else type_schema(hints[key])),
        }
        if field.is_required():
            required.append(key)
        elif field.default is not None:
            own[key]["default"] = _plain(field.default)
    doc = inspect.cleandoc(model.__doc__ or "")
    if model.registry is None:
        return {
            "description": doc,
            "type": "object",
            "properties": own,
            "required": required,
            "additionalProperties": False,
        }
    default = model.model_fields[model.component_key].default
    name = "" if default is PydanticUndefined else str(default)
    named_by = model.named_by if issubclass(model, ComponentTable) else {}
    return _component_table(model.registry, model.component_key, own, name, doc, used, named_by)


def _component_table(
    registry: Registry,
    key: str,
    own: Mapping[str, Schema],
    default: str,
    doc: str,
    used: set[str],
    named_by: Mapping[str, str] = MappingProxyType({}),
) -> Schema:
    """Schema of a table that names a component by `key`, with the table's own keys and the component's options."""
    components = list(concrete(registry))
    names: list[Schema] = [{"enum": [component.name for component in components if not component.is_family]}]
    names += [{"type": "string", "pattern": _pattern(component)} for component in components if component.is_family]
    name: Schema = {
        "description": f"The {registry.kind}: {registry.purpose}. List them: siamesekit list {registry.plural}"
    }
    name |= names[0] if len(names) == 1 else {"anyOf": names}
    name |= {"default": default} if default else {}
    branches = []
    for component in components:
        chosen = {"pattern": _pattern(component)} if component.is_family else {"const": component.name}
        condition: Schema = {"properties": {key: chosen}}
        if component.name != default:  # the branch of the default also applies without the key
            condition["required"] = [key]
        elif named_by:
            condition["anyOf"] = [{"required": [key]}, {"not": {"anyOf": [{"required": [each]} for each in named_by]}}]
        if naming := [each for each, name in named_by.items() if name == component.name]:
            implied = {"required": naming, "not": {"required": [key]}}
            condition = {"anyOf": [condition, implied]}
        allowed = dict.fromkeys([key, *own, *(option.name for option in component.options)], True)
        branches.append(
            {
                "if": condition,
                "then": {
                    "allOf": [{"$ref": f"#/definitions/{_reference(component)}"}],
                    "properties": allowed,
                    "additionalProperties": False,
                },
            }
        )
    return {
        "description": doc or f"Table of a {registry.kind}: {registry.purpose}.",
        "type": "object",
        "properties": {key: name, **own, **_any_option(components, used)},
        "required": [] if default else [key],
        "if": {"type": "object"},
        "then": {"allOf": branches},
    }


def _any_option(components: Iterable[Component], used: set[str]) -> dict[str, Schema]:
    """Schemas of the options of all components of a kind; a shared option accepts what any component accepts."""
    owners: dict[str, list[tuple[Component, Schema]]] = {}
    for component in components:
        said = argument_docs(component.doc)
        for option in component.options:
            if option.nested is not None:
                used.add(_definition(option.nested))
            owners.setdefault(option.name, []).append((component, option_schema(option, said.get(option.name, ""))))
    merged = {}
    for name, found in owners.items():
        bare = [
            {key: value for key, value in schema.items() if key not in ("description", "default")}
            for _, schema in found
        ]
        distinct = [schema for number, schema in enumerate(bare) if schema not in bare[:number]]
        description = next((schema["description"] for _, schema in found if "description" in schema), "")
        of = f"Of {first_of([component.name for component, _ in found], SHOWN_OWNERS)}."
        merged[name] = {
            "description": f"{description} {of}".strip(),
            **(distinct[0] if len(distinct) == 1 else {"anyOf": distinct}),
        }
        defaults = [schema["default"] for _, schema in found if "default" in schema]
        if len(found) == len(defaults) and all(default == defaults[0] for default in defaults):
            merged[name]["default"] = defaults[0]
    return merged


def _options(component: Component, used: set[str]) -> Schema:
    """Schema of the options of a component."""
    said = argument_docs(component.doc)
    used.update(_definition(option.nested) for option in component.options if option.nested is not None)
    return {
        "description": component.summary,
        "properties": {option.name: option_schema(option, said.get(option.name, "")) for option in component.options},
        "required": [option.name for option in component.options if option.required],
    }


def _reference(component: Component) -> str:
    """Key of a component in the definitions, without `/` and `*`, which would need escapes."""
    return f"{component.kind}.{component.name.removesuffix('/*').replace('/', '.')}"


def _definition(nested: Nested) -> str:
    """Key of the table of a nested component in the definitions."""
    return f"{WEIGHTED if nested.weighted else ''}{nested.kind}"


def _pattern(family: Component) -> str:
    """Regular expression of the names of a family's members."""
    return rf"^{re.escape(family.name.removesuffix('/*'))}/\S+$"


def _plain(value: Any) -> Any:
    """A default as a JSON value."""
    if isinstance(value, Table):
        return {key: _plain(inner) for key, inner in value}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


@cache
def field_docs(model: type[Table]) -> dict[str, str]:
    """The strings below the fields of a table and of its bases, read from the source: Python does not keep them."""
    found: dict[str, str] = {}
    for each in (*reversed(model.__mro__[1:]), model):
        if not issubclass(each, Table):
            continue
        [node] = ast.parse(inspect.getsource(each)).body
        assert isinstance(node, ast.ClassDef)
        for field, below in zip(node.body, node.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return found
