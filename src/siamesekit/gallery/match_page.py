"""The page on which a person compares the photos of a season with their candidates, and decides."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from siamesekit.gallery.enrolling import box_text
from siamesekit.gallery.matching import Query
from siamesekit.gallery.search import Candidate

_HERE = Path(__file__).parent
_PARTS = {part: _HERE / f"match_page.{part}" for part in ("html", "css", "js")}
IDENTIFIER, PREFIX = 16, 4
"""Digits of the digest that names a page's decisions, and of the names that it gives to new individuals."""


def page(title: str, facts: Mapping[str, Any], note: str, connect: str = "'none'") -> str:
    """The page as HTML. It runs its own script only, whatever names and attributes hold.

    Args:
        title: name of the catalogue.
        facts: what the script shows; see `page_facts`.
        note: what the probabilities are worth.
        connect: where the script may send decisions, as a source of Content-Security-Policy.
    """
    script, style = (f"\n{_PARTS[part].read_text(encoding='utf-8')}" for part in ("js", "css"))
    policy = (
        f"default-src 'none'; img-src 'self' file: data:; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(facts, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    template = Template(_PARTS["html"].read_text(encoding="utf-8"))
    return template.substitute(
        policy=escape(policy), title=escape(title), style=style, script=script, data=data, note=escape(note)
    )


def page_facts(queries: Sequence[Query], individuals: Sequence[str], images: Mapping[Any, Mapping[str, Any]]) -> Any:
    """What the script of the page shows, as JSON.

    Args:
        queries: the queries.
        individuals: names of all individuals of the catalogue.
        images: facts about the pictures: `image` and `small`, addresses relative to the page, and what else is to be
            said; by the identity of a query's photo, by the number of a candidate's best photo, and, as a list, by the
            name of an individual for its further photos.
    """
    told = json.dumps([[photo.identity for photo in query.photos] for query in queries])
    digest = sha256(told.encode()).hexdigest()
    return {
        "id": digest[:IDENTIFIER],
        "prefix": f"new-{digest[:PREFIX]}-",
        "individuals": list(individuals),
        "queries": [
            {
                "name": query.name,
                "uncertainty": query.uncertainty,
                "new": query.answer.new,
                "photos": [
                    {
                        "name": photo.record.name,
                        "path": str(Path(str(photo.record.source)).absolute()),
                        "sha256": photo.sha256,
                        "box": box_text(photo.record.box),
                        "attributes": {name: text for name, text in photo.record.attributes.items() if text},
                        **images[photo.identity],
                    }
                    for photo in query.photos
                ],
                "candidates": [_candidate(each, images) for each in query.answer.candidates],
            }
            for query in queries
        ],
    }


def _candidate(found: Candidate, images: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "individual": found.individual,
        "distance": found.distance,
        "similarity": found.similarity,
        "probability": found.probability,
        "photos": found.photos,
        "name": found.best.name,
        **images[found.best.photo],
        "more": [each for each in images[found.individual] if each["name"] != found.best.name],
    }


def _hash(text: str) -> str:
    """The hash by which a browser knows a script or style."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
