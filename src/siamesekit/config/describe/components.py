"""Content of `list` and `show` for components: table, snippet of TOML, docstring wrapped for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from siamesekit.config.describe.lines import assigned, option_line
from siamesekit.config.describe.tables import Key, config_table
from siamesekit.config.schema import argument_docs, concrete, option_schema
from siamesekit.config.tables import TABLES, ComponentTable
from siamesekit.errors import ComponentError
from siamesekit.registry import registry_of
from siamesekit.registry.adapted.pml_defaults import default_of
from siamesekit.registry.component import Component
from siamesekit.registry.signatures import Parameter, type_in_words

ARGUMENT = re.compile(r"\s+\*{0,2}\w+( ?\(.*?\)+)?: ")
"""Beginning of the line of an argument or an error in a docstring."""


def table_of(kind: str) -> tuple[str, str]:
    """The table and the key that name a component of a kind in a config, such as `loss` and `name`.

    A kind without a table of its own is nested, such as `loss.reducer`; a kind in no table is its own table.
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
    """The table of a component as TOML to paste into a config; optional keys are comments with their defaults.

    Args:
        component: a component, but no family whose members have own options.
        name: name of the component, or of a family's member.
    """
    place, key = table_of(component.kind)
    lines = [f"[{place}]", f'{key} = "{name}"']
    lines += [option_line(option) for option in component.options if option.nested is None]
    for option in component.options:
        if option.nested is not None:
            lines += ["", *_nested_lines(component, option, place)]
    return "\n".join(lines) + "\n"


def default_table(component: Component, option: Parameter) -> dict[str, Any] | None:
    """The default table of an option that is a component, such as `{"name": "pml/lp"}`; None if unknown.

    Args:
        component: a component.
        option: option of the component that is a component itself.
    """
    found = default_of(component.source, option.name)
    if found is None or option.nested is None:
        return None
    try:
        resolved, problems = registry_of(option.nested.kind).check(found.name, found.options)
    except ComponentError:  # a class that is no component here
        return None
    return None if problems else {"name": found.name, **{name: resolved[name] for name in found.options}}


def described(component: Component, name: str) -> dict[str, Any]:
    """A component as JSON.

    Args:
        component: a component.
        name: requested name: that of the component, or of a family's member.
    """
    said = argument_docs(component.doc)
    place, key = table_of(component.kind)
    shown: dict[str, Any] = {
        "kind": component.kind,
        "name": name,
        "summary": component.summary,
        "options": [_described_option(component, option, said.get(option.name, "")) for option in component.options],
        "supplied": supplied(component),
        "table_keys": [key.parameter.name for key in table_keys(component)],
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
    """The runtime values that a component takes, without those of its family's adapter and the keys of its table."""
    adapter = {"model", "options"} if component.is_family or component.family else set()
    keys = {key.parameter.name for key in table_keys(component)}
    return [parameter.name for parameter in component.runtime if parameter.name not in adapter | keys]


def table_keys(component: Component) -> tuple[Key, ...]:
    """The keys of a component's table that do not depend on the component."""
    place, _ = table_of(component.kind)
    return config_table(place).keys if place in TABLES else ()


def unused_keys(component: Component) -> set[str]:
    """The names of `table_keys` that the component does not use, although its kind could."""
    runtime = registry_of(component.kind).runtime - {parameter.name for parameter in component.runtime}
    return {key.parameter.name for key in table_keys(component)} & runtime


def summary_of_member(component: Component) -> str:
    """An adapted class and its summary: by this library, or else the first sentence of the class's docstring."""
    adapted = component.source.rpartition(".")[2]
    first, _, rest = component.doc.partition("\n\n")
    in_our_words = first.partition(". ")[2].strip()
    if in_our_words:
        return f"{adapted}: {in_our_words}"
    paragraph = rest.strip().partition("\n\n")[0]
    sentence = re.split(r"(?<=\.)\s|\s*\n *(?=\w+: *$)", paragraph, maxsplit=1, flags=re.M)[0]
    if re.match(r"\w+:|\S*$|Issue #|The parameters are", sentence):  # arguments, or no summary
        return adapted
    return f"{adapted}: {' '.join(sentence.split())}"


def reflowed(doc: str, width: int) -> str:
    """A docstring wrapped to the width of a terminal. Code blocks, and docstrings that fit, are unchanged."""
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
        shown += textwrap.wrap(
            text,
            max(width, 20),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(shown)


def _paragraphs(doc: str) -> Iterator[list[str] | str]:
    """The paragraphs, list items and arguments of a docstring, each a list of lines.

    Lines to keep unchanged are strings: empty lines, headings such as `Args:`, lines of code blocks.
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


def _nested_lines(component: Component, option: Parameter, place: str) -> list[str]:
    """The table of an option that is a component: its default if known, else an example."""
    assert option.nested is not None
    default = None if option.required else default_table(component, option)
    shown = default or {"name": _usual(option.nested.kind, component)}
    said = "required" if option.required else "the default" if default else "left out by default; one possible choice"
    mark = "" if option.required else "# "
    table = f"[[{place}.{option.name}]]" if option.many else f"[{place}.{option.name}]"
    lines = [f"{mark}{table}  # {said}", *(f"{mark}{assigned(key, value)}" for key, value in shown.items())]
    return [*lines, "# weight = 1.0"] if option.nested.weighted else lines


def _usual(kind: str, around: Component) -> str:
    """The name of an example component for the table of an option.

    It is a component of the same family if there is one, else the default in a config, else the first without required
    options.
    """
    registry = registry_of(kind)
    place, key = table_of(kind)
    model = TABLES.get(place)
    default = model.model_fields[key].default if model is not None and issubclass(model, ComponentTable) else None
    ready = [
        each.name
        for each in concrete(registry)
        if not any(option.required for option in each.options) and not each.is_family and each.name != around.name
    ]
    if around.family:
        ready.sort(key=lambda name: not name.startswith(around.family.removesuffix("*")))
        return ready[0]
    return default if isinstance(default, str) else ready[0]


def _described_option(component: Component, option: Parameter, said: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": option.name, "type": type_in_words(option.annotation)}
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
        default = default_table(component, option)
        if default is not None:
            shown["default_table"] = default
    return shown
