"""The catalogue: a page for each kind of component and each component, from the registries and nothing else."""

from __future__ import annotations

import re

from docs_site import encoders
from docs_site.wording import cell, default_in_words, table, toml, type_in_words, with_range
from siamesekit.config import TABLES
from siamesekit.config.describe.components import (
    default_table,
    snippet,
    summary_of_member,
    supplied,
    table_keys,
    table_of,
    unused_keys,
)
from siamesekit.config.schema import argument_docs
from siamesekit.registry import REGISTRIES, Component, Registry, registry_of
from siamesekit.registry.signatures import Parameter

SECTION = re.compile(r"(?P<name>Args|Arguments|Parameters|Returns|Raises|Yields|Attributes|Example|Examples):\s*")
PACKAGES = {"pytorch_metric_learning": "pytorch-metric-learning", "torch": "PyTorch", "torchvision": "torchvision"}
URL = re.compile(r"(https?://[^\s<>\"|)]*[^\s<>\"|).,;:])")
BOOST = ["---", "search:", "  boost: 4", "---", ""]
"""Front matter of a page that a search finds first."""
LONG = 100
"""The first member of a family with more members than this is no good example."""


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
        rows.append(
            f"| [{registry.plural}]({registry.plural}/index.md) | {registry.purpose} | `[{place}]`, `{key}` "
            f"| {_count(registry):,} |"
        )
    return "\n".join(
        [
            "# Catalogue",
            "",
            "Every component that a config can name, with all its options.",
            "",
            "These pages are made from the registries when the site is built, so they are what `siamesekit list` and "
            "`siamesekit show` print. A kind's page lists its components; a component's page has its options, what "
            "they mean, and a table to paste into a config.",
            "",
            "| kind | what such a component decides | table and key | how many |",
            "| --- | --- | --- | ---: |",
            *rows,
            "",
            "Names with a slash are families: `pml/…` are the classes of pytorch-metric-learning, `torch/…` those of "
            "PyTorch, `torchvision/…` and `timm/…` the transforms and networks of those packages. Your own stand "
            "beside them: [write a component](../guides/components.md).",
            "",
        ]
    )


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
        f"{registry.purpose[0].upper()}{registry.purpose[1:]}. A config names the {registry.kind} in the table "
        f"{_table_link(place, '../../')} by the key `{key}`. On the command line: `siamesekit list {registry.plural}`.",
    ]
    if own:
        lines += ["", "| name | what it is |", "| --- | --- |"]
        lines += [f"| [`{c.name}`]({c.name}.md) | {cell(c.summary)} |" for c in own]
    if registry.kind == "encoder":
        lines += ["", "## Which one", "", *encoders.advice("")]
    for family in families:
        prefix, members = family.name.removesuffix("/*"), family.members()
        lines += ["", f"## {prefix}/…", "", f"{family.summary} [{len(members):,} members]({prefix}/index.md)."]
        if family.members_from is not None:
            lines += ["", *_members(registry, family, f"{prefix}/")]
    return "\n".join([*lines, ""])


def _members(registry: Registry, family: Component, below: str) -> list[str]:
    prefix = family.name.removesuffix("*")
    rows = [
        f"| [`{prefix}{name}`]({below}{name}.md) | {_foreign(summary_of_member(family.member(name)))} |"
        for name in family.members()
    ]
    return ["| name | the class it is, and what it does |", "| --- | --- |", *rows]


def _family(registry: Registry, family: Component) -> str:
    prefix = family.name.removesuffix("/*")
    body, rest = sections(family.doc)
    lines = [
        f"# {prefix}/… {registry.plural}",
        "",
        f"[Catalogue](../../index.md) › [{registry.plural.capitalize()}](../index.md)",
        "",
        body,
    ]
    if family.members_from is not None:
        return "\n".join([*lines, "", *_members(registry, family, ""), ""])
    first = family.members()[0] if len(family.members()) < LONG else "resnet18"
    is_encoder = registry.kind == "encoder" and prefix in ("timm", "torchvision")
    if is_encoder:
        lines += ["", "## Which one", "", *encoders.advice(f"{prefix}/")]
    lines += [
        "",
        *_options(family),
        "## In a config",
        "",
        f"```toml\n{snippet(family, f'{prefix}/{first}')}```",
    ]
    lines += _said(rest)
    count = f"{sum('*' not in name for name in family.members()):,}"
    if is_encoder:
        lines += ["", f"## All {count}", "", f"The figures were computed with {encoders.versions()}; the same table "
                  "for other programs is [encoders.csv](../../../data/encoders.csv). A weights tag goes behind a dot, "
                  f"`{prefix}/NAME.TAG`; the first tag is the default. `siamesekit list {registry.plural} {prefix}` "
                  "prints the names.", "", *encoders.tables(family), ""]  # fmt: skip
    else:
        names = ", ".join(f"`{name}`" for name in family.members())
        lines += ["", "## All names", "", f"Each with `{prefix}/` before it; `siamesekit list {registry.plural} "
                  f"{prefix}` prints them.", "", names, ""]  # fmt: skip
    return "\n".join(lines)


def _component(registry: Registry, component: Component, name: str) -> str:
    up = "../" if "/" in name else ""
    prefix = name.partition("/")[0]
    crumbs = f"[Catalogue]({up}../index.md) › [{registry.plural.capitalize()}]({up}index.md)"
    if f"{prefix}/*" in registry.names():
        crumbs += f" › [{prefix}/…](index.md)"
    # the library's own triplet loss stands before the adapted ones in a search for it
    lines = [*([] if component.source else BOOST), f"# {name}", "", crumbs, ""]
    body, rest = sections(component.doc)
    if component.source:
        lines += _adapted(component, body)
    else:
        lines += [body]
    lines += ["", *_options(component), "## In a config", "",
              _how_to_read(snippet(component, name)), "",
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


def _how_to_read(text: str) -> str:
    """What the comments of a snippet mean."""
    said = "Lines with `#` are optional and show the defaults."
    if "one possible choice" in text:
        said += " A table that is called one possible choice is an example: by default it is left out."
    return said


def _options(component: Component) -> list[str]:
    up = "../" if component.family or component.is_family else ""
    lines = ["## Options", ""]
    if component.options:
        said = argument_docs(component.doc)
        foreign = bool(component.source)
        rows = []
        for option in component.options:
            meaning = said.get(option.name, "")
            kind = with_range(_type(option, up), option.annotation)
            rows.append([f"`{option.name}`", cell(kind), _default(component, option, up),
                         _foreign(meaning) if foreign else cell(meaning)])  # fmt: skip
        lines += table(["option", "type", "default", "what it does"], rows)
    else:
        lines.append("It has none.")
    place, _ = table_of(component.kind)
    unused = unused_keys(component)
    keys = [
        f"`{key.parameter.name}`" + (" (not used by this one)" if key.parameter.name in unused else "")
        for key in table_keys(component)
    ]
    if keys:
        lines += [
            "",
            f"Keys of the table {_table_link(place, f'{up}../../')}, whatever {component.kind} it names: "
            f"{', '.join(keys)}.",
        ]
    given = supplied(component)
    if given:
        names = ", ".join(f"`{name}`" for name in given)
        lines += ["", f"Supplied by the run, not set in a config: {names}."]
    return [*lines, ""]


def _default(component: Component, option: Parameter, up: str) -> str:
    """An option's default; of one that is a component, what the class takes where nothing is set."""
    taken = default_table(component, option)
    if taken is None or option.nested is None:
        return default_in_words(option)
    name, *others = taken.items()
    plural = registry_of(option.nested.kind).plural
    link = f"[`{name[1]}`](../{up}{plural}/{name[1]}.md)"
    return " ".join([link, *(f"with `{key} = {toml(value)}`" for key, value in others)])


def _table_link(place: str, up: str) -> str:
    """A table's name, with a link to its keys where it is one of a config's stages."""
    return f"[`[{place}]`]({up}reference/config.md#{place})" if place in TABLES else f"`[{place}]`"


def _type(option: Parameter, up: str) -> str:
    words = type_in_words(option.annotation)
    if option.nested is None:
        return words
    plural = registry_of(option.nested.kind).plural
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
        text += (
            f" It is the class `{component.source}`, met through the family `{component.family}`; its options "
            "and defaults are read from the installed version."
        )
    return text


def _foreign(text: str) -> str:
    """Another package's prose, in whatever markup, as plain text in a table's cell, its addresses as links."""
    plain = re.sub(r":\w+:`~?([^`]+)`", r"\1", " ".join(text.split()))
    plain = re.sub(r"\$\$?|`+|\*\*", "", plain)
    parts = URL.split(plain)  # words and addresses in turn
    return "".join(_link(part) if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_<>|\[\]#])", lambda match: {"<": "&lt;", ">": "&gt;"}.get(match[1], "\\" + match[1]), text)


def _link(address: str) -> str:
    return f'<a class="address" href="{address}">{_escaped(address.partition("//")[2])}</a>'
