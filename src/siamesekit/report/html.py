"""The report: one self-contained HTML file, written for the owner of the photos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from siamesekit.evaluation.worth import worth_of_training
from siamesekit.report.charts import METRICS, NETWORKS, comparison_chart, distance_chart, training_chart
from siamesekit.report.content import HardTriplet, Ranking, ReportData
from siamesekit.report.embedding_map import map_section
from siamesekit.report.further import figures_by_group, open_set_figures, searched
from siamesekit.report.pictures import chart, figure, points_figure
from siamesekit.report.search import confused_individuals, gallery_sizes, hub_photos
from siamesekit.report.tables import interval_html, table
from siamesekit.report.training import finding_html, training_summary, vital_signs
from siamesekit.report.verdicts import verdicts
from siamesekit.wording import apart, for_the_real_thing, with_interval

_PAGE = Path(__file__).with_name("page.html")
PARTS = {"train": "trained", "validation": "chose the epoch (validation)", "test": "tested"}
MORE = {"r_precision": "R-precision", "mrr_at_10": "MRR@10", "recall_at_5": "Recall@5", "recall_at_10": "Recall@10",
        "precision_at_5": "P@5", "precision_at_10": "P@10", "map_at_5": "MAP@5", "map_at_10": "MAP@10",
        "mean_average_precision": "mAP", "mrr": "MRR"}  # fmt: skip
"""Labels of the further figures, shown below the three main ones."""


def render(data: ReportData) -> str:
    """Return the whole page as HTML; all names of individuals and photos are escaped."""
    networks = data.evaluation["networks"]
    sections = [
        ("", f"<p class=answer>{answer(data.evaluation)}</p>" + _warning(data.evaluation) + _stand_ins(data)),
        ("Did training help?", _figures(data, networks)),
        ("By group and encounter", figures_by_group(data.evaluation)),
        ("Known or new?", open_set_figures(data.evaluation)),
        ("How many individuals?", gallery_sizes(data.evaluation)),
        ("Training", _training(data)),
        ("Same or different?", _operating_point(data) + verdicts(data.evaluation)),
        ("Who is it?", _rankings(data.rankings, data.no_points)),
        ("Confused individuals", confused_individuals(data)),
        ("Hubs", hub_photos(data)),
        ("Map of the embeddings", map_section(data.embedding_map) if "hubs" in data.evaluation else ""),
        ("The hardest test triplets", _hardest(data.hardest)),
        ("What was done", _definition_list(data.facts) + _parts(data.parts)),
        ("What to do next", _next(data)),
    ]
    if data.evaluation.get("left_out"):
        lines = "".join(f"<li>{escape(line)}</li>" for line in data.evaluation["left_out"])
        sections.append(("Photos that were left out", f"<ul>{lines}</ul>"))
    if data.evaluation["notes"]:
        notes = "".join(f"<li>{escape(note)}</li>" for note in data.evaluation["notes"])
        sections.append(("Notes", f"<ul>{notes}</ul>"))
    body = "".join(
        f"<section>{f'<h2>{title}</h2>' if title else ''}{content}</section>" for title, content in sections if content
    )
    page = Template(_PAGE.read_text(encoding="utf-8"))
    return page.substitute(
        title=escape(data.name), body=body, created=escape(data.created), version=escape(data.version)
    )


def answer(evaluation: Mapping[str, Any]) -> str:
    """The main result in two sentences, as HTML."""
    networks = evaluation["networks"]
    trained = networks["trained"]["precision_at_1"]
    of, new = evaluation["individuals"], evaluation.get("untrained_individuals")
    if new is None:  # a run of an earlier version
        new = of if evaluation["split"] == "identity" else 0
    seen = "that it had never seen" if new == of else "that it knew from other photos"
    seen = f"({new} of them new to it)" if 0 < new < of else seen
    between = "" if trained["low"] is None else f" ({trained['low']:.0%} to {trained['high']:.0%})"
    untrained, pixels = (networks[name]["precision_at_1"]["value"] for name in ("untrained", "raw_pixels"))
    return (
        f"On {evaluation.get('queries', evaluation['photos']):,} photos of {evaluation['individuals']} individuals "
        f"{seen}, the trained network "
        f"ranked a photo of the right individual first in <strong>{trained['value']:.0%}</strong> of cases{between}. "
        f"The same network before training reached {untrained:.0%}, and comparing plain pixels {pixels:.0%}."
        + _copies(evaluation)
    )


def _copies(evaluation: Mapping[str, Any]) -> str:
    """What copies among the test photos are worth, in a sentence; empty if there are none."""
    found = evaluation.get("without_copies")
    return f" <strong class=copies>{escape(found['sentence'])}</strong>" if found else ""


def shortfalls(networks: Mapping[str, Any]) -> list[str]:
    """Figures in which the trained network is not better than a baseline: `MAP@R: trained 0.410, untrained 0.470`."""
    found = []
    for metric, label in METRICS.items():
        if metric not in networks["trained"]:
            continue
        value = networks["trained"][metric]["value"]
        for other in ("untrained", "raw_pixels"):
            baseline = networks[other][metric]["value"]
            if not value > baseline:
                found.append(f"{label}: trained {value:.3f}, {NETWORKS[other]} {baseline:.3f}")
    return found


def _warning(evaluation: Mapping[str, Any]) -> str:
    found = shortfalls(evaluation["networks"])
    if not found:
        return ""
    worth = worth_of_training(evaluation["networks"])
    counted = f"Training helped in {worth.helped} of {worth.comparisons} comparisons."
    heading = f"Training did not help everywhere. {counted}" if worth.helped else counted
    sentence = "" if worth.sentence is None else f"<p>{escape(worth.sentence)}</p>"
    items = "".join(f"<li>{escape(line)}</li>" for line in found)
    return (
        f"<div class='note warn'><strong>{heading}</strong>{sentence} Figures that are as good or better without "
        f"training:<ul>{items}</ul></div>"
    )


def _stand_ins(data: ReportData) -> str:
    return "".join(
        f"<div class='note stand-in'><strong>Stand-in for the {escape(s.what)}.</strong> In place of "
        f"{escape(s.wanted)}: {escape(s.used)}, because {escape(s.why)}. All figures on this page were measured with "
        f"this stand-in. {for_the_real_thing(f'<code>{escape(s.hint)}</code>')}</div>"
        for s in data.stand_ins
    )


def _figures(data: ReportData, networks: Mapping[str, Any]) -> str:
    metrics = {metric: label for metric, label in METRICS.items() if metric in networks["trained"]}
    rows = [[NETWORKS[name], *(interval_html(networks[name][metric]) for metric in metrics)] for name in NETWORKS]
    evaluation = data.evaluation
    triplets = (
        f"Triplet accuracy: share of the {evaluation['triplets']:,} triplets in which the photo of the same individual "
        "is nearer than the photo of another one. "
        if "triplet_accuracy" in metrics
        else ""
    )
    return (
        "<p>Results on the same test photos with the trained network, with the same network before training, and with "
        f"a comparison of plain pixels. {searched(evaluation)} No photo is compared with itself.</p>"
        + chart("Figures of the three networks with intervals", comparison_chart, networks)
        + table(["", *metrics.values()], rows)
        + f"<p class=small>In brackets: {evaluation['confidence']:.0%} intervals, from {evaluation['bootstrap']} "
        f"resamples of the {evaluation['individuals']} individuals. {triplets}MAP@R: how well the photos of an "
        "individual rank before all others; 1 is perfect.</p>" + _more_figures(networks)
    )


def _more_figures(networks: Mapping[str, Any]) -> str:
    """The further figures in a table that unfolds; empty if the run has none."""
    metrics = {metric: label for metric, label in MORE.items() if all(metric in networks[name] for name in NETWORKS)}
    if not metrics:
        return ""
    rows = [[label, *(interval_html(networks[name][metric]) for name in NETWORKS)] for metric, label in metrics.items()]
    return (
        "<details><summary>More figures</summary>"
        + table(["", *NETWORKS.values()], rows)
        + "<p class=small>Each test photo in turn is the query, and the photos that are searched are ranked by their "
        "distance from it. The R of them that show the query's individual are the hits. R-precision: share of hits "
        "among the first R. "
        "MRR@10: 1 divided by the rank of the first hit, 0 beyond rank 10. Recall@k: 1 if there is a hit among the "
        "first k, else 0. P@k: share of hits among the first k. MAP@k: sum of the precisions at the hits among the "
        "first k, divided by the smaller of R and k. mAP: mean of the precisions at all R hits. MRR: 1 divided by the "
        "rank of the first hit, however late. All figures are means over the queries; 1 is perfect, except for "
        "P@k if R is less than k.</p></details>"
    )


def _training(data: ReportData) -> str:
    if not data.epochs:
        return (
            "<p>There are no training curves, because train.epochs is 0: the projection was fitted to the training "
            "photos in closed form.</p>"
        )
    return (
        f"<p>{' '.join(training_summary(data))}</p>"
        + "".join(f"<div class='note warn'>{finding_html(finding)}</div>" for finding in data.findings)
        + chart("Loss, accuracy and distances over the epochs", training_chart, data.epochs)
        + f"<p class=small>{' '.join(vital_signs(data))}</p>"
    )


def _operating_point(data: ReportData) -> str:
    point = data.evaluation["threshold"]
    drawn = chart("Distances of same and of different pairs", distance_chart, data.same, data.different, point)
    if point is None:
        return drawn + "<p>This model ships no threshold; the notes below say why.</p>"
    [threshold] = apart(point["threshold"])
    text = (
        f"<p>Two photos are called the same individual up to a distance of <strong>{threshold}</strong> "
        f"({escape(point['criterion'])}). The similarity is the probability that two photos show the same individual, "
        "if same and different pairs were equally frequent. Threshold and similarity were fitted on photos of "
        f"{point['individuals']} individuals that did not train the network.</p>"
    )
    worth = point["cross_fit"]
    if worth is None:
        text += (
            "<p>The error rates of this threshold are <strong>unknown</strong>: the individuals that set it are too "
            "few to judge it as well.</p>"
        )
    else:
        text += (
            "<p>Error rates of such a threshold, measured on individuals other than those that set it: "
            f"<strong>{with_interval(worth['false_accept_rate'], '.1%')}</strong> of {worth['different_pairs']:,} "
            "pairs of different individuals are called same (false accepts); "
            f"<strong>{with_interval(worth['false_reject_rate'], '.1%')}</strong> of {worth['same_pairs']:,} pairs of "
            "one individual are called different (false rejects).</p>"
        )
    return drawn + text


def _parts(parts: Mapping[str, Sequence[str]]) -> str:
    """The individuals of each part of the split, in a list that unfolds; empty without any names."""
    if not parts:
        return ""
    rows = "".join(
        f"<dt>{escape(PARTS.get(part, part))}</dt><dd>{escape(', '.join(names))}</dd>"
        for part, names in parts.items()
        if names
    )
    return f"<details><summary>Who trained and who tested</summary><dl>{rows}</dl></details>"


def _next(data: ReportData) -> str:
    """Next steps: how to use the model, and, if needed, how to get a better one."""
    training = worth_of_training(data.evaluation["networks"])
    usable = "raw_pixels" not in training.no_better_than
    steps = [] if usable else ["Do not use this model for answers: it is no better than comparing plain pixels."]
    if training.helped < training.comparisons or data.evaluation["threshold"] is None or data.findings:
        steps.append(
            "To get a better model: add photos of more individuals first, then more photos of the same ones; use "
            "pretrained weights; follow any advice of the training doctor above; and look for wrong labels and bad "
            "crops among the hardest triplets."
        )
    if usable:
        steps.append("Compare two photos: siamesekit compare RUN A.jpg B.jpg, where RUN is the folder of this report.")
        steps.append("Write the embeddings of a folder of photos: siamesekit embed RUN PHOTOS -o embeddings.csv.")
        steps.append(
            "Find out who is on a new photo: see the guide “Find an individual in a catalogue” in the documentation."
        )
    steps.append("Look up what each figure means: see the guide “Read the report” in the documentation.")
    return "<ul>" + "".join(f"<li>{escape(step)}</li>" for step in steps) + "</ul>"


def _rankings(rankings: Sequence[Ranking], no_points: str) -> str:
    rows = "".join(
        f"<div class=ranking>{figure(ranking.query, ranking.query.individual)}"
        + "".join(
            figure(picture, f"{'✓' if right else '✗'} {shown}", "right" if right else "wrong")
            for (picture, _), shown in zip(
                ranking.found, apart(*(each[1] for each in ranking.found), decimals=3), strict=True
            )
            for right in [picture.individual == ranking.query.individual]
        )
        + _shared_points(ranking)
        + "</div>"
        for ranking in rankings
        if ranking.found
    )
    if not rows:
        return ""
    points = (
        " Below each row, the nearest photo of the right individual and the nearest of another one, with lines between "
        "the points that a matcher finds on both photos: a handful occur by chance."
        if any(ranking.shared for ranking in rankings)
        else f" {escape(no_points)}"
    )
    return (
        "<p>Each row shows the first test photo of an individual on the left and, beside it, the photos that the "
        f"network finds nearest, with their distances: ✓ the same individual, ✗ another one.{points}</p>"
        f"<div class=rankings>{rows}</div>"
    )


def _shared_points(ranking: Ranking) -> str:
    """The nearest photo of the right individual and of another one, with the points that the query shares with them."""
    if not ranking.shared:
        return ""
    shown = []
    for kind in ("right", "wrong"):
        for (picture, _), points in zip(ranking.found, ranking.shared, strict=True):
            if (picture.individual == ranking.query.individual) == (kind == "right"):
                shown.append(points_figure(ranking.query, picture, points, kind))
                break
    return f"<div class=shared>{''.join(shown)}</div>"


def _hardest(triplets: Iterable[HardTriplet]) -> str:
    rows = "".join(
        f"<div class='triplet'>{figure(t.anchor, 'anchor')}{figure(t.positive, f'same, {d_ap}')}"
        f"{figure(t.negative, f'different, {d_an}')}"
        f"<div class='verdict {'wrong' if t.d_ap >= t.d_an else 'right'}'>"
        f"{'✗ wrong one nearer' if t.d_ap >= t.d_an else '✓ right one nearer'}</div></div>"
        for t in triplets
        for d_ap, d_an in [apart(t.d_ap, t.d_an, decimals=3)]
    )
    if not rows:
        return ""
    return (
        "<p>The triplets on which the network does worst. Each shows an anchor, another photo of the same individual "
        "and a photo of a different individual, with their distances from the anchor.</p>"
        f"<div class=triplets>{rows}</div>"
    )


def _definition_list(facts: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in facts) + "</dl>"
