"""Sections of the report on the search: the gallery's size, confused individuals, and hubs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from siamesekit.report.content import Example, Picture, ReportData
from siamesekit.report.evaluation_charts import gallery_chart
from siamesekit.report.pictures import chart, figure, points_figure
from siamesekit.report.tables import table
from siamesekit.wording import with_interval

SHOWN = 320
"""Maximum length in pixels of the longer side of a photo in these sections."""
FEW = 3
"""Sizes of the gallery below which there is no curve."""


def gallery_sizes(evaluation: Mapping[str, Any]) -> str:
    """Right answers by the number of individuals that are searched; empty for runs of earlier versions."""
    if "gallery_sizes" not in evaluation:
        return ""
    sizes = evaluation["gallery_sizes"]
    if sizes is None:
        return "<p>NaN or infinite embeddings cannot be searched.</p>"
    right, new = sizes["right"], sizes["probability_of_new"] or []
    if len(right) < FEW:
        return f"<p>{sizes['individuals']:,} individuals are too few for figures by their number.</p>"
    last = right[-1]
    text = (
        "<p>The more individuals are searched, the likelier it is that another one is nearer by chance. Of "
        f"{right[0]['individuals']:,} individuals, the right one is the nearest in "
        f"<strong>{with_interval(right[0], '.1%')}</strong> of cases; of all {last['individuals']:,}, in "
        f"<strong>{with_interval(last, '.1%')}</strong>. Means over all galleries of so many individuals, with the "
        f"query's own among them; {sizes['queries']:,} queries. Expect lower figures in a larger catalogue.</p>"
    )
    if new:
        text += (
            "<p>A catalogue also gives the probability that an individual is new. The second chart shows its mean, if "
            "half of the queries show new individuals: for queries whose individual was left out of the gallery, where "
            "it should be near 1, and for the others, where it should be near 0. It was fitted to queries of other "
            "individuals, none of which trained the network.</p>"
        )
    else:
        text += (
            "<p>There is no chart of the probability that an individual is new: it needs 13 individuals that did not "
            "train the network, and photos of one individual must be nearer to each other than to others.</p>"
        )
    label = "Right answers, and the probability of a new individual, by the number of individuals searched"
    return chart(label, gallery_chart, right, new) + text


def confused_individuals(data: ReportData) -> str:
    """Pairs of individuals that are taken for one another, with photos; empty for runs of earlier versions."""
    pairs = data.evaluation.get("confused")
    if pairs is None:
        return ""
    if not pairs:
        return "<p>The nearest photo shows the right individual for each query.</p>"
    counts = {(pair["individual"], pair["taken_for"]): pair for pair in pairs}
    cards = "".join(_confusion(example, counts) for example in data.confused)
    rows = [
        [escape(pair["individual"]), escape(pair["taken_for"]), f"{pair['count']:,} of {pair['queries']:,}"]
        for pair in pairs
    ]
    return (
        "<p>Individuals whose photos are most often taken for another one: the nearest photo of a query shows the "
        "other individual. The two photos of each pair are the nearest of all such photos. Check whether both are one "
        f"individual under two names, and whether a photo has a wrong label.{_of_points(data.confused)}</p>"
        f"<div class=pairs>{cards}</div>"
        f"<details><summary>The {len(rows)} most frequent confusions</summary>"
        + table(["individual", "taken for", "of its photos"], rows)
        + "</details>"
    )


def hub_photos(data: ReportData) -> str:
    """Photos that are the nearest of many others, whoever they show; empty for runs of earlier versions."""
    found = data.evaluation.get("hubs")
    if not found:
        return ""
    skew = (
        ""
        if found["skewness"] is None
        else f"; the skewness of this number is <strong>{found['skewness']:.2f}</strong>"
    )
    text = (
        "<p>A hub is a photo that is near to many others, whoever they show. A photo is among the "
        f"{found['k']} nearest of {found['mean']:.1f} queries on average, and of {found['largest']:,} at most{skew} "
        "(0 for a symmetric distribution; above 1, a few hubs stand out). "
        f"{found['never']:.0%} of the photos are not among the nearest of any query.</p>"
    )
    if not data.hubs:
        return text + "<p>No photo is the nearest of two or more queries of other individuals.</p>"
    cards = "".join(_hub(hub, photo, found["k"]) for hub, photo in zip(found["photos"], data.hubs, strict=False))
    return (
        text + "<p>The photos that are most often the nearest of queries of other individuals. Check whether they are "
        f"blurred, dark or empty.</p><div class=hubs>{cards}</div>"
    )


def _of_points(confused: Sequence[Example]) -> str:
    """A sentence on the points that are drawn; empty if none are."""
    if all(example.points is None for example in confused):
        return ""
    return " Lines join the points that a matcher finds on both photos: a handful occur by chance."


def _confusion(example: Example, pairs: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """Two photos, and how often their individuals are taken for one another."""
    first, second = example.query.individual, example.nearest.individual
    pair, back = pairs[first, second], pairs.get((second, first))
    other_way = "" if back is None else f"; the other way round, {back['count']:,} of {back['queries']:,}"
    return (
        f"<div class=pair>{figure(example.query, first, longest=SHOWN)}"
        f"{figure(example.nearest, second, longest=SHOWN)}"
        f"{points_figure(example.query, example.nearest, example.points)}"
        f"<div class=verdict>{pair['count']:,} of {pair['queries']:,} photos of the first are taken for the second"
        f"{other_way}</div></div>"
    )


def _hub(hub: Mapping[str, Any], photo: Picture, k: int) -> str:
    return (
        f"<div class=hub>{figure(photo, photo.individual, longest=SHOWN)}<p class=small>Nearest of {hub['misled']:,} "
        f"queries of other individuals; among the {k} nearest of {hub['occurrences']:,}.</p></div>"
    )
