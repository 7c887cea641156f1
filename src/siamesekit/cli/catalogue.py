"""What `list` and `show` say of a component: where its table stands, a snippet of TOML, its docstring in a terminal."""

from __future__ import annotations

import re
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siamesekit.components import Component
from siamesekit.config.schema import argument_docs, concrete, option_schema
from siamesekit.config.tables import TABLES, ComponentTable
from siamesekit.config.toml import dump_toml
from siamesekit.registry import registry_of
from siamesekit.signatures import Parameter, in_words

ARGUMENT = re.compile(r"\s+\*{0,2}\w+( ?\(.*?\)+)?: ")
"""How the line of an argument, or of an error, begins in a docstring."""


def table_of(kind: str) -> tuple[str, str]:
    """Where a component of a kind is named in a config: the table (`loss`, or `loss.reducer` where it has none of its
    own), and the key (`name`, or `reader`); a kind that no table takes is its own.
    """
    for name, model in TABLES.items():
        if model.registry is not None and model.registry.kind == kind:
            return name, model.component_key
    for name, model in TABLES.items():
        for component in concrete(model.registry) if model.registry is not None else ():
            for option in component.options:
                if option.nested is not None and option.nested.kind == kind:
                    return f"{name}.{option.name}", "name"
    return kind, "name"


def snippet(component: Component, name: str) -> str:
    """A component's table, ready to be pasted into a config: what is optional is a comment and has its default.

    Args:
        component: any but a family of members with options of their own.
        name: the component's, or of a family's member.
    """
    place, key = table_of(component.kind)
    lines = [f"[{place}]", f'{key} = "{name}"']
    for option in component.options:
        if option.nested is None:
            lines.append(_line(option))
    for option in component.options:
        if option.nested is not None:
            mark = "" if option.required else "# "
            table = f"[[{place}.{option.name}]]" if option.many else f"[{place}.{option.name}]"
            lines += ["", f"{mark}{table}", f'{mark}name = "{_usual(option.nested.kind, component)}"']
    return "\n".join(lines) + "\n"


def described(component: Component, name: str) -> dict[str, Any]:
    """A component as JSON.

    Args:
        component: any.
        name: as it was asked for: the component's, or of a family's member.
    """
    said = argument_docs(component.doc)
    place, key = table_of(component.kind)
    shown: dict[str, Any] = {
        "kind": component.kind,
        "name": name,
        "summary": component.summary,
        "options": [_described_option(option, said.get(option.name, "")) for option in component.options],
        "supplied": supplied(component),
        "doc": component.doc,
        "origin": component.origin,
        "table": place,
        "key": key,
    }
    if component.source:
        shown["adapts"] = component.source
    if name.endswith("/*"):
        shown["members"] = len(component.members())
    else:
        shown["toml"] = snippet(component, name)
    return shown


def supplied(component: Component) -> list[str]:
    """The runtime values that a component takes, those of its family's adapter left out."""
    adapter = {"model", "options"} if component.is_family or component.family else set()
    return [parameter.name for parameter in component.runtime if parameter.name not in adapter]


def summary_of_member(component: Component) -> str:
    """An adapted class and the first sentence of its own docstring, where it says something."""
    adapted = component.source.rpartition(".")[2]
    paragraph = component.doc.partition("\n\n")[2].strip().partition("\n\n")[0]
    sentence = re.split(r"(?<=\.)\s|\s*\n *(?=\w+: *$)", paragraph, maxsplit=1, flags=re.M)[0]
    if re.match(r"\w+:|\S*$|Issue #|The parameters are", sentence):  # arguments, or nothing of what it is
        return adapted
    return f"{adapted}: {' '.join(sentence.split())}"


def reflowed(doc: str, width: int) -> str:
    """A docstring for a terminal: lines that are too long are joined into their paragraphs and broken anew.

    One that fits stays as it is, and so do code blocks.
    """
    if all(len(line) <= width for line in doc.splitlines()):
        return doc
    shown = []
    for lines in _paragraphs(doc):
        if isinstance(lines, str):
            shown.append(lines)
            continue
        first = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
        rest = first + "    " if ARGUMENT.match(lines[0]) else first
        text = " ".join(line.strip() for line in lines)
        shown += textwrap.wrap(text, max(width, 20), initial_indent=first, subsequent_indent=rest,
                               break_long_words=False, break_on_hyphens=False)  # fmt: skip
    return "\n".join(shown)


def _paragraphs(doc: str) -> Iterator[list[str] | str]:
    """A docstring's lines, those together that are one paragraph, list item or argument; a string is to stay as it is:
    an empty line, a heading such as `Args:`, a line of a code block.
    """
    current: list[str] = []
    fenced = False
    for line in doc.splitlines():
        fence = line.strip().startswith("```")
        if fence or fenced or not line.strip() or re.fullmatch(r"\s*\w+:", line):
            if current:
                yield current
            current = []
            yield line
            fenced = fenced != fence
            continue
        indent, before = (len(each) - len(each.lstrip()) for each in (line, current[0] if current else ""))
        if current and (re.match(r"\s*([-*] |\d+\. |\.\. )", line) or ARGUMENT.match(line) or indent < before):
            yield current
            current = []
        current.append(line)
    if current:
        yield current


def _line(option: Parameter) -> str:
    """An option in TOML; what is not set has no spelling, so its type stands there."""
    if option.required:
        return f"{_toml(option.name, _example(option.annotation))}  # required: {in_words(option.annotation)}"
    if option.default is None:
        return f"# {option.name}: none; or {in_words(option.annotation).replace(' | None', '')}"
    return f"# {_toml(option.name, option.default)}"


def _toml(name: str, value: Any) -> str:
    return dump_toml({name: value}).strip()


def _example(annotation: Any) -> Any:
    """Some value of a type, for a key that must be there."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        lowest = next((mark.ge for mark in inner[1:] if hasattr(mark, "ge")), None)
        above = next((mark.gt for mark in inner[1:] if hasattr(mark, "gt")), None)
        below = next((mark.lt for mark in inner[1:] if hasattr(mark, "lt")), None)
        if lowest is not None or above is None:
            return inner[0](lowest) if lowest is not None else _example(inner[0])
        return inner[0](above + 1) if below is None else (above + below) / 2
    if origin is typing.Literal:
        return inner[0]
    if origin in (typing.Union, types.UnionType):
        return _example(next(part for part in inner if part is not type(None)))
    if origin in (list, tuple):
        return [_example(part) for part in inner if part is not ...]
    return {bool: False, int: 1, float: 1.0, Path: "PATH"}.get(annotation, "…")


def _usual(kind: str, around: Component) -> str:
    """The name of a component to stand as an example in another one's table: of the same family, where that has some;
    else the one that a config has by default; else the first that needs no options.
    """
    registry = registry_of(kind)
    place, key = table_of(kind)
    model = TABLES.get(place)
    default = model.model_fields[key].default if model is not None and issubclass(model, ComponentTable) else None
    ready = [each.name for each in concrete(registry) if not any(option.required for option in each.options)
             and not each.is_family and each.name != around.name]  # fmt: skip
    if around.family:
        ready.sort(key=lambda name: not name.startswith(around.family.removesuffix("*")))
        return ready[0]
    return default if isinstance(default, str) else ready[0]


def _described_option(option: Parameter, said: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": option.name, "type": in_words(option.annotation)}
    if not option.required:
        shown["default"] = option.default
    if said:
        shown["description"] = said
    if option.nested is None:
        limits = option_schema(option)
        limits.pop("default", None)
        shown["schema"] = limits
    else:
        shown["component"] = option.nested.kind
    return shown
