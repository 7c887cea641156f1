"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from siamesekit.registry import Component, Registry

NETWORKS = {"trained": "trained network", "untrained": "untrained network", "raw_pixels": "raw pixels"}
METRICS = {"triplet_accuracy": "triplet accuracy", "precision_at_1": "P@1", "map_at_r": "MAP@R"}


def evaluation_table(evaluation: Mapping[str, Any]) -> Table:
    """Figures with intervals, a network a row."""
    table = _table("", *METRICS.values())
    table.title = (f"{evaluation['photos']} test photos of {evaluation['individuals']} individuals, "
                   f"{evaluation['triplets']} triplets")  # fmt: skip
    table.caption = f"{evaluation['confidence']:.0%} bootstrap intervals over individuals"
    for name, figures in evaluation["networks"].items():
        table.add_row(NETWORKS.get(name, name), *(_figure(figures[metric]) for metric in METRICS))
    return table


def plan_table(plan: Mapping[str, Any]) -> Table:
    """A plan, a line an item."""
    table = _table("plan", "")
    parts = plan["photos"]
    table.add_row("individuals", ", ".join(f"{count} {part}" for part, count in plan["individuals"].items()))
    table.add_row("photos", ", ".join(f"{count} {part}" for part, count in parts.items()))
    triplets = "chosen by the miner," if plan["triplets"] is None else plan["triplets"]
    table.add_row("triplets an epoch", f"{triplets} in {plan['batches']} batches")
    table.add_row("steps", str(plan["steps"]))
    table.add_row("parameters", f"{plan['trainable']:,} of {plan['parameters']:,} train")
    table.add_row("weights", plan["weights"])
    table.add_row("frozen part", f"{plan['frozen_part']} ({plan['cache_bytes'] / 1e6:.0f} MB)")
    table.add_row("device", plan["device"])
    table.add_row("memory, about", f"{plan['memory_bytes'] / 1e9:.1f} GB")
    table.add_row("time, about", _duration(plan["seconds"]))
    for stand_in in plan["stand_ins"]:
        table.add_row("STAND-IN", stand_in)
    return table


def components_table(registry: Registry) -> Table:
    """The components of a kind: name, first line, origin."""
    table = _table(registry.plural, registry.purpose, "from")
    for component in registry.components():
        origin = component.origin
        table.add_row(Text(component.name), Text(component.summary), Text(origin))
    return table


def options_table(component: Component) -> Table:
    """A component's options."""
    table = _table("option", "type", "default")
    for option in component.options:
        default = "required" if option.required else repr(option.default)
        table.add_row(option.name, Text(_type(option.annotation)), Text(default))
    return table


def _type(annotation: Any) -> str:
    """A type in words: ranges and choices spelt out."""
    from typing import Annotated, Literal, get_args, get_origin

    if get_origin(annotation) is Annotated:
        base, *limits = get_args(annotation)
        signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
        bounds = [
            f"{sign} {getattr(limit, key)}" for limit in limits for key, sign in signs.items() if hasattr(limit, key)
        ]
        return f"{_type(base)} {', '.join(bounds)}".strip()
    if get_origin(annotation) is Literal:
        return " | ".join(repr(choice) for choice in get_args(annotation))
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _figure(interval: Mapping[str, float | None]) -> str:
    if interval["low"] is None or interval["high"] is None:
        return f"{interval['value']:.3f}"
    return f"{interval['value']:.3f} ({interval['low']:.3f}–{interval['high']:.3f})"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
