"""Section of the report with a map of the embeddings: photos on hover, without a script.

Each photo is a dot whose places on all maps are style variables; a radio button chooses the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from siamesekit.data.thumbnails import data_uri
from siamesekit.evaluation.embedding_map import PlanarMap
from siamesekit.report.content import EmbeddingMap, MapPhoto

COLOURS = 8
"""Number of colours, classes `c0` to `c7` of the page."""
SHAPES = ("round", "square", "diamond")
THUMBNAIL, QUALITY = 64, 70
"""Length in pixels of the longer side of a photo on the map, and the quality of its JPEG."""
ABOUT = {
    "PCA": "PCA, the plane on which the photos are spread most; it shows {explained:.0%} of their variance. Distances "
    "on it are never larger than those between the embeddings.",
    "t-SNE": "t-SNE, which keeps near photos near. Distances between groups, and sizes of groups, mean nothing.",
    "UMAP": "UMAP, which keeps near photos near. Distances between groups, and sizes of groups, mean little.",
}
PREFERRED = ("t-SNE", "UMAP", "PCA")
"""The first of these that is there is shown first."""


def map_section(shown: EmbeddingMap | None) -> str:
    """The map as HTML; a sentence if there is none."""
    if shown is None:
        return "<p>There is no map of the embeddings: it needs three test photos with finite embeddings.</p>"
    individuals = list(dict.fromkeys(photo.individual for photo in shown.photos))
    count = (
        f"{len(shown.photos):,} of the {shown.tested:,} test photos (a random sample)"
        if len(shown.photos) < shown.tested
        else f"The {len(shown.photos):,} test photos"
    )
    unique = COLOURS * len(SHAPES)
    looks = "Each individual has a colour and a shape" + (
        f"; {len(individuals):,} share {unique} of them." if len(individuals) > unique else "."
    )
    dots = "".join(_individual(number, name, shown) for number, name in enumerate(individuals))
    legend = "".join(
        f"<li><i class='{_look(number)}'></i>{escape(name)}</li>" for number, name in enumerate(individuals)
    )
    key = f"<ul class=legend>{legend}</ul>" if len(individuals) <= unique else ""
    missing = "".join(f"<p class=small>{escape(sentence)}</p>" for sentence in shown.missing)
    return (
        f"<p>{count} of {len(individuals):,} individuals, on a plane. Point at a dot, or tap it, to see its photo; the "
        f"other photos of the individual stay, all others fade. {looks} A hollow dot is a photo whose nearest photo "
        f"shows another individual.</p><div class=maps>{_choice(shown.maps)}"
        f"<div class=map role=img aria-label='Map of the embeddings'>{dots}</div></div>{key}{missing}"
    )


def _choice(maps: Sequence[PlanarMap]) -> str:
    """Radio buttons, and what each map shows."""
    first = min(range(len(maps)), key=lambda number: PREFERRED.index(maps[number].method))
    buttons = "".join(
        f"<input type=radio name=map id=map-{number}{' checked' if number == first else ''}>"
        f"<label for=map-{number}>{each.method}</label>"
        for number, each in enumerate(maps)
    )
    about = "".join(
        f"<p class='small about-{number}'>Shown: {ABOUT[each.method].format(explained=each.explained)}</p>"
        for number, each in enumerate(maps)
    )
    return buttons + about


def _individual(number: int, name: str, shown: EmbeddingMap) -> str:
    """The dots of one individual, in an element of their own, so that pointing at one tells them from the others."""
    dots = "".join(
        _dot(photo, [planar.places[place] for planar in shown.maps])
        for place, photo in enumerate(shown.photos)
        if photo.individual == name
    )
    return f"<div class='one {_look(number)}'>{dots}</div>"


def _look(number: int) -> str:
    """Classes of an individual's colour and shape."""
    return f"c{number % COLOURS} {SHAPES[number // COLOURS % len(SHAPES)]}"


def _dot(photo: MapPhoto, places: Sequence[Sequence[float]]) -> str:
    where = ";".join(f"--x{k}:{100 * x:.1f};--y{k}:{100 * (1 - y):.1f}" for k, (x, y) in enumerate(places))
    uri = data_uri(photo.thumbnail, THUMBNAIL, QUALITY)
    return (
        f"<span class='dot{' hollow' if photo.wrong else ''}' tabindex=-1 style='{where}'><span class=card>"
        f"<img src='{uri}' alt=''><b>{escape(photo.individual)}</b>{escape(photo.name)}</span></span>"
    )
