"""Observations of a catalogue, of a person's decisions, of a match, or of any photos that a reader reads."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from siamesekit._version import __version__
from siamesekit.data.records import Record
from siamesekit.data.table_text import DELIMITERS
from siamesekit.data.unusable import UnusablePhoto
from siamesekit.errors import DataError, UserError
from siamesekit.files.untrusted import MAX_TABLE_BYTES, read_plain
from siamesekit.files.untrusted_json import parse_json
from siamesekit.gallery.decisions import COLUMNS, decision_of, read_decisions
from siamesekit.gallery.enrolling import box_of
from siamesekit.gallery.exchange.observation import Method, Observation
from siamesekit.gallery.match_folder import PAGE
from siamesekit.gallery.match_page import is_page
from siamesekit.gallery.season import read
from siamesekit.gallery.storage import DATABASE, Storage
from siamesekit.wording import line_of_name

BY_A_PERSON = ("decide", "split", "merge")
"""Changes in which a person says who is on a photo; photos that were added had their names before."""
PROGRAM = f"siamesekit {__version__}"
_DATA = re.compile(rb'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Source:
    """Observations, and where they come from.

    Attributes:
        observations: the observations, in the order of the source.
        kind: `catalogue`, `decisions`, `match` or `photos`.
        title: name of the catalogue or table.
        notes: what was left out or understood in some way, in sentences.
        left_out: photos that cannot be used, and were left out as asked.
    """

    observations: tuple[Observation, ...]
    kind: str
    title: str
    notes: tuple[str, ...] = ()
    left_out: tuple[UnusablePhoto, ...] = ()


def source_of(place: Path, reader: str | None = None, overrides: Sequence[str] = (), skip_bad: bool = False) -> Source:
    """The observations of a place.

    Args:
        place: folder of a catalogue, folder of a match, table of decisions, or photos as readers read them.
        reader: name of the reader of photos; by default it follows from their kind.
        overrides: options of the reader, as `data.KEY=VALUE` strings.
        skip_bad: whether to leave out photos that are missing, instead of an error.

    Raises:
        DataError: the source is damaged or cannot be read as asked, or has no photos.
        UserError: options of a reader are given, and the source has none.
    """
    title = place.absolute().name
    own = {
        "catalogue": (place / DATABASE).is_file(),
        "match": (place / PAGE).is_file() and is_page(place / PAGE),
        "decisions": place.is_file() and _are_decisions(place),
    }
    kind = next((name for name, it_is in own.items() if it_is and reader is None), "photos")
    if kind == "photos":
        records = read(place, reader, overrides, skip_bad)
        found = tuple(map(Observation, records))
        return Source(found, kind, place.absolute().stem, records.notes, records.left_out)
    if overrides:
        raise UserError(f"{line_of_name(str(place))} is no table for a reader, so it has no options: leave out --set")
    if kind == "catalogue":
        return _checked(Source(_of_catalogue(place), kind, title), place)
    if kind == "decisions":
        return _checked(_of_decisions(place), place)
    return _checked(Source(tuple(_of_match(place)), kind, title, (_worth(place),)), place)


def _checked(source: Source, place: Path) -> Source:
    """A source with observations.

    Raises:
        DataError: there are none.
    """
    if not source.observations:
        raise DataError(f"{line_of_name(str(place))} has no photos of individuals")
    return source


def _of_catalogue(folder: Path) -> tuple[Observation, ...]:
    """The photos with their individuals; the model is not loaded."""
    storage = Storage(folder)
    try:
        with storage.reading():
            return tuple(_known(storage.connection))
    finally:
        storage.close()


def _known(connection: sqlite3.Connection) -> list[Observation]:
    """All photos with an individual, and the last change that placed each."""
    attributes: dict[int, dict[str, str]] = {}
    for photo, name, value in connection.execute("SELECT photo, name, value FROM attributes ORDER BY photo, name"):
        attributes.setdefault(photo, {})[name] = value
    rows = connection.execute(
        "SELECT p.id, p.name, p.path, p.box, p.sha256, i.name, c.date, c.author, c.command FROM photos p "
        "JOIN individuals i ON i.id = p.individual "
        "LEFT JOIN (SELECT photo, max(change) AS change FROM moves GROUP BY photo) m ON m.photo = p.id "
        "LEFT JOIN changes c ON c.id = m.change ORDER BY p.id"
    )
    found = []
    for number, name, path, box, digest, individual, date, author, command in rows:
        record = Record(name, individual, Path(path), box=box_of(box), attributes=attributes.get(number, {}))
        person: tuple[Method, str, str] = ("human", author, date) if command in BY_A_PERSON else ("", "", "")
        found.append(Observation(record, digest, *person))
    return found


def _are_decisions(file: Path) -> bool:
    """Whether a file begins as a table of decisions does."""
    try:
        with file.open("rb") as opened:
            header = opened.readline(1 << 12).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return any(set(COLUMNS) <= set(header.replace('"', "").split(delimiter)) for delimiter in DELIMITERS)


def _of_decisions(file: Path) -> Source:
    """The photos that a person has decided on; bad ones are left out."""
    decisions = read_decisions(file)
    kept = tuple(Observation(each.record, each.sha256, "human") for each in decisions if each.word != "bad")
    bad = len(decisions) - len(kept)
    notes = (f"{bad} photos that were called bad are left out",) if bad else ()
    return Source(kept, "decisions", file.absolute().stem, notes)


def _of_match(folder: Path) -> list[Observation]:
    """The photos of a match, each with the likeliest individual of its answer, if that is likelier than a new one.

    Raises:
        DataError: the page is damaged.
    """
    shown = line_of_name(str(folder / PAGE))
    found = _DATA.search(read_plain(folder / PAGE, MAX_TABLE_BYTES))
    facts = parse_json(found[1], shown) if found else {}
    try:
        return [
            Observation(_record(photo, individual), photo["sha256"], "machine", PROGRAM, "", probability)
            for query in facts["queries"]
            for individual, probability in [_likeliest(query)]
            for photo in query["photos"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{shown} is damaged; match the photos again") from None


def _record(photo: Mapping[str, Any], individual: str) -> Record:
    """The record of a photo of a match, whose cells are checked as those of decisions are."""
    cells = {"name": photo["name"], "photo": photo["path"], "sha256": photo["sha256"], "box": photo["box"],
             "attributes": json.dumps(photo["attributes"]), "decision": "unsure", "individual": "",
             "rejected": ""}  # fmt: skip
    return replace(decision_of(cells, PAGE).record, individual=individual)


def _likeliest(query: Mapping[str, Any]) -> tuple[str, float | None]:
    """The individual of an answer that is likelier than a new one, with its probability; empty without one."""
    best = max(query["candidates"], key=lambda each: each["probability"] or 0.0)
    probability, new = best["probability"], query["new"]
    if query["verdict"] == "maybe new" or probability is None or new is None or probability <= new:
        return "", None
    return str(best["individual"]), float(probability)


def _worth(folder: Path) -> str:
    return (
        f"{line_of_name(str(folder))} is a match that nobody has confirmed: its individuals are written as classified "
        "by a machine, where one is likelier than a new individual"
    )
