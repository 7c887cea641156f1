"""The catalogue: a page for each kind of component and each component, from the registries and nothing else."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Any

from siamesekit.cli.catalogue import snippet, summary_of_member, supplied, table_of
from siamesekit.config import dump_toml
from siamesekit.config.schema import argument_docs
from siamesekit.options import Nested
from siamesekit.registry import REGISTRIES, Component, Registry
from siamesekit.signatures import Parameter

SECTION = re.compile(r"(?P<name>Args|Arguments|Parameters|Returns|Raises|Yields|Attributes|Example|Examples):\s*")
WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", type(None): "not set"}
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
PACKAGES = {"pytorch_metric_learning": "pytorch-metric-learning", "torch": "PyTorch", "torchvision": "torchvision"}
LONG = 100
"""A family with more members than this lists them without a summary each."""


def catalogue() -> dict[str, str]:
    """All pages, by their path below `docs/`."""
    pages = {"catalogue/index.md": _front()}
    for registry in REGISTRIES:
        pages[f"catalogue/{registry.plural}/index.md"] = _kind(registry)
        for component in registry.components():
            if not component.is_family:
                pages[page_of(registry, component.name)] = _component(registry, component, component.name)
                continue
            prefix = component.name.removesuffix("/*")
            pages[f"catalogue/{registry.plural}/{prefix}/index.md"] = _family(registry, component)
            if component.members_from is not None:
                for member in component.members():
                    name = f"{prefix}/{member}"
                    pages[page_of(registry, name)] = _component(registry, component.member(member), name)
    return pages


def page_of(registry: Registry, name: str) -> str:
    """The page of a component, or of a member with options of its own."""
    return f"catalogue/{registry.plural}/{name}.md"


def type_in_words(annotation: Any) -> str:
    """An option's type as people say it: its range is `range_of`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        base, *marks = inner
        kinds = [mark.kind for mark in marks if isinstance(mark, Nested)]
        if not kinds:
            return type_in_words(base)
        plural = f"{kinds[0]}es" if kinds[0].endswith("s") else f"{kinds[0]}s"
        article = "an" if kinds[0][0] in "aeiou" else "a"
        return f"tables of {plural}" if typing.get_origin(base) is list else f"table of {article} {kinds[0]}"
    if origin is typing.Literal:
        choices = [f"`{_toml(choice)}`" for choice in inner]
        return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(type_in_words(part) for part in sorted(inner, key=lambda part: part is type(None)))
        return " or ".join(words)
    if origin in (tuple, list):
        parts = [part for part in inner if part is not ...]
        if not parts:
            return "list"
        many = f"{type_in_words(parts[0])}s"
        return f"list of {len(parts)} {many}" if origin is tuple and ... not in inner else f"list of {many}"
    return WORDS.get(annotation, getattr(annotation, "__name__", "any value"))


def range_of(annotation: Any) -> str:
    """What values of an option's type are admitted, `> 0` say; empty where all are."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = [f"{sign} {getattr(mark, key):g}" for mark in inner[1:] for key, sign in SIGNS.items()
                  if hasattr(mark, key)]  # fmt: skip
        return ", ".join(limits) or range_of(inner[0])
    if origin in (typing.Union, types.UnionType, tuple, list):
        return "; ".join(dict.fromkeys(found for part in inner if part is not ... and (found := range_of(part))))
    return ""


def sections(doc: str) -> tuple[str, dict[str, str]]:
    """A docstring's text without its sections, and the sections by name, dedented."""
    body: list[str] = []
    found: dict[str, list[str]] = {}
    current, margin = body, -1
    for line in doc.splitlines():
        indent = len(line) - len(line.lstrip())
        heading = SECTION.fullmatch(line.strip())
        if heading:
            current, margin = found.setdefault(heading["name"], []), indent
            continue
        if current is not body and line.strip() and indent <= margin:
            current, margin = body, -1
        current.append(line)
    return "\n".join(body).strip(), {name: "\n".join(lines) for name, lines in found.items()}


def _front() -> str:
    rows = []
    for registry in REGISTRIES:
        place, key = table_of(registry.kind)
        rows.append(f"| [{registry.plural}]({registry.plural}/index.md) | {registry.purpose} | `[{place}]`, `{key}` "
                    f"| {_count(registry):,} |")  # fmt: skip
    return "\n".join([
        "# Catalogue",
        "",
        "After this page you can find every component that a config can name, with all its options.",
        "",
        "These pages are made from the registries when the site is built, so they are what `siamesekit list` and "
        "`siamesekit show` print. A kind's page lists its components; a component's page has its options, what they "
        "mean, and a table to paste into a config.",
        "",
        "| kind | what such a component decides | table and key | how many |",
        "| --- | --- | --- | ---: |",
        *rows,
        "",
        "Names with a slash are families: `pml/…` are the classes of pytorch-metric-learning, `torch/…` those of "
        "PyTorch, `torchvision/…` and `timm/…` the transforms and networks of those packages. Your own stand "
        "beside them: [write a component](../guides/components.md).",
        "",
    ])  # fmt: skip


def _count(registry: Registry) -> int:
    return sum(len(c.members()) if c.is_family else 1 for c in registry.components())


def _kind(registry: Registry) -> str:
    place, key = table_of(registry.kind)
    own = [c for c in registry.components() if not c.is_family]
    families = [c for c in registry.components() if c.is_family]
    lines = [
        f"# {registry.plural.capitalize()}",
        "",
        "[Catalogue](../index.md)",
        "",
        f"After this page you can choose {_article(registry.kind)} {registry.kind}: {registry.purpose}.",
        "",
        f"A config names it in the table `[{place}]` by the key `{key}`. On the command line: "
        f"`siamesekit list {registry.plural}`.",
    ]
    if own:
        lines += ["", "| name | what it is |", "| --- | --- |"]
        lines += [f"| [`{c.name}`]({c.name}.md) | {_cell(c.summary)} |" for c in own]
    for family in families:
        prefix, members = family.name.removesuffix("/*"), family.members()
        lines += ["", f"## {prefix}/…", "", f"{family.summary} [{len(members):,} members]({prefix}/index.md)."]
        if family.members_from is not None:
            lines += ["", *_members(registry, family, f"{prefix}/")]
    return "\n".join([*lines, ""])


def _members(registry: Registry, family: Component, below: str) -> list[str]:
    prefix = family.name.removesuffix("*")
    rows = [f"| [`{prefix}{name}`]({below}{name}.md) | {_foreign(summary_of_member(family.member(name)))} |"
            for name in family.members()]  # fmt: skip
    return ["| name | the class it is, and what that says of itself |", "| --- | --- |", *rows]


def _family(registry: Registry, family: Component) -> str:
    prefix = family.name.removesuffix("/*")
    body, rest = sections(family.doc)
    lines = [
        f"# {prefix}/… {registry.plural}",
        "",
        f"[Catalogue](../../index.md) › [{registry.plural.capitalize()}](../index.md)",
        "",
        f"After this page you can name one of {len(family.members()):,} {registry.plural} `{prefix}/…` in a config.",
        "",
        body,
    ]
    if family.members_from is not None:
        return "\n".join([*lines, "", *_members(registry, family, ""), ""])
    first = family.members()[0] if len(family.members()) < LONG else "resnet18"
    lines += [
        "",
        *_options(registry, family),
        "## In a config",
        "",
        f"```toml\n{snippet(family, f'{prefix}/{first}')}```",
    ]
    lines += _said(rest)
    names = ", ".join(f"`{name}`" for name in family.members())
    lines += ["", "## All names", "", f"Each with `{prefix}/` before it; `siamesekit list {registry.plural} {prefix}` "
              f"prints them.", "", names, ""]  # fmt: skip
    return "\n".join(lines)


def _component(registry: Registry, component: Component, name: str) -> str:
    up = "../" if "/" in name else ""
    prefix = name.partition("/")[0]
    crumbs = f"[Catalogue]({up}../index.md) › [{registry.plural.capitalize()}]({up}index.md)"
    if up:
        crumbs += f" › [{prefix}/…](index.md)"
    lines = [f"# {name}", "", crumbs, "", f"After this page you can use the {registry.kind} `{name}` in a config.", ""]
    body, rest = sections(component.doc)
    if component.source:
        lines += _adapted(component, body)
    else:
        lines += [body]
    lines += ["", *_options(registry, component), "## In a config", "",
              "Lines with `#` are optional and show the defaults.", "",
              f"```toml\n{snippet(component, name)}```"]  # fmt: skip
    if not component.source:
        lines += _said(rest)
    lines += ["", "## Where it comes from", "", _origin(component)]
    return "\n".join([*lines, ""])


def _adapted(component: Component, body: str) -> list[str]:
    """What stands over an adapted class's options: its package's own words, as they are."""
    package, first = component.source.partition(".")[0], component.doc.partition("\n")[0]
    said = body.partition("\n")[2].strip()
    lines = [first]
    if said:
        lines += ["", f"{PACKAGES.get(package, package)} says of it:", "", f"```text\n{said.replace('```', '')}\n```"]
    return lines


def _options(registry: Registry, component: Component) -> list[str]:
    lines = ["## Options", ""]
    if component.options:
        said = argument_docs(component.doc)
        foreign = bool(component.source)
        rows = []
        for option in component.options:
            meaning = said.get(option.name, "")
            default = "required" if option.required else "not set" if option.default is None else \
                _cell(f"`{_toml(option.default)}`")  # fmt: skip
            rows.append([f"`{option.name}`", _cell(_type(registry, component, option)), range_of(option.annotation),
                         default, _foreign(meaning) if foreign else _cell(meaning)])  # fmt: skip
        lines += _table(["option", "type", "range", "default", "what it does"], rows)
    else:
        lines.append("It has none.")
    given = supplied(component)
    if given:
        names = ", ".join(f"`{name}`" for name in given)
        lines += ["", f"Supplied by the run, not to be set: {names}."]
    return [*lines, ""]


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    """A table without the columns in which nothing stands."""
    kept = [number for number in range(len(titles)) if any(row[number] for row in rows)]
    return [f"| {' | '.join(row[number] for number in kept)} |" for row in [titles, ["---"] * len(titles), *rows]]


def _type(registry: Registry, component: Component, option: Parameter) -> str:
    words = type_in_words(option.annotation)
    if option.nested is None:
        return words
    up = "../" if component.family else ""
    plural = next(other.plural for other in REGISTRIES if other.kind == option.nested.kind)
    return re.sub(rf"\b({option.nested.kind}(e?s)?)\b", rf"[\1](../{up}{plural}/index.md)", words, count=1)


def _said(rest: dict[str, str]) -> list[str]:
    """Sections of the library's own docstrings beside the arguments."""
    lines: list[str] = []
    for name in ("Returns", "Raises"):
        if name in rest:
            lines += ["", f"## {name}", ""]
            entries = re.split(r"\n(?=    \S)", "\n" + rest[name].rstrip())
            for entry in filter(str.strip, entries):
                text = " ".join(entry.split())
                word, colon, meaning = text.partition(": ")
                lines.append(f"- `{word}`: {meaning}" if colon and " " not in word else f"- {text}")
    return lines


def _origin(component: Component) -> str:
    text = f"Module `{component.origin}`."
    if component.source:
        text += f" It is the class `{component.source}`, met through the family `{component.family}`; its options " \
                "and defaults are read from the installed version."  # fmt: skip
    return text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _foreign(text: str) -> str:
    """Another package's prose, in whatever markup, as plain text in a table's cell."""
    plain = re.sub(r":\w+:`~?([^`]+)`", r"\1", " ".join(text.split()))
    plain = re.sub(r"\$\$?|`+|\*\*", "", plain)
    return re.sub(r"([\\*_<>|\[\]#])", lambda match: {"<": "&lt;", ">": "&gt;"}.get(match[1], "\\" + match[1]), plain)


def _toml(value: Any) -> str:
    if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        return str(value)
    return dump_toml({"x": value}).strip().removeprefix("x = ") if value is not None else "not set"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
