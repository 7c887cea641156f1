"""Observations as Wildbook's sheet for a bulk import: one row per encounter of an individual, with its photos."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamesekit.data.dates import moment_of
from siamesekit.errors import OutputError
from siamesekit.gallery.exchange.moments import has_time
from siamesekit.gallery.exchange.observation import Observation, note_of
from siamesekit.gallery.exchange.written_tables import (
    Written,
    csv_of,
    note_of_apostrophes,
    note_of_lost,
    path_within,
)

INDIVIDUAL, ASSET, SIGHTING = "MarkedIndividual.individualID", "Encounter.mediaAsset", "Encounter.sightingID"
NUMBERS = (
    "Encounter.year", "Encounter.month", "Encounter.day", "Encounter.hour", "Encounter.minutes",
    "Encounter.decimalLatitude", "Encounter.decimalLongitude",
)  # fmt: skip
"""Columns of numbers, in their order."""
CALLED = {
    "latitude": "Encounter.decimalLatitude", "longitude": "Encounter.decimalLongitude", "site": "Encounter.locationID",
    "encounter": SIGHTING, "sex": "Encounter.sex", "lifeStage": "Encounter.lifeStage", "behavior": "Encounter.behavior",
}  # fmt: skip
"""Attribute → its column."""
TABLES = ("Encounter.", "MarkedIndividual.", "Sighting.", "Occurrence.", "Membership.", "SocialUnit.", "TissueSample.",
          "SatelliteTag.", "Survey.", "SurveyTrack.")  # fmt: skip
"""How names of Wildbook's columns begin; attributes of such names keep them."""
MOST = 200
"""Rows that Wildbook recommends at most for an import."""
_PLAIN_FILE = re.compile(r"[A-Za-z0-9. ]+", re.ASCII)
_PLAIN_SIGHTING = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_TEXT_OF_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def check_library(suffix: str) -> None:
    """Check, before any work, that a sheet of this kind can be written.

    Raises:
        OutputError: openpyxl is missing.
    """
    if suffix == ".xlsx":
        try:
            import openpyxl  # noqa: F401
        except ImportError:
            raise OutputError(
                "an .xlsx file needs openpyxl: pip install 'siamesekit[excel]'; or write a .csv file"
            ) from None


def wildbook(observations: Sequence[Observation], base: Path, suffix: str) -> Written:
    """The sheet as .xlsx or .csv.

    Args:
        observations: the observations.
        base: folder at which the paths of photos begin, where the sheet will be.
        suffix: `.xlsx` or `.csv`.

    Raises:
        DataError: a photo is not below that folder.
    """
    groups: dict[tuple[str, ...], list[Observation]] = {}
    for number, each in enumerate(observations):
        groups.setdefault(_encounter(each, number), []).append(each)
    rows = [_row(group, base) for group in groups.values()]
    most = max(len(group) for group in groups.values())
    there = {name for row in rows for name, text in row.items() if text}
    first = [INDIVIDUAL, *(f"{ASSET}{number}" for number in range(most)), "Encounter.genus",
             "Encounter.specificEpithet", *NUMBERS, *CALLED.values()]  # fmt: skip
    columns = [name for name in dict.fromkeys([*first, *sorted(there)]) if name in there]
    escaped: list[str] = []
    if suffix == ".xlsx":
        content = _workbook(columns, rows)
    else:
        content, escaped = csv_of(columns, rows)
    return Written({"": content}, (*_notes(observations, rows, list(groups.values())), *note_of_apostrophes(escaped)))


def _encounter(each: Observation, number: int) -> tuple[str, ...]:
    """What the photos of one row share; an observation of no encounter, or of no individual, is a row of its own."""
    encounter, moment = each.attribute("encounter"), moment_of(each.attribute("date"))
    if not encounter or not each.record.individual:
        return (str(number),)
    day = "" if moment is None else str(moment.date())
    return (encounter, each.record.individual, day, each.attribute("species"), each.attribute("site"))


def _row(group: Sequence[Observation], base: Path) -> dict[str, str]:
    """The cells of an encounter; times are those of its first photo."""
    row = {INDIVIDUAL: group[0].record.individual}
    paths = dict.fromkeys(path_within(each, base) for each in group)
    row |= {f"{ASSET}{number}": path for number, path in enumerate(paths)}
    for each in group:
        for name, text in each.record.attributes.items():
            column = CALLED.get(name, name)
            if text and column.startswith(TABLES) and not column.startswith(ASSET):
                row.setdefault(column, text)
    genus, _, epithet = group[0].attribute("species").partition(" ")
    if genus:
        row |= {"Encounter.genus": genus, "Encounter.specificEpithet": epithet.strip()}
    date = _first_date(group)
    moment = moment_of(date)
    if moment is not None:
        row |= {
            "Encounter.year": str(moment.year),
            "Encounter.month": str(moment.month),
            "Encounter.day": str(moment.day),
        }
        if has_time(date):
            row |= {"Encounter.hour": str(moment.hour), "Encounter.minutes": str(moment.minute)}
    return row


def _first_date(group: Sequence[Observation]) -> str:
    """The earliest date of an encounter's photos; empty without one."""
    dates = [(moment, date) for each in group if (moment := moment_of(date := each.attribute("date"))) is not None]
    return min(dates)[1] if dates else ""


def _workbook(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> bytes:
    """A workbook with one sheet, whose texts are texts and never formulas."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = "Encounters"
    for number, row in enumerate([{name: name for name in columns}, *rows], 1):
        for place, name in enumerate(columns, 1):
            text = _TEXT_OF_XML.sub(" ", row.get(name, ""))
            if not text:
                continue
            cell = sheet.cell(number, place)
            value = _number(text) if name in NUMBERS and number > 1 else None
            if value is not None:
                cell.value = value
            else:
                cell.value, cell.data_type = text, "s"
                cell.quotePrefix = True
    output = io.BytesIO()
    book.save(output)
    return output.getvalue()


def _number(text: str) -> int | float | None:
    """A text as a number; None if it is none."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None


def _notes(
    observations: Sequence[Observation], rows: Sequence[dict[str, str]], groups: Sequence[Sequence[Observation]]
) -> list[str]:
    """What the sheet cannot hold, and what Wildbook will ask for."""
    names = [group[0].record.name for group in groups]
    lacking = {
        "no species of two words (Encounter.genus, Encounter.specificEpithet)":
            [not (row.get("Encounter.genus") and row.get("Encounter.specificEpithet")) for row in rows],
        "no date (at least Encounter.year)": [not row.get("Encounter.year") for row in rows],
        "no place (Encounter.locationID, Encounter.verbatimLocality or coordinates)": [
            not (row.get("Encounter.locationID") or row.get("Encounter.verbatimLocality")
                 or (row.get("Encounter.decimalLatitude") and row.get("Encounter.decimalLongitude")))
            for row in rows
        ],
    }  # fmt: skip
    notes = [
        note
        for what, are in lacking.items()
        for note in note_of([name for name, it_is in zip(names, are, strict=True) if it_is], f"have {what}, which "
                            "Wildbook requires")
    ]  # fmt: skip
    several = [each.record.name for group in groups for each in group if each.attribute("date") != _first_date(group)]
    files = Counter(file.name for file in dict.fromkeys(each.file for each in observations))
    odd = [name for name in files if not _PLAIN_FILE.fullmatch(name)]
    twice = [name for name, count in files.items() if count > 1]
    sightings = dict.fromkeys(row.get(SIGHTING, "") for row in rows)
    boxed = [each.record.name for each in observations if each.record.box is not None]
    lost = sorted({name for each in observations for name, text in each.record.attributes.items() if text
                   and name not in {"species", "date", *CALLED} and not name.startswith(TABLES)})  # fmt: skip
    return [
        *notes,
        *note_of(several, "have the date and time of the first photo of their encounter"),
        *note_of(boxed, "have boxes, which the sheet cannot hold: Wildbook finds the animals anew"),
        *note_of_lost(lost),
        *note_of(odd, "have names with characters beside letters, digits, points and spaces, which Wildbook removes"),
        *note_of(twice, "have names that several files share, which Wildbook does not accept in one import"),
        *([f"{len(rows)} rows: Wildbook recommends at most {MOST} in one import"] if len(rows) > MOST else []),
        *([f"encounters have other characters than letters, digits, - and _, which Wildbook does not accept in "
           f"{SIGHTING}"] if not all(map(_PLAIN_SIGHTING.fullmatch, sightings)) else []),
    ]  # fmt: skip
