"""The page on which a person compares the photos of a season with their candidates, and decides."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from siamesekit.files.paths import resolved
from siamesekit.gallery.enrolling import box_text
from siamesekit.gallery.matching import Query
from siamesekit.gallery.search import Candidate
from siamesekit.gallery.shared_points import Points

_HERE = Path(__file__).parent
_TEMPLATE, _STYLE = _HERE / "match_page.html", _HERE / "match_page.css"
_SCRIPTS = _HERE / "match_decisions.js", _HERE / "match_points.js", _HERE / "match_page.js"
IDENTIFIER, PREFIX = 16, 4
"""Digits of the digest that names a page's decisions, and of the names that it gives to new individuals."""
DRAWN, WHOLE = 150, 10_000
"""Most shared points that are drawn on two photos, evenly chosen; parts of a side in which their places are told."""


@dataclass(frozen=True)
class PageFacts:
    """What the script of a page shows, in the form of JSON.

    Attributes:
        head: facts about the whole page.
        queries: gives those about each query.
    """

    head: Mapping[str, Any]
    queries: Callable[[], Iterator[Mapping[str, Any]]]

    def pieces(self) -> Iterator[str]:
        """The facts as one JSON object, a query at a time; no text in it can end a script."""
        yield f'{_json(self.head)[:-1]},"queries":['
        for number, query in enumerate(self.queries()):
            yield f"{',' if number else ''}{_json(query)}"
        yield "]}"


def page(title: str, facts: PageFacts, note: str, connect: str = "'none'") -> Iterator[str]:
    """The page as HTML, piece by piece. It runs its own script only, whatever names and attributes hold.

    Args:
        title: name of the catalogue.
        facts: what the script shows; see `page_facts`.
        note: what the probabilities are worth.
        connect: where the script may send decisions, as a source of Content-Security-Policy.
    """
    script, style = ("\n" + "\n".join(file.read_text("utf-8") for file in files) for files in (_SCRIPTS, [_STYLE]))
    policy = (
        f"default-src 'none'; img-src 'self' file: data:; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    title, note = (escape(text.encode(errors="backslashreplace").decode()) for text in (title, note))
    before, after = (Template(text) for text in _TEMPLATE.read_text(encoding="utf-8").split("$data"))
    yield before.substitute(policy=escape(policy), title=title, style=style, note=note)
    yield from facts.pieces()
    yield after.substitute(script=script)


def is_page(file: Path) -> bool:
    """Whether a file begins as pages of a match do."""
    beginning = _TEMPLATE.read_bytes().partition(b"$policy")[0] + escape("default-src 'none'; img-src").encode()
    with file.open("rb") as opened:
        return opened.read(len(beginning)) == beginning


@dataclass(frozen=True)
class Pictures:
    """Addresses of pictures, relative to the page.

    Attributes:
        query: gives that of a query's photo, by the photo's identity.
        known: facts about photos of the catalogue, by their numbers: `name`, `small`, the address of the thumbnail,
            and, if there is a large picture, `image`, its address; `moved` for a candidate's photo without one.
        further: photos of each individual, by its name.
    """

    query: Callable[[tuple[str, str]], str]
    known: Mapping[int, Mapping[str, Any]]
    further: Mapping[str, Sequence[int]]


def page_facts(catalogue: Path, queries: Sequence[Query], individuals: Sequence[str], pictures: Pictures) -> PageFacts:
    """What the script of the page shows.

    Args:
        catalogue: the catalogue's folder; decisions on another catalogue are kept apart.
        queries: the queries.
        individuals: names of all individuals of the catalogue.
        pictures: the pictures.
    """
    told, looked = sha256(f"[{json.dumps(str(resolved(catalogue)))}, [".encode()), False
    for number, query in enumerate(queries):
        photos = json.dumps([photo.identity for photo in query.photos])
        told.update(f"{', ' if number else ''}{photos}".encode())
        looked = looked or any(each.points is not None for each in query.answer.candidates)
    told.update(b"]]")
    digest = told.hexdigest()
    head = {
        "id": digest[:IDENTIFIER],
        "prefix": f"new-{digest[:PREFIX]}-",
        "individuals": list(individuals),
        "known": pictures.known,
        "further": pictures.further,
        "looked": looked,
        "whole": WHOLE,
    }
    return PageFacts(head, lambda: (_query(each, pictures) for each in queries))


def with_names(facts: PageFacts, renamed: Mapping[str, str]) -> PageFacts:
    """Facts of a page with the new names of individuals.

    Args:
        facts: as `page_facts` gives them.
        renamed: new names by the names in these facts.
    """

    def now(name: str) -> str:
        return renamed.get(name, name)

    def queries() -> Iterator[Mapping[str, Any]]:
        for query in facts.queries():
            yield {
                **query,
                "candidates": [{**each, "individual": now(each["individual"])} for each in query["candidates"]],
            }

    further = {now(name): photos for name, photos in facts.head["further"].items()}
    head = {**facts.head, "individuals": sorted(map(now, facts.head["individuals"])), "further": further}
    return PageFacts(head, queries)


def _query(query: Query, pictures: Pictures) -> dict[str, Any]:
    return {
        "name": query.name,
        "uncertainty": query.uncertainty,
        "new": query.answer.new,
        "verdict": query.answer.verdict,
        "photos": [
            {
                "name": photo.record.name,
                "path": str(Path(str(photo.record.source)).absolute()),
                "sha256": photo.sha256,
                "box": box_text(photo.record.box),
                "attributes": {name: text for name, text in photo.record.attributes.items() if text},
                "image": pictures.query(photo.identity),
            }
            for photo in query.photos
        ],
        "candidates": [_candidate(each, query) for each in query.answer.candidates],
    }


def _candidate(found: Candidate, query: Query) -> dict[str, Any]:
    shared = [query.shared.get((place, found.best.photo)) for place in range(len(query.photos))]
    told = {"shared": [_places(each) for each in shared]} if any(each is not None for each in shared) else {}
    return told | {
        "individual": found.individual,
        "distance": found.distance,
        "similarity": found.similarity,
        "probability": found.probability,
        "photos": found.photos,
        "points": found.points,
        "best": found.best.photo,
    }


def _places(points: Points | None) -> dict[str, Any] | None:
    """The number of shared points `[M, 4]`, and the places of those that are drawn, in a row."""
    if points is None:
        return None
    chosen = points[np.linspace(0, len(points) - 1, min(DRAWN, len(points))).round().astype(np.int64)]
    return {"count": len(points), "places": (chosen * WHOLE).round().astype(np.int64).ravel().tolist()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def _hash(text: str) -> str:
    """The hash by which a browser knows a script or style."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
