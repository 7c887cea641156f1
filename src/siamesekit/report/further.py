"""Sections of the report on groups of photos, on encounters, and on new individuals."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from siamesekit.report.charts import NETWORKS
from siamesekit.report.evaluation_charts import group_chart
from siamesekit.report.pictures import chart
from siamesekit.report.tables import interval_html, table
from siamesekit.wording import with_interval

COLUMNS = {"precision_at_1": "P@1", "recall_at_5": "Recall@5", "map_at_r": "MAP@R"}


def searched(evaluation: Mapping[str, Any]) -> str:
    """Who is searched among whom, in a sentence; empty for runs of earlier versions."""
    if "searched" not in evaluation:
        return ""
    apart = f", except those of the same {' and '.join(evaluation['exclude'])}" if evaluation["exclude"] else ""
    return (
        f"Each of {evaluation['queries']:,} test photos is searched among {evaluation['searched']}{apart}; the gallery "
        f"has {evaluation['gallery']:,} photos."
    )


def figures_by_group(evaluation: Mapping[str, Any]) -> str:
    """Figures by species, side or site, and without photos of the query's encounter; empty without any."""
    parts = []
    others = evaluation.get("other_encounters")
    if others:
        rows = [
            [NETWORKS[name], *(interval_html(figures[column]) for column in COLUMNS)]
            for name, figures in others["networks"].items()
        ]
        parts.append(
            "<p>Photos of one encounter share light, place and pose, and are easier to match. Without the photos of "
            f"the query's own encounter, {others['queries']:,} queries have a photo to find:</p>"
            + table(["", *COLUMNS.values()], rows)
        )
    for column, groups in evaluation.get("groups", {}).items():
        rows = [
            [
                escape(name) or "<i>unknown</i>",
                f"{group['queries']:,}",
                f"{group['individuals']:,}",
                *(interval_html(group[figure]) for figure in COLUMNS),
            ]
            for name, group in groups.items()
        ]
        parts.append(
            f"<p>The trained network by {escape(column)} of the query:</p>"
            + (chart(f"Figures by {column}", group_chart, groups) if len(groups) > 1 else "")
            + table([column, "queries", "individuals", *COLUMNS.values()], rows)
        )
    return "".join(parts)


def open_set_figures(evaluation: Mapping[str, Any]) -> str:
    """How well the network tells new individuals from known ones; empty unless the queries show both."""
    figures = evaluation.get("open_set")
    if not figures:
        return ""
    text = (
        f"<p>{figures['known']:,} queries show individuals that are in the gallery, and {figures['new']:,} show new "
        "ones. A query of a new individual is farther from its nearest photo than a query of a known one in "
        f"<strong>{with_interval(figures['auroc'], '.1%')}</strong> of cases (AUROC; 50% is guessing).</p>"
    )
    if figures["baks"] is None:
        return text + "<p>This model ships no threshold, so it cannot call a photo new.</p>"
    return text + (
        "<p>At the threshold of this model, the average known individual is named rightly in "
        f"<strong>{with_interval(figures['baks'], '.1%')}</strong> of its photos (BAKS), and the average new one is "
        f"called new in <strong>{with_interval(figures['baus'], '.1%')}</strong> (BAUS); the geometric mean of the two "
        f"is {with_interval(figures['geometric_mean'], '.1%')}. The threshold was set on these new individuals; expect "
        "somewhat lower figures for others.</p>"
    )
