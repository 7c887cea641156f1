"""The report: one HTML file that needs nothing else, for whoever has the photos."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from siamesekit.baselines import worth_of_training
from siamesekit.figures import apart
from siamesekit.report.charts import METRICS, NETWORKS, comparison_chart, distance_chart, training_chart
from siamesekit.report.data import LARGEST, HardTriplet, Picture, Ranking, ReportData
from siamesekit.report.training import finding_told, told, vital_signs

_PAGE = Path(__file__).with_name("page.html")
PARTS = {"train": "trained", "validation": "chose the epoch (validation)", "test": "tested"}
TINY = 160
"""Pixels of the longer side below which a picture that is opened shows its pixels, in place of a blur."""
END = 8
"""Characters at the end of a file's name that are shown whatever the room: they tell photos apart."""
MORE = {"r_precision": "R-precision", "mrr_at_10": "MRR@10", "recall_at_5": "Recall@5", "recall_at_10": "Recall@10",
        "precision_at_5": "P@5", "precision_at_10": "P@10", "map_at_5": "MAP@5", "map_at_10": "MAP@10"}  # fmt: skip
"""Figures that stand below the three that count."""


def render(data: ReportData) -> str:
    """The whole page. Names of individuals and photos are escaped wherever they stand."""
    networks = data.evaluation["networks"]
    sections = [
        ("", f"<p class=answer>{answer(data.evaluation)}</p>" + _warning(data.evaluation) + _stand_ins(data)),
        ("Did training help?", _figures(data, networks)),
        ("Training", _training(data)),
        ("Same or different?", _operating_point(data)),
        ("Who is it?", _rankings(data.rankings)),
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
    """The result in a sentence or two."""
    networks = evaluation["networks"]
    trained = networks["trained"]["precision_at_1"]
    seen = "it had never seen" if evaluation["split"] == "identity" else "of which it knew other photos"
    between = "" if trained["low"] is None else f" ({trained['low']:.0%} to {trained['high']:.0%})"
    untrained, pixels = (networks[name]["precision_at_1"]["value"] for name in ("untrained", "raw_pixels"))
    return (
        f"On {evaluation['photos']:,} photos of {evaluation['individuals']} individuals {seen}, the trained network "
        f"put a photo of the right individual nearest in <strong>{trained['value']:.0%}</strong> of cases{between}; "
        f"before training it was {untrained:.0%}, and by comparing plain pixels it is {pixels:.0%}."
    )


def shortfalls(networks: Mapping[str, Any]) -> list[str]:
    """Where the trained network is not better: `MAP@R: 0.41, untrained 0.47`."""
    found = []
    for metric, label in METRICS.items():
        value = networks["trained"][metric]["value"]
        for other in ("untrained", "raw_pixels"):
            theirs = networks[other][metric]["value"]
            if not value > theirs:
                found.append(f"{label}: trained {value:.3f}, {NETWORKS[other]} {theirs:.3f}")
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
    return (f"<div class='note warn'><strong>{heading}</strong>{sentence} Without training the figures are as good or "
            f"better here:<ul>{items}</ul></div>")  # fmt: skip


def _stand_ins(data: ReportData) -> str:
    return "".join(
        f"<div class='note stand-in'><strong>Stand-in for the {escape(s.what)}.</strong> In place of "
        f"{escape(s.wanted)}: {escape(s.used)}, because {escape(s.why)}. All figures on this page are measured with "
        f"it. For the real thing: <code>{escape(s.hint)}</code></div>"
        for s in data.stand_ins
    )


def _figures(data: ReportData, networks: Mapping[str, Any]) -> str:
    rows = [[NETWORKS[name], *(_interval(networks[name][metric]) for metric in METRICS)] for name in NETWORKS]
    evaluation = data.evaluation
    return (
        "<p>The same test photos, judged by the trained network, by the same network before training, and by comparing "
        "plain pixels. A photo's own copy never counts.</p>"
        + _chart("Figures of the three networks with intervals", comparison_chart, networks)
        + _table(["", *METRICS.values()], rows)
        + f"<p class=small>In brackets {evaluation['confidence']:.0%} intervals, from {evaluation['bootstrap']} "
        f"resamples of the {evaluation['individuals']} individuals. Triplet accuracy: share of "
        f"{evaluation['triplets']:,} triplets in which the photo of the same individual is nearer than that of "
        "another. MAP@R: how well all photos of an individual rank before all others, 1 is perfect.</p>"
        + _more_figures(networks)
    )


def _more_figures(networks: Mapping[str, Any]) -> str:
    """The other figures in a table that opens; nothing of a run that has none."""
    metrics = {metric: label for metric, label in MORE.items() if all(metric in networks[name] for name in NETWORKS)}
    if not metrics:
        return ""
    rows = [[label, *(_interval(networks[name][metric]) for name in NETWORKS)] for metric, label in metrics.items()]
    return (
        "<details><summary>More figures</summary>"
        + _table(["", *NETWORKS.values()], rows)
        + "<p class=small>Each photo asks in turn, and the others are ranked by their distance from it; the R of its "
        "own individual are the hits. R-precision: share of hits among the first R. MRR@10: 1 over the rank of the "
        "first hit, 0 beyond rank 10. Recall@k: whether there is a hit among the first k. P@k: share of hits among the "
        "first k. MAP@k: precision at each hit among the first k, summed, over the smaller of R and k. All are means "
        "over the photos; 1 is perfect, but for P@k where R is less than k.</p></details>"
    )


def _training(data: ReportData) -> str:
    if not data.epochs:
        return ""
    return (
        f"<p>{' '.join(told(data))}</p>"
        + "".join(f"<div class='note warn'>{finding_told(finding)}</div>" for finding in data.findings)
        + _chart("Loss, accuracy and distances over the epochs", training_chart, data.epochs)
        + f"<p class=small>{' '.join(vital_signs(data))}</p>"
    )


def _operating_point(data: ReportData) -> str:
    point = data.evaluation["threshold"]
    chart = _chart("Distances of same and of different pairs", distance_chart, data.same, data.different, point)
    if point is None:
        return chart + "<p>This model ships no threshold; the notes below say why.</p>"
    [threshold] = apart(point["threshold"])
    text = (
        f"<p>Two photos are called the same individual up to a distance of <strong>{threshold}</strong> "
        f"({escape(point['criterion'])}). The similarity is the probability that both show one individual, if same and "
        f"different were equally frequent. Both were set by {point['individuals']} individuals that did not train the "
        "network.</p>"
    )
    worth = point["cross_fit"]
    if worth is None:
        text += ("<p>How often such verdicts are wrong is <strong>unknown</strong>: so few individuals set the "
                 "threshold and cannot judge it as well.</p>")  # fmt: skip
    else:
        text += (
            "<p>What that threshold is worth, each time judged on individuals other than those that set it: "
            f"of {worth['different_pairs']:,} pairs of different individuals "
            f"<strong>{_percent(worth['false_accept_rate'])}</strong> are called same (false accepts); "
            f"of {worth['same_pairs']:,} pairs of one individual "
            f"<strong>{_percent(worth['false_reject_rate'])}</strong> are called different (false rejects).</p>"
        )
    return chart + text


def _parts(parts: Mapping[str, Sequence[str]]) -> str:
    """Who trained, chose the epoch and tested, in a list that opens; nothing where nobody is named."""
    if not parts:
        return ""
    rows = "".join(
        f"<dt>{escape(PARTS.get(part, part))}</dt><dd>{escape(', '.join(names))}</dd>"
        for part, names in parts.items()
        if names
    )
    return f"<details><summary>Who trained and who tested</summary><dl>{rows}</dl></details>"


def _next(data: ReportData) -> str:
    """What to do with the model, or, where it is no good, to get a better one."""
    training = worth_of_training(data.evaluation["networks"])
    usable = "raw_pixels" not in training.no_better_than
    steps = [] if usable else ["Do not use this model for answers: it is no better than comparing plain pixels."]
    if training.helped < training.comparisons or data.evaluation["threshold"] is None or data.findings:
        steps.append("To get a better model: photos of more individuals, before more photos of the same ones; "
                     "pretrained weights; what the training doctor says above; and a look at the hardest triplets for "
                     "wrong labels and bad crops.")  # fmt: skip
    if usable:
        steps.append("Compare two photos: siamesekit compare RUN A.jpg B.jpg, RUN being the folder of this report.")
        steps.append("Write the embeddings of a folder of photos: siamesekit embed RUN PHOTOS -o embeddings.csv.")
        steps.append("Who is on a new photo: the guide “Find an individual in a catalogue” of the documentation.")
    steps.append("What each figure here means: the guide “Read the report” of the documentation.")
    return "<ul>" + "".join(f"<li>{escape(step)}</li>" for step in steps) + "</ul>"


def _rankings(rankings: Sequence[Ranking]) -> str:
    rows = "".join(
        f"<div class=ranking>{_figure(ranking.query, ranking.query.individual)}"
        + "".join(
            _figure(picture, f"{'✓' if right else '✗'} {shown}", "right" if right else "wrong")
            for (picture, _), shown in zip(
                ranking.found, apart(*(each[1] for each in ranking.found), decimals=3), strict=True
            )
            for right in [picture.individual == ranking.query.individual]
        )
        + "</div>"
        for ranking in rankings
        if ranking.found
    )
    if not rows:
        return ""
    return (
        "<p>On the left a test photo, one of each of some individuals, as they come; beside it the test photos that "
        "the network finds nearest, with their distances: ✓ the same individual, ✗ another one.</p>"
        f"<div class=rankings>{rows}</div>"
    )


def _hardest(triplets: Iterable[HardTriplet]) -> str:
    rows = "".join(
        f"<div class='triplet'>{_figure(t.anchor, 'anchor')}{_figure(t.positive, f'same, {d_ap}')}"
        f"{_figure(t.negative, f'different, {d_an}')}"
        f"<div class='verdict {'wrong' if t.d_ap >= t.d_an else 'right'}'>"
        f"{'✗ wrong one nearer' if t.d_ap >= t.d_an else '✓ right one nearer'}</div></div>"
        for t in triplets
        for d_ap, d_an in [apart(t.d_ap, t.d_an, decimals=3)]
    )
    if not rows:
        return ""
    return (
        "<p>The triplets on which the network does worst: beside each anchor another photo of the same individual, "
        f"and one of a different individual, with their distances from it.</p><div class=triplets>{rows}</div>"
    )


def _figure(picture: Picture, role: str, kind: str = "") -> str:
    """A photo that opens large where it is clicked, or by the keyboard: `<details>`, since no script may run."""
    shown = picture.pixels if picture.photo is None else picture.photo
    whole, tag = escape(f"{picture.individual}, {picture.name}"), f"figure class={kind}" if kind else "figure"
    tiny = " class=tiny" if max(shown.shape[:2]) < TINY else ""
    return (f"<{tag}><details class=photo name=photo><summary title='{whole}'><img{tiny} src='{_data_uri(shown)}' "
            f"alt='{whole}'></summary></details><figcaption><b>{escape(role)}</b>{_name(picture.name)}</figcaption>"
            "</figure>")  # fmt: skip


def _name(name: str) -> str:
    """A photo's name, broken between folder and file alone; in a file's name that is too long the middle is left out.

    The parts are marked by elements, never by characters, so that the name is copied as it is.
    """
    folder, slash, file = name.rpartition("/")
    start, end = file[:-END], file[-END:]
    return (f"<span class=name><span class=folder>{escape(folder + slash)}</span><span class=file>"
            f"<span class=start>{escape(start)}</span><span>{escape(end)}</span></span></span>")  # fmt: skip


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((LARGEST, LARGEST))
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _chart(label: str, draw: Callable[..., str], *shown: Any) -> str:
    """A chart in two forms, of which the page shows the one for its width: panels side by side, or below each other."""
    return (f"<div class=chart role=img aria-label='{escape(label)}'><div class=broad>{draw(*shown)}</div>"
            f"<div class=narrow>{draw(*shown, narrow=True)}</div></div>")  # fmt: skip


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _definition_list(facts: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in facts) + "</dl>"


def _interval(interval: Mapping[str, float | None]) -> str:
    if interval["low"] is None:
        return f"<b>{interval['value']:.3f}</b>"
    return f"<b>{interval['value']:.3f}</b> <span class=small>({interval['low']:.3f}–{interval['high']:.3f})</span>"


def _percent(interval: Mapping[str, float | None]) -> str:
    if interval["low"] is None or interval["high"] is None:
        return f"{interval['value']:.1%}"
    return f"{interval['value']:.1%} ({interval['low']:.1%}–{interval['high']:.1%})"
