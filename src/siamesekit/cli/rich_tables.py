"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from siamesekit.audit.finding import KINDS, in_words
from siamesekit.config.describe.components import summary_of_member
from siamesekit.registry.signatures import type_in_words
from siamesekit.wording import first_lines, printable, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siamesekit.audit.auditing import Audit
    from siamesekit.config.describe.tables import ConfigTable, Key
    from siamesekit.experiment.plan import Plan
    from siamesekit.gallery.catalogue_report import CatalogueReport
    from siamesekit.gallery.search import Answer
    from siamesekit.registry import Registry
    from siamesekit.registry.component import Component
    from siamesekit.registry.signatures import Parameter

NETWORK_LABELS = {"trained": "trained network", "untrained": "untrained network", "raw_pixels": "raw pixels",
                  "model": "this model", "against": "the other model"}  # fmt: skip
SHOWN_FILES = 3
"""Most photos of a kind of finding that a table names."""
SEVERITY_STYLES = {"serious": "bold red", "warning": "yellow", "note": ""}
WORDS = (
    "an epoch: once through the training photos; a triplet: two photos of one individual, one of another; a step: one "
    "batch of photos, after which the network changes a little; the frozen part: layers that do not train; fp32, bf16: "
    "numbers of 32 or 16 bits, 16 are faster and coarser"
)
"""Explanation of the terms, printed below a plan."""
OTHER_TEST_PHOTOS = "the other test photos"
METRIC_LABELS = {"triplet_accuracy": "triplet accuracy", "precision_at_1": "P@1", "map_at_r": "MAP@R"}


def evaluation_table(evaluation: Mapping[str, Any]) -> Table:
    """Figures with intervals, one row per network."""
    networks = evaluation["networks"]
    metrics = [metric for metric in METRIC_LABELS if all(metric in figures for figures in networks.values())]
    table = _table("", *(METRIC_LABELS[metric] for metric in metrics))
    table.title = (
        f"{evaluation['photos']} test photos of {evaluation['individuals']} individuals, "
        f"{evaluation['triplets']} triplets"
    )
    if len(metrics) < len(METRIC_LABELS) or evaluation.get("searched", OTHER_TEST_PHOTOS) != OTHER_TEST_PHOTOS:
        table.title = (
            f"{evaluation['photos']} test photos of {evaluation['individuals']} individuals, searched among "
            f"{evaluation['gallery']} photos: {evaluation['searched']}"
        )
    table.caption = f"{evaluation['confidence']:.0%} bootstrap intervals over individuals"
    for name, figures in networks.items():
        table.add_row(NETWORK_LABELS.get(name, name), *(with_interval(figures[metric]) for metric in metrics))
    return table


def difference_table(evaluation: Mapping[str, Any]) -> Table:
    """Figures of one model minus those of another on the same queries, with intervals."""
    labels = {"precision_at_1": "P@1", "recall_at_5": "Recall@5", "map_at_r": "MAP@R"}
    table = _table("", *labels.values())
    table.add_row("difference", *(with_interval(evaluation["difference"][figure], "+.3f") for figure in labels))
    table.caption = "this model minus the other, query by query; above 0, this model is better"
    return table


def answer_table(answer: Answer) -> Table:
    """The candidates of a search, one row per individual; "new individual" stands where its probability places it.

    The title has the verdict, if a share of errors was promised.
    """
    table = _table(
        "", "individual", "probability" if answer.new is not None else "similarity", "nearest photo", "photos"
    )
    table.add_column("distance", justify="right")
    looked = any(each.points is not None for each in answer.candidates)
    if looked:
        table.add_column("points", justify="right")
    table.title = Text(printable(answer.query) + (f": {answer.verdict}" if answer.verdict else ""))
    new = answer.new
    for rank, each in enumerate(answer.candidates, 1):
        if new is not None and each.probability is not None and new >= each.probability:
            table.add_row("", Text("new individual", style="italic"), f"{new:.3f}")
            new = None
        chance = each.similarity if each.probability is None else each.probability
        shown = "–" if chance is None else f"{chance:.3f}"
        names = Text(printable(each.individual)), Text(printable(each.best.name))
        points = [] if not looked else ["–" if each.points is None else str(each.points)]
        table.add_row(str(rank), names[0], shown, names[1], str(each.photos), f"{each.distance:.4f}", *points)
    if new is not None:
        table.add_row("", Text("new individual", style="italic"), f"{new:.3f}")
    return table


def report_table(report: CatalogueReport) -> Table:
    """Figures of a catalogue with intervals, one row per way to search."""
    labels = {"top_1": "top-1", "top_12": "top-12", "baks": "BAKS", "baus": "BAUS", "geometric_mean": "√(BAKS·BAUS)",
              "auroc": "AUROC of new"}  # fmt: skip
    table = _table("", *labels.values())
    table.title = (
        f"{report.individuals} individuals, {report.photos} photos; {report.queries} searches for photos of "
        f"{report.judged} individuals, held out in {report.draws} draws"
    )
    table.caption = "95% bootstrap intervals over individuals"
    for way in report.ways:
        cells = [getattr(way, figure) for figure in labels]
        table.add_row(way.name, *("–" if cell is None else with_interval(cell._asdict()) for cell in cells))
    return table


def plan_table(plan: Plan) -> Table:
    """A plan, one row per item."""
    table = _table("plan", "")
    for label, text in plan.rows():
        table.add_row(label, text)
    table.caption = WORDS
    return table


def audit_table(audit: Audit) -> Table:
    """The findings of an audit, one row per kind, with the first photos or individuals and what to do."""
    table = _table("finding", "number", "first of them", "what to do")
    table.columns[1].justify = "right"
    table.columns[0].no_wrap = True
    for kind, count in audit.counts().items():
        mine = [finding for finding in audit.findings if finding.kind == kind]
        names = list(dict.fromkeys(each.file or each.individual or "told above" for each in mine))
        shown = "\n".join(map(printable, first_lines(names, SHOWN_FILES)))
        style = SEVERITY_STYLES[KINDS[kind].severity]
        table.add_row(Text(in_words(kind), style=style), f"{count:,}", Text(shown), Text(KINDS[kind].mend))
    table.caption = "red: serious, photos that cannot be used or that make figures wrong; yellow: likely mistakes"
    return table


def components_table(registry: Registry, origins: bool = True, name_width: int | None = None) -> Table:
    """The components of a kind: name, summary, origin. A family has its number of members, and how to list them.

    Args:
        registry: registry of the kind.
        origins: whether to show the origin of each component.
        name_width: least width of the column of names, so that consecutive tables are aligned.
    """
    table = _table(registry.plural, registry.purpose, *(["from"] if origins else []))
    table.columns[0].no_wrap = True
    table.columns[0].min_width = name_width
    for component in registry.components():
        summary = component.summary
        if component.is_family:
            prefix = component.name.removesuffix("/*")
            summary += f"\n{len(component.members())} members: siamesekit list {registry.plural} {prefix}"
        table.add_row(Text(component.name), Text(summary), *([Text(component.origin)] if origins else []))
    return table


def members_table(family: Component, registry: Registry) -> Table:
    """The members of a family, each with its own options: name, adapted class, summary."""
    table = _table(registry.plural, family.summary.partition(":")[0])
    table.columns[0].no_wrap = True
    for model in family.members():
        member = family.member(model)
        table.add_row(Text(member.name), Text(summary_of_member(member)))
    return table


def options_table(component: Component) -> Table:
    """The options of a component: name, type and default."""
    table = _table("option", "type", "default")
    table.columns[0].no_wrap = True
    for option in component.options:
        table.add_row(option.name, Text(type_in_words(option.annotation)), Text(_default(option)))
    return table


def config_tables_table(tables: Iterable[ConfigTable]) -> Table:
    """The tables of a config: name, purpose, and what happens if the table is left out."""
    rows = _table("tables", "purpose", "if left out")
    rows.columns[0].no_wrap = True
    for table in tables:
        rows.add_row(Text(f"[{table.name}]"), Text(table.purpose), Text(table.if_left_out))
    return rows


def keys_table(keys: Iterable[Key]) -> Table:
    """Keys of a config: name, type, default and meaning."""
    table = _table("key", "type", "default", "")
    table.columns[0].no_wrap = True
    for key in keys:
        parameter = key.parameter
        table.add_row(
            parameter.name, Text(type_in_words(parameter.annotation)), Text(_default(parameter)), Text(key.meaning)
        )
    return table


def _default(option: Parameter) -> str:
    return "required" if option.required else repr(option.default)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
