"""The tables of a config and their keys, from `siamesekit.config.tables` and nothing else."""

from __future__ import annotations

from docs_site.wording import cell, default_in_words, table, type_in_words, with_range
from siamesekit.config.describe.tables import TOP, ConfigTable, Key, config_tables

LEFT_OUT = {
    "an error": "A config must have it.",
    "none": "It may be left out: then there is no such thing.",
    "defaults": "It may be left out: then its defaults hold.",
}
"""What holds where a table is left out, in a sentence."""


def config_keys() -> str:
    """A table of the tables, then the keys above them, then a section for each table."""
    tables = config_tables()
    rows = [[f"[`[{each.name}]`](#{anchor(each.name)})", cell(each.purpose), each.if_left_out] for each in tables]
    parts = [
        "\n".join(table(["table", "purpose", "if&nbsp;left&nbsp;out"], rows)),
        "## Above all tables { #top }",
        "These keys stand before the first table.",
        _keys(TOP),
        *(_section(each) for each in tables),
    ]
    return "\n\n".join(parts)


def anchor(name: str) -> str:
    """The id of a table's section: `encoder.head` → `encoder-head`."""
    return name.replace(".", "-")


def _section(each: ConfigTable) -> str:
    parts = [f"{'###' if '.' in each.name else '##'} `[{each.name}]` {{ #{anchor(each.name)} }}"]
    parts.append(" ".join([each.purpose, LEFT_OUT[each.if_left_out]]).strip())
    if each.every_key:
        parts.append(_keys(each.every_key))
    if each.registry is not None and each.component is not None:
        kind, plural = each.registry.kind, each.registry.plural
        parts.append(f"The table also takes the options of the {kind}: [{plural}](../catalogue/{plural}/index.md).")
    if each.inner:
        parts.append(f"In it: {', '.join(f'[`[{inner}]`](#{anchor(inner)})' for inner in each.inner)}.")
    return "\n\n".join(parts)


def _keys(keys: tuple[Key, ...]) -> str:
    rows = []
    for key in keys:
        kind = key.parameter.annotation
        rows.append([f"`{key.parameter.name}`", cell(with_range(type_in_words(kind), kind)),
                     default_in_words(key.parameter), cell(key.meaning)])  # fmt: skip
    return "\n".join(table(["key", "type", "default", "what it does"], rows))
