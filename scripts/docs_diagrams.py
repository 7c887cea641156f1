"""Draws the diagrams of the documentation into `docs/images/*.svg`: python scripts/docs_diagrams.py

Lines and text have the colour of what is around them (`currentColor`), so that they can be read on light and on dark
ground; the three hues are seen on both. Curves are of the library's own formulas, points from a fixed seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"
TEAL, ORANGE, VIOLET = "#2a9d8f", "#e76f51", "#8f7ae5"
STYLE = "<style>svg{color:#222}@media(prefers-color-scheme:dark){svg{color:#ddd}}</style>"
"""For the file alone; in a page the page's colour holds."""


def drawing(width: int, height: int, title: str, parts: list[str]) -> str:
    """An SVG with a title for those who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}" '
        f'font-family="system-ui, sans-serif" font-size="14" fill="currentColor">{STYLE}\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, anchor: str = "middle", **more: str) -> str:
    """Words; keys of `more` are attributes, `_` for `-`."""
    rest = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{rest}>{words}</text>'


def line(points: list[tuple[float, float]], colour: str = "currentColor", width: float = 2, more: str = "") -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{more}/>'


def filled(points: list[tuple[float, float]], colour: str) -> str:
    """An area."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{path}" fill="{colour}" fill-opacity="0.28"/>'


def arrow(x: float, y: float, to_x: float, to_y: float, colour: str = "currentColor") -> str:
    """A straight arrow."""
    angle = math.atan2(to_y - y, to_x - x)
    wings = [(to_x - 9 * math.cos(angle + turn), to_y - 9 * math.sin(angle + turn)) for turn in (-0.45, 0.45)]
    return line([(x, y), (to_x, to_y)], colour, 1.8) + line([wings[0], (to_x, to_y), wings[1]], colour, 1.8)


def box(x: float, y: float, width: float, height: float, words: str, colour: str = TEAL, below: str = "") -> str:
    """A labelled box."""
    up = -6 if below else 5
    label = text(x + width / 2, y + height / 2 + up, words, font_weight="bold")
    label += text(x + width / 2, y + height / 2 + 14, below, font_size="12") if below else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{colour}" '
        f'fill-opacity="0.18" stroke="{colour}" stroke-width="1.5"/>{label}'
    )


def dot(x: float, y: float, colour: str, radius: float = 6, shape: str = "circle") -> str:
    """A point; individuals differ in shape as well as in colour."""
    r = radius
    if shape == "square":
        return f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r:g}" height="{2 * r:g}" fill="{colour}"/>'
    if shape == "triangle":
        return f'<path d="M{x:.1f} {y - r * 1.2:.1f}l{r * 1.2:.1f} {2 * r:.1f}h{-r * 2.4:.1f}z" fill="{colour}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" fill="{colour}"/>'


def siamese() -> str:
    """Two photos, one encoder, a distance, a similarity."""
    parts = [
        box(5, 20, 90, 50, "photo A", VIOLET), box(5, 130, 90, 50, "photo B", VIOLET),
        box(140, 20, 120, 160, "encoder", TEAL, "the same weights"),
        box(310, 20, 120, 50, "embedding", ORANGE, "D numbers"),
        box(310, 130, 120, 50, "embedding", ORANGE, "D numbers"),
        box(480, 75, 100, 50, "distance", TEAL, "≥ 0"), box(630, 75, 110, 50, "similarity", ORANGE, "0 to 1"),
        arrow(97, 45, 137, 45), arrow(97, 155, 137, 155), arrow(262, 45, 307, 45), arrow(262, 155, 307, 155),
        arrow(432, 45, 477, 90), arrow(432, 155, 477, 110), arrow(582, 100, 627, 100),
    ]  # fmt: skip
    return drawing(
        750,
        200,
        "Two photos go through the same encoder; the distance of the two embeddings becomes a similarity",
        parts,
    )


def embedding_space() -> str:
    """Three individuals on the unit circle, before training and after."""
    draw, parts = random.Random(5), []
    for centre, words, spread in ((180, "before training", 2.2), (560, "after training", 0.22)):
        parts.append(f'<circle cx="{centre}" cy="140" r="105" fill="none" stroke="currentColor" stroke-opacity="0.4"/>')
        for number, (colour, shape) in enumerate(((TEAL, "circle"), (ORANGE, "square"), (VIOLET, "triangle"))):
            for _ in range(5):
                angle = number * 2 * math.pi / 3 + 0.4 + draw.uniform(-1, 1) * spread
                parts.append(dot(centre + 105 * math.cos(angle), 140 + 105 * math.sin(angle), colour, 7, shape))
        parts.append(text(centre, 145, words))
    parts.append(arrow(330, 140, 410, 140))
    return drawing(
        740, 280, "Embeddings of length 1 of three individuals: mixed before training, gathered after", parts
    )


def triplet() -> str:
    """A triplet whose negative is inside the margin."""
    x, y, near, margin = 210, 150, 75, 60
    parts = [
        f'<circle cx="{x}" cy="{y}" r="{near}" fill="{TEAL}" fill-opacity="0.12" stroke="{TEAL}"/>',
        f'<circle cx="{x}" cy="{y}" r="{near + margin}" fill="{ORANGE}" fill-opacity="0.08" stroke="{ORANGE}" '
        'stroke-dasharray="6 4"/>',
        line([(x, y), (x - 53, y + 53)], TEAL, 2),
        line([(x, y), (x + 98, y - 42)], ORANGE, 2),
        dot(x, y, "currentColor", 8),
        dot(x - 53, y + 53, TEAL, 8),
        dot(x + 98, y - 42, ORANGE, 8, "square"),
        text(x - 2, y - 14, "anchor"),
        text(x - 54, y + 80, "positive", fill=TEAL),
        text(x + 70, y - 58, "negative", fill=ORANGE),
        text(x - 44, y + 26, "d_ap", font_size="12"),
        text(x + 56, y - 6, "d_an", font_size="12"),
        text(400, 80, "loss = max(d_ap − d_an + margin, 0)", "start", font_weight="bold"),
        text(400, 110, "Inside the dashed circle a negative has a loss:", "start"),
        text(400, 130, "it is pushed out, the positive is pulled in.", "start"),
        text(400, 160, "Outside it costs nothing, and moves nothing.", "start"),
        text(400, 205, "dashed radius = d_ap + margin", "start", font_size="12"),
    ]
    return drawing(
        740, 300, "A triplet: the negative must be farther from the anchor than the positive by a margin", parts
    )


def miners() -> str:
    """Hard, semi-hard and easy negatives along the distance from an anchor."""
    start, positive, margin, end = 60, 260, 430, 700
    parts = []
    for left, right, colour, words, below in (
        (start, positive, ORANGE, "hard", "nearer than the positive"),
        (positive, margin, VIOLET, "semi-hard", "farther, within the margin"),
        (margin, end, TEAL, "easy", "loss 0"),
    ):
        parts += [
            f'<rect x="{left}" y="70" width="{right - left}" height="46" fill="{colour}" fill-opacity="0.25"/>',
            text((left + right) / 2, 90, words, font_weight="bold"),
            text((left + right) / 2, 108, below, font_size="12"),
        ]
    parts += [arrow(start, 140, end + 20, 140), text(end + 10, 165, "distance from the anchor", "end")]
    for x, words in ((start, "anchor"), (positive, "positive: d_ap"), (margin, "d_ap + margin")):
        parts += [line([(x, 60), (x, 146)], width=1.5), text(x, 50, words)]
    return drawing(
        740,
        180,
        "Where a negative may lie: nearer than the positive is hard, between it and the margin semi-hard, beyond easy",
        parts,
    )


def _axes(x: float, y: float, width: float, height: float, across: str, up: str) -> list[str]:
    return [
        arrow(x, y, x + width, y),
        arrow(x, y, x, y - height),
        text(x + width, y + 20, across, "end"),
        text(x + 8, y - height + 8, up, "start"),
    ]


def _curve(
    x: float, y: float, width: float, scale: float, most: float, f: Callable[[float], float]
) -> list[tuple[float, float]]:
    steps = 120
    return [(x + width * k / steps, y - scale * f(most * k / steps)) for k in range(steps + 1)]


def losses() -> str:
    """What a negative costs by its distance: the triplet loss's hinges with d_ap = 0.4, margin 0.4."""
    x, y, width, scale = 50, 230, 400, 200

    def linear(d: float) -> float:
        return max(0.4 - d + 0.4, 0)

    curves = (
        (TEAL, "", "linear: max(d_ap − d_an + margin, 0)", linear),
        (ORANGE, ' stroke-dasharray="8 5"', "squared: the square of it", lambda d: linear(d) ** 2),
        (
            VIOLET,
            ' stroke-dasharray="2 4"',
            "soft, margin 0: log(1 + exp(d_ap − d_an))",
            lambda d: math.log1p(math.exp(0.4 - d)),
        ),
    )
    parts = _axes(x, y, width + 20, 210, "d_an", "loss")
    for number, (colour, dash, words, f) in enumerate(curves):
        parts += [
            line(_curve(x, y, width, scale, 1.6, f), colour, 2.5, dash),
            line([(470, 60 + 34 * number), (505, 60 + 34 * number)], colour, 3, dash),
            text(512, 65 + 34 * number, words, "start", font_size="13"),
        ]
    for d, words in ((0.4, "d_ap"), (0.8, "d_ap + margin")):
        at = x + width * d / 1.6
        parts += [line([(at, y - 4), (at, y + 4)]), text(at, y + 20, words, font_size="12")]
    return drawing(
        790, 265, "The loss of a triplet by the negative's distance, for the hinges linear, squared and soft", parts
    )


def threshold() -> str:
    """Distances of same and different pairs, the logistic curve through them, the threshold."""
    x, y, width = 50, 230, 480

    def bell(centre: float, spread: float) -> Callable[[float], float]:
        return lambda d: math.exp(-(((d - centre) / spread) ** 2) / 2)

    same, other = bell(0.45, 0.16), bell(1.15, 0.24)
    cut = next(d / 1000 for d in range(450, 1150) if other(d / 1000) / 0.24 >= same(d / 1000) / 0.16)
    at = x + width * cut / 1.8
    parts = [
        *_axes(x, y, width + 20, 215, "distance", "similarity 1"),
        *(
            filled([*_curve(x, y, width, 150, 1.8, f), (x + width, y), (x, y)], colour)
            for f, colour in ((same, TEAL), (other, ORANGE))
        ),
        line(_curve(x, y, width, 190, 1.8, lambda d: 1 / (1 + math.exp(14 * (d - cut)))), VIOLET, 3),
        line([(at, y + 5), (at, 25)], more=' stroke-dasharray="5 4"'),
        text(at, y + 20, "threshold", font_weight="bold"),
        text(x + width * 0.45 / 1.8, y - 40, "same", font_weight="bold"),
        text(x + width * 1.2 / 1.8, y - 40, "different", font_weight="bold"),
        text(565, 90, "Similarity: a logistic curve", "start", fill=VIOLET),
        text(565, 110, "through the pairs' distances.", "start", fill=VIOLET),
        text(565, 150, "Both kinds are taken as", "start"),
        text(565, 170, "equally frequent.", "start"),
    ]
    return drawing(
        760, 260, "Distances of same and of different pairs, the similarity curve and the threshold between them", parts
    )


def ranking() -> str:
    """A query, its neighbours in order, and the figures that come of it."""
    parts = [text(10, 62, "query", "start"), dot(90, 57, TEAL, 13), arrow(115, 57, 160, 57)]
    hits = (True, False, True, True, False, False, False)
    for place, hit in enumerate(hits):
        x = 195 + 62 * place
        parts += [
            dot(x, 57, TEAL if hit else ORANGE, 13, "circle" if hit else "square"),
            text(x, 100, str(place + 1), font_size="12"),
        ]
    parts += [
        text(195, 25, "nearest", font_size="12"),
        text(195 + 62 * 6, 25, "farthest", font_size="12"),
        line([(172, 112), (342, 112)], width=1.5),
        text(257, 132, "R = 3: as many as there are others of the query", font_size="12"),
        text(10, 168, "P@1 = 1: the nearest is of the same individual.", "start"),
        text(
            10,
            192,
            f"MAP@R = (1/1 + 0 + 2/3) / 3 = {(1 + 2 / 3) / 3:.3f}: precision at each hit among the first R, over R.",
            "start",
        ),
    ]
    return drawing(660, 210, "A query photo, all others by distance, and the figures P@1 and MAP@R", parts)


DRAWINGS: dict[str, Callable[[], str]] = {
    "siamese": siamese,
    "embedding-space": embedding_space,
    "triplet": triplet,
    "miners": miners,
    "losses": losses,
    "threshold": threshold,
    "ranking": ranking,
}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (IMAGES / f"{name}.svg").write_text(draw(), encoding="utf-8")
