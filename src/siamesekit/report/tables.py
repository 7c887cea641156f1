"""Tables of figures as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table that scrolls sideways on narrow screens; cells are HTML, headings text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def interval_html(interval: Mapping[str, float | None]) -> str:
    """A figure with its interval in brackets."""
    if interval["low"] is None:
        return f"<b>{interval['value']:.3f}</b>"
    return f"<b>{interval['value']:.3f}</b> <span class=small>({interval['low']:.3f}–{interval['high']:.3f})</span>"
