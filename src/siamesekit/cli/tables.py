"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from siamesekit.cli.catalogue import summary_of_member
from siamesekit.figures import with_interval
from siamesekit.signatures import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siamesekit.cli.config_keys import ConfigTable, Key
    from siamesekit.components import Component
    from siamesekit.planning import Plan
    from siamesekit.registry import Registry
    from siamesekit.signatures import Parameter

NETWORKS = {"trained": "trained network", "untrained": "untrained network", "raw_pixels": "raw pixels"}
WORDS = (
    "an epoch: once through the training photos; a triplet: two photos of one individual, one of another; a step: one "
    "batch of photos, after which the network changes a little; the frozen part: layers that do not train; fp32, bf16: "
    "numbers of 32 or 16 bits, 16 are faster and coarser"
)
"""Below a plan."""
METRICS = {"triplet_accuracy": "triplet accuracy", "precision_at_1": "P@1", "map_at_r": "MAP@R"}


def evaluation_table(evaluation: Mapping[str, Any]) -> Table:
    """Figures with intervals, a network a row."""
    table = _table("", *METRICS.values())
    table.title = (f"{evaluation['photos']} test photos of {evaluation['individuals']} individuals, "
                   f"{evaluation['triplets']} triplets")  # fmt: skip
    table.caption = f"{evaluation['confidence']:.0%} bootstrap intervals over individuals"
    for name, figures in evaluation["networks"].items():
        table.add_row(NETWORKS.get(name, name), *(with_interval(figures[metric]) for metric in METRICS))
    return table


def plan_table(plan: Plan) -> Table:
    """A plan, a line an item."""
    table = _table("plan", "")
    for label, text in plan.rows():
        table.add_row(label, text)
    table.caption = WORDS
    return table


def components_table(registry: Registry, origins: bool = True, name_width: int | None = None) -> Table:
    """The components of a kind: name, first line, origin; of a family how many members it has, and how to list them.

    Args:
        registry: the kind's.
        origins: whether there is room to say where each comes from.
        name_width: of the column of names, so that tables below each other are in line.
    """
    table = _table(registry.plural, registry.purpose, *(["from"] if origins else []))
    table.columns[0].no_wrap = True
    table.columns[0].min_width = name_width
    for component in registry.components():
        summary = component.summary
        if component.is_family:
            prefix = component.name.removesuffix("/*")
            summary += f"\n{len(component.members())} of them: siamesekit list {registry.plural} {prefix}"
        table.add_row(Text(component.name), Text(summary), *([Text(component.origin)] if origins else []))
    return table


def members_table(family: Component, registry: Registry) -> Table:
    """The members of a family with options of their own: name, the class that is adapted, what it says of itself."""
    table = _table(registry.plural, family.summary.partition(":")[0])
    table.columns[0].no_wrap = True
    for model in family.members():
        member = family.member(model)
        table.add_row(Text(member.name), Text(summary_of_member(member)))
    return table


def options_table(component: Component) -> Table:
    """A component's options."""
    table = _table("option", "type", "default")
    table.columns[0].no_wrap = True
    for option in component.options:
        table.add_row(option.name, Text(in_words(option.annotation)), Text(_default(option)))
    return table


def config_tables_table(tables: Iterable[ConfigTable]) -> Table:
    """The tables of a config: name, what each is for, and what holds where it is left out."""
    shown = _table("tables", "what is said in it", "left out")
    shown.columns[0].no_wrap = True
    for table in tables:
        shown.add_row(Text(f"[{table.name}]"), Text(table.purpose), Text(table.if_left_out))
    return shown


def keys_table(keys: Iterable[Key]) -> Table:
    """Keys of a config: name, type, default and meaning."""
    table = _table("key", "type", "default", "")
    table.columns[0].no_wrap = True
    for key in keys:
        parameter = key.parameter
        table.add_row(
            parameter.name, Text(in_words(parameter.annotation)), Text(_default(parameter)), Text(key.meaning)
        )
    return table


def _default(option: Parameter) -> str:
    return "required" if option.required else repr(option.default)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
