"""Photos and charts of the report as HTML."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamesekit.data.thumbnails import data_uri
from siamesekit.report.content import LARGEST, Picture
from siamesekit.report.matched_points import side_by_side

TINY = 160
"""Pictures whose longer side has fewer pixels are enlarged without smoothing."""
MARKS = {"right": "✓ ", "wrong": "✗ ", "": ""}
END = 8
"""Number of characters at the end of a file name that are always shown, because they tell photos apart."""


def figure(picture: Picture, role: str, kind: str = "", longest: int = LARGEST) -> str:
    """A photo that a click or a key enlarges. It is a `<details>` element, because the page may not run scripts.

    Args:
        picture: the photo.
        role: first line of its caption.
        kind: class of the element, such as `right`.
        longest: maximum length in pixels of its longer side.
    """
    pixels = picture.pixels if picture.photo is None else picture.photo
    title, tag = escape(f"{picture.individual}, {picture.name}"), f"figure class={kind}" if kind else "figure"
    tiny = " class=tiny" if max(pixels.shape[:2]) < TINY else ""
    return (
        f"<{tag}><details class=photo name=photo><summary title='{title}'><img{tiny} src='{data_uri(pixels, longest)}' "
        f"alt='{title}'></summary></details><figcaption><b>{escape(role)}</b>{_name(picture.name)}</figcaption>"
        "</figure>"
    )


def points_figure(first: Picture, second: Picture, points: NDArray[np.float32] | None, kind: str = "") -> str:
    """Two photos with lines between the points `[M, 4]` that they share; empty without points or photos.

    Args:
        first: the photo on the left.
        second: the photo on the right.
        points: the points; None if they are unknown.
        kind: `right` or `wrong`, where the photos show the same individual or another one.
    """
    if points is None or first.photo is None or second.photo is None:
        return ""
    title = escape(f"{first.individual}, {first.name} and {second.individual}, {second.name}")
    count = "1 shared point" if len(points) == 1 else f"{len(points)} shared points"
    drawn = data_uri(np.asarray(side_by_side(first.photo, second.photo, points, LARGEST)), 2 * LARGEST)
    return (
        f"<figure class='points {kind}'><details class=photo name=photo><summary title='{title}'><img src='{drawn}' "
        f"alt='{title}'></summary></details><figcaption><b>{MARKS[kind]}{count}</b></figcaption></figure>"
    )


def _name(name: str) -> str:
    """A photo's name as HTML: it breaks only between folder and file, and a long file name loses its middle.

    The parts are marked by elements and not by characters, so that copying the text gives the exact name.
    """
    folder, slash, file = name.rpartition("/")
    start, end = file[:-END], file[-END:]
    return (
        f"<span class=name><span class=folder>{escape(folder + slash)}</span><span class=file>"
        f"<span class=start>{escape(start)}</span><span>{escape(end)}</span></span></span>"
    )


def chart(label: str, draw: Callable[..., str], *shown: Any) -> str:
    """A chart in two forms, with panels side by side and stacked; the page shows the one that fits its width."""
    return (
        f"<div class=chart role=img aria-label='{escape(label)}'><div class=broad>{draw(*shown)}</div>"
        f"<div class=narrow>{draw(*shown, narrow=True)}</div></div>"
    )
