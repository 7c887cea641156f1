"""An answer as a notebook shows it: the candidates in a table, small photos of the best; all names are escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from siamesekit.data.thumbnails import thumbnail

if TYPE_CHECKING:
    from siamesekit.gallery.search import Answer, Candidate

PICTURED, LISTED = 5, 12
"""Most candidates that are shown with a photo, and at all."""


def answer_card(answer: Answer) -> str:
    """An answer as HTML without scripts and style sheets."""
    said: list[str] = [] if answer.verdict is None else [answer.verdict]
    said += [] if answer.new is None else [f"probability of a new individual {answer.new:.1%}"]
    about = f": {', '.join(said)}" if said else ""
    shown = answer.candidates[:LISTED]
    columns = ["", "nearest photo", "individual", "distance"]
    columns += ["similarity"] if any(each.similarity is not None for each in shown) else []
    columns += ["probability"] if any(each.probability is not None for each in shown) else []
    columns += ["shared points"] if any(each.points is not None for each in shown) else []
    head = "".join(f"<th>{column}</th>" for column in columns)
    rows = "".join(_row(place, each, columns) for place, each in enumerate(shown, 1))
    return (
        f"<div style='overflow-x:auto'><p><strong>{escape(answer.query)}</strong>{escape(about)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(place: int, candidate: Candidate, columns: list[str]) -> str:
    name = escape(candidate.best.name)
    cells = {
        "": str(place),
        "nearest photo": f"{thumbnail(candidate.best.path)}<br>{name}" if place <= PICTURED else name,
        "individual": f"<strong>{escape(candidate.individual)}</strong>",
        "distance": f"{candidate.distance:.4f}",
        "similarity": "" if candidate.similarity is None else f"{candidate.similarity:.3f}",
        "probability": "" if candidate.probability is None else f"{candidate.probability:.1%}",
        "shared points": "" if candidate.points is None else str(candidate.points),
    }
    return "<tr>" + "".join(f"<td>{cells[column]}</td>" for column in columns) + "</tr>"
